"""The bonus of hotwords over tokens, rows against single steps, and what a recogniser refuses."""

import time

import numpy as np
import pytest

from tflite_asr.errors import InputError
from tflite_asr.runtime.hotwords import Spellings, TokenBonus, token_bonus
from tflite_asr.runtime.recognizer import Recognizer
from tflite_asr.text.phrase_automaton import PhraseAutomaton
from tflite_asr.text.phrases import as_phrases
from tflite_asr.text.subwords import BYTES, SPECIAL, SubwordTokenizer
from tflite_asr.text.tokenizer import CharacterTokenizer


def drawn(random, alphabet, most):
    return "".join(random.choice(list(alphabet), random.integers(1, most)))


@pytest.mark.parametrize("seed", range(20))
def test_a_row_is_what_each_token_gains_for_itself(seed):
    random = np.random.default_rng(seed)
    texts = sorted({drawn(random, "aAbB ',", 6) for _ in range(300)} | {""})
    phrases = sorted({" ".join(drawn(random, "ab '", 9).split()) for _ in range(15)} - {""})
    automaton = PhraseAutomaton((phrase, float(random.uniform(0.1, 2))) for phrase in phrases)
    bonus = TokenBonus(automaton, Spellings(texts))
    for state in range(len(automaton)):
        expected = [bonus.step(state, token)[1] for token in range(len(texts))]
        np.testing.assert_allclose(bonus.gains(state), expected, atol=1e-12)
        np.testing.assert_array_equal(bonus.gains(state), bonus.gains(state))


SUBWORDS = SubwordTokenizer(
    (*SPECIAL, *BYTES, *"\u2581nguyeNGUYE's,.", "\u2581N", "gu", "yen", "\u2581ng", "\u2581Ng", "uy", "EN", "\u2581n")
)


def total(bonus, tokens):
    state, gained = bonus.start, 0.0
    for token in tokens:
        state, gain = bonus.step(state, token)
        gained += gain
    return gained + bonus.final(state)


def of(tokenizer, phrases, weight=1.0, normalizes=False):
    spellings = Spellings(tokenizer.spellings())
    return token_bonus(as_phrases(phrases), weight, tokenizer, spellings, normalizes=normalizes)


def test_a_phrase_counts_alike_however_subwords_cut_and_case_it():
    bonus = of(SUBWORDS, ["NGUYEN"], 0.5)
    ids = {piece: index for index, piece in enumerate(SUBWORDS.pieces)}
    for pieces in (
        ["\u2581N", "gu", "yen"],
        ["\u2581", "N", "G", "U", "Y", "EN"],
        ["\u2581ng", "uy", "e", "n", "."],
        ["N", "gu", "yen", "'", "s"],  # at the start of an utterance the mark may be left out
        ["\u2581Ng", "uy", "EN", "</s>", "\u2581n"],
    ):
        assert total(bonus, [ids[piece] for piece in pieces]) == pytest.approx(3.0), pieces
    for pieces in (["\u2581N", "gu", "y"], ["\u2581N", "gu", "yen", "s"], ["\u2581n", "\u2581", "gu", "yen"]):
        assert total(bonus, [ids[piece] for piece in pieces]) == pytest.approx(0.0), pieces


def test_letters_and_numbers_are_as_the_model_writes_them():
    letters = CharacterTokenizer(" ABCDEFGHIJKLMNOPQRSTUVWXYZ'", normalizes=True)
    bonus = of(letters, ["Dr. Smith-Jones", "Route 66"])
    assert total(bonus, letters.encode("CALL DOCTOR SMITH JONES")) == 16
    assert total(bonus, letters.encode("ROUTE SIXTY SIX")) == 13
    both = of(SubwordTokenizer(("\u2581", *"route6sixy")), ["Route 66"], normalizes=True)
    spelled = SubwordTokenizer(("\u2581", *"route6sixy"))
    assert total(both, spelled.encode("route 66")) == 7 and total(both, spelled.encode("route sixty six")) == 13


def test_the_weight_of_a_phrase_is_a_factor_and_zero_leaves_it_out():
    bonus = of(CharacterTokenizer(" ANB"), [("ANN", 2.0), ("BAN", 0.0)], 0.5)
    encode = CharacterTokenizer(" ANB").encode
    assert total(bonus, encode("ANN BAN")) == 3.0 and total(bonus, encode("BAN")) == 0.0


def test_letters_that_the_model_lacks_are_named():
    with pytest.raises(InputError, match=r"hotwords\[1\]: '\u00cb' not among the model's characters"):
        of(CharacterTokenizer(" ABCDEFGHIJKLMNOPQRSTUVWXYZ'"), ["ANN", "Zo\u00eb"])
    with pytest.raises(InputError, match=r"hotwords\[0\]: 'b', '\u03be' not among the letters of the model's subwords"):
        of(SUBWORDS, ["Bgu\u039e"])


def test_a_recogniser_without_weight_hears_as_without_hotwords(recognizer, talkative):
    recognizer.set_state(talkative(recognizer.state()))
    samples = np.random.default_rng(2).normal(0, 0.1, 8000).astype(np.float32)
    plain = recognizer.transcribe(samples)
    assert recognizer.hotwords(["ONE"], 0) is None
    assert plain and recognizer.transcribe(samples, hotwords=["ONE"], hotword_weight=0) == plain
    heard = recognizer.transcribe(samples, hotwords=["ONE", ("TWO", 2)], hotword_weight=8)
    assert heard != plain and {"ONE", "TWO"} & set(heard.split())
    frames = recognizer.features(samples)
    again = recognizer.hotwords(["ONE", ("TWO", 2)], 8)
    assert recognizer.transcribe_frames(frames, beam=True, hotwords=again) == heard
    with pytest.raises(InputError, match="expected beam search"):
        recognizer.transcribe(samples, beam=False, hotwords=["ONE"])
    for weight in (-1, float("nan"), float("inf")):
        with pytest.raises(InputError, match="expected a weight of 0 or more"):
            recognizer.hotwords(["ONE"], weight)


def test_a_step_costs_no_more_with_a_thousand_phrases():
    random = np.random.default_rng(5)
    letters = "abcdefghijklmnopqrstuvwxyz"
    texts = sorted({drawn(random, letters + " ", 8) for _ in range(20_000)})
    spellings = Spellings(texts)

    def seconds(count):
        names = sorted({f"{drawn(random, letters, 9)} {drawn(random, letters, 9)}" for _ in range(count)})
        bonus = TokenBonus(PhraseAutomaton((name, 1.0) for name in names), spellings)
        states = [bonus.start, *random.integers(0, 9 * count, 20).tolist()]
        for state in states:
            bonus.gains(state)  # as later steps find it

        def once():
            began = time.perf_counter()
            for state in states:
                bonus.gains(state)
            return time.perf_counter() - began

        return min(once() for _ in range(20))

    assert seconds(1000) < 5 * seconds(10)


@pytest.mark.slow
def test_english_writes_names_that_it_would_not_guess(say):
    recognizer = Recognizer.load("english")
    names = recognizer.hotwords(["CORDELIA LINDQVIST", "TOBIAS BELLWEATHER", "ULRICH QUIGLEY"])
    texts = ("Please call Cordelia Lindqvist this evening.", "Send a message to Ulrich Quigley.")
    for text, samples in zip(texts, say(texts)):
        assert recognizer.transcribe(samples) != text
        assert recognizer.transcribe(samples, hotwords=names) == text
