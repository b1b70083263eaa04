"""The decoder's beam search against every token sequence, over a model small enough to write all of them down."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest

from tflite_asr.runtime.attention_decoder import AttentionDecoder
from tflite_asr.runtime.first_pass_scores import FirstPassScores
from tflite_asr.runtime.hotwords import Spellings, TokenBonus
from tflite_asr.runtime.second_pass import Rescoring
from tflite_asr.text.phrase_automaton import PhraseAutomaton
from tflite_asr.text.tokenizer import CharacterTokenizer

END, LONGEST = 2, 4
TEXTS = ("", "", "", " a", "b", " ab")  # of the tokens; 1 is the start


class SmallDecoder:
    """Another distribution behind each history; keys hold the tokens so far, as the search hands them back."""

    def __init__(self, seed):
        self.seed = seed

    def said(self, history):
        random = np.random.default_rng([self.seed, *history])
        logits = 1.5 * random.standard_normal(len(TEXTS))
        logits[:2] = -30.0  # never written
        return logits - np.logaddexp.reduce(logits)

    def run(self, name, inputs):
        if name == "decode_start":
            return {}
        position, keys, beam = int(inputs["position"][0]), inputs["keys"], len(inputs["tokens"])
        histories = [(*keys[0, row, 0, 1:position, 0].astype(int), inputs["tokens"][row]) for row in range(beam)]
        histories = histories if position else [()] * beam
        made = np.zeros([keys.shape[0], beam, keys.shape[2], 1, keys.shape[4]], np.float32)
        made += inputs["tokens"][None, :, None, None, None]
        rows = np.asarray([self.said(history) for history in histories])
        return {"log_probabilities": rows, "keys": made, "values": made}


DECODER_ALONE = Rescoring(1.0, per_label=True)
LETTERS = CharacterTokenizer(" AB")


def first_pass(seed, steps=9):
    """The scores of a CTC head over letters that is unsure."""
    logits = 2.0 * np.random.default_rng([seed, 9]).standard_normal([steps, LETTERS.vocabulary_size])
    log_probabilities = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    subwords = SimpleNamespace(decode=lambda tokens: "".join(TEXTS[token] for token in tokens).strip())
    return FirstPassScores(log_probabilities, LETTERS, subwords)


def search(seed, beam, hotwords=None, rescoring=DECODER_ALONE):
    decoder = SimpleNamespace(layers=1, heads=1, head_size=2, start=1, end=END)
    sizes = SimpleNamespace(beam=beam, suffix="")
    config = SimpleNamespace(decoder=decoder, sizes=sizes, max_subwords=LONGEST, most_subwords=lambda steps: LONGEST)
    model = SmallDecoder(seed)
    encoded = np.zeros([1, 9, 2], np.float32)
    return model, AttentionDecoder(model, config).nbest(encoded, 9, rescoring, first_pass(seed), hotwords)


def enumerated(model):
    """log P of every sequence that ends within the bound."""
    scores = {}
    for length in range(LONGEST):
        for tokens in itertools.product((0, 1, 3, 4, 5), repeat=length):
            spoken = (*tokens, END)
            scores[tokens] = sum(model.said(tokens[:place])[token] for place, token in enumerate(spoken))
    return scores


def bonus_of(tokens, phrases):
    words = "".join(TEXTS[token] for token in tokens).split()
    return sum(weight * len(phrase) * words.count(phrase) for phrase, weight in phrases)


PHRASES = [("ab", 0.8), ("abb", 0.5)]


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("phrases", [None, PHRASES])
def test_what_ended_has_its_whole_score_and_the_best_is_the_best_of_all_so_long(seed, phrases):
    hotwords = TokenBonus(PhraseAutomaton(phrases), Spellings(TEXTS)) if phrases else None
    model, nbest = search(seed, 700, hotwords)
    expected = enumerated(model)
    scores = {tokens: score + bonus_of(tokens, phrases or []) for tokens, score in expected.items()}
    for hypothesis in nbest:
        assert hypothesis.second == pytest.approx(expected[hypothesis.tokens], abs=1e-4)
        assert hypothesis.second + hypothesis.bonus == pytest.approx(scores[hypothesis.tokens], abs=1e-4)
    most = max(len(hypothesis.tokens) for hypothesis in nbest)
    by_token = {tokens: score / (len(tokens) + 1) for tokens, score in scores.items() if len(tokens) <= most}
    assert nbest[0].tokens == max(by_token, key=by_token.get)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("weight", [0.3, 0.7, 0.95])
@pytest.mark.parametrize("phrases", [None, PHRASES])
def test_the_best_by_both_passes_is_found(seed, weight, phrases):
    hotwords = TokenBonus(PhraseAutomaton(phrases), Spellings(TEXTS)) if phrases else None
    model, nbest = search(seed, 700, hotwords, Rescoring(weight))
    first = first_pass(seed)
    scores = {
        tokens: weight * second + (1 - weight) * first.whole(tokens) + bonus_of(tokens, phrases or [])
        for tokens, second in enumerated(model).items()
    }
    assert nbest[0].tokens == max(scores, key=scores.get)
    for hypothesis in nbest:
        assert Rescoring(weight).score(hypothesis) == pytest.approx(scores[hypothesis.tokens], abs=1e-4)


def test_a_small_beam_keeps_what_the_first_pass_heard():
    """With two hypotheses kept, searching by both passes loses less than choosing by both at the end."""
    both = Rescoring(0.5)
    lost = {"while searching": 0.0, "at the end": 0.0}
    for seed in range(40):
        first = first_pass(seed)
        model, found = search(seed, 2, rescoring=both)
        best = max(0.5 * second + 0.5 * first.whole(tokens) for tokens, second in enumerated(model).items())
        lost["while searching"] += best - both.score(found[0])
        lost["at the end"] += best - max(map(both.score, search(seed, 2, rescoring=Rescoring(1.0))[1]))
    assert 0 <= lost["while searching"] < 0.5 * lost["at the end"]


def test_hotwords_count_before_a_small_beam_is_pruned():
    hotwords = TokenBonus(PhraseAutomaton([("abb", 1.5)]), Spellings(TEXTS))
    gained = 0
    for seed in range(30):
        without, with_them = search(seed, 2)[1][0], search(seed, 2, hotwords)[1][0]
        assert without.bonus == 0 and with_them.bonus in (0, 4.5, 9.0)
        gained += with_them.bonus > bonus_of(without.tokens, [("abb", 1.5)])
    assert gained >= 8


def test_what_is_unfinished_at_the_bound_has_no_bonus():
    hotwords = TokenBonus(PhraseAutomaton([("abbbbbbb", 9.0)]), Spellings(TEXTS))
    for seed in range(5):
        _, nbest = search(seed, 3, hotwords)
        assert all(hypothesis.bonus == 0 for hypothesis in nbest)


def test_hotwords_without_phrases_change_nothing():
    nothing = TokenBonus(PhraseAutomaton([]), Spellings(TEXTS))
    for seed in range(10):
        assert search(seed, 3, nothing)[1] == search(seed, 3)[1]
