"""Progress of a personalisation on the terminal, and the checkpoint of its best weights so far."""

import sys
from pathlib import Path

from tflite_asr.personalization.average import Epoch
from tflite_asr.personalization.selector import Candidate
from tflite_asr.runtime.recognizer import Recognizer


class Progress:
    """A progress bar on a terminal, a line per epoch elsewhere. The best weights are saved after each epoch.

    Args:
        recognizer: that is trained.
        checkpoint: where its best weights go.
        epochs: at most.
        measure: what is validated by.
    """

    def __init__(self, recognizer: Recognizer, checkpoint: Path, epochs: int, measure: str = "WER"):
        from tqdm import tqdm

        self.recognizer, self.checkpoint, self.epochs, self.measure = recognizer, checkpoint, epochs, measure
        self.terminal = sys.stderr.isatty()
        self.bar = tqdm(total=1, unit="step", disable=not self.terminal)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def round(self, number: int, chosen: Candidate) -> None:
        """Print what a round trains."""
        learns = ", ".join(chosen.trainable_groups)
        cost = f"{chosen.predicted_peak_mb:.0f} MB and {chosen.predicted_step_seconds:.2f} s a step"
        print(f"round {number}: plan {chosen.plan}, exit {chosen.exit}, {learns}: expected {cost}", file=sys.stderr)

    def step(self, number: int, steps: int, loss: float) -> None:
        """Show a step: its number, the number of steps, its loss."""
        if number == 1:
            self.bar.reset(steps)
        self.bar.set_postfix(loss=f"{loss:.2f}")
        self.bar.update()

    def epoch(self, row: Epoch) -> None:
        """Show an epoch, and save the weights if they are the best."""
        if row.best and (row.epoch or not self.checkpoint.exists()):
            self.recognizer.save(self.checkpoint)
        loss = "" if row.train_loss is None else f"loss {row.train_loss:.2f}, "
        line = (
            f"epoch {row.epoch}/{self.epochs}: {loss}validation loss {row.validation_loss:.2f}, "
            f"{self.measure} {row.validation_wer:.1%}{' *' if row.best else ''}"
        )
        if self.terminal:
            self.bar.set_description(line)
        else:
            print(line, file=sys.stderr, flush=True)
