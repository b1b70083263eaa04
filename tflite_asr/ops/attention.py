"""Multi-head self-attention, masked by length, with linear position biases."""

import numpy as np
import tensorflow as tf

from tflite_asr.ops.elementary import length_mask, softmax

MASKED = -1e9  # added to a score: its weight is 0, and a row with nothing to attend to stays finite


def position_bias(time: int, heads: int, left_context: int = 0) -> np.ndarray:
    """What is added to the scores of step i attending to step j: [heads, time, time] float32.

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
    batch, time, width = query.shape
    size = width // heads

    def by_head(x):  # [batch heads, time, size]: no axis of one that products would broadcast over
        x = tf.transpose(tf.reshape(x, [batch, time, heads, size]), [0, 2, 1, 3])
        return tf.reshape(x, [batch * heads, time, size])

    past = tf.where(length_mask(lengths, time), 0.0, MASKED)
    bias = tf.expand_dims(position_bias(time, heads, left_context), 0) + tf.reshape(past, [batch, 1, 1, time])
    scores = tf.matmul(by_head(query * size**-0.5), by_head(key), transpose_b=True)
    weights = softmax(scores + tf.reshape(bias, [batch * heads, time, time]))
    attended = tf.reshape(tf.matmul(weights, by_head(value)), [batch, heads, time, size])
    return tf.reshape(tf.transpose(attended, [0, 2, 1, 3]), [batch, time, width])
