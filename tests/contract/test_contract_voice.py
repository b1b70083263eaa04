"""docs/signatures.md, "The owner's voice": the page's formulas against what the package computes."""

import numpy as np
import pytest


def observations(frames: np.ndarray, voices: dict) -> np.ndarray:
    if voices.get("projection"):
        center, matrix = (np.asarray(voices["projection"][key]) for key in ("center", "matrix"))
        return (frames - center) @ matrix
    means, bands = frames.mean(axis=1), frames.shape[1]
    loud = frames[means >= (means.max() + np.percentile(means, 10)) / 2]
    b, k = np.arange(bands)[:, None], np.arange(24)[None]
    return loud @ (np.sqrt(2 / bands) * np.cos(np.pi / bands * (b + 0.5) * k))


def log_densities(x: np.ndarray, weights: np.ndarray, means: np.ndarray, variances: np.ndarray) -> np.ndarray:
    """[observations, components], the weight in it."""
    squares = ((x[:, None] - means) ** 2 / variances + np.log(2 * np.pi * variances)).sum(axis=2)
    return np.log(weights) - squares / 2


def log_likelihoods(x, weights, means, variances) -> np.ndarray:
    return np.logaddexp.reduce(log_densities(x, weights, means, variances), axis=1)


def adapted(x, weights, means, variances) -> np.ndarray:
    densities = log_densities(x, weights, means, variances)
    shares = np.exp(densities - np.logaddexp.reduce(densities, axis=1, keepdims=True))
    return (shares.T @ x + 8 * means) / (shares.sum(axis=0)[:, None] + 8)


def test_the_formulas_of_the_page(each):
    from tflite_asr.runtime.voice import Mixture, learn_owner

    voices = each.description["voices"]
    weights, means, variances = (np.asarray(voices[key]) for key in ("weights", "means", "variances"))
    random, width = np.random.default_rng(7), each.inputs("infer")["frames"]["shape"][2]
    voice = random.standard_normal(width)  # what all of the owner's frames have in common
    utterances = [(voice + random.standard_normal([40, width])).astype(np.float32) for _ in range(6)]
    found = [observations(utterance, voices) for utterance in utterances]

    def score(x, owner):
        return np.mean(log_likelihoods(x, weights, owner, variances) - log_likelihoods(x, weights, means, variances))

    scores = []
    for fold in range(5):
        rest = np.concatenate([x for i, x in enumerate(found) if i % 5 != fold])
        owner = adapted(rest, weights, means, variances)
        scores += [score(x, owner) for x in found[fold::5]]
    owner = adapted(np.concatenate(found), weights, means, variances)
    expected = learn_owner(Mixture.from_json(voices), utterances)
    assert expected is not None and expected.threshold == pytest.approx(np.median(scores) / 2, rel=1e-3)
    np.testing.assert_allclose(expected.owner.means, owner, rtol=1e-3, atol=1e-3)
    other = random.standard_normal([30, width]).astype(np.float32)
    for utterance in (utterances[0], other):
        value = score(observations(utterance, voices), owner)
        assert expected.score(utterance) == pytest.approx(value, rel=1e-2, abs=1e-2)
        assert expected.speaks(utterance) == (value > np.median(scores) / 2)


def test_fewer_than_five_utterances_are_nobodys(each):
    from tflite_asr.runtime.voice import Mixture, learn_owner

    width = each.inputs("infer")["frames"]["shape"][2]
    utterances = [np.random.default_rng(i).standard_normal([40, width]).astype(np.float32) for i in range(4)]
    assert learn_owner(Mixture.from_json(each.description["voices"]), utterances) is None
