"""Low-rank updates of kernels: an exported model gets them, hears what it heard, and learns nothing else but biases."""

import json

import numpy as np
import pytest
import tensorflow as tf

from tflite_asr.benchmark.equality import equality
from tflite_asr.cli.main import main
from tflite_asr.config import preset
from tflite_asr.errors import InputError
from tflite_asr.models.build import build_model
from tflite_asr.models.low_rank import add_low_rank, low_rank_factors
from tflite_asr.runtime.recognizer import Recognizer
from tflite_asr.study.plan import Mobile, Speech, Study
from tflite_asr.study.run import run_study

FACTORS = ("_lora_down", "_lora_up")


def updated_kernels(weights):
    """The kernels that have a low-rank update, by tree path."""
    return {name.removesuffix(FACTORS[0]) for name in low_rank_factors(weights) if name.endswith(FACTORS[0])}


def batch_of(model, seed=0):
    random = np.random.default_rng(seed)
    values = {"frame_lengths": 40, "token_lengths": 2}
    return [
        tf.constant(random.standard_normal(spec.shape), tf.float32)
        if spec.dtype == tf.float32
        else tf.fill(spec.shape, values.get(spec.name, 3))
        for spec in model.batch_inputs()
    ]


@pytest.fixture(scope="module", params=["tiny", "tiny_conformer", "tiny_two_pass"])
def updated(request):
    """A model with updates of rank 1 everywhere, its batch, and the losses before it had them."""
    model = build_model(preset(request.param))
    batch = batch_of(model)
    before = model.loss(*batch)
    add_low_rank(model, 1, [group.name for group in model.all_groups])
    return model, batch, before


def test_new_updates_change_nothing(updated):
    model, batch, before = updated
    np.testing.assert_array_equal(model.loss(*batch), before)


def test_every_kernel_has_an_update_and_nothing_else(updated):
    weights = updated[0].named_weights()
    kernels = updated_kernels(weights)
    assert {name for name in kernels if not name.endswith(("kernel", "projection"))} == set()
    assert not any("embedding" in name or "depthwise" in name for name in kernels)
    assert not any("prediction/recurrent/recurrent" in name for name in kernels)
    for name in kernels:
        (inputs, outputs), down, up = weights[name].shape, weights[name + FACTORS[0]], weights[name + FACTORS[1]]
        assert (down.shape, up.shape) == ((inputs, 1), (1, outputs))
        assert np.all(up.numpy() == 0)


def test_the_loss_is_that_of_the_merged_kernels(updated):
    model, batch, _ = updated
    weights = model.named_weights()
    saved = {name: weight.numpy() for name, weight in weights.items()}
    random = np.random.default_rng(3)
    try:
        for name in updated_kernels(weights):
            up = weights[name + FACTORS[1]]
            up.assign(0.1 * random.standard_normal(up.shape))
        losses = model.loss(*batch)
        for name in updated_kernels(weights):
            down, up = (weights[name + factor] for factor in FACTORS)
            weights[name].assign_add(down.numpy() @ up.numpy())
            up.assign(np.zeros(up.shape))
        merged = model.loss(*batch)
    finally:
        for name, value in saved.items():
            weights[name].assign(value)
    np.testing.assert_allclose(losses, merged, rtol=1e-5)
    assert np.all(np.abs(losses - updated[2]) > 1e-3)


def test_gradients_of_the_factors(updated):
    """dL/dA = dL/dW B^T and dL/dB = A^T dL/dW, with dL/dW from the merged kernel."""
    model, batch, _ = updated
    weights = model.named_weights()
    names = sorted(updated_kernels(weights))
    factors = [weights[name + factor] for name in names for factor in FACTORS]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model.loss(*batch))
    found = tape.gradient(loss, factors + [weights[name] for name in names])
    down, up, whole = found[0 : 2 * len(names) : 2], found[1 : 2 * len(names) : 2], found[2 * len(names) :]
    for name, d_down, d_up, d_kernel in zip(names, down, up, whole, strict=True):
        a, b = (weights[name + factor].numpy() for factor in FACTORS)
        scale = np.abs(d_kernel).max() + 1e-6
        np.testing.assert_allclose(d_down, d_kernel @ b.T, atol=1e-4 * scale, err_msg=name)
        np.testing.assert_allclose(d_up, a.T @ d_kernel, atol=1e-3 * scale, err_msg=name)


@pytest.fixture(scope="module")
def exported(tiny_tflite, tmp_path_factory):
    out = tmp_path_factory.mktemp("lora") / "lora.tflite"
    options = ["--lora", "1", "--parts", "2", "--out", str(out)]
    assert main(["export", str(tiny_tflite), *options]) == 0
    return out


@pytest.mark.slow
def test_only_factors_gains_and_biases_learn(exported, recognizer, utterances):
    own = Recognizer.load(exported)
    assert own.config.learning_rate == 0.005
    assert own.artifact.low_rank and not recognizer.artifact.low_rank
    for row in own.artifact.parameters:
        assert row["trainable"] == row["name"].endswith(("bias", "gain", *FACTORS)), row["name"]
    examples = utterances(2, 1)
    losses = recognizer.loss(examples)
    np.testing.assert_allclose(own.loss(examples), losses, rtol=1e-5)
    before = own.state()
    for _ in range(20):
        own.train_step(examples, learning_rate=0.02, plan="split")
    assert own.loss(examples).sum() < 0.9 * losses.sum()
    assert all(np.any(value != before[name]) for name, value in own.state().items())
    assert equality(exported, steps=3, learning_rate=1e-2)["weight_difference"] <= 1e-5


@pytest.mark.slow
def test_frozen_kernels_may_be_int8(tiny_tflite, utterances, tmp_path):
    out = tmp_path / "int8.tflite"
    options = ["--lora", "2", "--quantize", "aware", "--trainable", "all", "--out", str(out)]
    assert main(["export", str(tiny_tflite), *options]) == 0
    own = Recognizer.load(out)
    examples = utterances(2, 1)
    losses = own.loss(examples)
    for _ in range(10):
        own.train_step(examples, learning_rate=0.02)
    assert own.loss(examples).sum() < losses.sum()


@pytest.mark.slow
def test_an_update_of_another_model_is_refused(exported, recognizer, tmp_path):
    path = tmp_path / "ann.safetensors"
    Recognizer.load(exported).save(path)
    before = recognizer.state()
    with pytest.raises(InputError, match="ann.safetensors"):
        recognizer.restore(path)
    for name, value in recognizer.state().items():
        np.testing.assert_array_equal(value, before[name])


@pytest.mark.slow
def test_a_study_trains_low_rank_updates_as_well(exported, tiny_tflite, speakers, tmp_path):
    study = Study(
        (Speech(str(speakers(1)), ""),), str(tiny_tflite), "mobile", adapters=str(exported),
        mobile=Mobile(window=6, window_bytes=14_000, stride=4, steps=5, learning_rate=0.01),
    )  # fmt: skip
    summary = run_study(study, tmp_path / "out")
    whole, own = (
        json.loads(next((tmp_path / "out").glob(f"speakers/*/{run}.json")).read_text())
        for run in ("mobile", "mobile_lora")
    )
    assert own["wer_before"] == whole["wer_before"] and own["steps"] == whole["steps"]
    assert 0 < own["checkpoint_bytes"] < whole["checkpoint_bytes"] / 5 and "mobile_lora" in summary


def test_a_rank_that_cannot_be(tiny_tflite, tmp_path, capsys):
    assert main(["export", str(tiny_tflite), "--lora", "-1", "--out", str(tmp_path / "no.tflite")]) == 2
    assert "--lora: expected 0 or more, got -1" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
