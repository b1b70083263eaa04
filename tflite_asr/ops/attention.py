"""Multi-head attention, masked by length: within a sequence, with linear position biases or rotary
positions, and from one to another."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from signatures.order import after
from tflite_asr.ops.elementary import length_mask, softmax
from tflite_asr.ops.rotary import rotate

MASKED = -1e9  # added to a score: its weight is 0, and a row with nothing to attend to stays finite


def position_bias(time: int, heads: int, left_context: int = 0) -> np.ndarray:
    """The bias on the scores of step i attending to step j: [heads, time, time] float32.

    -2^(-8 h / heads) |i - j| for head h = 1, 2, ... (ALiBi, Press et al. 2022, with both directions): relative, so that
    a step means the same wherever it stands, for utterances longer than those trained on, and without parameters or
    gradients. With a left context of n > 0 only i - n <= j <= i are attended to.
    """
    steps = np.arange(time)
    distance = steps[:, None] - steps[None, :]
    slopes = 2.0 ** (-8.0 * np.arange(1, heads + 1) / heads)
    bias = -slopes[:, None, None] * np.abs(distance)
    if left_context:
        bias = np.where((distance >= 0) & (distance <= left_context), bias, MASKED)
    return bias.astype(np.float32)


def self_attention(
    query: tf.Tensor, key: tf.Tensor, value: tf.Tensor, lengths: tf.Tensor, heads: int, left_context: int = 0
) -> tf.Tensor:
    """softmax(Q K^T / sqrt(d / heads) + position bias) V in each head (Vaswani et al. 2017, section 3.2).

    Args:
        query, key, value: [batch, time, d] float32, finite; the heads lie side by side in d.
        lengths: [batch] int32; what stands past them is not attended to.
        heads: a divisor of d.
        left_context: steps before its own that a step attends to; 0 for the whole utterance, both sides.

    Returns:
        [batch, time, d].
    """
    time = query.shape[1]
    bias = tf.expand_dims(position_bias(time, heads, left_context), 0) + padding_bias(lengths, time)
    return _attention(query, key, value, bias, heads)[0]


def cross_attention(query: tf.Tensor, key: tf.Tensor, value: tf.Tensor, lengths: tf.Tensor, heads: int) -> tf.Tensor:
    """softmax(Q K^T / sqrt(d / heads)) V in each head, from one sequence to another.

    Args:
        query: [batch, queries, d] float32, finite; the heads lie side by side in d.
        key, value: [batch, time, d] float32, finite.
        lengths: [batch] int32, of the keys; what stands past them is not attended to.
        heads: a divisor of d.

    Returns:
        [batch, queries, d], and the weights [batch, heads, queries, time].
    """
    return _attention(query, key, value, padding_bias(lengths, key.shape[1]), heads)


def rotary_attention(
    query: tf.Tensor,
    key: tf.Tensor,
    value: tf.Tensor,
    lengths: tf.Tensor,
    heads: int,
    rotary: int,
    causal: bool = False,
) -> tf.Tensor:
    """softmax(R(Q) R(K)^T / sqrt(d / heads)) V in each head, R being `ops.rotary.rotate` by the step's number.

    Args:
        query, key, value: [batch, time, d] float32, finite; the heads lie side by side in d.
        lengths: [batch] int32; what stands past them is not attended to.
        heads: a divisor of d.
        rotary: dimensions of a head that are rotated.
        causal: whether a step attends only to itself and those before it.

    Returns:
        [batch, time, d].
    """
    time = query.shape[1]
    positions = after(tf.range(time, dtype=tf.float32), query)
    bias = padding_bias(lengths, time)
    if causal:
        bias += np.where(np.arange(time)[:, None] < np.arange(time), MASKED, 0.0).astype(np.float32)
    return _attention(query, key, value, bias, heads, lambda x: rotate(x, positions, rotary))[0]


def padding_bias(lengths: tf.Tensor, time: int) -> tf.Tensor:
    """[batch, 1, 1, time]: the bias that masks steps past each row's length."""
    return tf.reshape(tf.where(length_mask(lengths, time), 0.0, MASKED), [-1, 1, 1, time])


def _attention(
    query: tf.Tensor,
    key: tf.Tensor,
    value: tf.Tensor,
    bias: tf.Tensor,
    heads: int,
    rotate_positions: Callable = tf.identity,
) -> tuple[tf.Tensor, tf.Tensor]:
    """[batch, queries, d] and the weights [batch, heads, queries, time]; `bias` is added to scores of the weights'
    shape, `rotate_positions` changes queries and keys [batch heads, steps, size].
    """
    batch, queries, width = query.shape
    time = key.shape[1]

    def by_head(x):  # [batch heads, steps, size]: no axis of one that products would broadcast over
        steps = x.shape[1]
        x = tf.transpose(tf.reshape(x, [batch, steps, heads, width // heads]), [0, 2, 1, 3])
        return tf.reshape(x, [batch * heads, steps, width // heads])

    query, key = rotate_positions(by_head(query * (width // heads) ** -0.5)), rotate_positions(by_head(key))
    scores = tf.matmul(query, key, transpose_b=True)
    weights = softmax(tf.reshape(scores, [batch, heads, queries, time]) + bias)
    attended = tf.matmul(tf.reshape(weights, [batch * heads, queries, time]), by_head(value))
    attended = tf.transpose(tf.reshape(attended, [batch, heads, queries, width // heads]), [0, 2, 1, 3])
    return tf.reshape(attended, [batch, queries, width]), weights
