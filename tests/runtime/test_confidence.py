import itertools

import numpy as np
import pytest

from tflite_asr.errors import InputError
from tflite_asr.metrics import expected_calibration_error, matched_words, roc_area
from tflite_asr.runtime.confidence import AGGREGATIONS, MEASURES, ConfidenceMeasure


def rows(*probabilities):
    return np.log(np.asarray(probabilities, np.float64))


@pytest.mark.parametrize("over", AGGREGATIONS)
@pytest.mark.parametrize("measure", MEASURES)
def test_certainty_is_one_and_ignorance_the_least(measure, over):
    sure = rows([1 - 3e-9, 1e-9, 1e-9, 1e-9])
    assert ConfidenceMeasure(measure, over).of(sure, [0]) == pytest.approx(1, abs=1e-2)
    least = 0.25 if measure == "posterior" else 0
    assert ConfidenceMeasure(measure, over).of(rows([0.25] * 4), [0]) == pytest.approx(least)


def test_measures_by_hand():
    p, q = np.array([0.7, 0.2, 0.1]), np.array([0.5, 0.4, 0.1])
    both = rows(p, q)
    assert ConfidenceMeasure("posterior", "product").of(both, [0, 1]) == pytest.approx(0.7 * 0.4)
    gibbs = [1 + np.sum(r * np.log(r)) / np.log(3) for r in (p, q)]
    assert ConfidenceMeasure("gibbs", "mean").of(both, [0, 1]) == pytest.approx(np.mean(gibbs))
    tsallis = [1 - (np.sum(np.cbrt(r)) - 1) / (3 ** (2 / 3) - 1) for r in (p, q)]
    assert ConfidenceMeasure("tsallis", "min").of(both, [0, 1]) == pytest.approx(min(tsallis))
    tempered = p**0.5 / np.sum(p**0.5)
    assert ConfidenceMeasure("posterior", "min", 2.0).of(rows(p), [1]) == pytest.approx(tempered[1])


@pytest.mark.parametrize("wrong", [("none", "min", 1.0), ("gibbs", "max", 1.0), ("gibbs", "min", 0.0)])
def test_measures_that_there_are_not(wrong):
    with pytest.raises(InputError, match="confidence: expected"):
        ConfidenceMeasure(*wrong)


def test_the_area_is_the_share_of_pairs_in_the_right_order():
    random = np.random.default_rng(0)
    scores, right = random.integers(0, 6, 40) / 5, random.random(40) < 0.6
    pairs = itertools.product(scores[right], scores[~right])
    assert roc_area(scores, right) == pytest.approx(np.mean([(a > b) + (a == b) / 2 for a, b in pairs]))
    assert roc_area([0.5, 0.6], [True, True]) is None and roc_area([], []) is None


def test_calibration_error_by_hand():
    scores, right = [0.95, 0.91, 0.55, 0.05], [True, False, True, False]
    assert expected_calibration_error(scores, right) == pytest.approx((abs(1.86 - 1) + 0.45 + 0.05) / 4)
    assert expected_calibration_error([1.0], [True]) == expected_calibration_error([], []) == 0


def test_words_that_match():
    assert matched_words(["A", "B", "C", "D"], ["A", "X", "D"]) == {0: 0, 3: 2}
    assert matched_words([], ["A"]) == matched_words(["A"], []) == {}
