"""Resampling, by the library soxr."""

import numpy as np


def resample(samples: np.ndarray, from_hz: float, to_hz: float) -> np.ndarray:
    """[n] -> [ceil(n * to_hz / from_hz)], in soxr's high quality; of the same dtype."""
    import soxr

    count = int(np.ceil(len(samples) * to_hz / from_hz))
    resampled = soxr.resample(samples, from_hz, to_hz, quality="soxr_hq")[:count]
    return np.pad(resampled, (0, count - len(resampled)))


class Resampling:
    """Resamples a recording block by block.

    Args:
        from_hz: its sample rate.
        to_hz: the rate that is wanted.
    """

    def __init__(self, from_hz: float, to_hz: float):
        import soxr

        self._stream = soxr.ResampleStream(from_hz, to_hz, 1, dtype="float32", quality="soxr_hq")
        self._ratio = to_hz / from_hz
        self._taken = self._given = 0

    def process(self, samples: np.ndarray) -> np.ndarray:
        """[n] float32 -> [any] float32: the samples that are final so far."""
        self._taken += len(samples)
        resampled = self._stream.resample_chunk(np.ascontiguousarray(samples, np.float32))
        self._given += len(resampled)
        return resampled

    def finish(self) -> np.ndarray:
        """[any] float32: the rest, so that there are as many samples as `resample` gives."""
        rest = self._stream.resample_chunk(np.zeros([0], np.float32), last=True)
        wanted = max(0, int(np.ceil(self._taken * self._ratio)) - self._given)
        return np.pad(rest[:wanted], (0, max(0, wanted - len(rest))))
