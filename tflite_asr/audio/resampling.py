"""Another sample rate, by the library soxr."""

import numpy as np


def resample(samples: np.ndarray, from_hz: float, to_hz: float) -> np.ndarray:
    """[n] -> [ceil(n * to_hz / from_hz)], in soxr's high quality; of the same dtype."""
    import soxr

    count = int(np.ceil(len(samples) * to_hz / from_hz))
    resampled = soxr.resample(samples, from_hz, to_hz, quality="soxr_hq")[:count]
    return np.pad(resampled, (0, count - len(resampled)))
