"""Activations and normalisation whose forward *and* backward are TFLite builtins.

TensorFlow's own gradients of these are single ops (ReluGrad, TanhGrad, SigmoidGrad, ...). TFLite has none of them, and
only some converters write some of them as builtins, so each is given its gradient in elementary arithmetic.
"""

import tensorflow as tf

from tflite_asr.ops.gradients import WithGradient

INVERSE_SQRT_2_PI = 0.3989422804014327


@tf.custom_gradient
def tanh(x: tf.Tensor) -> WithGradient:
    """tanh(x), any shape; dx = dy (1 - y^2)."""
    y = tf.tanh(x)
    return y, lambda dy: dy * (1.0 - y * y)


@tf.custom_gradient
def sigmoid(x: tf.Tensor) -> WithGradient:
    """1 / (1 + exp(-x)), any shape; dx = dy y (1 - y)."""
    y = tf.sigmoid(x)
    return y, lambda dy: dy * y * (1.0 - y)


@tf.custom_gradient
def relu(x: tf.Tensor) -> WithGradient:
    """max(x, 0), any shape; dx = dy where x > 0."""
    return tf.nn.relu(x), lambda dy: tf.where(x > 0.0, dy, tf.zeros_like(dy))


@tf.custom_gradient
def log_softmax(x: tf.Tensor) -> WithGradient:
    """log softmax over the last axis; dx = dy - softmax(x) sum(dy)."""
    y = tf.nn.log_softmax(x)
    return y, lambda dy: dy - tf.exp(y) * tf.reduce_sum(dy, axis=-1, keepdims=True)


@tf.custom_gradient
def softmax(x: tf.Tensor) -> WithGradient:
    """softmax over the last axis; dx = y (dy - sum(dy y))."""
    y = tf.nn.softmax(x)
    return y, lambda dy: y * (dy - tf.reduce_sum(dy * y, axis=-1, keepdims=True))


@tf.custom_gradient
def swish(x: tf.Tensor) -> WithGradient:
    """x sigmoid(x), any shape (Ramachandran et al. 2017); dx = dy s (1 + x (1 - s)) with s = sigmoid(x).

    Only x is kept: the backward pass computes 1 - s as sigmoid(-x), which no compiler mistakes for the forward's s.
    """

    def gradient(dy):
        rest = tf.sigmoid(-x)
        return dy * (1.0 - rest) * (1.0 + x * rest)

    return x * tf.sigmoid(x), gradient


@tf.custom_gradient
def gelu(x: tf.Tensor) -> WithGradient:
    """x Phi(x), Phi being the normal distribution function, exactly (Hendrycks and Gimpel 2016), any shape.

    dx = dy (Phi(x) + x phi(x)). TFLite has GELU but no error function, so the backward pass computes Phi(x) as gelu(x)
    / x, and near 0, where that loses its digits, as 1/2 + x phi(0).
    """

    def gradient(dy):
        near = tf.abs(x) < 1e-3
        ratio = tf.nn.gelu(x, approximate=False) / tf.where(near, tf.ones_like(x), x)
        cumulative = tf.where(near, 0.5 + INVERSE_SQRT_2_PI * x, ratio)
        return dy * (cumulative + x * INVERSE_SQRT_2_PI * tf.exp(-0.5 * x * x))

    return tf.nn.gelu(x, approximate=False), gradient


def glu(x: tf.Tensor) -> tf.Tensor:
    """Gated linear unit (Dauphin et al. 2017): [..., 2 d] -> [..., d], the first half times the sigmoid of
    the second.
    """
    values, gates = tf.split(x, 2, axis=-1)
    return values * sigmoid(gates)


@tf.custom_gradient
def _normalize(x: tf.Tensor) -> WithGradient:
    centered = x - tf.reduce_mean(x, axis=-1, keepdims=True)
    scale = tf.math.rsqrt(tf.reduce_mean(centered * centered, axis=-1, keepdims=True) + 1e-5)
    y = centered * scale

    def gradient(dy):
        mean_dy = tf.reduce_mean(dy, axis=-1, keepdims=True)
        mean_dy_y = tf.reduce_mean(dy * y, axis=-1, keepdims=True)
        return scale * (dy - mean_dy - y * mean_dy_y)

    return y, gradient


def layer_norm(x: tf.Tensor, gain: tf.Tensor, bias: tf.Tensor | None = None) -> tf.Tensor:
    """Layer normalisation over the last axis (Ba et al. 2016), variance floor 1e-5.

    Args:
        x: [..., units] float32.
        gain: [units].
        bias: [units], or None to add none.
    """
    normalized = _normalize(x) * gain
    return normalized if bias is None else normalized + bias


def length_mask(lengths: tf.Tensor, size: int) -> tf.Tensor:
    """[batch, size] bool, true where the position is below the row's length."""
    return tf.expand_dims(tf.range(size), 0) < tf.expand_dims(lengths, 1)


def zero_padding(x: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """x [batch, time, d] with zeros past each row's length, also in place of NaN."""
    return tf.where(tf.expand_dims(length_mask(lengths, x.shape[1]), 2), x, tf.zeros_like(x))


def with_end(tokens: tf.Tensor, token_lengths: tf.Tensor, end: int) -> tf.Tensor:
    """Label sequences [batch, U] int32 with the end label after each, [batch, U+1]; positions past a row's length hold
    the end label as well.
    """
    ended = tf.where(length_mask(token_lengths, tokens.shape[1]), tokens, end)
    return tf.pad(ended, [[0, 0], [0, 1]], constant_values=end)
