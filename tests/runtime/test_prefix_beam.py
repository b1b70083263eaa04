from itertools import product

import numpy as np
import pytest

from tflite_asr.runtime.prefix_beam import label_log_probability, prefix_beam_search


def normalised(steps, vocabulary, seed):
    logits = 1.5 * np.random.default_rng(seed).standard_normal([steps, vocabulary])
    return logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)


def enumerated(log_probabilities):
    """log P of every label sequence, summed over all vocabulary^steps alignments."""
    sums = {}
    for path in product(range(log_probabilities.shape[1]), repeat=len(log_probabilities)):
        labels = tuple(label for label, before in zip(path, (0, *path)) if label not in (before, 0))
        score = log_probabilities[range(len(path)), path].sum()
        sums[labels] = np.logaddexp(sums.get(labels, -np.inf), score)
    return sums


@pytest.mark.parametrize("steps, vocabulary", [(1, 3), (4, 3), (6, 2), (5, 4)])
def test_a_wide_beam_finds_every_sequence_with_its_whole_probability(steps, vocabulary):
    log_probabilities = normalised(steps, vocabulary, steps)
    expected = enumerated(log_probabilities)
    found = prefix_beam_search(log_probabilities, beam=2000, max_tokens=steps)
    likely = {h.tokens: h.log_probability for h in found if np.isfinite(h.log_probability)}
    assert likely == pytest.approx(expected)
    scores = [hypothesis.log_probability for hypothesis in found]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("steps, vocabulary", [(1, 3), (4, 3), (6, 2), (5, 4)])
def test_the_probability_of_given_labels_is_that_of_all_their_paths(steps, vocabulary):
    log_probabilities = normalised(steps, vocabulary, steps)
    for labels, expected in enumerated(log_probabilities).items():
        assert label_log_probability(log_probabilities, labels) == pytest.approx(expected)
    assert label_log_probability(log_probabilities, (1,) * steps if steps > 1 else (1, 2)) == -np.inf  # no room


def test_a_narrow_beam_finds_what_the_best_path_misses():
    # blank is the best label of each step, but two alignments of [1] together outweigh it
    log_probabilities = np.log([[0.6, 0.4], [0.6, 0.4]])
    (best, *_) = prefix_beam_search(log_probabilities, beam=2, max_tokens=4)
    assert best.tokens == (1,) and np.exp(best.log_probability) == pytest.approx(1 - 0.36)


def test_no_sequence_is_longer_than_told_and_no_steps_are_silence():
    found = prefix_beam_search(normalised(8, 4, 1), beam=5, max_tokens=2)
    assert len(found) == 5 and max(len(h.tokens) for h in found) == 2
    (nothing,) = prefix_beam_search(np.zeros([0, 4]), beam=5, max_tokens=2)
    assert nothing.tokens == () and nothing.log_probability == 0
