"""Cross entropy in chunks of the vocabulary, against TensorFlow's over the whole of it."""

import numpy as np
import pytest
import tensorflow as tf

from tflite_asr.ops import linear_cross_entropy as module

TARGETS = [0, 3, 18, 6, 7]  # in first, second and last chunks


@pytest.mark.parametrize("chunk", [1, 7, 19, 64])
def test_losses_and_gradients_are_those_of_all_logits_at_once(monkeypatch, chunk):
    monkeypatch.setattr(module, "CHUNK", chunk)
    random = np.random.default_rng(0)
    x = tf.constant(3 * random.standard_normal([5, 4]), tf.float32)
    kernel = tf.constant(3 * random.standard_normal([19, 4]), tf.float32)
    rows = tf.constant([1.0, 2.0, 0.0, 3.0, 0.5])

    def found(losses_of):
        with tf.GradientTape() as tape:
            tape.watch([x, kernel])
            losses = losses_of()
            total = tf.reduce_sum(losses * rows)
        return losses, *tape.gradient(total, [x, kernel])

    ours = found(lambda: module.linear_cross_entropy(x, kernel, tf.constant(TARGETS)))
    whole = found(
        lambda: tf.nn.sparse_softmax_cross_entropy_with_logits(TARGETS, tf.matmul(x, kernel, transpose_b=True))
    )
    for one, other in zip(ours, whole, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)  # float32 sums in another order


def test_large_logits_stay_finite():
    x, kernel = tf.constant([[1e4, 0.0]]), tf.constant([[1.0, 0.0], [-1.0, 0.0], [0.5, 1.0]])
    np.testing.assert_allclose(module.linear_cross_entropy(x, kernel, tf.constant([2])), [5e3], rtol=1e-6)


def test_a_row_of_nan_has_a_loss_of_nan():
    x, kernel = tf.constant([[float("nan"), 0.0], [0.0, 0.0]]), tf.ones([3, 2])
    losses = module.linear_cross_entropy(x, kernel, tf.constant([1, 1])).numpy()
    assert np.isnan(losses[0])
    np.testing.assert_allclose(losses[1], np.log(3), rtol=1e-6)
