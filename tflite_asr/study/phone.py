"""A simulated phone whose resources follow a trace. Only training steps and waiting advance its clock."""

from collections.abc import Sequence

from tflite_asr.personalization.resources import Limits, Resources, ResourceTrace


class Phone:
    """Simulated.

    Args:
        trace: in the order of time; its last row holds for ever, and without rows the phone may always train.
        limits: when it may train.
        step_seconds: how long it takes for a training step.
    """

    def __init__(self, trace: Sequence[Resources], limits: Limits, step_seconds: float):
        self.trace, self.limits, self.step_seconds = trace, limits, step_seconds
        self.seconds = self.waited_seconds = 0.0
        self._replayed = ResourceTrace(trace, lambda: self.seconds)

    def step(self) -> bool:
        """A step was taken; whether another one may be."""
        self.seconds += self.step_seconds
        return not self.trace or self.limits.refusal(self._replayed.now()) is None

    def wait(self) -> bool:
        """Let time pass until it may train again; False when that never comes."""
        for row in self.trace:
            if row.seconds > self.seconds and self.limits.refusal(row) is None:
                self.waited_seconds += row.seconds - self.seconds
                self.seconds = row.seconds
                return True
        return False
