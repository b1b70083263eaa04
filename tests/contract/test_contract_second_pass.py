"""docs/signatures.md, "Second passes": rescoring and decoding through the bare interpreter."""

import numpy as np
import pytest
from contract_host import Host


@pytest.fixture(scope="module")
def encoded(english):
    """`encoded` and `encoded_lengths` of an utterance of noise."""
    frames = np.random.default_rng(3).standard_normal(english.inputs("encode")["frames"]["shape"]).astype(np.float32)
    result = english.run("encode", frames=frames, frame_lengths=np.int32([100]))
    assert result["encoded_lengths"] == 100
    return {name: result[name] for name in ("encoded", "encoded_lengths")}


def rescored(host, encoded, hypotheses: list[list[int]]) -> np.ndarray:
    inputs = host.zeros("rescore") | encoded
    for row, tokens in enumerate(hypotheses):
        inputs["tokens"][row, : len(tokens)], inputs["token_lengths"][row] = tokens, len(tokens)
    return host.run("rescore", **inputs)["log_probabilities"][: len(hypotheses)]


def test_decoding_token_by_token_gives_what_rescoring_does(english, encoded):
    decoder, hypotheses = english.description["model"]["decoder"], [[29901, 372], [500, 600]]
    cross = english.run("decode_start", **encoded)
    inputs = english.zeros("decode_step")
    keys, values = inputs["keys"], inputs["values"]
    rows = len(inputs["tokens"])
    total = np.zeros([2])
    for position in range(3):
        before = [decoder["start"] if position == 0 else tokens[position - 1] for tokens in hypotheses]
        after = [decoder["end"] if position == 2 else tokens[position] for tokens in hypotheses]
        result = english.run(
            "decode_step",
            tokens=np.int32([*before, *[decoder["start"]] * (rows - 2)]),
            position=np.int32([position]),
            keys=keys,
            values=values,
            **cross,
            encoded_lengths=encoded["encoded_lengths"],
        )
        assert np.exp(result["log_probabilities"]).sum(axis=1) == pytest.approx(1, abs=1e-3)
        keys[:, :, :, position], values[:, :, :, position] = result["keys"][:, :, :, 0], result["values"][:, :, :, 0]
        total += result["log_probabilities"][[0, 1], after]
    # products of `decode_step` are exact to 16 bits, `rescore` computes in floats: 1.4e-4 apart on this noise
    np.testing.assert_allclose(rescored(english, encoded, hypotheses), total, rtol=2e-4)


def test_subword_ids_are_indices_into_the_pieces(english):
    decoder = english.description["model"]["decoder"]
    pieces = decoder["subwords"]["pieces"]
    assert len(pieces) == decoder["vocabulary_size"] == 32768
    assert (pieces[decoder["start"]], pieces[decoder["end"]]) == ("<s>", "</s>")
    assert any(piece.startswith("\u2581") for piece in pieces) and "<0x41>" in pieces


def test_invalid_subwords_are_answered_by_nan(english, encoded):
    scores = rescored(english, encoded, [[5, 32768], [5, -1], [5, 6]])
    assert np.isnan(scores[:2]).all() and np.isfinite(scores[2])
    most = english.inputs("rescore")["tokens"]["shape"][1]
    inputs = english.zeros("decode_step") | {
        "encoded_lengths": encoded["encoded_lengths"],
        "position": np.int32([most + 1]),
    }
    assert np.isnan(english.run("decode_step", **inputs)["log_probabilities"]).all()


def test_the_rescorer_of_a_transducer_takes_its_own_labels():
    host = Host("sentences")
    inputs = host.zeros("rescore")
    inputs["encoded"][:] = np.random.default_rng(0).standard_normal(inputs["encoded"].shape)
    inputs["encoded_lengths"][:] = 20
    inputs["tokens"][:4, :3], inputs["token_lengths"][:4] = [[4, 5, 6], [4, 29, 6], [4, 0, 6], [4, 5, 29]], [3, 3, 3, 2]
    scores = host.run("rescore", **inputs)["log_probabilities"]
    assert scores.shape == (8,) and np.isnan(scores[1:3]).all()
    assert np.isfinite(scores[[0, 3]]).all() and (scores[[0, 3]] < 0).all()
