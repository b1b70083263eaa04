"""One training step by the settings."""

from tflite_asr.personalization.settings import Settings
from tflite_asr.runtime.batch import Batch
from tflite_asr.runtime.plan import StepResult
from tflite_asr.runtime.recognizer import Recognizer


class Steps:
    """Takes training steps; with `settings.bias_only`, every weight of more than one dimension is restored after each.

    Args:
        recognizer: trained in place; its weights now are those that are put back.
        settings: how.
    """

    def __init__(self, recognizer: Recognizer, settings: Settings):
        self.recognizer, self.settings = recognizer, settings
        self._held = {}
        if settings.bias_only:
            large = {row["tensor"] for row in recognizer.artifact.trainable if len(row["shape"]) > 1}
            self._held = {name: tensor for name, tensor in recognizer.state().items() if name in large}

    def take(self, batch: Batch, learning_rate: float) -> StepResult:
        """Train on a batch."""
        settings = self.settings
        result = self.recognizer.train_step(
            batch,
            learning_rate=learning_rate,
            clip_norm=settings.clip_norm,
            pull=settings.pull or 0.0,
            group_rates=settings.group_rates,
            plan=settings.plan,
        )
        if self._held:
            self.recognizer.set_state({**self.recognizer.state(), **self._held})
        return result
