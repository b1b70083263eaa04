"""Whose voice it is: speaker verification with Gaussian mixtures (Reynolds, Quatieri and Dunn 2000).

What a phone learns from its owner helps the owner; on other voices the shipped weights are better. A mixture of many
voices, the background, comes with the artifact; the owner's is the same mixture with its means moved towards the
owner's speech. An utterance is the owner's when its frames are on average more likely under the owner's mixture by
more than a threshold:

    score(X) = 1/T sum_t log p(x_t | owner) - log p(x_t | background)
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

CEPSTRA = 24  # of the log-mel frames: vocal tract and microphone, hardly any pitch
RELEVANCE = 8.0  # frames of a component before its mean moves half of the way
FOLDS = 5  # of the owner's utterances, to score each with a mixture that has not seen it
LEAST_UTTERANCES = 5  # fewer say too little of a voice


def loud_frames(frames: np.ndarray) -> np.ndarray:
    """Of [time, mel_bands] those that are likely speech: above the middle between the quietest tenth and the loudest."""
    level = frames.mean(axis=1)
    return frames[level >= (level.max() + np.percentile(level, 10)) / 2]


def cepstra(frames: np.ndarray) -> np.ndarray:
    """Log-mel frames [time, mel_bands] -> [speech frames, CEPSTRA]: the louder ones, cosine transformed (DCT-II)."""
    bands = frames.shape[1]
    angle = np.pi / bands * np.outer(np.arange(bands) + 0.5, np.arange(min(CEPSTRA, bands)))
    return loud_frames(frames) @ (np.cos(angle) * np.sqrt(2.0 / bands)).astype(np.float32)


@dataclass(frozen=True)
class Mixture:
    """Gaussian components with diagonal covariances."""

    weights: np.ndarray  # [components]
    means: np.ndarray  # [components, CEPSTRA]
    variances: np.ndarray  # [components, CEPSTRA]

    @classmethod
    def from_json(cls, values: dict) -> "Mixture":
        return cls(*(np.asarray(values[key], np.float32) for key in ("weights", "means", "variances")))

    def to_json(self) -> dict:
        return {key: np.round(getattr(self, key).astype(float), 4).tolist() for key in ("weights", "means", "variances")}

    def log_components(self, x: np.ndarray) -> np.ndarray:
        """x [n, CEPSTRA] -> log of weight times density of each component [n, components]."""
        precision = 1.0 / self.variances
        distance = x**2 @ precision.T - 2.0 * x @ (self.means * precision).T + (self.means**2 * precision).sum(axis=1)
        constant = np.log(self.weights) - 0.5 * np.log(2.0 * np.pi * self.variances).sum(axis=1)
        return constant - 0.5 * distance

    def log_likelihood(self, x: np.ndarray) -> float:
        """Mean over the frames x [n, CEPSTRA], in nats."""
        return float(np.mean(np.logaddexp.reduce(self.log_components(x), axis=1)))

    def adapted(self, x: np.ndarray) -> "Mixture":
        """The same with means moved towards the frames x [n, CEPSTRA]: equations 11 to 14 of the paper, means only."""
        log_components = self.log_components(x)
        shares = np.exp(log_components - np.logaddexp.reduce(log_components, axis=1, keepdims=True))
        counts = shares.sum(axis=0)[:, None]
        moved = (shares.T @ x + RELEVANCE * self.means) / (counts + RELEVANCE)
        return Mixture(self.weights, moved.astype(np.float32), self.variances)


@dataclass(frozen=True)
class OwnerVoice:
    """What tells the owner from others."""

    background: Mixture
    owner: Mixture
    threshold: float  # nats a frame

    def score(self, frames: np.ndarray) -> float:
        """Of log-mel frames [time, mel_bands], in nats a frame; above the threshold it is the owner."""
        x = cepstra(frames)
        return self.owner.log_likelihood(x) - self.background.log_likelihood(x)

    def speaks(self, frames: np.ndarray) -> bool:
        return self.score(frames) > self.threshold


def learn_owner(background: Mixture, utterances: Sequence[np.ndarray]) -> OwnerVoice | None:
    """The owner's voice from log-mel frames [time, mel_bands] of each utterance.

    The threshold is halfway between 0, where owner and background are as likely, and what the owner scores on
    utterances that were held out. None when there are too few utterances, or the voice is not told from others.
    """
    if len(utterances) < LEAST_UTTERANCES:
        return None
    frames = [cepstra(utterance) for utterance in utterances]
    scores = []
    for fold in range(FOLDS):
        owner = background.adapted(np.concatenate([x for i, x in enumerate(frames) if i % FOLDS != fold]))
        scores += [owner.log_likelihood(x) - background.log_likelihood(x) for x in frames[fold::FOLDS]]
    threshold = 0.5 * float(np.median(scores))
    if threshold <= 0:
        return None
    return OwnerVoice(background, background.adapted(np.concatenate(frames)), threshold)
