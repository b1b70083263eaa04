"""Mixes several channels to one without losing speech."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

DEAD_SHARE = 1e-4  # a channel with less power than this share of the loudest's (-40 dB) has no speech
CANCELLED_SHARE = 0.5  # of the power that the mean of unrelated channels has; below it they cancel each other


@dataclass(frozen=True)
class Mixing:
    """How the channels of a recording become one."""

    chosen: tuple[int, ...]  # the channels whose mean is taken
    notices: tuple[str, ...] = ()

    def apply(self, channels: np.ndarray) -> np.ndarray:
        """[frames, channels] float32 -> [frames]."""
        if len(self.chosen) == 1:
            return channels[:, self.chosen[0]]
        chosen = channels if len(self.chosen) == channels.shape[1] else channels[:, list(self.chosen)]
        return chosen.mean(axis=1)


def mixed(channels: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """[frames, channels] float32 -> [frames], and notices about the mixing, see `mixing_of`."""
    mixing = mixing_of([channels])
    return mixing.apply(channels), list(mixing.notices)


def mixing_of(blocks: Iterable[np.ndarray]) -> Mixing:
    """How to mix a recording of blocks [frames, channels] float32: the mean of the channels with sound.

    Channels of opposite polarity, as of a balanced lead in a stereo socket, cancel each other; of these the loudest is
    taken.
    """
    frames, total, products = 0, np.zeros(0), np.zeros([0, 0])
    for block in blocks:
        if block.shape[1] == 1:
            return Mixing((0,))
        exact = block.astype(np.float64)
        if not frames:
            total, products = np.zeros(exact.shape[1]), np.zeros([exact.shape[1]] * 2)
        frames, total, products = frames + len(block), total + exact.sum(axis=0), products + exact.T @ exact
    if not frames:
        return Mixing((0,))
    count = len(total)
    mean = total / frames
    covariance = products / frames - np.outer(mean, mean)
    power = np.diag(covariance)
    alive = np.flatnonzero(power > DEAD_SHARE * power.max(initial=0.0))
    if len(alive) == 1:
        return Mixing((int(alive[0]),), (f"took one of {count} channels, there is no sound in the others",))
    together = covariance[np.ix_(alive, alive)].sum() / max(len(alive), 1) ** 2  # the mean's power
    if len(alive) and together < CANCELLED_SHARE * power[alive].mean() / len(alive):
        loudest = int(np.argmax(power))
        return Mixing((loudest,), (f"took the loudest of {count} channels, mixed they cancel each other",))
    left_out = f", {count - len(alive)} without sound left out" if 0 < len(alive) < count else ""
    chosen = tuple(alive.tolist()) or tuple(range(count))
    return Mixing(chosen, (f"mixed {count} channels down to one{left_out}",))
