"""Augmentation of frames, for phones that store features and no waveforms; `augment` does the same to waveforms.

Powers of log-mel bands add up as waveforms do, so noise and pauses are as they would be in the waveform. Speed moves
frames in time and bands in frequency, as playing a recording faster does. Frames of a waveform stem are moved in time
only: their channels are not bands, and the stem has normalised the level already.
"""

from collections.abc import Sequence

import numpy as np

from tflite_asr.config import FeatureConfig, ModelConfig, StemConfig
from tflite_asr.data.augment import EDGE_SECONDS, SPEEDS

GAINS_DB = (-20, 6)  # relative to the recording
NOISE_DB = (-45, -12)  # relative to the speech
NOISE_CHANCE = 0.7
STEM_SPEEDS = (0.88, 1.14)
NOISE_FREEDOM = 6  # degrees of freedom of a band's noise power: about three bins of the transform


def silence(config: FeatureConfig) -> np.float32:
    """The value of every band of a frame without sound."""
    return np.float32((np.log(config.log_floor) - config.mean) / config.deviation)


def silent_frame(frames: np.ndarray, config: FeatureConfig | StemConfig) -> np.ndarray:
    """A frame [1, width] without sound, for an utterance [time, width]. With a stem, it is the utterance's first frame:
    `Recognizer.features` puts silence before the speech.
    """
    return frames[:1] if config.kind == "stem" else np.full([1, config.width], silence(config))


def without_tail(frames: np.ndarray, config: ModelConfig) -> np.ndarray:
    """Frames [time, mel_bands] without the silence that `Recognizer.features` adds at the end; speech is kept."""
    if not config.tail_frames or config.features.kind == "stem":
        return frames
    last = max(1, len(frames) - config.tail_frames)
    quiet = np.all(frames[last:] < silence(config.features) + 0.05, axis=1)  # stored in eight bits
    return frames[:last] if quiet.all() else frames


def joined(pieces: Sequence[np.ndarray], gaps: Sequence[int], config: FeatureConfig | StemConfig) -> np.ndarray:
    """Pieces [time, width] one after the other, silent frames between them; one gap fewer than pieces."""
    parts = [pieces[0]]
    for piece, gap in zip(pieces[1:], gaps, strict=True):
        parts += [np.repeat(silent_frame(piece, config), gap, axis=0), piece]
    return np.concatenate(parts)


def vary_frames(frames: np.ndarray, config: FeatureConfig | StemConfig, random: np.random.Generator) -> np.ndarray:
    """[time, width] -> [another time, width] float32: speed, level, silence around it, noise under it; of a stem's
    frames, speed alone.
    """
    if config.kind == "stem":
        return in_time(frames, float(random.uniform(*STEM_SPEEDS)))
    frames = played_faster(frames, float(random.choice(SPEEDS)), config)
    frames = frames + random.uniform(*GAINS_DB) * np.log(10) / 10 / config.deviation
    edge = int(EDGE_SECONDS * config.sample_rate / config.hop_samples)
    around = random.integers(0, edge, 2, endpoint=True)
    frames = np.pad(frames, (tuple(around), (0, 0)), constant_values=silence(config))
    if random.random() < NOISE_CHANCE:
        tilt = random.uniform(-1, 1) * np.linspace(1, -1, config.mel_bands)  # from white towards pinkish, in nats
        fluctuation = random.chisquare(NOISE_FREEDOM, frames.shape) / NOISE_FREEDOM
        power = np.exp(frames * config.deviation + config.mean)
        noise = power.mean() * 10 ** (random.uniform(*NOISE_DB) / 10) * np.exp(tilt) * fluctuation
        frames = (np.log(power + noise) - config.mean) / config.deviation
    return np.maximum(frames, silence(config)).astype(np.float32)


def played_faster(frames: np.ndarray, speed: float, config: FeatureConfig) -> np.ndarray:
    """[time, mel_bands] -> [time / speed, mel_bands]: every frequency, and so every band, `speed` times as high."""
    return frames if speed == 1.0 else in_time(moved_bands(frames, speed, config), speed)


def moved_bands(frames: np.ndarray, factor: float, config: FeatureConfig) -> np.ndarray:
    """[time, mel_bands] -> the same shape: every frequency `factor` times as high, the speed as it was."""
    centres = _band_centres_hz(config)
    source = np.interp(centres / factor, centres, np.arange(config.mel_bands))  # the band that is heard in each
    low = np.floor(source).astype(int)
    share = (source - low).astype(np.float32)
    high = np.minimum(low + 1, config.mel_bands - 1)
    return frames[:, low] * (1 - share) + frames[:, high] * share


def in_time(frames: np.ndarray, speed: float) -> np.ndarray:
    """[time, width] -> [time / speed, width] float32, linear between two frames."""
    time = np.arange(max(1, round(len(frames) / speed))) * speed
    before = np.minimum(time.astype(int), len(frames) - 1)
    after = np.minimum(before + 1, len(frames) - 1)
    part = (time - before).astype(np.float32)[:, None]
    return frames[before] * (1 - part) + frames[after] * part


def _band_centres_hz(config: FeatureConfig) -> np.ndarray:
    """[mel_bands], on the scale of `ops.log_mel`: linear to 1 kHz, logarithmic above (Slaney 1998)."""

    def to_mel(hertz: np.ndarray) -> np.ndarray:
        return np.where(hertz < 1000, hertz * 3 / 200, 15 + 27 * np.log(np.maximum(hertz, 1) / 1000) / np.log(6.4))

    edges = np.linspace(to_mel(np.array(config.min_hz)), to_mel(np.array(config.max_hz)), config.mel_bands + 2)
    return np.where(edges < 15, edges * 200 / 3, 1000 * np.exp((edges - 15) * np.log(6.4) / 27))[1:-1]
