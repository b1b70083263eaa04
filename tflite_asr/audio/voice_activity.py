"""Voice activity: a score for every 10 ms of a stream of samples."""

from typing import Protocol

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

STEP_SECONDS = 0.01
AVERAGE_SECONDS = 0.003  # what is slower than this moving average is rumble, not speech: it takes away all below 250 Hz
SMOOTHING_STEPS = 10  # over which power is averaged
FLOOR_STEPS = 400  # steps over which the noise floor is the minimum: no speaker talks for four seconds without a pause
MARGIN_DB = 4.0  # speech is louder than the noise floor by this
QUIET = 10**-7.5  # power that no noise floor falls below, -75 dB of full scale: digital silence has no level


class VoiceActivityDetector(Protocol):
    """Detects speech in a stream of samples, which arrives in chunks of any size."""

    step_seconds: float  # a score stands for so much audio

    def process(self, samples: np.ndarray) -> np.ndarray:
        """Score the steps that new samples complete. Samples of an unfinished step wait for the next chunk.

        Args:
            samples: [n] float32.

        Returns:
            scores [steps] float: speech where the score is above 0; a higher score is more certain.
        """
        ...

    def reset(self) -> None:
        """Forget the stream; the next samples begin another one."""
        ...


class EnergyDetector:
    """Compares the level in dB with its minimum over the last four seconds, the noise floor.

    The noise floor is the minimum of the smoothed power, as in minimum statistics (Martin 2001, doi 10.1109/89.928915).
    The score is dB over the floor less `margin_db`.

    Args:
        sample_rate: of the samples, in Hz.
        margin_db: speech is louder than the noise floor by at least this.
    """

    step_seconds = STEP_SECONDS

    def __init__(self, sample_rate: int, margin_db: float = MARGIN_DB):
        self.margin_db = margin_db
        self._step = round(STEP_SECONDS * sample_rate)
        self._average = 2 * (round(AVERAGE_SECONDS * sample_rate) // 2) + 1  # odd: it has a middle
        self.reset()

    def reset(self) -> None:
        """Forget the noise floor and the samples of an unfinished step."""
        self._waiting = np.zeros([self._average - 1], np.float64)  # what the next averages still need, then new samples
        self._powers = np.zeros([0], np.float64)  # of the last steps, fewer than are averaged
        self._levels = np.zeros([0], np.float64)  # in dB, of the last steps, fewer than the floor looks at

    def process(self, samples: np.ndarray) -> np.ndarray:
        """Scores [steps] of the steps that samples [n] float32 complete, see `VoiceActivityDetector`."""
        waiting = np.concatenate([self._waiting, samples])
        steps = (len(waiting) - (self._average - 1)) // self._step
        end = steps * self._step
        self._waiting = waiting[end:]
        if not steps:
            return np.zeros([0])
        heard = waiting[: end + self._average - 1]
        slow = np.convolve(heard, np.full([self._average], 1 / self._average), "valid")
        fast = heard[self._average // 2 :][:end] - slow
        power = np.mean(np.square(fast).reshape(steps, self._step), axis=1)
        level = 10 * np.log10(self._smoothed(power) + QUIET)
        return level - self._floor(level) - self.margin_db

    def _smoothed(self, power: np.ndarray) -> np.ndarray:
        """The mean of each step's power and those before it, of fewer at the beginning."""
        known = len(self._powers)
        power = np.concatenate([self._powers, power])
        self._powers = power[-(SMOOTHING_STEPS - 1) :]
        padded = np.concatenate([np.full([SMOOTHING_STEPS - 1], np.nan), power])
        return np.nanmean(sliding_window_view(padded, SMOOTHING_STEPS)[known:], axis=1)

    def _floor(self, level: np.ndarray) -> np.ndarray:
        """The lowest level of each step and those before it."""
        known = len(self._levels)
        level = np.concatenate([self._levels, level])
        self._levels = level[-(FLOOR_STEPS - 1) :]
        padded = np.concatenate([np.full([FLOOR_STEPS - 1], np.inf), level])
        return sliding_window_view(padded, FLOOR_STEPS)[known:].min(axis=1)
