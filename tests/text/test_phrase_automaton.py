"""The automaton against a search of every phrase at every place of every prefix of a text."""

import numpy as np
import pytest

from tflite_asr.text.phrase_automaton import PhraseAutomaton, continues_word, letters, lower


def brute_force(text, phrases):
    """The bonus of a text that may go on, with the space in front of it."""
    padded, total, pending = f" {text}", 0.0, {}
    for phrase, weight in phrases:
        for start in range(len(padded)):
            end = start + len(phrase) + 1
            if padded[start:end] == f" {phrase}" and end < len(padded) and not continues_word(padded[end]):
                total += weight * letters(phrase)
        for length in range(len(phrase) + 1):
            if padded.endswith(f" {phrase[:length]}"):
                pending[length] = max(pending.get(length, 0.0), weight * letters(phrase[:length]))
    return total + sum(pending.values())


def finished(text, phrases):
    """The same at the end of an utterance: each phrase that stands there as whole words."""
    padded = f" {text} "
    total = 0.0
    for phrase, weight in phrases:
        for start in range(len(padded)):
            end = start + len(phrase) + 1
            if padded[start:end] == f" {phrase}" and end < len(padded) and not continues_word(padded[end]):
                total += weight * letters(phrase)
    return total


def drawn(random, most, alphabet="ab '"):
    return " ".join("".join(random.choice(list(alphabet), random.integers(1, most))).split())


@pytest.mark.parametrize("seed", range(40))
def test_every_prefix_of_a_text_has_the_bonus_that_a_search_finds(seed):
    random = np.random.default_rng(seed)
    texts = {drawn(random, 8) for _ in range(random.integers(1, 12))}
    phrases = [(text, float(random.uniform(0.1, 2))) for text in sorted(texts) if text]
    automaton = PhraseAutomaton(phrases)
    text = "".join(random.choice(list("ab ',"), 60))
    state, bonus = automaton.start, 0.0
    for place, character in enumerate(text, start=1):
        state, gain = automaton.walk(state, character)
        bonus += gain
        assert bonus == pytest.approx(brute_force(text[:place], phrases))
        assert bonus + automaton.finished(state) == pytest.approx(finished(text[:place], phrases))
    assert automaton.walk(automaton.start, text) == (state, pytest.approx(bonus))  # at once


def total(text, *phrases):
    automaton = PhraseAutomaton((phrase, 1.0) for phrase in phrases)
    state, bonus = automaton.walk(automaton.start, text)
    return bonus + automaton.finished(state)


def test_phrases_are_whole_words():
    assert total("call ann", "ann") == total("ann", "ann") == total("ann's hat, ann", "ann") / 2 == 3
    assert total("anna", "ann") == total("joann", "ann") == total("ann4", "ann") == 0
    assert total("call ann nguyen", "ann nguyen", "nguyen") == 9 + 6
    assert total("call ann ng", "ann nguyen") == 0  # unfinished
    assert total("ann ann nguyen", "ann nguyen") == 9  # begins anew


def test_a_weight_counts_a_letter_and_the_highest_of_those_that_begin_alike_on_the_way():
    automaton = PhraseAutomaton([("ann", 1.0), ("anton", 3.0)])
    state, bonus = automaton.walk(automaton.start, "an")
    assert bonus == 6.0
    state, gain = automaton.walk(state, "n")
    assert bonus + gain == 3.0 and automaton.finished(state) == 0.0


def test_states_are_as_many_as_prefixes():
    assert len(PhraseAutomaton([("ab", 1.0), ("ac", 1.0)])) == 2 + 3
    assert len(PhraseAutomaton([])) == 2


def test_lower_case_keeps_the_number_of_characters():
    for text in ("NGUYEN", "\u0130stanbul", "STRASSE \u1e9e", "\u039f\u0394\u039f\u03a3"):
        assert len(lower(text)) == len(text)
    assert lower("\u00c9MILE") == "\u00e9mile"
