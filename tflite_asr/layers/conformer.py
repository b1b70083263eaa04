"""The conformer layer group (Gulati et al. 2020, arXiv 2005.08100), trainable on the device.

It differs from the paper in two ways. It uses layer normalisation instead of batch normalisation, since the statistics
of one or two utterances are too noisy. The depthwise convolution looks back only.
"""

from typing import Any

import tensorflow as tf
import tf_keras as keras

from tflite_asr.layers.encoder import stack_frames
from tflite_asr.ops.attention import self_attention
from tflite_asr.ops.convolution import causal_depthwise_convolution
from tflite_asr.ops.elementary import glu, layer_norm, swish, zero_padding
from tflite_asr.ops.product import saved_dense


class _Module(keras.layers.Layer):
    """A residual branch: layer normalisation first, dropout last."""

    def __init__(self, units: int, dropout: float, **kwargs: Any):
        super().__init__(**kwargs)
        self.units = units
        self.dropout = keras.layers.Dropout(dropout)

    def build(self, input_shape: tf.TensorShape) -> None:
        """Create the weights."""
        self.gain = self.add_weight("gain", [self.units], initializer="ones")
        self.shift = self.add_weight("shift", [self.units], initializer="zeros")

    def add_dense(self, name: str, inputs: int, outputs: int) -> tuple[tf.Variable, tf.Variable]:
        """Kernel [inputs, outputs] and bias [outputs]."""
        return (
            self.add_weight(f"{name}_kernel", [inputs, outputs], initializer="glorot_uniform"),
            self.add_weight(f"{name}_bias", [outputs], initializer="zeros"),
        )

    def normalized(self, x: tf.Tensor) -> tf.Tensor:
        """Layer normalisation of x [..., units]."""
        return layer_norm(x, self.gain, self.shift)

    def dropped(self, x: tf.Tensor, training: bool) -> tf.Tensor:
        """x with dropout in training."""
        return self.dropout(x, training=True) if training else x


class FeedForward(_Module):
    """Dense, swish, dense (figure 4 of the paper)."""

    def __init__(self, units: int, hidden: int, dropout: float, **kwargs: Any):
        super().__init__(units, dropout, **kwargs)
        self.hidden = hidden

    def build(self, input_shape: tf.TensorShape) -> None:
        """Create the weights."""
        super().build(input_shape)
        self.inner = self.add_dense("inner", self.units, self.hidden)
        self.outer = self.add_dense("outer", self.hidden, self.units)

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """[batch, time, units] -> the same shape."""
        hidden = self.dropped(swish(saved_dense(self.normalized(x), *self.inner)), training)
        return self.dropped(saved_dense(hidden, *self.outer), training)

    def activation_values(self) -> int:
        """Kept for backward, per step: normalised before and after its gain, the hidden layer before and
        after swish.
        """
        return 2 * self.units + 2 * self.hidden


class SelfAttention(_Module):
    """Multi-head self-attention (figure 3 of the paper; positions as in `ops.attention.position_bias`)."""

    def __init__(self, units: int, heads: int, left_context: int, dropout: float, **kwargs: Any):
        super().__init__(units, dropout, **kwargs)
        self.heads = heads
        self.left_context = left_context

    def build(self, input_shape: tf.TensorShape) -> None:
        """Create the weights."""
        super().build(input_shape)
        self.projections = [self.add_dense(name, self.units, self.units) for name in ("query", "key", "value")]
        self.outer = self.add_dense("outer", self.units, self.units)

    def call(self, x: tf.Tensor, lengths: tf.Tensor, training: bool = False) -> tf.Tensor:
        """[batch, time, units], lengths [batch] -> [batch, time, units]."""
        x = self.normalized(x)
        query, key, value = (saved_dense(x, *weights) for weights in self.projections)
        attended = self_attention(query, key, value, lengths, self.heads, self.left_context)
        return self.dropped(saved_dense(attended, *self.outer), training)

    def activation_values(self) -> int:
        """Kept for backward, per step: normalised before and after its gain, query, key, value, what was attended
        to."""
        return 6 * self.units


class Convolution(_Module):
    """Pointwise, GLU, causal depthwise, layer normalisation, swish, pointwise (figure 2 of the paper)."""

    def __init__(self, units: int, taps: int, dropout: float, **kwargs: Any):
        super().__init__(units, dropout, **kwargs)
        self.taps = taps

    def build(self, input_shape: tf.TensorShape) -> None:
        """Create the weights."""
        super().build(input_shape)
        self.inner = self.add_dense("inner", self.units, 2 * self.units)
        # a channel's filter has `taps` inputs and outputs, whatever the number of channels
        limit = (3.0 / self.taps) ** 0.5
        uniform = keras.initializers.RandomUniform(-limit, limit)
        self.depthwise_kernel = self.add_weight("depthwise_kernel", [self.taps, self.units], initializer=uniform)
        self.depthwise_bias = self.add_weight("depthwise_bias", [self.units], initializer="zeros")
        self.middle_gain = self.add_weight("middle_gain", [self.units], initializer="ones")
        self.middle_shift = self.add_weight("middle_shift", [self.units], initializer="zeros")
        self.outer = self.add_dense("outer", self.units, self.units)

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """[batch, time, units] -> the same shape."""
        x = glu(saved_dense(self.normalized(x), *self.inner))
        x = causal_depthwise_convolution(x, self.depthwise_kernel) + self.depthwise_bias
        x = swish(layer_norm(x, self.middle_gain, self.middle_shift))
        return self.dropped(saved_dense(x, *self.outer), training)

    def activation_values(self) -> int:
        """Kept for backward, per step: normalised before and after its gain, both halves of the GLU and its result,
        normalised before and after the middle gain, swish."""
        return 8 * self.units


class ConformerGroup(keras.layers.Layer):
    """A layer group: half a feed-forward step, self-attention, convolution, half a feed-forward step, layer norm
    (equation 1 of the paper). Time reduction and a projection to `units` come first, if they are needed.

    It has no state for streaming: `state` must be None, and None is returned.
    """

    def __init__(
        self,
        units: int,
        feed_forward: int,
        heads: int,
        kernel: int,
        *,
        left_context: int = 0,
        reduction: int = 1,
        dropout: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if units % heads:
            raise ValueError(f"expected units that {heads} heads divide, got {units}")
        self.units = units
        self.reduction = reduction
        self.feed_forward_1 = FeedForward(units, feed_forward, dropout, name="feed_forward_1")
        self.attention = SelfAttention(units, heads, left_context, dropout, name="attention")
        self.convolution = Convolution(units, kernel, dropout, name="convolution")
        self.feed_forward_2 = FeedForward(units, feed_forward, dropout, name="feed_forward_2")

    def build(self, input_shape: tf.TensorShape) -> None:
        """Create the weights."""
        self.inputs = input_shape[-1] * self.reduction
        if self.inputs != self.units:
            shape = [self.inputs, self.units]
            self.kernel = self.add_weight("kernel", shape, initializer="glorot_uniform")
            self.bias = self.add_weight("bias", [self.units], initializer="zeros")
        self.gain = self.add_weight("gain", [self.units], initializer="ones")
        self.shift = self.add_weight("shift", [self.units], initializer="zeros")
        super().build(input_shape)

    def call(
        self, x: tf.Tensor, lengths: tf.Tensor, state: None = None, training: bool = False
    ) -> tuple[tf.Tensor, tf.Tensor, None]:
        """x [batch, time, d], lengths [batch] -> [batch, time // reduction, units], lengths, None."""
        if state is not None:
            raise ValueError(f"{self.name}: expected no state, a conformer group does not stream")
        if self.reduction > 1:
            x, lengths = stack_frames(x, lengths, self.reduction)
        else:
            x = zero_padding(x, lengths)
        if self.inputs != self.units:
            x = saved_dense(x, self.kernel, self.bias)
        x += 0.5 * self.feed_forward_1(x, training=training)
        x += self.attention(x, lengths, training=training)
        x += self.convolution(x, training=training)
        x += 0.5 * self.feed_forward_2(x, training=training)
        return layer_norm(x, self.gain, self.shift), lengths, None

    def activation_elements(self, steps: int) -> int:
        """Values saved for backward, per utterance of `steps` input steps: those of its modules, the input of a
        projection, and the normalised output. Scales of normalisations, one value per step each, are not counted.
        """
        time = steps // self.reduction
        modules = (
            self.feed_forward_1.activation_values()
            + self.attention.activation_values()
            + self.convolution.activation_values()
            + self.feed_forward_2.activation_values()
        )
        projected = self.inputs if self.inputs != self.units else 0
        return time * (projected + modules + self.units)
