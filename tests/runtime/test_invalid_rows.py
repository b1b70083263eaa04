"""Lengths and labels out of range, given to the signatures by a host that checks nothing."""

import dataclasses

import numpy as np
import pytest

from tflite_asr.errors import InputError
from tflite_asr.runtime.batch import Example, collate
from tflite_asr.runtime.recognizer import Recognizer

pytestmark = pytest.mark.slow
# input of a batch of two, place, value: of 29 labels, 120 frames, 12 tokens
INVALID = {
    "the number of labels as a label": ("tokens", (1, 3), 29),
    "a label of 99": ("tokens", (1, 0), 99),
    "a label of -1": ("tokens", (1, 2), -1),
    "blank as a label": ("tokens", (1, 2), 0),
    "more tokens than there are": ("token_lengths", 1, 13),
    "many more tokens": ("token_lengths", 1, 2**31 - 1),
    "tokens below none": ("token_lengths", 1, -1),
    "more frames than there are": ("frame_lengths", 1, 121),
    "many more frames": ("frame_lengths", 1, 2**31 - 1),
    "frames below none": ("frame_lengths", 1, -3),
}


@pytest.fixture(params=["tiny_tflite", "exits_tflite", "two_pass_tflite"])
def recognizer(request):
    return Recognizer.load(request.getfixturevalue(request.param))


def valid_batch(config):
    random = np.random.default_rng(5)
    frames = random.standard_normal([2, 100, 40]).astype(np.float32)
    return collate([Example(row, random.integers(1, 29, [6]).astype(np.int32), "x") for row in frames], config)


def called_blindly(recognizer, plan, values):
    """The results of a plan's calls, all of them, whatever `proceed` says."""
    results = {}
    for call in recognizer.artifact.plans[plan]:
        taken = {name: results[source.split(".")[0]][source.split(".")[1]] for name, source in call["takes"].items()}
        own = {name: values[name] for name in recognizer.model.input_names(call["signature"]) if name not in taken}
        results[call["signature"]] = {
            k: v.copy() for k, v in recognizer.model.run(call["signature"], own | taken).items()
        }
    return results


@pytest.mark.parametrize("name", INVALID)
def test_an_invalid_row_has_no_loss_and_trains_nothing(name, recognizer):
    valid = valid_batch(recognizer.config)
    expected = recognizer.model.run("loss", valid)
    assert np.all(np.isfinite(expected["losses"]))
    key, place, value = INVALID[name]
    if key == "token_lengths" and value > 0 and recognizer.config.sizes.max_tokens > 12:
        value = max(value, recognizer.config.sizes.max_tokens + 1)
    batch = {name: tensor.copy() for name, tensor in valid.items()}
    batch[key][place] = value
    result = recognizer.model.run("loss", batch)
    assert np.isnan(result["loss"]) and np.isnan(result["losses"][1]) and np.all(np.isnan(result["exit_losses"][:, 1]))
    np.testing.assert_allclose(result["losses"][0], expected["losses"][0], rtol=1e-6)
    rates = {name: np.float32([0.1]) for name in ("learning_rate", "clip_norm", "pull")}
    rates |= {"group_rates": np.ones([len(recognizer.groups)], np.float32), "global_norm": np.float32([0])}
    before = recognizer.state()
    for plan in recognizer.artifact.plans:
        results = called_blindly(recognizer, plan, batch | rates)
        reports = [result for result in results.values() if "skipped" in result]
        assert reports and all(result["skipped"] == 1 for result in reports), plan
        assert all(np.isnan(result["loss"]) for result in reports if "loss" in result), plan
        for tensor, found in recognizer.state().items():
            assert found.tobytes() == before[tensor].tobytes(), (plan, tensor)
    # the same plans do train on the valid batch
    for plan in recognizer.artifact.plans:
        called_blindly(recognizer, plan, valid | rates)
    assert recognizer.state()["step"] == before["step"] + len(recognizer.artifact.plans)


def test_what_stands_in_a_row_without_frames_counts_nothing(recognizer):
    batch = valid_batch(recognizer.config)
    batch["frame_lengths"][1] = 0
    expected = recognizer.model.run("loss", batch)["losses"]
    batch["tokens"][1], batch["token_lengths"][1] = 77, -1
    np.testing.assert_array_equal(recognizer.model.run("loss", batch)["losses"], expected)


@pytest.mark.parametrize("length", [-1, 121, 2**31 - 1, -(2**31)])
def test_lengths_out_of_range_are_answered_with_minus_one(length, recognizer):
    frames = {"frames": valid_batch(recognizer.config)["frames"][:1], "frame_lengths": np.int32([length])}
    exits = len(recognizer.artifact.exits)
    at = {"exit": np.int32([exits - 1])} if exits > 1 else {}
    assert recognizer.model.run("infer", frames | at)["token_lengths"] == -1
    assert recognizer.model.run("encode", frames)["encoded_lengths"] == -1
    if exits > 1:
        valid = frames | {"frame_lengths": np.int32([100])}
        for exit in (-1, exits, 99):
            assert recognizer.model.run("infer", valid | {"exit": np.int32([exit])})["token_lengths"] == -1
        result = recognizer.model.run("stage_0", frames)
        assert result["encoded_lengths"] == -1
        given = {name: result[name].copy() for name in ("encoded", "encoded_lengths")}
        assert recognizer.model.run("stage_1", given)["encoded_lengths"] == -1


def test_labels_out_of_range_are_answered_with_nan(two_pass_tflite):
    recognizer = Recognizer.load(two_pass_tflite)
    sizes, prediction = recognizer.config.sizes, recognizer.artifact.signatures["predict"]["inputs"]
    inputs = {tensor["name"]: np.zeros(tensor["shape"], tensor["dtype"]) for tensor in prediction}
    inputs["tokens"][:3] = 29, -1, 28
    for values in recognizer.model.run("predict", inputs).values():
        assert np.all(np.isnan(values[:2])) and np.all(np.isfinite(values[2:]))
    inputs = {
        tensor["name"]: np.zeros(tensor["shape"], tensor["dtype"])
        for tensor in recognizer.artifact.signatures["rescore"]["inputs"]
    }
    inputs["encoded_lengths"][:] = 5
    inputs["tokens"][:, :3], inputs["token_lengths"][:] = 4, 3
    inputs["tokens"][0, 1], inputs["tokens"][1, 1] = 29, 0
    inputs["token_lengths"][2:4] = sizes.max_tokens + 1, -1
    scores = recognizer.model.run("rescore", inputs)["log_probabilities"]
    assert np.all(np.isnan(scores[:4])) and np.all(np.isfinite(scores[4:]))
    for length in (-1, inputs["encoded"].shape[1] + 1):
        inputs["encoded_lengths"][:] = length
        assert np.all(np.isnan(recognizer.model.run("rescore", inputs)["log_probabilities"]))


@pytest.mark.parametrize("token", [0, -1, 29, 99])
def test_the_recogniser_says_whose_tokens_are_wrong(token, tiny_tflite):
    recognizer = Recognizer.load(tiny_tflite)
    good = Example(np.zeros([30, 40], np.float32), np.int32([1, 2]), "x", "good.wav")
    bad = dataclasses.replace(good, tokens=np.int32([3, token]), where="bad.wav")
    for call in (recognizer.loss, recognizer.train_step):
        with pytest.raises(InputError, match=rf"bad.wav: expected tokens from 1 to 28, got {token} at place 2"):
            call([good, bad])
