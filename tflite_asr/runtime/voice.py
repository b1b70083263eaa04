"""Speaker verification with Gaussian mixtures (Reynolds, Quatieri and Dunn 2000).

What a phone learns from its owner helps the owner; on other voices the shipped weights are better. A mixture of many
voices, the background, comes with the artifact; the owner's is the same mixture with its means moved towards the
owner's speech. An utterance is the owner's when its frames are on average more likely under the owner's mixture by
more than a threshold:

    score(X) = 1/T sum_t log p(x_t | owner) - log p(x_t | background)

x_t are the cepstra of log-mel frames, or principal components of a waveform stem's frames.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

CEPSTRA = 24  # of the log-mel frames: vocal tract and microphone, hardly any pitch
RELEVANCE = 8.0  # frames of a component before its mean moves half of the way
FOLDS = 5  # of the owner's utterances, to score each with a mixture that has not seen it
LEAST_UTTERANCES = 5  # fewer say too little of a voice
KEYS = ("weights", "means", "variances")


def loud_frames(frames: np.ndarray) -> np.ndarray:
    """The frames, of [time, mel_bands], that are likely speech: above the middle between the quietest and the loudest
    tenth.
    """
    level = frames.mean(axis=1)
    return frames[level >= (level.max() + np.percentile(level, 10)) / 2]


def cepstra(frames: np.ndarray) -> np.ndarray:
    """Log-mel frames [time, mel_bands] -> [speech frames, CEPSTRA]: the louder ones, cosine transformed (DCT-II)."""
    bands = frames.shape[1]
    angle = np.pi / bands * np.outer(np.arange(bands) + 0.5, np.arange(min(CEPSTRA, bands)))
    return loud_frames(frames) @ (np.cos(angle) * np.sqrt(2.0 / bands)).astype(np.float32)


@dataclass(frozen=True)
class Projection:
    """Frames to fewer values: (frame - center) matrix."""

    center: np.ndarray  # [width]
    matrix: np.ndarray  # [width, CEPSTRA]


@dataclass(frozen=True)
class Mixture:
    """Gaussian components with diagonal covariances."""

    weights: np.ndarray  # [components]
    means: np.ndarray  # [components, CEPSTRA]
    variances: np.ndarray  # [components, CEPSTRA]
    projection: Projection | None = None  # of a stem's frames; None for cepstra of log-mel frames

    @classmethod
    def from_json(cls, values: dict) -> "Mixture":
        """What `to_json` gave; ValueError when the shapes do not fit."""
        weights, means, variances = (np.asarray(values[key], np.float32) for key in KEYS)
        projection = None
        if values.get("projection") is not None:
            center, matrix = (np.asarray(values["projection"][key], np.float32) for key in ("center", "matrix"))
            if matrix.shape != (len(center), means.shape[-1]):
                raise ValueError(
                    f"expected a projection of {len(center)} to {means.shape[-1]} values, got {matrix.shape}"
                )
            projection = Projection(center, matrix)
        if means.shape != variances.shape or len(means) != len(weights):
            raise ValueError(
                f"expected means and variances of {len(weights)} components, got {means.shape}, {variances.shape}"
            )
        return cls(weights, means, variances, projection)

    def to_json(self) -> dict:
        """The entry `voices` of NAME.json."""
        values = {key: _rounded(getattr(self, key)) for key in KEYS}
        if self.projection is None:
            return values
        return values | {
            "projection": {"center": _rounded(self.projection.center), "matrix": _rounded(self.projection.matrix)}
        }

    def observations(self, frames: np.ndarray) -> np.ndarray:
        """The modelled values of an utterance's frames [time, width]: [n, CEPSTRA], n <= time."""
        if self.projection is None:
            return cepstra(frames)
        return (frames - self.projection.center) @ self.projection.matrix

    def with_means(self, means: np.ndarray) -> "Mixture":
        """The same mixture with other means [components, n]."""
        return replace(self, means=means.astype(np.float32))

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
        return self.with_means(moved)


@dataclass(frozen=True)
class OwnerVoice:
    """Verifies the owner's voice."""

    background: Mixture
    owner: Mixture
    threshold: float  # nats a frame

    def score(self, frames: np.ndarray) -> float:
        """The score of an utterance's frames [time, width], in nats per frame; the owner's are above the threshold."""
        x = self.background.observations(frames)
        return self.owner.log_likelihood(x) - self.background.log_likelihood(x)

    def speaks(self, frames: np.ndarray) -> bool:
        """Whether frames [time, width] are the owner's speech."""
        return self.score(frames) > self.threshold


def learn_owner(background: Mixture, utterances: Sequence[np.ndarray]) -> OwnerVoice | None:
    """The owner's voice from the frames [time, width] of each utterance.

    The threshold is halfway between 0, where owner and background are as likely, and what the owner scores on
    utterances that were held out. None when there are too few utterances, or the voice is not told from others.
    """
    if len(utterances) < LEAST_UTTERANCES:
        return None
    frames = [background.observations(utterance) for utterance in utterances]
    scores = []
    for fold in range(FOLDS):
        owner = background.adapted(np.concatenate([x for i, x in enumerate(frames) if i % FOLDS != fold]))
        scores += [owner.log_likelihood(x) - background.log_likelihood(x) for x in frames[fold::FOLDS]]
    threshold = 0.5 * float(np.median(scores))
    if threshold <= 0:
        return None
    return OwnerVoice(background, background.adapted(np.concatenate(frames)), threshold)


def _rounded(values: np.ndarray) -> list:
    return np.round(values.astype(float), 4).tolist()
