import numpy as np
import pytest

from tests.runtime.test_prefix_beam import enumerated, normalised
from tflite_asr.runtime.ctc_prefix import CTCPrefixScores


def whole_by_recursion(log_probabilities, labels):
    """The forward variable over the labels with blanks around them (Graves et al. 2006, section 4.1)."""
    extended = np.zeros([2 * len(labels) + 1], np.int64)
    extended[1::2] = labels
    skips = np.zeros([len(extended)], bool)  # over the blank between, not to the same label
    skips[1::2] = extended[1::2] != np.append(0, extended[1:-2:2])
    ends = np.full([len(extended) + 2], -np.inf)
    ends[1] = 0.0
    for row in log_probabilities:
        ends[2:] = np.logaddexp.reduce([ends[2:], ends[1:-1], np.where(skips, ends[:-2], -np.inf)]) + row[extended]
        ends[:2] = -np.inf
    return np.logaddexp.reduce(ends[-2:])


@pytest.mark.parametrize("steps, vocabulary", [(1, 3), (4, 3), (6, 2), (5, 4)])
def test_a_prefix_has_the_probability_of_all_sequences_that_begin_with_it(steps, vocabulary):
    log_probabilities = normalised(steps, vocabulary, steps)
    whole = enumerated(log_probabilities)
    prefixes = CTCPrefixScores(log_probabilities)
    for labels, expected in whole.items():
        begun = [score for other, score in whole.items() if other[: len(labels)] == labels]
        assert prefixes.prefix(labels) == pytest.approx(np.logaddexp.reduce(begun))
        assert prefixes.whole(labels) == pytest.approx(expected)


def test_what_there_is_no_room_for_is_impossible():
    prefixes = CTCPrefixScores(normalised(3, 4, 0))
    assert prefixes.whole((1, 1, 1)) == prefixes.prefix((1, 2, 3, 1)) == -np.inf


def test_long_utterances_are_scored_in_any_order():
    # thirty seconds of a sure head: cumulative log probabilities far below what floats of 32 bits resolve
    log_probabilities = 8 * np.random.default_rng(0).standard_normal([1250, 29])
    log_probabilities -= np.logaddexp.reduce(log_probabilities, axis=1, keepdims=True)
    labels = tuple(np.random.default_rng(1).integers(1, 29, 300).tolist())
    prefixes = CTCPrefixScores(log_probabilities)
    assert prefixes.whole(labels) == pytest.approx(whole_by_recursion(log_probabilities, labels), abs=1e-6)
    scores = [CTCPrefixScores(log_probabilities).prefix(labels[:count]) for count in (300, 20, 100)]
    assert scores == [prefixes.prefix(labels[:count]) for count in (300, 20, 100)]
    assert sorted(scores) == [scores[0], scores[2], scores[1]]


def test_what_was_dropped_is_computed_again():
    log_probabilities = normalised(200, 5, 3)
    labels = tuple(np.random.default_rng(2).integers(1, 5, 90).tolist())
    prefixes = CTCPrefixScores(log_probabilities)
    expected = [prefixes.prefix(labels[:count]) for count in range(91)]
    prefixes.keep([labels[:80], labels[:70]])
    assert len(prefixes._known) == 52  # the last 41 of each, of which 31 are the same, and the empty one
    assert [prefixes.prefix(labels[:count]) for count in range(91)] == expected
