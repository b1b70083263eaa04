"""One personalisation from speech to report: measure, train, measure again, write everything down."""

import dataclasses
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tflite_asr.data.clips import fitting_clips
from tflite_asr.data.corpus import Corpus
from tflite_asr.data.manifest import Utterance
from tflite_asr.errors import InputError
from tflite_asr.figure import check_drawing
from tflite_asr.files import read_text, write_whole
from tflite_asr.out_folder import SETTINGS, check_settings, check_writable, speech_of, weights_of, write_settings
from tflite_asr.personalization.average import Outcome
from tflite_asr.personalization.measurement import measure, pairs, rates
from tflite_asr.personalization.progress import Progress
from tflite_asr.personalization.replay import read_replay
from tflite_asr.personalization.rounds import CHECKPOINT, STATE, Rounds, RoundsTrainer, arriving
from tflite_asr.personalization.self_training import SelfTrainer, SelfTraining, check_enough
from tflite_asr.personalization.settings import Pace, Settings
from tflite_asr.personalization.speech import Speech
from tflite_asr.personalization.stream import StreamTrainer
from tflite_asr.personalization.trainer import personalize, split, with_pull
from tflite_asr.personalization.window import Window
from tflite_asr.report import write_report
from tflite_asr.runtime.artifact import Artifact
from tflite_asr.runtime.batch import Example
from tflite_asr.runtime.corrections import CORRECTION_WEIGHT
from tflite_asr.runtime.evaluation import evaluate_transcripts, examples_of
from tflite_asr.runtime.exits import ExitPolicy
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
    held_out = _held_out(adapt, settings, rounds)
    examples = _test_examples(recognizer, test, settings)
    how = _How(settings, folder, pace, rounds, read_replay(recognizer.artifact) if adapt.trains else [])
    resumable = _settings(recognizer, adapt, test, how) if pace or rounds else {}
    if resumable and (finished := _finished(folder, resumable, rounds)):
        return finished
    window = how.window(recognizer.artifact)
    _begin(folder, resumable)
    learned = _learned(recognizer, adapt, how, window, examples)
    result = {
        "model": str(recognizer.artifact.path),
        "checkpoint": str(how.checkpoint),
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
        "settings": how.to_json(),
        "report": str(folder / "report.html"),
    }
    write_whole(folder / "result.json", (json.dumps(result, indent=1, allow_nan=False) + "\n").encode())
    write_report(folder, result)  # after all that was measured
    return result


@dataclass(frozen=True)
class _How:
    """How a personalisation trains, and where its files go."""

    settings: Settings
    folder: Path
    pace: Pace | None
    rounds: Rounds | None
    replay: Sequence[Example]  # shipped utterances

    @property
    def checkpoint(self) -> Path:
        return self.folder / CHECKPOINT

    def window(self, artifact: Artifact) -> Window | None:
        """What is kept of the speech, where it comes at a pace."""
        pace = self.pace
        return Window(self.folder / "window", artifact, pace.window, pace.window_bytes) if pace else None

    def to_json(self) -> dict:
        """For result.json."""
        pace = dataclasses.asdict(self.pace) if self.pace else {}
        return dataclasses.asdict(self.settings) | pace | (self.rounds.settings() if self.rounds else {})

    def progress(self, recognizer: Recognizer, adapt: Speech) -> Progress:
        """Of what is about to be trained."""
        heard = len(adapt.utterances) + len(adapt.corrections.utterances)
        epochs = -(-heard // self.pace.stride) if self.pace else self.settings.epochs
        if not adapt.unlabelled:
            return Progress(recognizer, self.checkpoint, epochs)
        measure = "views that disagree" if self.settings.are_few(len(adapt.utterances)) else "WER"
        return Progress(recognizer, self.checkpoint, SelfTraining().rounds, measure)


def _expect(recognizer: Recognizer, phrases: Sequence[str]) -> None:
    """Add phrases to those that were learned, unless they are among them."""
    known = {phrase.casefold() for phrase in recognizer.learned_phrases}
    new = [phrase for phrase in phrases if phrase.casefold() not in known]
    recognizer.learned_phrases = [*recognizer.learned_phrases, *new]


def _learned(recognizer: Recognizer, adapt: Speech, how: _How, window: Window | None, test: Sequence[Example]) -> dict:
    """Measure, train, measure again and save; for result.json."""
    with MemoryProbe() as probe:
        before = measure(recognizer, test, "before")
        print(f"before: WER {before.heard.rates.wer:.1%} on {len(test)} test utterances", file=sys.stderr)
        if adapt.trains:
            recognizer.owner = None  # of an earlier run; while training, everything is heard with what is learned
        _expect(recognizer, adapt.corrections.phrases)
        trained, policy = _trained(recognizer, adapt, how, window, test)
        if adapt.trains:
            recognizer.owner = _owner(recognizer, adapt)
        after = measure(recognizer, test, "after", policy)
    recognizer.save(how.checkpoint)
    return {
        **rates(before, after),
        **trained,
        "peak_rss_mb": probe.peak_rss_mb,
        "peak_private_mb": probe.peak_private_mb,
        "memory": probe.samples,
        "pairs": pairs(before, after),
    }


def _begin(folder: Path, resumable: dict) -> None:
    """Make the folder, and note what a run that can be gone on with is about."""
    check_writable(folder)
    check_drawing()
    if resumable:
        write_settings(folder, resumable)
    else:
        (folder / SETTINGS).unlink(missing_ok=True)  # of another run, whose results are replaced


def _trained(
    recognizer: Recognizer, adapt: Speech, how: _How, window: Window | None, test: Sequence[Example]
) -> tuple[dict, ExitPolicy | None]:
    """Train; for the result, and where the encoder is left now."""
    settings, pace, rounds = how.settings, how.pace, how.rounds
    with how.progress(recognizer, adapt) as progress:
        told = {
            "replay": how.replay,
            "on_epoch": progress.epoch,
            "on_step": progress.step,
        }
        if not adapt.trains:
            return _told(Outcome([], recognizer.state(), 0, 0.0, "corrections alone: names are learned")), None
        if adapt.unlabelled:
            first = _trained_first(recognizer, adapt, how)
            return _self_trained(recognizer, adapt, settings, told, first), None
        if rounds:
            trainer = RoundsTrainer(
                recognizer, adapt.transcribed, settings, rounds, how.folder, on_round=progress.round, **told
            )
            return _train_in_rounds(trainer, test)
        if window:
            outcome = _hear_all(StreamTrainer(recognizer, window, settings, pace, **told), adapt)
            return _told(outcome) | {"disk_bytes_max": window.disk_bytes_max}, None
        corrected = adapt.corrections.utterances
        return _told(personalize(recognizer, *adapt.transcribed, settings, corrected=corrected, **told)), None


def _checked(recognizer: Recognizer, adapt: Speech, settings: Settings) -> Settings:
    """The settings with the model's learning rate where they have none; InputError for what the model does not have."""
    unknown = sorted(settings.group_rates.keys() - set(recognizer.groups))
    if unknown:
        raise InputError(f"no such layer group: {', '.join(unknown)}; there are {', '.join(recognizer.groups)}")
    recognizer.plan(settings.plan)  # InputError now if there is none
    if adapt.unlabelled:
        check_enough(adapt.unlabelled)
    return dataclasses.replace(settings, learning_rate=settings.rate(recognizer.config))


def _test_examples(
    recognizer: Recognizer, test: tuple[Corpus, Sequence[Utterance]], settings: Settings
) -> list[Example]:
    """What to measure on."""
    corpus, utterances = test
    clips = fitting_clips(corpus, utterances, settings.connect, settings.seed, recognizer.config.max_seconds)
    return examples_of(recognizer, corpus, clips)


def _prepared(
    recognizer: Recognizer, adapt: Speech, settings: Settings, pace: Pace | None
) -> tuple[Speech, list[str], Settings]:
    """The speech as it is learned from, what was left out of it, and the settings with the pull for so much speech."""
    adapt, left_out = adapt.prepared(recognizer, in_time=bool(pace))
    if not pace and not adapt.unlabelled:
        settings = with_pull(recognizer, settings, len(adapt.utterances))
    return adapt, left_out, settings


def _held_out(adapt: Speech, settings: Settings, rounds: Rounds | None) -> int:
    """How many utterances with transcripts validate and do not train."""
    if not adapt.utterances or (adapt.unlabelled and len(adapt.utterances) < 2):
        return 0
    heard_first = arriving(adapt.utterances, rounds.count, settings.seed)[0] if rounds else adapt.utterances
    held_out = split(heard_first, settings.validation_share, settings.seed)[1]  # InputError where there is one only
    return 0 if settings.are_few(len(adapt.utterances)) else len(held_out)


def _settings(recognizer: Recognizer, adapt: Speech, test: tuple[Corpus, Sequence[Utterance]], how: _How) -> dict:
    """What a run that can be gone on with has to have in common with the one that began it."""
    values = dataclasses.asdict(how.settings) | {"freeze": how.settings.group_rates}
    del values["group_rates"]
    corrections = adapt.corrections
    more = dataclasses.asdict(how.pace) if how.pace else {}
    more |= {"rounds": how.rounds.count} if how.rounds else {}
    return {
        "the model": recognizer.artifact.tflite_sha256,
        "the weights to start from (--checkpoint)": weights_of(recognizer.state()),
        "the speech of --adapt": speech_of(adapt.utterances),
        **({"the speech of --corrections": speech_of(corrections.utterances)} if corrections.utterances else {}),
        **({"the names learned before": names} if (names := recognizer.learned_phrases) else {}),
        "the speech of --test": speech_of(test[1]),
        **{f"--{name.replace('_', '-')}": value for name, value in (values | more).items()},
    }


def _finished(folder: Path, resumable: dict, rounds: Rounds | None) -> dict | None:
    """The result of such a run that came to its end, or None; InputError for a folder of another run."""
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


def _hear_all(trainer: StreamTrainer, adapt: Speech) -> Outcome:
    """Train on the utterances one after the other, on corrections last."""
    trainer.window.forget_all()  # what an earlier run left may be another person's
    weighted = [(utterance, 1) for utterance in adapt.utterances]
    weighted += [(utterance, CORRECTION_WEIGHT) for utterance in adapt.corrections.utterances]
    for utterance, weight in weighted:
        example = trainer.recognizer.example(adapt.corpus.samples(utterance), utterance.text, utterance.where)
        trainer.hear(dataclasses.replace(example, weight=weight))
    trainer.finish()
    return trainer.outcome(f"all {len(weighted)} utterances heard")


def _trained_first(recognizer: Recognizer, adapt: Speech, how: _How) -> Outcome | None:
    """Train on a few transcribed utterances before others are labelled; None where there are none or many, which train
    together with the others."""
    if len(adapt.utterances) < 2 or not how.settings.are_few(len(adapt.utterances)):
        return None
    corrected = adapt.corrections.utterances
    with Progress(recognizer, how.checkpoint, how.settings.epochs) as progress:
        told = {"replay": how.replay, "on_epoch": progress.epoch, "on_step": progress.step}
        return personalize(recognizer, *adapt.transcribed, how.settings, corrected=corrected, **told)


def _self_trained(recognizer: Recognizer, adapt: Speech, settings: Settings, told: dict, first: Outcome | None) -> dict:
    """Train on speech without transcripts as well, after what was trained `first`; for the result."""
    corrected = adapt.corrections.utterances
    trainer = SelfTrainer(
        recognizer, *adapt.transcribed, adapt.unlabelled, settings, SelfTraining(), corrected=corrected, **told
    )
    trained = _told(trainer.train())
    unlabelled = {
        "utterances": len(adapt.unlabelled),
        "validated_by": trainer.validated_by,
        "learned": any(row["best"] for row in trained["history"][1:]),
        "rounds": trainer.refused,
    }
    if first:
        trained["steps"] += first.steps
        trained["seconds"] += first.seconds
        unlabelled["transcribed_first"] = {"steps": first.steps, "history": [row.to_json() for row in first.history]}
    return trained | {"unlabelled": unlabelled}


def _train_in_rounds(trainer: RoundsTrainer, test: Sequence[Example]) -> tuple[dict, ExitPolicy | None]:
    """All rounds that the device has to spare for; for the result, and where the encoder is left now."""

    def measure() -> dict:
        return {
            "test_wer": evaluate_transcripts(trainer.recognizer, test, policy=trainer.policy, title="round").rates.wer
        }

    stopped = trainer.run(measure)
    history = trainer.history()
    told = {
        "steps": sum(row["steps"] for row in trainer.done),
        "epochs": max((row["epoch"] for row in history), default=0),
        "seconds": sum(row["seconds"] for row in trainer.done),
        "stopped_because": stopped,
        "finished": trainer.finished,
        "history": history,
        "rounds": trainer.done,
        "resources": trainer.readings,
    }
    return told, trainer.policy


def _told(outcome: Outcome) -> dict:
    """For the result."""
    return {
        "steps": outcome.steps,
        "epochs": max(0, len(outcome.history) - 1),
        "seconds": outcome.seconds,
        "stopped_because": outcome.stopped_because,
        "history": [row.to_json() for row in outcome.history],
    }


def _owner(recognizer: Recognizer, adapt: Speech) -> OwnerVoice | None:
    """The voice that the weights were trained on."""
    if recognizer.background is None:
        return None
    heard = (*adapt.utterances, *adapt.corrections.utterances, *adapt.unlabelled)
    return learn_owner(recognizer.background, [recognizer.features(adapt.corpus.samples(u)) for u in heard])
