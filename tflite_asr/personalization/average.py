"""The moving average of the weights, which is validated, and the best average, which is kept."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tflite_asr.personalization.settings import Settings
from tflite_asr.runtime.batch import Example
from tflite_asr.runtime.evaluation import evaluate
from tflite_asr.runtime.exits import ExitPolicy
from tflite_asr.runtime.memory import process_memory_mb
from tflite_asr.runtime.recognizer import Recognizer

Tensors = dict[str, np.ndarray]
TIE = 0.05  # validation WERs that are closer than this, and than one word of the held-out speech, are equal


@dataclass
class Epoch:
    """One row of the history; epoch 0 is before training. In a sliding window an epoch is the steps of one stride."""

    epoch: int
    step: int
    seconds: float
    train_loss: float | None  # mean of the steps, nats an utterance
    validation_loss: float
    validation_wer: float
    rss_mb: float
    best: bool

    def to_json(self) -> dict:
        """Its fields, with None for losses that are not finite, which JSON does not have."""
        row = dataclasses.asdict(self)
        return {
            key: None if isinstance(value, float) and not np.isfinite(value) else value for key, value in row.items()
        }


@dataclass
class Outcome:
    """The result of a personalisation."""

    history: list[Epoch]
    best_state: Tensors  # of the best epoch; also what the recogniser holds now
    steps: int
    seconds: float
    stopped_because: str
    interrupted: bool = False  # whether it had to stop in the middle of an epoch
    stretched: dict[str, float] | None = None  # factor and validation of extrapolated weights, if kept


class KeptAverage:
    """A moving average of the weights over the epochs (Izmailov et al. 2018, arXiv 1803.05407), the best one kept.

    Single epochs of few utterances scatter more than the few held-out ones can tell. Epoch 0 counts: when training
    never helps, the weights stay as they were.

    Args:
        recognizer: trained by others; here its weights are exchanged to measure and put back.
        settings: how much an epoch moves the average.
        on_epoch: called with each row of the history.
        held_out_words: of the speech to validate on, copies not counted; 1 where it changes.
    """

    def __init__(
        self, recognizer: Recognizer, settings: Settings, on_epoch: Callable[[Epoch], None], held_out_words: int = 1
    ):
        self.recognizer, self.settings, self.on_epoch = recognizer, settings, on_epoch
        self.tie = min(TIE, 1 / max(1, held_out_words))
        self.started = time.monotonic()
        self.first_state = self.average = self.best_state = recognizer.state()
        self.history: list[Epoch] = []

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self.started

    def begin(self, validation: Sequence[Example], epoch: int = 0) -> None:
        """Epoch 0, or the last one before an interruption: the weights as they are."""
        self._note(epoch, 0, None, self._measured(validation), True)

    def update(
        self, epoch: int, step: int, train_loss: float | None, validation: Sequence[Example], moved: bool
    ) -> bool:
        """Move the average towards the weights that the recogniser has, measure it; whether it is the best so far.

        The best by validation WER, by loss on ties: of all epochs within one word of the lowest WER, that of the lowest
        loss on all of the owner's speech, since the held-out part of it is small. Weights that have no finite
        validation loss, or on the same speech a higher WER than at the beginning, are not worth keeping.

        Args:
            epoch, step, train_loss: for the history.
            validation: what to measure on.
            moved: these are other utterances than the last time, so the kept weights are measured on them too.
        """
        trained = self.recognizer.state()
        self.average = _moved(self.average, trained, max(self.settings.averaging, 1 / epoch))
        if moved:
            self.recognizer.set_state(self.best_state)
            kept = self._measured(validation)
            # training losses of two rounds are of other utterances as well
            lowest, training_losses = (kept[0], (None, None))
            first = np.inf
        else:
            first = self.history[0].validation_wer
            row = next(row for row in reversed(self.history) if row.best)
            kept = row.validation_wer, row.validation_loss
            training_losses = train_loss, row.train_loss
            lowest = min(row.validation_wer for row in self.history if np.isfinite(row.validation_loss) or row.best)
        self.recognizer.set_state(self.average)
        wer, loss = self._measured(validation)
        most = min(lowest, wer) + self.tie  # more is another WER than the lowest
        lower = self._is_lower(loss, kept[1], training_losses)
        best = bool(np.isfinite(loss)) and wer <= first and wer < most and (kept[0] >= most or lower)
        if best:
            self.best_state = self.average
        self._note(epoch, step, train_loss, (wer, loss), best)
        self.recognizer.set_state(trained)
        return best

    def stretch(self, validation: Sequence[Example]) -> dict[str, float] | None:
        """Extrapolate the best weights, to `settings.stretch` times their change from the first ones, unless they then
        make more errors on what validates, by a word or more.

        A pull, and an average over the epochs, keep weights closer to the first ones than is best for speech that was
        not trained on.

        Returns:
            `factor`, `validation_wer` and `validation_loss` of the extrapolated weights; None where they are not kept.
        """
        first, factor = self.first_state, self.settings.stretch
        if factor is None or factor == 1 or self.best_state is first:
            return None
        weights = {row["tensor"] for row in self.recognizer.artifact.trainable}
        stretched = {
            key: first[key] + np.float32(factor) * (value - first[key]) if key in weights else value
            for key, value in self.best_state.items()
        }
        self.recognizer.set_state(stretched)
        wer, loss = self._measured(validation)
        kept_wer = next(row.validation_wer for row in reversed(self.history) if row.best)
        if not (np.isfinite(loss) and wer < kept_wer + self.tie):
            return None
        self.best_state = stretched
        return {"factor": factor, "validation_wer": wer, "validation_loss": loss}

    def _is_lower(self, loss: float, kept_loss: float, training_losses: tuple[float | None, float | None]) -> bool:
        """Whether the loss of one epoch is lower than another's on all of the owner's speech; on the held-out part
        alone if an epoch has no training loss or the two do not compare.
        """
        train_loss, kept_train_loss = training_losses
        if train_loss is None or kept_train_loss is None:
            return loss < kept_loss
        share = self.settings.validation_share
        return (1 - share) * train_loss + share * loss < (1 - share) * kept_train_loss + share * kept_loss

    def _measured(self, validation: Sequence[Example]) -> tuple[float, float]:
        exit = self.settings.exit
        policy = None if exit is None else ExitPolicy(exit)
        rescoring = self.recognizer.rescoring if self.recognizer.config.trains_second_pass else None
        measured = evaluate(self.recognizer, validation, policy=policy, rescoring=rescoring, title="validating")
        losses = self.recognizer.loss(validation) if exit is None else self.recognizer.exit_losses(validation)[exit]
        return measured.rates.wer, float(np.mean(losses))

    def _note(self, epoch: int, step: int, train_loss: float | None, measured: tuple[float, float], best: bool) -> None:
        wer, loss = measured
        row = Epoch(epoch, step, self.seconds, train_loss, loss, wer, process_memory_mb()[0], best)
        self.history.append(row)
        self.on_epoch(row)


def mean_finite(losses: Sequence[float]) -> float | None:
    """The mean of those that are finite, None when none is."""
    finite = [loss for loss in losses if np.isfinite(loss)]
    return float(np.mean(finite)) if finite else None


def _moved(average: Tensors, state: Tensors, share: float) -> Tensors:
    """The average moved by `share` towards a state; tensors that are not float32 are the state's."""
    return {
        key: average[key] + np.float32(share) * (value - average[key]) if value.dtype == np.float32 else value
        for key, value in state.items()
    }
