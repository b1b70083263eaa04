"""When to leave the encoder: at a given exit, or at the first exit that is confident (Wright et al. 2023)."""

from dataclasses import dataclass

import numpy as np

from tflite_asr.errors import InputError
from tflite_asr.runtime.prefix_beam import prefix_beam_search

NBEST = 8  # hypotheses among which the best one's share is its confidence


@dataclass(frozen=True)
class ExitPolicy:
    """One of three policies; the last exit is always taken."""

    exit: int | None = None  # this one, counted from 0
    entropy_below: float | None = None  # the first whose entropy is below this
    confidence_above: float | None = None  # the first whose confidence is above this

    def __post_init__(self):
        if sum(value is not None for value in (self.exit, self.entropy_below, self.confidence_above)) != 1:
            raise InputError("exit policy: expected one of an exit, an entropy and a confidence")
        if self.exit is not None and self.exit < 0:
            raise InputError(f"exit policy: expected an exit of 0 or more, got {self.exit}")
        if self.entropy_below is not None and not self.entropy_below >= 0:
            raise InputError(f"exit policy: expected an entropy of 0 or more, got {self.entropy_below}")
        if self.confidence_above is not None and not 0 <= self.confidence_above <= 1:
            raise InputError(f"exit policy: expected a confidence from 0 to 1, got {self.confidence_above}")

    def leaves(self, exit: int, log_probabilities: np.ndarray | None) -> bool:
        """Whether to stop at this exit, from its log probabilities [steps, vocabulary]; a transducer's exit, None, is
        the last one.
        """
        if self.exit is not None:
            return exit >= self.exit
        if log_probabilities is None:
            return True
        if self.entropy_below is not None:
            return entropy(log_probabilities) < self.entropy_below
        return self.confidence_above is not None and confidence(log_probabilities) > self.confidence_above


def entropy(log_probabilities: np.ndarray) -> float:
    """H = -1/(T V) sum over steps and labels of p log p, in nats: [T, V] -> from 0 (sure) to log(V) / V (any label)."""
    if not log_probabilities.size:
        return 0.0
    return float(-np.mean(np.exp(log_probabilities) * log_probabilities))


def confidence(log_probabilities: np.ndarray) -> float:
    """P(best) / sum of P over the n-best label sequences: [T, V] -> from 1/n to 1 (sure)."""
    scores = [h.log_probability for h in prefix_beam_search(log_probabilities, NBEST, len(log_probabilities))]
    return float(np.exp(scores[0] - np.logaddexp.reduce(scores)))
