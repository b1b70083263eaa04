"""Common parts of the alignment losses: a finite log of zero, and log(exp a + exp b)."""

import tensorflow as tf

LOG_ZERO = -1e30  # sums of a few of these stay finite in float32, and exp of any is 0


def log_add(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """log(exp(a) + exp(b)), elementwise."""
    return tf.maximum(a, b) + tf.math.log(1.0 + tf.exp(-tf.abs(a - b)))


def shift_right(rows: tf.Tensor, by: int = 1) -> tf.Tensor:
    """[batch, n] moved `by` places to the right, log zero coming in from the left."""
    kept = tf.slice(rows, [0, 0], [-1, rows.shape[1] - by])
    return tf.pad(kept, [[0, 0], [by, 0]], constant_values=LOG_ZERO)


def shift_left(rows: tf.Tensor, by: int = 1) -> tf.Tensor:
    """[batch, n] moved `by` places to the left, log zero coming in from the right."""
    kept = tf.slice(rows, [0, by], [-1, -1])
    return tf.pad(kept, [[0, 0], [0, by]], constant_values=LOG_ZERO)
