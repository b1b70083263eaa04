"""One personalisation from speech to report: measure, train, measure again, write everything down."""

import dataclasses
import json
import math
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tflite_asr.data.clips import fitting_clips
from tflite_asr.data.corpus import Corpus
from tflite_asr.data.manifest import Utterance
from tflite_asr.data.time_order import check_time_order
from tflite_asr.errors import InputError
from tflite_asr.metrics import relative_reduction
from tflite_asr.personalization.replay import read_replay
from tflite_asr.personalization.settings import Pace, Settings
from tflite_asr.personalization.stream import StreamTrainer
from tflite_asr.personalization.average import Epoch, Outcome
from tflite_asr.personalization.trainer import personalize, split
from tflite_asr.personalization.window import Window
from tflite_asr.report import write_report
from tflite_asr.runtime.evaluation import evaluate, examples_of
from tflite_asr.runtime.memory import MemoryProbe
from tflite_asr.runtime.recognizer import Recognizer
from tflite_asr.runtime.voice import OwnerVoice, learn_owner


def run_session(
    recognizer: Recognizer,
    adapt: tuple[Corpus, Sequence[Utterance]],
    test: tuple[Corpus, Sequence[Utterance]],
    settings: Settings,
    folder: Path,
    *,
    voice: str,
    pace: Pace | None = None,
) -> dict:
    """Personalise and write `checkpoint.safetensors`, `result.json`, `report.html` and plots into `folder`.

    Args:
        recognizer: trained in place.
        adapt: the speech to learn from and which of its utterances.
        test: the speech to measure on; joined by `settings.connect` as the training speech is.
        settings: how to train.
        folder: made if need be, once the input is known to be good. From the first epoch on it holds a checkpoint,
            at first that of an earlier run if there is one, then the best weights so far.
        voice: whose speech it is, for the report.
        pace: train as utterances come, in their order, and keep no more than a window of them, in `folder/window`;
            None: in epochs over all of them.

    Returns:
        what result.json holds.
    """
    unknown = sorted(settings.group_rates.keys() - set(recognizer.groups))
    if unknown:
        raise InputError(f"no such layer group: {', '.join(unknown)}; there are {', '.join(recognizer.groups)}")
    recognizer.plan(settings.plan)  # InputError now if there is none
    if pace:
        check_time_order(adapt[1])
    training, held_out = split(adapt[1], settings.validation_share, settings.seed)
    corpus, utterances = test
    clips = fitting_clips(corpus, utterances, settings.connect, settings.seed, recognizer.config.max_seconds)
    examples = examples_of(recognizer, corpus, clips)
    replay = read_replay(recognizer.artifact)
    window = Window(folder / "window", recognizer.artifact, pace.window, pace.window_bytes) if pace else None
    _check_writable(folder)
    checkpoint = folder / "checkpoint.safetensors"
    with MemoryProbe() as probe:
        before = evaluate(recognizer, examples, beam=True, title="before")
        print(f"before: WER {before.rates.wer:.1%} on {len(examples)} test utterances", file=sys.stderr)
        recognizer.owner = None  # of an earlier run; while training, everything is heard with what is learned
        epochs = -(-len(adapt[1]) // pace.stride) if pace else settings.epochs
        with _Progress(recognizer, checkpoint, epochs) as progress:
            told = {"replay": replay, "on_epoch": progress.epoch, "on_step": progress.step}
            if pace:
                outcome = _hear_all(StreamTrainer(recognizer, window, settings, pace, **told), adapt)
            else:
                outcome = personalize(recognizer, *adapt, settings, **told)
        recognizer.owner = _owner(recognizer, adapt)
        after = evaluate(recognizer, examples, beam=True, title="after")
    recognizer.save(checkpoint)
    result = {
        "model": str(recognizer.artifact.path),
        "checkpoint": str(checkpoint),
        "voice": voice,
        "wer_before": before.rates.wer,
        "wer_after": after.rates.wer,
        "cer_before": before.rates.cer,
        "cer_after": after.rates.cer,
        "relative_wer_reduction": relative_reduction(before.rates.wer, after.rates.wer),
        "steps": outcome.steps,
        "epochs": max(0, len(outcome.history) - 1),
        "seconds": outcome.seconds,
        "peak_rss_mb": probe.peak_rss_mb,
        "peak_private_mb": probe.peak_private_mb,
        "owner_voice": recognizer.owner is not None,
        "test_utterances_of_owner": after.owner_utterances,
        "skipped_updates": recognizer.skipped_updates,
        "adapt_utterances": len(training),
        "validation_utterances": len(held_out),
        "test_utterances": len(examples),
        "settings": dataclasses.asdict(settings) | (dataclasses.asdict(pace) if pace else {}),
        "stopped_because": outcome.stopped_because,
        "history": [_finite(dataclasses.asdict(row)) for row in outcome.history],
        "memory": probe.samples,
        "pairs": [
            {"reference": reference, "before": old, "after": new}
            for reference, old, new in zip(before.references, before.hypotheses, after.hypotheses)
        ],
    }
    if window:
        result["disk_bytes_max"] = window.disk_bytes_max
    result["report"] = str(write_report(folder, result))
    temporary = folder / ".result.json.tmp"
    try:
        temporary.write_text(json.dumps(result, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        temporary.replace(folder / "result.json")
    finally:
        temporary.unlink(missing_ok=True)  # gone by the rename, unless that failed
    return result


def _hear_all(trainer: StreamTrainer, adapt: tuple[Corpus, Sequence[Utterance]]) -> Outcome:
    """Train on the utterances one after the other."""
    corpus, utterances = adapt
    trainer.window.forget_all()  # what an earlier run left may be another person's
    for utterance in utterances:
        trainer.hear(trainer.recognizer.example(corpus.samples(utterance), utterance.text, utterance.where))
    trainer.finish()
    return trainer.outcome(f"all {len(utterances)} utterances heard")


def _owner(recognizer: Recognizer, adapt: tuple[Corpus, Sequence[Utterance]]) -> OwnerVoice | None:
    """The voice that the weights were trained on."""
    if recognizer.background is None:
        return None
    corpus, utterances = adapt
    return learn_owner(recognizer.background, [recognizer.features(corpus.samples(u)) for u in utterances])


def _check_writable(folder: Path) -> None:
    """Make the folder; InputError, before any work is done, when nothing can be written into it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(f"{folder}: expected a folder to write into: {error.strerror}") from None


def _finite(row: dict) -> dict:
    """The same with None for losses that are not finite, which JSON does not have."""
    return {key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in row.items()}


class _Progress:
    """A progress bar on a terminal, a line an epoch elsewhere; the best weights go to disk as soon as they are."""

    def __init__(self, recognizer: Recognizer, checkpoint: Path, epochs: int):
        from tqdm import tqdm

        self.recognizer, self.checkpoint, self.epochs = recognizer, checkpoint, epochs
        self.terminal = sys.stderr.isatty()
        self.bar = tqdm(total=1, unit="step", disable=not self.terminal)

    def __enter__(self) -> "_Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def step(self, number: int, steps: int, loss: float) -> None:
        if number == 1:
            self.bar.reset(steps)
        self.bar.set_postfix(loss=f"{loss:.2f}")
        self.bar.update()

    def epoch(self, row: Epoch) -> None:
        if row.best and (row.epoch or not self.checkpoint.exists()):
            self.recognizer.save(self.checkpoint)
        loss = "" if row.train_loss is None else f"loss {row.train_loss:.2f}, "
        line = (
            f"epoch {row.epoch}/{self.epochs}: {loss}validation loss {row.validation_loss:.2f}, "
            f"WER {row.validation_wer:.1%}{' *' if row.best else ''}"
        )
        if self.terminal:
            self.bar.set_description(line)
        else:
            print(line, file=sys.stderr, flush=True)
