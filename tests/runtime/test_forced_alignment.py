"""The likeliest paths against all paths there are."""

import itertools

import numpy as np
import pytest

from tflite_asr.runtime.forced_alignment import ctc_alignment, transducer_alignment


def distributions(random, *shape):
    logits = 2 * random.standard_normal(shape)
    return logits - np.log(np.sum(np.exp(logits), axis=-1, keepdims=True))


def best_ctc_path(log_probabilities, tokens):
    """The likeliest of all label paths that join to the tokens."""
    best, score = None, -np.inf
    for path in itertools.product(range(log_probabilities.shape[1]), repeat=len(log_probabilities)):
        joined = [label for label, _ in itertools.groupby(path) if label]
        total = sum(log_probabilities[step, label] for step, label in enumerate(path))
        if joined == list(tokens) and total > score:
            best, score = path, total
    return best


def spans_of(path):
    """First and last step of each run of a label."""
    steps = [(label, [step for step, _ in run]) for label, run in itertools.groupby(enumerate(path), lambda at: at[1])]
    return [(run[0], run[-1]) for label, run in steps if label]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("tokens", [(), (1,), (1, 2), (1, 1), (2, 1, 1), (2, 1, 2, 1, 2, 1)])
def test_ctc_against_every_path(tokens, seed):
    log_probabilities = distributions(np.random.default_rng(seed), 6, 3)
    found = ctc_alignment(log_probabilities, tokens)
    assert list(zip(*found)) == spans_of(best_ctc_path(log_probabilities, tokens))


@pytest.mark.parametrize("tokens", [(1, 1, 1, 1), (1, 2, 1, 2, 1, 2, 1)])
def test_ctc_without_room_has_no_path(tokens):
    assert ctc_alignment(distributions(np.random.default_rng(0), 6, 3), tokens) is None
    assert ctc_alignment(np.zeros([0, 3]), tokens) is None


def best_transducer_path(blank, label):
    """Steps at which the labels come out, of the likeliest of all paths."""
    steps, tokens = label.shape
    best, score = None, -np.inf
    for emitted in itertools.combinations_with_replacement(range(steps), tokens):
        total = sum(label[step, token] for token, step in enumerate(emitted))
        total += sum(blank[step, sum(at <= step for at in emitted)] for step in range(steps))
        if total > score:
            best, score = emitted, total
    return list(best)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("steps", "tokens"), [(1, 0), (1, 3), (4, 0), (5, 1), (4, 4), (3, 6)])
def test_transducer_against_every_path(steps, tokens, seed):
    random = np.random.default_rng(seed)
    blank, label = (np.log(random.uniform(0.01, 1, [steps, count])) for count in (tokens + 1, tokens))
    assert transducer_alignment(blank, label).tolist() == best_transducer_path(blank, label)
