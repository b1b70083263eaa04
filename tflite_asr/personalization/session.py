"""One personalisation from speech to report: measure, train, measure again, write the results."""

import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from tflite_asr.data.clips import fitting_clips
from tflite_asr.data.corpus import Corpus
from tflite_asr.data.manifest import Utterance
from tflite_asr.errors import InputError
from tflite_asr.files import write_whole
from tflite_asr.personalization.measurement import measure, pairs, rates
from tflite_asr.personalization.replay import read_replay
from tflite_asr.personalization.resumption import begin_run, finished_result, run_settings
from tflite_asr.personalization.rounds import Rounds, arriving
from tflite_asr.personalization.self_training import check_enough
from tflite_asr.personalization.session_training import train_session
from tflite_asr.personalization.settings import Pace, Settings
from tflite_asr.personalization.speech import Speech
from tflite_asr.personalization.trainer import settings_for, split
from tflite_asr.personalization.training_run import TrainingRun
from tflite_asr.personalization.window import Window
from tflite_asr.report import write_report
from tflite_asr.runtime.batch import Example
from tflite_asr.runtime.evaluation import examples_of
from tflite_asr.runtime.memory import MemoryProbe
from tflite_asr.runtime.recognizer import Recognizer
from tflite_asr.runtime.voice import OwnerVoice, learn_owner


def run_session(
    recognizer: Recognizer,
    adapt: Speech,
    test: tuple[Corpus, Sequence[Utterance]],
    settings: Settings,
    folder: Path,
    *,
    voice: str,
    pace: Pace | None = None,
    rounds: Rounds | None = None,
) -> dict:
    """Personalise and write `checkpoint.safetensors`, `result.json`, `report.html` and plots into `folder`.

    Args:
        recognizer: trained in place.
        adapt: the speech to learn from. With corrections alone nothing is trained, and the names in them are learned.
            Speech without transcripts is learned from in epochs only, not with pace or rounds.
        test: the speech to measure on; joined by `settings.connect` as the training speech is.
        settings: how to train.
        folder: made if need be, once the input is known to be good. From the first epoch on it holds a checkpoint,
            at first that of an earlier run if there is one, then the best weights so far.
        voice: whose speech it is, for the report.
        pace: train as utterances come, in their order, and keep no more than a window of them, in `folder/window`;
            None: in epochs over all of them.
        rounds: train in epochs over what has come, round by round, each with what the selector chooses; without pace.

    Returns:
        what result.json holds.
    """
    settings = _checked(recognizer, adapt, settings)
    adapt, left_out, settings = _prepared(recognizer, adapt, settings, pace)
    held_out = _held_out(adapt, settings, pace, rounds)
    examples = _test_examples(recognizer, test, settings)
    run = TrainingRun(settings, folder, pace, rounds, read_replay(recognizer.artifact) if adapt.trains else [])
    resumable = run_settings(recognizer, adapt, test, run) if pace or rounds else {}
    if resumable and (finished := finished_result(folder, resumable, rounds)):
        return finished
    window = run.window(recognizer.artifact)
    begin_run(folder, resumable)
    learned = _learned(recognizer, adapt, run, window, examples)
    result = {
        "model": str(recognizer.artifact.path),
        "checkpoint": str(run.checkpoint),
        "voice": voice,
        "normalized": recognizer.normalize,
        **learned,
        "owner_voice": recognizer.owner is not None,
        "skipped_updates": recognizer.skipped_updates,
        "adapt_utterances": len(adapt.utterances) - held_out,
        "validation_utterances": held_out,
        "corrections": adapt.corrections.to_json(),
        "left_out_utterances": len(left_out),
        "test_too_long": len(test[0].too_long),
        "test_too_short": len(test[0].too_short),
        "settings": run.to_json(),
        "report": str(folder / "report.html"),
    }
    write_whole(folder / "result.json", (json.dumps(result, indent=1, allow_nan=False) + "\n").encode())
    write_report(folder, result)  # after all that was measured
    return result


def _expect(recognizer: Recognizer, phrases: Sequence[str]) -> None:
    """Add phrases to those that were learned, unless they are among them."""
    known = {phrase.casefold() for phrase in recognizer.learned_phrases}
    new = [phrase for phrase in phrases if phrase.casefold() not in known]
    recognizer.learned_phrases = [*recognizer.learned_phrases, *new]


def _learned(
    recognizer: Recognizer, adapt: Speech, run: TrainingRun, window: Window | None, test: Sequence[Example]
) -> dict:
    """Measure, train, measure again and save. Returns entries of result.json."""
    with MemoryProbe() as probe:
        before = measure(recognizer, test, "before")
        print(f"before: WER {before.heard.rates.wer:.1%} on {len(test)} test utterances", file=sys.stderr)
        if adapt.trains:
            recognizer.owner = None  # of an earlier run; in training, learned weights recognise everything
        _expect(recognizer, adapt.corrections.phrases)
        trained, policy = train_session(recognizer, adapt, run, window, test)
        if adapt.trains:
            recognizer.owner = _owner(recognizer, adapt)
        after = measure(recognizer, test, "after", policy)
    recognizer.save(run.checkpoint)
    return {
        **rates(before, after),
        **trained,
        "peak_rss_mb": probe.peak_rss_mb,
        "peak_private_mb": probe.peak_private_mb,
        "memory": probe.samples,
        "pairs": pairs(before, after),
    }


def _checked(recognizer: Recognizer, adapt: Speech, settings: Settings) -> Settings:
    """The settings, with the model's learning rate if they have none; InputError for groups and plans that the model
    lacks.
    """
    unknown = sorted(settings.group_rates.keys() - set(recognizer.groups))
    if unknown:
        raise InputError(f"no such layer group: {', '.join(unknown)}; there are {', '.join(recognizer.groups)}")
    recognizer.plan(settings.plan)  # InputError now if there is none
    if adapt.unlabelled:
        check_enough(adapt.unlabelled)
    config = recognizer.config
    return dataclasses.replace(settings.for_model(config), learning_rate=settings.rate(config))


def _test_examples(
    recognizer: Recognizer, test: tuple[Corpus, Sequence[Utterance]], settings: Settings
) -> list[Example]:
    """The examples to measure on."""
    corpus, utterances = test
    clips = fitting_clips(corpus, utterances, settings.connect, settings.seed, recognizer.config.max_seconds)
    return examples_of(recognizer, corpus, clips)


def _prepared(
    recognizer: Recognizer, adapt: Speech, settings: Settings, pace: Pace | None
) -> tuple[Speech, list[str], Settings]:
    """The speech prepared for training, the utterances that were left out, and the settings for so much speech."""
    adapt, left_out = adapt.prepared(recognizer, in_time=bool(pace))
    if not pace and not adapt.unlabelled:
        settings = settings_for(recognizer, settings, len(adapt.utterances))
    return adapt, left_out, settings


def _held_out(adapt: Speech, settings: Settings, pace: Pace | None, rounds: Rounds | None) -> int:
    """How many utterances with transcripts validate and do not train."""
    if not adapt.utterances or (adapt.unlabelled and len(adapt.utterances) < 2):
        return 0
    heard_first = arriving(adapt.utterances, rounds.count, settings.seed)[0] if rounds else adapt.utterances
    held_out = split(heard_first, settings.validation_share, settings.seed)[1]  # InputError where there is one only
    return 0 if settings.are_few(len(adapt.utterances)) and not pace else len(held_out)


def _owner(recognizer: Recognizer, adapt: Speech) -> OwnerVoice | None:
    """The voice that the weights were trained on."""
    if recognizer.background is None:
        return None
    heard = (*adapt.utterances, *adapt.corrections.utterances, *adapt.unlabelled)
    return learn_owner(recognizer.background, [recognizer.features(adapt.corpus.samples(u)) for u in heard])
