"""Views of an utterance of the owner, and the likeliest hypothesis over them.

Weights that were trained on few recordings know the owner at few speeds, which shows as a low probability of what is
recognised. Another view of the utterance may then have a likelier hypothesis: maximum likelihood over warps, as Lee and
Rose 1996 (doi 10.1109/ICASSP.1996.541105) normalise vocal tracts.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from tflite_asr.config import FeatureConfig, ModelConfig
from tflite_asr.data.frames import in_time, moved_bands
from tflite_asr.runtime.decoder import Hypothesis

FACTORS = (0.9, 1.11)  # of speed, and of frequency
SURE = -0.1  # the log probability of a hypothesis after which no other view is searched


def views(frames: np.ndarray, config: ModelConfig) -> Iterator[np.ndarray]:
    """An utterance's frames [time, width] as they are, then as if it was spoken slower and faster, then, of log-mel
    bands, as if by a longer and a shorter vocal tract. Those that are too long for the model are left out.
    """
    yield frames
    for factor in FACTORS:
        if len(moved := in_time(frames, factor)) <= config.sizes.max_frames:
            yield moved
    if isinstance(config.features, FeatureConfig):
        for factor in FACTORS:
            yield moved_bands(frames, factor, config.features)


def likeliest(hypotheses: Iterable[Hypothesis]) -> Hypothesis:
    """The likeliest of the hypotheses for an utterance's views, with the bonuses of hotwords; none is taken after one
    whose log probability is at least `SURE`.
    """
    found: list[Hypothesis] = []
    for hypothesis in hypotheses:
        found.append(hypothesis)
        if hypothesis.log_probability >= SURE:
            break
    return max(found, key=lambda one: one.score)
