"""Quantisation-aware training against the rounding that an int8 export does."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from tflite_asr.config import preset
from tflite_asr.models.build import build_model
from tflite_asr.models.int8_columns import quantize
from tflite_asr.training.quantize_aware import GroupQuantizeConfig, aware_loss


@pytest.fixture(scope="module", params=["tiny_two_pass", "tiny_conformer"])
def model(request):
    keras.utils.set_random_seed(1)
    model = build_model(preset(request.param))
    for group in [*model.groups, *model.all_groups]:
        for inner in group._flatten_layers():
            if isinstance(inner, keras.layers.Dropout):
                inner.rate = 0.0  # what is compared must not be drawn
    return model


@pytest.fixture(scope="module")
def batch():
    random = np.random.default_rng(2)
    frames = random.standard_normal([2, 96, 40]).astype(np.float32)
    tokens = random.integers(1, 29, [2, 6]).astype(np.int32)
    return [tf.constant(x) for x in (frames, np.array([96, 70], np.int32), tokens, np.array([6, 3], np.int32))]


def test_the_loss_is_that_of_the_weights_an_export_stores(model, batch):
    objective = aware_loss(model)

    @tf.function
    def run():
        with tf.GradientTape() as tape:
            losses = objective.losses(batch[0], *batch)
        return losses, tape.gradient(losses, objective.trained)

    losses, gradients = run()
    weights = model.named_weights()
    before = {name: weight.numpy() for name, weight in weights.items()}
    plain = model.loss(*batch, training=True)
    changed = 0
    for name, weight in weights.items():
        found = quantize(before[name])
        if found is not None:
            weight.assign(found[0] * found[1])
            changed += not np.array_equal(weight.numpy(), before[name])
    with tf.GradientTape() as tape:
        expected = model.loss(*batch, training=True)
    expected_gradients = tape.gradient(expected, list(weights.values()))
    for name, weight in weights.items():
        weight.assign(before[name])
    assert changed > 8 and np.max(np.abs(plain - expected)) > 1e-3  # rounding is seen
    np.testing.assert_allclose(losses, expected, rtol=1e-4)
    # gradients are those at the rounded weights: rounding passes all of them on
    for name, found, wanted in zip(weights, gradients, expected_gradients):
        size = float(np.linalg.norm(wanted))
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-4 * (1e-2 + size), err_msg=name)


def test_outside_of_the_loss_a_model_has_its_own_weights(model, batch):
    before = model.loss(*batch)
    weights = list(model.named_weights())
    aware_loss(model).losses(batch[0], *batch)
    np.testing.assert_array_equal(model.loss(*batch), before)
    assert list(model.named_weights()) == weights


def test_every_kind_of_group_says_what_is_rounded(model):
    for group in model.all_groups:
        found = [matrix.name for matrix, _ in GroupQuantizeConfig().get_weights_and_quantizers(group)]
        assert found == [
            weight.name for weight in group.weights if len(weight.shape) > 1 and np.prod(weight.shape) >= 512
        ]
    assert found
