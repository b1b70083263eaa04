"""Words held against the level of frames that are loud where a test says so."""

import dataclasses

import numpy as np
import pytest

from tflite_asr.config import preset
from tflite_asr.runtime.word_extents import fitted_words, frame_levels
from tflite_asr.runtime.words import Word

CONFIG = preset("tiny")
FEATURES = CONFIG.features
HOP = FEATURES.hop_samples / FEATURES.sample_rate
MIDDLE = FEATURES.window_samples / 2 / FEATURES.sample_rate


def frames(*stretches, count=300, quiet_db=-60.0):
    """[count, bands]: noise, and stretches of (first, last, dB)."""
    level = np.full([count], quiet_db)
    for first, last, db in stretches:
        level[first : last + 1] = db
    power = 10 ** (level / 10) / FEATURES.mel_bands
    bands = np.repeat((np.log(power) - FEATURES.mean)[:, None] / FEATURES.deviation, FEATURES.mel_bands, axis=1)
    return bands.astype(np.float32)


def fitted(words, frames):
    given = [Word("W", first * HOP, last * HOP, 0.5) for first, last in words]
    samples = FEATURES.samples_of(len(frames))
    found = fitted_words(given, frames, samples, CONFIG)
    return [(round((w.start_seconds - MIDDLE) / HOP, 3), round((w.end_seconds - MIDDLE) / HOP, 3)) for w in found]


def test_levels_are_the_power_of_all_bands():
    np.testing.assert_allclose(
        frame_levels(frames((100, 200, -10.0)), FEATURES)[[50, 150]], [-60, -10], atol=0.01
    )  # 1e-9 is added


@pytest.mark.parametrize("given", [(110, 140), (95, 125), (120, 165), (125, 130)])
def test_a_word_between_pauses_has_the_edges_of_its_speech(given):
    # one frame more on both sides: levels are means of three frames
    assert fitted([given], frames((100, 150, -10.0))) == [(99, 151)]


def test_a_short_gap_is_within_a_word_and_a_longer_one_behind_it():
    assert fitted([(105, 115)], frames((100, 120, -10.0), (128, 140, -12.0))) == [(99, 141)]
    assert fitted([(105, 115)], frames((100, 120, -10.0), (136, 150, -12.0))) == [(99, 121)]


def test_words_without_a_pause_between_them_keep_their_times_there():
    before, after = fitted([(105, 125), (130, 150)], frames((100, 160, -10.0)))
    assert (before[0], after[1]) == (99, 161)
    assert before[1] == pytest.approx(125 - MIDDLE / HOP, abs=1e-3) and after[0] == pytest.approx(
        130 - MIDDLE / HOP, abs=1e-3
    )


def test_noise_is_no_speech_and_loud_noise_does_not_hide_it():
    assert fitted([(110, 130)], frames((100, 150, -10.0), quiet_db=-22.0)) == [(99, 151)]
    assert fitted([(110, 130)], frames((100, 150, -10.0), quiet_db=-27.0)) == [(99, 151)]


def test_an_edge_is_within_reach():
    (edges,) = fitted([(140, 150)], frames((20, 280, -10.0)))
    assert edges == pytest.approx((140 - MIDDLE / HOP, 150 - MIDDLE / HOP), abs=1e-3)


def test_words_stay_in_order_and_within_the_audio():
    random = np.random.default_rng(0)
    for _ in range(200):
        edges = np.sort(random.integers(0, 300, 8)).reshape(4, 2)
        loud = [(*np.sort(random.integers(0, 300, 2)), random.uniform(-30, 0)) for _ in range(4)]
        words = fitted([tuple(pair) for pair in edges], frames(*loud))
        flat = [time for word in words for time in word]
        assert flat == sorted(flat) and flat[0] >= -MIDDLE / HOP - 1e-3 and flat[-1] <= 301


def test_a_stem_tells_no_level_and_no_frames_are_no_speech():
    words = [Word("W", 0.1, 0.2, 0.5)]
    stem = dataclasses.replace(CONFIG, features=preset("tiny_english").features)
    assert fitted_words(words, np.zeros([30, stem.features.width], np.float32), 8000, stem) == words
    assert fitted_words(words, np.zeros([0, FEATURES.mel_bands], np.float32), 0, CONFIG) == words
