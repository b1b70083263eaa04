"""Words held against the level of samples that are loud where a test says so."""

import numpy as np
import pytest

from tflite_asr.runtime.word_extents import fitted_words, step_levels
from tflite_asr.runtime.words import Word

RATE, STEP = 16_000, 160  # a step is 10 ms


def sound(*stretches, count=300, quiet_db=-60.0):
    """[samples] of `count` steps: noise, and stretches of (first, last, dB); each step has exactly its level."""
    level = np.full([count], quiet_db)
    for first, last, db in stretches:
        level[first : last + 1] = db
    signs = np.where(np.arange(count * STEP) % 4 < 2, 1, -1)
    return (signs * np.repeat(10 ** (level / 20), STEP)).astype(np.float32)


def fitted(words, samples):
    """Edges in steps, from the middle of the first to the middle of the last."""
    given = [Word("W", first / 100, last / 100, 0.5) for first, last in words]
    found = fitted_words(given, samples, RATE)
    return [(round(100 * w.start_seconds - 0.5, 3), round(100 * w.end_seconds - 0.5, 3)) for w in found]


def test_levels_are_the_power_of_the_samples_in_db():
    levels = step_levels(sound((100, 200, -10.0))[:-1], RATE)
    assert len(levels) == 299  # the last step is not whole
    np.testing.assert_allclose(levels[[50, 150]], [-60, -10], atol=0.01)  # 1e-9 is added
    assert len(step_levels(np.zeros([STEP - 1], np.float32), RATE)) == 0


@pytest.mark.parametrize("given", [(110, 140), (95, 125), (120, 165), (125, 130)])
def test_a_word_between_pauses_has_the_edges_of_its_speech(given):
    # one step more on both sides: levels are means of three steps
    assert fitted([given], sound((100, 150, -10.0))) == [(99, 151)]


def test_a_short_gap_is_within_a_word_and_a_longer_one_behind_it():
    assert fitted([(105, 115)], sound((100, 120, -10.0), (138, 150, -12.0))) == [(99, 151)]
    assert fitted([(105, 115)], sound((100, 120, -10.0), (146, 160, -12.0))) == [(99, 121)]
    # in front of a word a shorter one tells: closures are near a word's end
    assert fitted([(145, 155)], sound((120, 130, -10.0), (140, 160, -12.0))) == [(119, 161)]
    assert fitted([(145, 155)], sound((110, 120, -10.0), (140, 160, -12.0))) == [(139, 161)]


def test_words_without_a_pause_between_them_keep_their_times_there():
    before, after = fitted([(105, 125), (130, 150)], sound((100, 160, -10.0)))
    assert (before[0], after[1]) == (99, 161)
    assert before[1] == pytest.approx(125 - 0.5, abs=1e-3) and after[0] == pytest.approx(130 - 0.5, abs=1e-3)


def test_noise_is_no_speech_and_loud_noise_does_not_hide_it():
    assert fitted([(110, 130)], sound((100, 150, -10.0), quiet_db=-22.0)) == [(99, 151)]
    assert fitted([(110, 130)], sound((100, 150, -10.0), quiet_db=-27.0)) == [(99, 151)]


def test_an_edge_is_within_reach():
    (edges,) = fitted([(140, 150)], sound((20, 280, -10.0)))
    assert edges == pytest.approx((140 - 0.5, 150 - 0.5), abs=1e-3)


def test_words_stay_in_order_and_within_the_audio():
    random = np.random.default_rng(0)
    for _ in range(200):
        edges = np.sort(random.integers(0, 300, 8)).reshape(4, 2)
        loud = [(*np.sort(random.integers(0, 300, 2)), random.uniform(-30, 0)) for _ in range(4)]
        words = fitted([tuple(pair) for pair in edges], sound(*loud))
        flat = [time for word in words for time in word]
        assert flat == sorted(flat) and flat[0] >= -0.5 - 1e-3 and flat[-1] <= 301


def test_no_samples_are_no_speech():
    words = [Word("W", 0.1, 0.2, 0.5)]
    assert fitted_words(words, np.zeros([0], np.float32), RATE) == words


def test_samples_may_be_a_list():
    samples = sound((100, 150, -10.0))
    word = [Word("W", 1.1, 1.3, 0.5)]
    assert fitted_words(word, samples.tolist(), RATE) == fitted_words(word, samples, RATE)
