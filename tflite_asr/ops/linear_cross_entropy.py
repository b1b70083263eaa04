"""Cross entropy behind a linear output layer, without the logits of the whole vocabulary in memory at once.

A vocabulary of 32,768 subwords has 10 MB of logits for 78 labels, several times over in forward and backward. Both
passes here go through the vocabulary in chunks and compute each chunk's logits where they need them (Wijmans et al.
2024, arXiv 2411.09009, in plain ops). Rows of a frozen 8-bit output matrix become floats a chunk at a time.
"""

import tensorflow as tf

from tflite_asr.ops.gradients import WithGradient

CHUNK = 2048  # rows of the output matrix


@tf.custom_gradient
def linear_cross_entropy(x: tf.Tensor, kernel: tf.Tensor, targets: tf.Tensor) -> WithGradient:
    """log sum_v exp(x kernel_v) - x kernel_target, of each row: [rows] float32, in nats.

    dx = dy (sum_v p_v kernel_v - kernel_target), dkernel_v = sum over rows of dy (p_v - [v = target]) x, with p =
    softmax of the logits.

    Args:
        x: [rows, d] float32.
        kernel: [vocabulary, d] float32.
        targets: [rows] int32, from 0 to vocabulary - 1.
    """
    chosen = tf.gather(kernel, targets)
    largest = tf.fill([x.shape[0], 1], float("-inf"))
    total = tf.zeros([x.shape[0], 1])
    for first in _chunk_starts(kernel):
        logits = _logits(x, _chunk(kernel, first, total if first else x))
        top = tf.maximum(largest, tf.reduce_max(logits, axis=1, keepdims=True))
        total = total * tf.exp(largest - top) + tf.reduce_sum(tf.exp(logits - top), axis=1, keepdims=True)
        largest = top
    normalizer = largest + tf.math.log(total)  # [rows, 1]
    losses = tf.squeeze(normalizer, 1) - tf.reduce_sum(x * chosen, axis=1)

    def gradient(dy):
        scale = tf.expand_dims(dy, 1)
        dx = -scale * tf.gather(kernel, targets)
        dkernel = []
        for first in _chunk_starts(kernel):
            rows = _chunk(kernel, first, dx)
            weighted = scale * tf.exp(_logits(x, rows) - normalizer)
            dx += tf.matmul(weighted, rows)
            here = scale * tf.one_hot(targets - first, rows.shape[0])
            dkernel.append(tf.matmul(weighted - here, x, transpose_a=True))
        return dx, tf.concat(dkernel, axis=0), None

    return losses, gradient


def _chunk_starts(kernel: tf.Tensor) -> range:
    return range(0, kernel.shape[0], CHUNK)


def _chunk(kernel: tf.Tensor, first: int, computed: tf.Tensor) -> tf.Tensor:
    """Rows of the kernel from `first` on, [at most CHUNK, d], read when `computed` is there: else the runtime would
    read all chunks at the beginning."""
    value = tf.reshape(tf.slice(computed, [0, 0], [1, 1]), [1])
    zero = tf.cast(value > float("inf"), tf.int32)  # for NaN too
    return tf.gather(kernel, tf.range(first, min(first + CHUNK, kernel.shape[0])) + zero)


def _logits(x: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """[rows, d] and [chunk, d] -> [rows, chunk]."""
    return tf.squeeze(tf.raw_ops.BatchMatMulV2(x=tf.expand_dims(x, 0), y=rows, adj_x=False, adj_y=True), 0)
