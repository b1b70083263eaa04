"""Rotary positions (Su et al. 2021, arXiv 2104.09864, section 3.2): pairs of dimensions are rotated by an angle
proportional to the position, so that the product of a query and a key depends only on their distance.
"""

import numpy as np
import tensorflow as tf

BASE = 10_000.0


def rotate(x: tf.Tensor, positions: tf.Tensor, rotary: int) -> tf.Tensor:
    """x with its first dimensions rotated by position.

    x_2j' = x_2j cos(p f_j) - x_2j+1 sin(p f_j), x_2j+1' = x_2j+1 cos(p f_j) + x_2j sin(p f_j), f_j = 10000^(-2j /
    rotary).

    Args:
        x: [..., steps, size] float32.
        positions: [steps] float32, computed from a signature's input: TensorFlow would store the tables of constant
            positions, once for each signature and length.
        rotary: how many of the dimensions, an even number; the rest stay as they are.
    """
    size = x.shape[-1]
    frequencies = BASE ** (-np.arange(0, rotary, 2) / rotary)
    spread = np.zeros([rotary // 2, size], np.float32)  # from an angle to the two dimensions that turn by it
    swap = np.zeros([size, size], np.float32)  # x @ swap = (-x_1, x_0, -x_3, x_2, ...)
    for j in range(rotary // 2):
        spread[j, 2 * j] = spread[j, 2 * j + 1] = 1.0
        swap[2 * j + 1, 2 * j], swap[2 * j, 2 * j + 1] = -1.0, 1.0
    # cosine of the dimensions that do not turn
    unrotated = np.where(np.arange(size) < rotary, 0.0, 1.0).astype(np.float32)

    def tables():
        angles = tf.expand_dims(positions, 1) * tf.constant(frequencies[None], tf.float32)
        # the cosine as a sine: COS is younger than the oldest runtime
        return tf.matmul(tf.sin(angles + np.pi / 2), spread) + unrotated, tf.matmul(tf.sin(angles), spread)

    @tf.custom_gradient
    def rotated(x):
        cosine, sine = tables()

        def gradient(dy):
            cosine, sine = tables()
            return dy * cosine + _product(dy * sine, swap.T)

        return x * cosine + _product(x, swap) * sine, gradient

    return rotated(x)


def _product(x: tf.Tensor, matrix: np.ndarray) -> tf.Tensor:
    """x @ matrix over the last axis, all other axes as rows: a FULLY_CONNECTED, which XNNPACK takes for a constant."""
    return tf.reshape(tf.matmul(tf.reshape(x, [-1, x.shape[-1]]), tf.constant(matrix)), x.shape)
