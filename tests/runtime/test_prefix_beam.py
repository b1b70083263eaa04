from itertools import product

import numpy as np
import pytest

from tflite_asr.runtime.hotwords import Spellings, TokenBonus
from tflite_asr.runtime.prefix_beam import prefix_beam_search
from tflite_asr.text.phrase_automaton import PhraseAutomaton


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


LETTERS = ("", " ", "a", "b")


def bonus_of(text, phrases):
    """Of a whole text: each phrase where its words stand as whole words."""
    words = text.split(" ")
    found = 0.0
    for phrase, weight in phrases:
        size = len(phrase.split(" "))
        places = sum(words[first : first + size] == phrase.split(" ") for first in range(len(words)))
        found += places * weight * (len(phrase) - phrase.count(" "))
    return found


@pytest.mark.parametrize("seed", range(8))
def test_hotwords_add_their_bonus_to_each_sequence(seed):
    log_probabilities = normalised(5, 4, seed)
    phrases = [("a", 0.7), ("ab", 1.5), ("b a", 2.0), ("bb", 0.3)]
    hotwords = TokenBonus(PhraseAutomaton(phrases), Spellings(LETTERS))
    expected = enumerated(log_probabilities)
    texts = {labels: "".join(LETTERS[label] for label in labels) for labels in expected}
    scores = {labels: expected[labels] + bonus_of(texts[labels], phrases) for labels in expected}
    found = prefix_beam_search(log_probabilities, 2000, 5, hotwords)
    likely = [hypothesis for hypothesis in found if np.isfinite(hypothesis.log_probability)]
    assert {h.tokens: h.log_probability for h in likely} == pytest.approx(expected)
    assert {h.tokens: h.score for h in likely} == pytest.approx(scores)
    assert found[0].tokens == max(scores, key=scores.get)
    assert [h.score for h in found] == sorted((h.score for h in found), reverse=True)


def test_a_label_that_a_phrase_wants_gets_into_a_narrow_beam():
    # "b" is third at each step, behind blank and "a"
    log_probabilities = np.log([[0.5, 0.02, 0.28, 0.2], [0.9, 0.02, 0.04, 0.04], [0.5, 0.02, 0.28, 0.2]])
    hotwords = TokenBonus(PhraseAutomaton([("bb", 2.0)]), Spellings(LETTERS))
    assert prefix_beam_search(log_probabilities, 1, 3)[0].tokens != (3, 3)
    (best,) = prefix_beam_search(log_probabilities, 1, 3, hotwords)
    assert best.tokens == (3, 3) and best.bonus == 4.0
    nothing = TokenBonus(PhraseAutomaton([]), Spellings(LETTERS))
    assert prefix_beam_search(log_probabilities, 3, 3, nothing) == prefix_beam_search(log_probabilities, 3, 3)
