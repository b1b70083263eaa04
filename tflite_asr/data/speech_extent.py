"""Where clips contain speech: the reference for word times."""

import numpy as np

from tflite_asr.data.connect import Clip
from tflite_asr.data.corpus import Corpus

WINDOW_SECONDS = 0.025
BELOW_PEAK_DB = 20.0  # what is quieter is breath, echo or the noise of the recording
SURE_BELOW_PEAK_DB = 10.0  # what is louder is neither noise nor a click, unless these are nearly as loud as the speech
APART_SECONDS = 0.2  # where the edges by both thresholds are further apart, the edge of speech is unknown

Extent = tuple[float | None, float | None]  # start and end of speech in seconds, each None where it is not known


def speech_extent(samples: np.ndarray, sample_rate: int) -> Extent:
    """Start and end in seconds of the speech in a clip [n] float32 of one utterance: the first and the last window of
    25 ms that is within 20 dB of the loudest. Not known, so None, where those within 10 dB differ by more than 0.2 s:
    what lies between may be noise, breath or a click.
    """
    window = round(WINDOW_SECONDS * sample_rate)
    power = np.convolve(np.square(samples, dtype=np.float64), np.ones(window), "same")
    loud, sure = (np.flatnonzero(power >= power.max() * 10 ** (-db / 10)) for db in (BELOW_PEAK_DB, SURE_BELOW_PEAK_DB))
    most = APART_SECONDS * sample_rate
    start = loud[0] / sample_rate if sure[0] - loud[0] <= most else None
    end = (loud[-1] + 1) / sample_rate if loud[-1] - sure[-1] <= most else None
    return start, end


def part_extents(corpus: Corpus, clip: Clip) -> list[Extent]:
    """Start and end in seconds of the speech of each of a clip's parts, in the samples that `Corpus.assemble` makes."""
    rate = corpus.config.features.sample_rate
    extents, first = [], 0
    for part, gap in zip(clip.parts, (*clip.gaps_seconds, 0.0)):
        samples = corpus.samples(part)
        start, end = (None if edge is None else first / rate + edge for edge in speech_extent(samples, rate))
        extents.append((start, end))
        first += len(samples) + int(gap * rate)
    return extents
