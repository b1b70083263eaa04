"""Confidence of a word, from the probabilities of its tokens at the steps that emit them.

Measures and their aggregation over tokens are those of Laptev and Ginsburg 2022 (arXiv 2212.08703), the temperature
that of Guo et al. 2017 (arXiv 1706.04599).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tflite_asr.errors import InputError

TSALLIS_ORDER = 1 / 3  # alpha; below 1 it makes more of what is unlikely


def _posterior(log_probabilities: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """P(token)."""
    return np.exp(log_probabilities[np.arange(len(tokens)), tokens])


def _gibbs(log_probabilities: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """1 - H / log V, H = -sum p log p."""
    entropy = -np.sum(np.exp(log_probabilities) * log_probabilities, axis=1)
    return 1 - entropy / np.log(log_probabilities.shape[1])


def _tsallis(log_probabilities: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """1 - H / max H, H = (sum p^alpha - 1) / (1 - alpha)."""
    mass = np.sum(np.exp(TSALLIS_ORDER * log_probabilities), axis=1)
    return 1 - (mass - 1) / (log_probabilities.shape[1] ** (1 - TSALLIS_ORDER) - 1)


MEASURES = {"posterior": _posterior, "gibbs": _gibbs, "tsallis": _tsallis}
AGGREGATIONS = {"min": np.min, "mean": np.mean, "product": np.prod}


@dataclass(frozen=True)
class ConfidenceMeasure:
    """From distributions over tokens to the confidence of a word, 0 to 1."""

    measure: str = "posterior"  # of one token: its probability, or how little entropy its distribution has
    over: str = "min"  # of a word: the min, mean or product of its tokens
    temperature: float = 1.0  # p^(1 / temperature), normalized: above 1 less sure

    def __post_init__(self):
        if self.measure not in MEASURES or self.over not in AGGREGATIONS:
            raise InputError(
                f"confidence: expected {', '.join(MEASURES)} over {', '.join(AGGREGATIONS)}, got {self.measure} over "
                f"{self.over}"
            )
        if not 0.01 <= self.temperature <= 100:
            raise InputError(f"confidence: expected a temperature from 0.01 to 100, got {self.temperature}")

    def of(self, log_probabilities: np.ndarray, tokens: np.ndarray) -> float:
        """The confidence of a word.

        Args:
            log_probabilities: [tokens, vocabulary], normalized: what was known where each token was written.
            tokens: [tokens] int, at least one.
        """
        (confidence,) = confidences(log_probabilities, tokens, [self])
        return confidence


def confidences(
    log_probabilities: np.ndarray, tokens: np.ndarray, measures: Sequence[ConfidenceMeasure]
) -> list[float]:
    """The confidence of a word by each of several measures, see `ConfidenceMeasure.of`."""
    rows: dict[float, np.ndarray] = {}
    scores: dict[tuple[str, float], np.ndarray] = {}
    found = []
    for one in measures:
        kind = (one.measure, one.temperature)
        if one.temperature not in rows:
            rows[one.temperature] = tempered(log_probabilities, one.temperature)
        if kind not in scores:
            scores[kind] = MEASURES[one.measure](rows[one.temperature], np.asarray(tokens))
        found.append(float(np.clip(AGGREGATIONS[one.over](scores[kind]), 0.0, 1.0)))
    return found


def tempered(log_probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """[..., vocabulary] -> log of p^(1 / temperature), normalized, float64."""
    scaled = log_probabilities.astype(np.float64) / temperature
    scaled = scaled - np.max(scaled, axis=-1, keepdims=True)
    return scaled - np.log(np.sum(np.exp(scaled), axis=-1, keepdims=True))
