"""Where clips contain speech: the reference for word times."""

import numpy as np

from tflite_asr.data.connect import Clip
from tflite_asr.data.corpus import Corpus

WINDOW_SECONDS = 0.025
BELOW_PEAK_DB = 20.0  # what is quieter is breath, echo or the noise of the recording


def speech_extent(samples: np.ndarray, sample_rate: int) -> tuple[float, float]:
    """Start and end in seconds of the speech in a clip [n] float32 of one utterance: the first and the last window of
    25 ms that is within 20 dB of the loudest.
    """
    window = round(WINDOW_SECONDS * sample_rate)
    power = np.convolve(np.square(samples, dtype=np.float64), np.ones(window), "same")
    loud = np.flatnonzero(power >= power.max() * 10 ** (-BELOW_PEAK_DB / 10))
    return loud[0] / sample_rate, (loud[-1] + 1) / sample_rate


def part_extents(corpus: Corpus, clip: Clip) -> list[tuple[float, float]]:
    """Start and end in seconds of the speech of each of a clip's parts, in the samples that `Corpus.assemble` makes."""
    rate = corpus.config.features.sample_rate
    extents, first = [], 0
    for part, gap in zip(clip.parts, (*clip.gaps_seconds, 0.0)):
        samples = corpus.samples(part)
        start, end = speech_extent(samples, rate)
        extents.append((first / rate + start, first / rate + end))
        first += len(samples) + int(gap * rate)
    return extents
