import numpy as np
import pytest

from tflite_asr.audio.voice_activity import EnergyDetector

RATE = 16000


def noise(seconds, level, seed=0):
    return (level * np.random.default_rng(seed).standard_normal(round(seconds * RATE))).astype(np.float32)


def tone(seconds, level=0.1):
    return (level * np.sin(2 * np.pi * 700 * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def speech_steps(samples):
    return EnergyDetector(RATE).process(samples) > 0


def slow_scores(samples):
    """What the class computes, step by step in plain Python."""
    reach, power, levels, scores = 24, [], [], []
    padded = np.concatenate([np.zeros(2 * reach), samples])
    for step in range(len(samples) // 160):
        squares = []
        for middle in range(step * 160 + reach, step * 160 + 160 + reach):
            squares.append((padded[middle] - np.mean(padded[middle - reach : middle + reach + 1])) ** 2)
        power.append(np.mean(squares))
        levels.append(10 * np.log10(np.mean(power[-10:]) + 10**-7.5))
        scores.append(levels[-1] - min(levels[-400:]) - 4.0)
    return scores


def test_scores_are_the_level_over_the_lowest_of_four_seconds():
    samples = np.concatenate([noise(4.5, 0.01), tone(0.3), noise(0.3, 0.02, seed=1)])
    np.testing.assert_allclose(EnergyDetector(RATE).process(samples), slow_scores(samples), atol=1e-6)


@pytest.mark.parametrize("size", [1, 37, 160, 1600, 50000])
def test_chunks_of_any_size_give_the_same_scores(size):
    samples = np.concatenate([noise(0.4, 0.01), tone(0.2), noise(0.3, 0.01, seed=1)])
    detector = EnergyDetector(RATE)
    chunks = [detector.process(samples[first : first + size]) for first in range(0, len(samples), size)]
    np.testing.assert_allclose(np.concatenate(chunks), EnergyDetector(RATE).process(samples), atol=1e-9)
    assert len(detector.process(np.zeros(0, np.float32))) == 0


@pytest.mark.parametrize("level", [0.0, 1e-4, 1e-2])
def test_a_tone_over_noise_is_speech_and_noise_is_not(level):
    samples = np.concatenate([noise(2, level), tone(1.0), noise(2, level, seed=1)])
    found = np.flatnonzero(speech_steps(samples))
    assert abs(found[0] - 200) <= 3 and abs(found[-1] - 299) <= 12 and len(found) == found[-1] - found[0] + 1


def test_rumble_below_speech_is_none():
    hum = (0.02 * np.sin(2 * np.pi * 50 * np.arange(RATE * 2) / RATE)).astype(np.float32)
    samples = np.concatenate([noise(2, 0.003), noise(2, 0.003, seed=1) + hum])
    assert np.mean(speech_steps(samples)) < 0.05


def test_the_floor_follows_louder_noise_within_four_seconds():
    samples = np.concatenate([noise(3, 0.001), noise(8, 0.02, seed=1)])
    found = speech_steps(samples)
    assert found[310:600].all() and not found[720:].any()


def test_after_reset_nothing_is_remembered():
    samples, detector = noise(1, 0.02), EnergyDetector(RATE)
    first = detector.process(samples[:12345])
    detector.reset()
    np.testing.assert_array_equal(detector.process(samples[:12345]), first)
