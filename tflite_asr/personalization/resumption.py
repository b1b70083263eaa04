"""Personalisations that can be resumed: their settings, and results of finished runs."""

import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from tflite_asr.data.corpus import Corpus
from tflite_asr.data.manifest import Utterance
from tflite_asr.errors import InputError
from tflite_asr.figure import check_drawing
from tflite_asr.files import read_text
from tflite_asr.out_folder import SETTINGS, check_settings, check_writable, speech_of, weights_of, write_settings
from tflite_asr.personalization.rounds import STATE, Rounds
from tflite_asr.personalization.speech import Speech
from tflite_asr.personalization.training_run import TrainingRun
from tflite_asr.runtime.recognizer import Recognizer


def begin_run(folder: Path, resumable: dict) -> None:
    """Create the folder, and store the settings of a run that can be resumed."""
    check_writable(folder)
    check_drawing()
    if resumable:
        write_settings(folder, resumable)
    else:
        (folder / SETTINGS).unlink(missing_ok=True)  # of another run, whose results are replaced


def run_settings(
    recognizer: Recognizer, adapt: Speech, test: tuple[Corpus, Sequence[Utterance]], run: TrainingRun
) -> dict:
    """The settings that a resumed run must share with the run that it resumes."""
    values = dataclasses.asdict(run.settings) | {"freeze": run.settings.group_rates}
    del values["group_rates"]
    corrections = adapt.corrections
    more = dataclasses.asdict(run.pace) if run.pace else {}
    more |= {"rounds": run.rounds.count} if run.rounds else {}
    return {
        "the model": recognizer.artifact.tflite_sha256,
        "the weights to start from (--checkpoint)": weights_of(recognizer.state()),
        "the speech of --adapt": speech_of(adapt.utterances),
        **({"the speech of --corrections": speech_of(corrections.utterances)} if corrections.utterances else {}),
        **({"the names learned before": names} if (names := recognizer.learned_phrases) else {}),
        "the speech of --test": speech_of(test[1]),
        **{f"--{name.replace('_', '-')}": value for name, value in (values | more).items()},
    }


def finished_result(folder: Path, resumable: dict, rounds: Rounds | None) -> dict | None:
    """The result of a finished run, or None; InputError for a folder of another run."""
    path = folder / "result.json"
    if not check_settings(folder, resumable, ["result.json", STATE, "window"]) or not path.exists():
        return None
    text = read_text(path, "the result of a run")
    try:
        result = json.loads(text)
        done = result["finished"] if rounds else True
    except (ValueError, LookupError, TypeError) as error:
        raise InputError(
            f"{path}: not the result of a personalisation ({error}); remove it or give another --out"
        ) from None
    if done:
        print(f"{folder}: finished already, nothing is trained", file=sys.stderr)
    return result if done else None
