"""Beam search against every alignment, on a transducer small enough to write all of them down."""

import itertools
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from tflite_asr.config import preset
from tflite_asr.runtime.decoder import BeamSearch
from tflite_asr.runtime.hotwords import Spellings, TokenBonus
from tflite_asr.text.phrase_automaton import PhraseAutomaton

LABELS, UNITS = 3, 2  # blank and two labels


class SmallTransducer:
    """Random tables in NumPy behind the signatures that beam search calls."""

    def __init__(self, seed, steps, beam):
        random = np.random.default_rng(seed)
        self.encoder = random.standard_normal([steps, UNITS]) * 1.5
        self.embedding = random.standard_normal([LABELS, UNITS])
        self.recurrent = random.standard_normal([UNITS, UNITS])
        self.output = random.standard_normal([UNITS, LABELS]) * 2
        self.steps, self.beam = steps, beam

    def predict(self, tokens, hidden):
        return np.tanh(self.embedding[tokens] + hidden @ self.recurrent)

    def join(self, encoded, predicted):
        logits = np.tanh(encoded + predicted) @ self.output
        return logits - np.log(np.sum(np.exp(logits), axis=-1, keepdims=True))

    def run(self, name, inputs):
        if name == "encode":
            return {"encoded": self.encoder[None], "encoded_lengths": np.asarray([self.steps])}
        assert all(len(value) == self.beam for value in inputs.values())
        if name == "predict":
            hidden = self.predict(inputs["tokens"], inputs["hidden"])
            return {"predicted": hidden, "hidden": hidden, "cell": inputs["cell"]}
        return {"log_probabilities": self.join(inputs["encoded"], inputs["predicted"])}


def alignments(model, per_step):
    """Every way of giving each step 0 to `per_step` labels: (labels, log probability)."""
    choices = [labels for n in range(per_step + 1) for labels in itertools.product(range(1, LABELS), repeat=n)]
    for alignment in itertools.product(choices, repeat=model.steps):
        score, hidden = 0.0, model.predict(0, np.zeros([UNITS]))
        for encoded, labels in zip(model.encoder, alignment):
            for label in labels:
                score += model.join(encoded, hidden)[label]
                hidden = model.predict(label, hidden)
            score += model.join(encoded, hidden)[0]
        yield tuple(itertools.chain(*alignment)), score


def exhaustive(model, per_step, max_tokens):
    """{labels: log probability}, the sum over all alignments."""
    totals = {}
    for tokens, score in alignments(model, per_step):
        if len(tokens) <= max_tokens:
            totals[tokens] = np.logaddexp(totals.get(tokens, -np.inf), score)
    return totals


def search(seed, *, steps, beam, per_step, max_tokens, hotwords=None):
    config = preset("tiny")
    sizes = replace(config.sizes, beam=beam, max_symbols_per_step=per_step, max_tokens=max_tokens)
    config = replace(config, sizes=sizes, prediction=SimpleNamespace(units=UNITS, hidden_size=UNITS, cell_size=UNITS))
    model = SmallTransducer(seed, steps, beam)
    return model, BeamSearch(model, config, hotwords).best(np.zeros([6 * steps, 40], np.float32))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("steps, per_step, max_tokens", [(1, 2, 9), (3, 2, 9), (4, 1, 9), (3, 2, 3), (2, 0, 9)])
def test_a_beam_with_room_for_all_is_the_sum_over_all_alignments(seed, steps, per_step, max_tokens):
    model, nbest = search(seed, steps=steps, beam=600, per_step=per_step, max_tokens=max_tokens)
    expected = exhaustive(model, per_step, max_tokens)
    assert {hypothesis.tokens for hypothesis in nbest} == set(expected)
    for hypothesis in nbest:
        # `join` is float64 here but for the prediction's outputs, kept as float32
        assert hypothesis.log_probability == pytest.approx(expected[hypothesis.tokens], abs=1e-5)
    assert nbest[0].tokens == max(expected, key=expected.get)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("beam", [1, 3, 8])
def test_a_small_beam_keeps_its_number_and_never_claims_too_much(seed, beam):
    model, nbest = search(seed, steps=4, beam=beam, per_step=2, max_tokens=9)
    expected = exhaustive(model, 2, 9)
    assert 1 <= len(nbest) <= beam
    for hypothesis in nbest:
        assert hypothesis.log_probability <= expected[hypothesis.tokens] + 1e-5


def test_merging_changes_which_is_best():
    # the best sequence is not the one of the best alignment: what adding equal sequences is for
    found = 0
    for seed in range(20):
        model, nbest = search(seed, steps=3, beam=600, per_step=2, max_tokens=9)
        best_alignment = {}
        for tokens, score in alignments(model, 2):
            best_alignment[tokens] = max(best_alignment.get(tokens, -np.inf), score)
        found += max(best_alignment, key=best_alignment.get) != nbest[0].tokens
    assert found


@pytest.mark.parametrize("seed", range(5))
def test_hotwords_add_their_bonus_to_each_sequence(seed):
    # the labels are a space and a letter, the phrase is two letters
    hotwords = TokenBonus(PhraseAutomaton([("aa", 0.75)]), Spellings(("", " ", "a")))
    model, nbest = search(seed, steps=3, beam=600, per_step=2, max_tokens=9, hotwords=hotwords)
    expected = exhaustive(model, 2, 9)
    scores = {
        labels: score + 1.5 * "".join("?-a"[label] for label in labels).split("-").count("aa")
        for labels, score in expected.items()
    }
    assert {hypothesis.tokens for hypothesis in nbest} == set(expected)
    for hypothesis in nbest:
        assert hypothesis.log_probability == pytest.approx(expected[hypothesis.tokens], abs=1e-5)
        assert hypothesis.score == pytest.approx(scores[hypothesis.tokens], abs=1e-5)
    assert nbest[0].tokens == max(scores, key=scores.get)


def test_hotwords_count_before_a_small_beam_is_pruned():
    phrase, better = (2, 2), 0
    hotwords = TokenBonus(PhraseAutomaton([("aa", 3.0)]), Spellings(("", " ", "a")))
    for seed in range(20):
        sizes = {"steps": 4, "beam": 2, "per_step": 2, "max_tokens": 9}
        without = search(seed, **sizes)[1][0].tokens
        best = search(seed, **sizes, hotwords=hotwords)[1][0]
        better += best.bonus > 0 and phrase not in zip(without, without[1:])
    assert better >= 5


def test_hotwords_without_phrases_change_nothing():
    nothing = TokenBonus(PhraseAutomaton([]), Spellings(("", " ", "a")))
    sizes = {"steps": 4, "beam": 4, "per_step": 2, "max_tokens": 9}
    for seed in range(5):
        assert search(seed, **sizes, hotwords=nothing)[1] == search(seed, **sizes)[1]
