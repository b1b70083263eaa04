import numpy as np
import pytest
import tensorflow as tf

from tflite_asr.ops import emissions as module
from tflite_asr.ops.emissions import emissions

BATCH, TIME, WIDTH, UNITS, VOCABULARY = 2, 7, 4, 5, 6


@pytest.fixture
def inputs():
    draw = np.random.default_rng(3).normal
    shapes = [(BATCH, TIME, UNITS), (BATCH, WIDTH, UNITS), (UNITS, VOCABULARY), (VOCABULARY,)]
    arrays = [tf.constant(draw(size=shape), tf.float32) for shape in shapes]
    return [*arrays, tf.one_hot([[3, 1, 5, 0], [2, 2, 4, 0]], VOCABULARY)]


def whole_lattice(encoder, prediction, kernel, bias, one_hot):
    """The same from the lattice's logits, by TensorFlow's own gradients."""
    logits = tf.matmul(tf.tanh(encoder[:, :, None] + prediction[:, None]), kernel) + bias
    log_probabilities = tf.nn.log_softmax(logits)
    return log_probabilities[..., 0], tf.reduce_sum(log_probabilities * one_hot[:, None], axis=3)


@pytest.mark.parametrize("slice_nodes", [8, 24, 10_000])
def test_slices_give_what_the_whole_lattice_gives(inputs, slice_nodes, monkeypatch):
    monkeypatch.setattr(module, "SLICE_NODES", slice_nodes)
    found, gradients = {}, {}
    down = tf.constant(np.random.default_rng(4).normal(size=(2, BATCH, TIME, WIDTH)), tf.float32)
    for function in (emissions, whole_lattice):
        with tf.GradientTape() as tape:
            tape.watch(inputs[:4])
            found[function] = function(*inputs)
            target = tf.reduce_sum(tf.stack(found[function]) * down)
        gradients[function] = tape.gradient(target, inputs[:4])
    for ours, expected in zip(found[emissions], found[whole_lattice]):
        np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-5)
    for ours, expected in zip(gradients[emissions], gradients[whole_lattice]):
        np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)  # sums of up to 56 products, in another order


@pytest.mark.parametrize("batch, time, width", [(1, 1, 1), (2, 100, 31), (4, 260, 65), (1, 5, 4000)])
def test_slices_cover_time_and_are_few(batch, time, width):
    sizes = module._sizes(batch, time, width)
    assert sum(sizes) == time and min(sizes) > 0 and len(sizes) <= module.MOST_SLICES
    assert max(sizes) - min(sizes) <= 1
