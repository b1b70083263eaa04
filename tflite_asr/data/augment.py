"""Augmentation of waveforms: speed, level, noise and pauses, so that few speakers stand for many.

It is written in NumPy and cheap enough for a phone.
"""

from collections.abc import Sequence

import numpy as np

SPEEDS = (0.82, 0.88, 0.94, 1.0, 1.06, 1.12, 1.2)  # resampling: tempo, pitch and vocal tract length at once
EDGE_SECONDS = 0.3  # most silence before and after
NOISE_CHANCE = 0.5  # that an utterance gets recorded noise,
NOISE_BELOW_DB = (5, 20)  # this much quieter than the speech
LEVELS_DB = (-50, -12)  # root mean square from full scale: real recordings are as quiet as that


def vary_speed(samples: np.ndarray, speed: float) -> np.ndarray:
    """[n] -> [n / speed] float32, played faster by `speed`; pitch and formants change with it.

    It interpolates linearly. The aliases are above the bands of the features, and a resampler would take a hundred
    times as long.
    """
    if speed == 1.0:
        return samples
    count = max(1, round(len(samples) / speed))
    return np.interp(np.arange(count) * speed, np.arange(len(samples)), samples).astype(np.float32)


def add_noise(samples: np.ndarray, recordings: Sequence[np.ndarray], random: np.random.Generator) -> np.ndarray:
    """[n] -> [n] float32, sometimes with a random excerpt of one of the noise recordings added."""
    if not recordings or random.random() >= NOISE_CHANCE:
        return samples
    noise = recordings[int(random.integers(len(recordings)))]
    first = random.integers(len(noise))
    excerpt = np.resize(np.roll(noise, -first), len(samples))
    powers = [np.mean(np.square(part)) for part in (samples, excerpt)]
    gain = np.sqrt(powers[0] / (powers[1] + 1e-12)) * 10 ** (-random.uniform(*NOISE_BELOW_DB) / 20)
    return (samples + gain * excerpt).astype(np.float32)


def vary_recording(samples: np.ndarray, sample_rate: int, random: np.random.Generator) -> np.ndarray:
    """[n] -> [n + up to 2 edges] float32: silence around, another level, white or pinkish noise under it."""
    before, after = (random.uniform(0, EDGE_SECONDS, 2) * sample_rate).astype(int)
    samples = np.pad(samples, (before, after))
    speech = np.sqrt(np.mean(samples**2)) + 1e-6
    samples = samples * (10 ** (random.uniform(*LEVELS_DB) / 20) / speech)
    if random.random() < 0.7:
        noise = random.standard_normal(len(samples), dtype=np.float32)
        if random.random() < 0.5:
            from scipy.signal import lfilter

            pole = random.uniform(0.7, 0.97)
            noise = np.asarray(lfilter([np.sqrt(1 - pole * pole)], [1, -pole], noise)).astype(np.float32)
        rms = np.sqrt(np.mean(samples**2))
        samples = samples + noise * rms * 10 ** (random.uniform(-45, -12) / 20)
    return np.clip(samples, -1, 1).astype(np.float32)
