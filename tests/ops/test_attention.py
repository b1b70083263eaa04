"""Attention against NumPy and autodiff in float64, in one chunk of heads and in several."""

import numpy as np
import pytest
import tensorflow as tf

from tflite_asr.ops import attention

HEADS, BATCH, QUERIES, TIME, SIZE = 5, 2, 3, 7, 4


def arrays(seed=0):
    random = np.random.default_rng(seed)
    shapes = [(QUERIES, SIZE), (TIME, SIZE), (TIME, SIZE)]
    query, key, value = (random.normal(size=[HEADS, BATCH, *shape]).astype(np.float32) for shape in shapes)
    padding = np.where(np.arange(TIME) < np.array([[TIME], [4]]), 0.0, attention.MASKED).astype(np.float32)
    return query, key, value, padding.reshape(1, BATCH, 1, TIME)


def reference(query, key, value, padding, position_bias):
    """softmax(Q K^T + biases) V, with the gradients of autodiff."""
    scores = tf.matmul(query, key, transpose_b=True) + padding
    weights = tf.nn.softmax(scores if position_bias is None else scores + position_bias)
    return tf.matmul(weights, value)


@pytest.mark.parametrize("at_once", [1, 2 * BATCH * QUERIES * TIME, 10**6], ids=["a_head", "two_heads", "all"])
@pytest.mark.parametrize("biased_heads", [None, 1, HEADS])
def test_values_and_gradients_are_those_of_attention(at_once, biased_heads, monkeypatch):
    monkeypatch.setattr(attention, "WEIGHTS_AT_ONCE", at_once)
    query, key, value, padding = arrays()
    random = np.random.default_rng(1)
    bias = random.normal(size=[biased_heads, 1, QUERIES, TIME]).astype(np.float32) if biased_heads else None
    dy = random.normal(size=query.shape)

    def found(function, dtype):
        tensors = [tf.constant(x, dtype) for x in (query, key, value)]
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            y = function(*tensors, tf.constant(padding, dtype), bias)
            total = tf.reduce_sum(y * tf.constant(dy, dtype))
        return [y, *tape.gradient(total, tensors)]

    for ours, theirs in zip(found(attention.attend, tf.float32), found(reference, tf.float64)):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)  # float32 sums of up to 21 products


def test_cross_attention_weights_are_those_that_it_attends_with():
    random = np.random.default_rng(3)
    query, key, value = (tf.constant(random.normal(size=[2, n, 6]), tf.float32) for n in (3, 5, 5))
    lengths = tf.constant([5, 2])
    weights = attention.cross_attention_weights(query, key, lengths, heads=2).numpy()
    by_head = value.numpy().reshape(2, 5, 2, 3)
    expected = np.einsum("bhqt,bthd->bqhd", weights, by_head).reshape(2, 3, 6)
    np.testing.assert_allclose(weights.sum(-1), 1, rtol=1e-6)
    assert not weights[1, :, :, 2:].any()  # past the length
    attended = attention.cross_attention(query, key, value, lengths, heads=2)
    np.testing.assert_allclose(attended, expected, rtol=1e-4, atol=1e-6)
