"""Trains a session: in epochs, in rounds, over a stream, or with speech without transcripts."""

import dataclasses
from collections.abc import Sequence

from tflite_asr.personalization.average import Outcome
from tflite_asr.personalization.progress import Progress
from tflite_asr.personalization.rounds import RoundsTrainer
from tflite_asr.personalization.self_training import SelfTrainer, SelfTraining
from tflite_asr.personalization.settings import Settings
from tflite_asr.personalization.speech import Speech
from tflite_asr.personalization.stream import StreamTrainer
from tflite_asr.personalization.trainer import personalize
from tflite_asr.personalization.training_run import TrainingRun
from tflite_asr.personalization.window import Window
from tflite_asr.runtime.batch import Example
from tflite_asr.runtime.corrections import CORRECTION_WEIGHT
from tflite_asr.runtime.evaluation import evaluate_transcripts
from tflite_asr.runtime.exits import ExitPolicy
from tflite_asr.runtime.recognizer import Recognizer


def train_session(
    recognizer: Recognizer, adapt: Speech, run: TrainingRun, window: Window | None, test: Sequence[Example]
) -> tuple[dict, ExitPolicy | None]:
    """Train. Returns entries of the result, and the exit policy that recognition now uses."""
    settings, pace, rounds = run.settings, run.pace, run.rounds
    with run.progress(recognizer, adapt) as progress:
        options = {
            "replay": run.replay,
            "on_epoch": progress.epoch,
            "on_step": progress.step,
        }
        if not adapt.trains:
            return _summary(Outcome([], recognizer.state(), 0, 0.0, "corrections alone: names are learned")), None
        if adapt.unlabelled:
            first = _trained_first(recognizer, adapt, run)
            return _self_trained(recognizer, adapt, settings, options, first), None
        if rounds:
            trainer = RoundsTrainer(
                recognizer, adapt.transcribed, settings, rounds, run.folder, on_round=progress.round, **options
            )
            return _train_in_rounds(trainer, test)
        if window and pace:
            outcome = _hear_all(StreamTrainer(recognizer, window, settings, pace, **options), adapt)
            return _summary(outcome) | {"disk_bytes_max": window.disk_bytes_max}, None
        corrected = adapt.corrections.utterances
        return _summary(personalize(recognizer, *adapt.transcribed, settings, corrected=corrected, **options)), None


def _trained_first(recognizer: Recognizer, adapt: Speech, run: TrainingRun) -> Outcome | None:
    """Train on a few transcribed utterances before others are labelled. None where there are none, or many, which train
    together with the others. The weights are not stretched: worse ones were then kept after the labelled speech.
    """
    if len(adapt.utterances) < 2 or not run.settings.are_few(len(adapt.utterances)):
        return None
    settings = dataclasses.replace(run.settings, stretch=1.0)
    corrected = adapt.corrections.utterances
    with Progress(recognizer, run.checkpoint, run.settings.epochs, "training WER") as progress:
        options = {"replay": run.replay, "on_epoch": progress.epoch, "on_step": progress.step}
        return personalize(recognizer, *adapt.transcribed, settings, corrected=corrected, **options)


def _self_trained(
    recognizer: Recognizer, adapt: Speech, settings: Settings, options: dict, first: Outcome | None
) -> dict:
    """Train on speech without transcripts as well, after the training `first`. Returns entries of the result."""
    corrected = adapt.corrections.utterances
    trainer = SelfTrainer(
        recognizer, *adapt.transcribed, adapt.unlabelled, settings, SelfTraining(), corrected=corrected, **options
    )
    trained = _summary(trainer.train())
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
    """Train in rounds as long as the device's resources allow. Returns entries of the result, and the exit policy."""

    def measure() -> dict:
        return {
            "test_wer": evaluate_transcripts(trainer.recognizer, test, policy=trainer.policy, title="round").rates.wer
        }

    stopped = trainer.run(measure)
    history = trainer.history()
    summary = {
        "steps": sum(row["steps"] for row in trainer.done),
        "epochs": max((row["epoch"] for row in history), default=0),
        "seconds": sum(row["seconds"] for row in trainer.done),
        "stopped_because": stopped,
        "finished": trainer.finished,
        "history": history,
        "rounds": trainer.done,
        "resources": trainer.readings,
    }
    return summary, trainer.policy


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


def _summary(outcome: Outcome) -> dict:
    """Entries of the result."""
    return {
        "steps": outcome.steps,
        "epochs": max(0, len(outcome.history) - 1),
        "seconds": outcome.seconds,
        "stopped_because": outcome.stopped_because,
        "stretched": outcome.stretched,
        "history": [row.to_json() for row in outcome.history],
    }
