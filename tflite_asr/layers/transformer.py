"""The transformer encoder's layer group, with rotary positions (Jeffries et al. 2024, arXiv 2410.15608, section 3)."""

from typing import Any

import tensorflow as tf
import tf_keras as keras

from tflite_asr.ops.attention import rotary_attention
from tflite_asr.ops.elementary import gelu, layer_norm, swish, zero_padding
from tflite_asr.ops.product import saved_dense, saved_product


class Branch(keras.layers.Layer):
    """A residual branch: layer normalisation with a gain only, first; dropout last."""

    def __init__(self, units: int, dropout: float = 0.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.units = units
        self.dropout = keras.layers.Dropout(dropout)

    def build(self, input_shape: tf.TensorShape) -> None:
        """Create the weights."""
        self.gain = self.add_weight("gain", [self.units], initializer="ones")

    def add_kernel(self, name: str, inputs: int, outputs: int) -> tf.Variable:
        """A kernel [inputs, outputs]."""
        return self.add_weight(f"{name}_kernel", [inputs, outputs], initializer="glorot_uniform")

    def dropped(self, x: tf.Tensor, training: bool) -> tf.Tensor:
        """x with dropout in training."""
        return self.dropout(x, training=True) if training else x


class Attention(Branch):
    """Projections of multi-head attention without biases; a subclass or a caller attends with them."""

    def __init__(self, units: int, heads: int, dropout: float = 0.0, **kwargs: Any):
        super().__init__(units, dropout, **kwargs)
        self.heads = heads

    def build(self, input_shape: tf.TensorShape) -> None:
        """Create the weights."""
        super().build(input_shape)
        self.query, self.key, self.value, self.outer = (
            self.add_kernel(name, self.units, self.units) for name in ("query", "key", "value", "outer")
        )


class RotaryAttention(Attention):
    """Self-attention with rotary positions.

    Args:
        rotary: dimensions of a head that are rotated.
        causal: whether a step attends only to itself and those before it.
    """

    def __init__(self, units: int, heads: int, rotary: int, causal: bool = False, dropout: float = 0.0, **kwargs: Any):
        super().__init__(units, heads, dropout, **kwargs)
        self.rotary = rotary
        self.causal = causal

    def call(self, x: tf.Tensor, lengths: tf.Tensor, training: bool = False) -> tf.Tensor:
        """[batch, time, units], lengths [batch] -> [batch, time, units]."""
        x = layer_norm(x, self.gain)
        query, key, value = (saved_product(x, kernel) for kernel in (self.query, self.key, self.value))
        attended = rotary_attention(query, key, value, lengths, self.heads, self.rotary, self.causal)
        return self.dropped(saved_product(attended, self.outer), training)

    def activation_values(self) -> int:
        """Kept for backward, per step: normalised before and after its gain, rotated query and key, value, what was
        attended to."""
        return 6 * self.units


class FeedForward(Branch):
    """Dense, gelu, dense.

    Args:
        hidden: units between.
        gated: the inner layer has twice as many units, and the result is u swish(g) of its halves u and g (SwiGLU,
            Shazeer 2020, arXiv 2002.05202).
    """

    def __init__(self, units: int, hidden: int, gated: bool = False, dropout: float = 0.0, **kwargs: Any):
        super().__init__(units, dropout, **kwargs)
        self.hidden = hidden
        self.gated = gated

    def build(self, input_shape: tf.TensorShape) -> None:
        """Create the weights."""
        super().build(input_shape)
        width = 2 * self.hidden if self.gated else self.hidden
        self.inner = self.add_kernel("inner", self.units, width), self.add_bias("inner", width)
        self.outer = self.add_kernel("outer", self.hidden, self.units), self.add_bias("outer", self.units)

    def add_bias(self, name: str, size: int) -> tf.Variable:
        """A bias [size]."""
        return self.add_weight(f"{name}_bias", [size], initializer="zeros")

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """[batch, time, units] -> the same shape."""
        x = saved_dense(layer_norm(x, self.gain), *self.inner)
        if self.gated:
            values, gates = tf.split(x, 2, axis=-1)
            x = values * swish(gates)
        else:
            x = gelu(x)
        return self.dropped(saved_dense(x, *self.outer), training)

    def activation_values(self) -> int:
        """Kept for backward, per step: normalised before and after its gain, the hidden values before and
        after gelu.
        """
        return 2 * self.units + 2 * self.hidden


class TransformerGroup(keras.layers.Layer):
    """A layer group: x += attention(x), x += feed forward(x); the encoder's last group normalises its output.

    It has no state for streaming: `state` must be None, and None is returned.
    """

    reduction = 1

    def __init__(
        self,
        units: int,
        feed_forward: int,
        heads: int,
        rotary: int,
        last: bool = False,
        dropout: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.units = units
        self.last = last
        self.attention = RotaryAttention(units, heads, rotary, dropout=dropout, name="attention")
        self.feed_forward = FeedForward(units, feed_forward, dropout=dropout, name="feed_forward")

    def build(self, input_shape: tf.TensorShape) -> None:
        """Create the weights."""
        if self.last:
            self.gain = self.add_weight("gain", [self.units], initializer="ones")
        super().build(input_shape)

    def call(
        self, x: tf.Tensor, lengths: tf.Tensor, state: None = None, training: bool = False
    ) -> tuple[tf.Tensor, tf.Tensor, None]:
        """x [batch, time, units], lengths [batch] -> [batch, time, units], lengths, None."""
        if state is not None:
            raise ValueError(f"{self.name}: expected no state, a transformer group does not stream")
        x = zero_padding(x, lengths)
        x += self.attention(x, lengths, training=training)
        x += self.feed_forward(x, training=training)
        return (layer_norm(x, self.gain) if self.last else x), lengths, None

    def activation_elements(self, steps: int) -> int:
        """Values saved for backward, per utterance of `steps` steps: those of its branches, and the last group's
        normalised output. Scales of normalisations, one value per step each, are not counted.
        """
        branches = self.attention.activation_values() + self.feed_forward.activation_values()
        return steps * (branches + (self.units if self.last else 0))
