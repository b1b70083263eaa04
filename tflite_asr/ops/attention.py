"""Multi-head attention, masked by length: within a sequence, with linear position biases or rotary
positions, and from one to another."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from signatures.order import after
from tflite_asr.ops.elementary import length_mask, softmax
from tflite_asr.ops.rotary import rotate

# weights of attention, of all rows, that are computed at once: 2 MB; of one head at least
WEIGHTS_AT_ONCE = 2**19
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
    bias = position_bias(time, heads, left_context)[:, None]
    return _attention(query, key, value, padding_bias(lengths, time), heads, bias)


def cross_attention(query: tf.Tensor, key: tf.Tensor, value: tf.Tensor, lengths: tf.Tensor, heads: int) -> tf.Tensor:
    """softmax(Q K^T / sqrt(d / heads)) V in each head, from one sequence to another.

    Args:
        query: [batch, queries, d] float32, finite; the heads lie side by side in d.
        key, value: [batch, time, d] float32, finite.
        lengths: [batch] int32, of the keys; what stands past them is not attended to.
        heads: a divisor of d.

    Returns:
        [batch, queries, d].
    """
    return _attention(query, key, value, padding_bias(lengths, key.shape[1]), heads)


def cross_attention_weights(query: tf.Tensor, key: tf.Tensor, lengths: tf.Tensor, heads: int) -> tf.Tensor:
    """The weights of `cross_attention`: [batch, heads, queries, time], differentiable."""
    query, key = _by_head(query * (query.shape[2] // heads) ** -0.5, heads), _by_head(key, heads)
    bias = tf.transpose(padding_bias(lengths, key.shape[2]), [1, 0, 2, 3])
    weights = _weights(query, key, bias)
    return tf.transpose(weights, [1, 0, 2, 3])


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
    later = np.arange(time)[:, None] < np.arange(time)
    bias = np.where(later, MASKED, 0.0).astype(np.float32)[None, None] if causal else None
    return _attention(
        query, key, value, padding_bias(lengths, time), heads, bias, lambda x: rotate(x, positions, rotary)
    )


def padding_bias(lengths: tf.Tensor, time: int) -> tf.Tensor:
    """[batch, 1, 1, time]: the bias that masks steps past each row's length."""
    return tf.reshape(tf.where(length_mask(lengths, time), 0.0, MASKED), [-1, 1, 1, time])


def _attention(
    query: tf.Tensor,
    key: tf.Tensor,
    value: tf.Tensor,
    padding: tf.Tensor,
    heads: int,
    position_bias: np.ndarray | None = None,
    rotate_positions: Callable = tf.identity,
) -> tf.Tensor:
    """[batch, queries, d]; `padding` [batch, 1, 1, time], the biases as of `attend`; `rotate_positions` changes queries
    and keys [heads, batch, steps, size].
    """
    batch, queries, width = query.shape
    query, key = (rotate_positions(_by_head(x, heads)) for x in (query * (width // heads) ** -0.5, key))
    attended = attend(query, key, _by_head(value, heads), tf.transpose(padding, [1, 0, 2, 3]), position_bias)
    return tf.reshape(tf.transpose(attended, [1, 2, 0, 3]), [batch, queries, width])


def _by_head(x: tf.Tensor, heads: int) -> tf.Tensor:
    """[batch, steps, d] -> [heads, batch, steps, d / heads]."""
    batch, steps, width = x.shape
    return tf.transpose(tf.reshape(x, [batch, steps, heads, width // heads]), [2, 0, 1, 3])


def attend(
    query: tf.Tensor, key: tf.Tensor, value: tf.Tensor, padding: tf.Tensor, position_bias: np.ndarray | None = None
) -> tf.Tensor:
    """softmax(Q K^T + biases) V in each head, a few heads at a time; weights are not kept for the backward pass, which
    computes them again (Rabe and Staats 2021, arXiv 2112.05682, with heads as chunks).

    With weights P = softmax(Q K^T + biases) and the output's gradient dO: dV = P^T dO, dS = P (dP - sum(dP P)) with dP
    = dO V^T, dQ = dS K and dK = dS^T Q. The biases have no gradients.

    Args:
        query: [heads, batch, queries, size] float32, scaled.
        key, value: [heads, batch, time, size] float32.
        padding: [1, batch, 1, time] float32, a bias.
        position_bias: [heads or 1, 1, queries, time] float32, or none.

    Returns:
        [heads, batch, queries, size].
    """
    heads, batch, queries, _ = query.shape
    at_once = max(1, WEIGHTS_AT_ONCE // (batch * queries * key.shape[2]))
    chunks = [(first, min(at_once, heads - first)) for first in range(0, heads, at_once)]

    def weights(query, key, chunk):
        return _weights(query, key, padding, None if position_bias is None else _heads(position_bias, chunk))

    @tf.custom_gradient
    def attended(query, key, value):
        outputs: list[tf.Tensor] = []
        for chunk in chunks:
            q, k, v = (_heads(x, chunk) for x in (query, key, value))
            outputs.append(_product(weights(after(q, outputs[-1]) if outputs else q, k, chunk), v))

        def gradient(dy):
            gradients: list[tuple[tf.Tensor, ...]] = []
            for chunk in chunks:
                q, k, v, do = (_heads(x, chunk) for x in (query, key, value, dy))
                p = weights(after(q, gradients[-1][0] if gradients else dy), k, chunk)
                dp = _product(do, v, adj_y=True)
                ds = p * (dp - tf.reduce_sum(dp * p, axis=-1, keepdims=True))
                dk, dv = _product(ds, q, adj_x=True), _product(p, do, adj_x=True)
                gradients.append(
                    (after(after(_product(ds, k), dk), dv), dk, dv)
                )  # else TFLite may compute dk last, and hold ds for it
            return [_joined(tensors) for tensors in zip(*gradients)]

        return _joined(outputs), gradient

    return attended(query, key, value)


def _weights(
    query: tf.Tensor, key: tf.Tensor, padding: tf.Tensor, position_bias: np.ndarray | None = None
) -> tf.Tensor:
    """softmax(Q K^T + biases): [heads, batch, queries, time]."""
    scores = _product(query, key, adj_y=True) + padding
    return softmax(scores if position_bias is None else scores + position_bias)


def _product(x: tf.Tensor, y: tf.Tensor, adj_x: bool = False, adj_y: bool = False) -> tf.Tensor:
    """The product of the last two axes, for the same heads and batch: as products of three axes, none of which TFLite
    would broadcast over.
    """
    heads, batch = x.shape[:2]
    x, y = (tf.reshape(one, [heads * batch, *one.shape[2:]]) for one in (x, y))
    z = tf.matmul(x, y, transpose_a=adj_x, transpose_b=adj_y)
    return tf.reshape(z, [heads, batch, *z.shape[1:]])


def _heads(x: Any, chunk: tuple[int, int]) -> Any:
    """Some heads of [heads, ...], `chunk` of them: the first and how many; of [1, ...], which is for all heads, all."""
    first, count = chunk
    return x if x.shape[0] in (1, count) else x[first : first + count]


def _joined(parts: Sequence[tf.Tensor]) -> tf.Tensor:
    """Chunks of heads side by side."""
    return tf.concat(parts, axis=0) if len(parts) > 1 else parts[0]
