"""Residual adapters: small layers that train for a speaker while the model's own weights stay as they are."""

from typing import Any

import tensorflow as tf
import tf_keras as keras

from tflite_asr.ops.elementary import layer_norm, relu, zero_padding
from tflite_asr.ops.product import dense


class AdapterGroup(keras.layers.Layer):
    """A layer group: x + up(relu(down(layer_norm(x)))) (Houlsby et al. 2019; for speakers Tomanek et al. 2021, arXiv
    2109.06952).

    `up` is zero at first, so new adapters do not change the output of a trained model. It has no state.

    Args:
        bottleneck: units between down and up.
    """

    reduction = 1

    def __init__(self, bottleneck: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.bottleneck = bottleneck

    def build(self, input_shape: tf.TensorShape) -> None:
        """Create the weights."""
        self.units = units = input_shape[-1]
        self.gain = self.add_weight("gain", [units], initializer="ones")
        self.shift = self.add_weight("shift", [units], initializer="zeros")
        self.down_kernel = self.add_weight("down_kernel", [units, self.bottleneck], initializer="glorot_uniform")
        self.down_bias = self.add_weight("down_bias", [self.bottleneck], initializer="zeros")
        self.up_kernel = self.add_weight("up_kernel", [self.bottleneck, units], initializer="zeros")
        self.up_bias = self.add_weight("up_bias", [units], initializer="zeros")

    def call(
        self, x: tf.Tensor, lengths: tf.Tensor, state: object = None, training: bool = False
    ) -> tuple[tf.Tensor, tf.Tensor, tuple[()]]:
        """x [batch, time, units], lengths [batch] -> the same shapes, and no state."""
        x = zero_padding(x, lengths)
        inner = relu(dense(layer_norm(x, self.gain, self.shift), self.down_kernel, self.down_bias))
        return x + dense(inner, self.up_kernel, self.up_bias), lengths, ()

    def initial_state(self, batch: int) -> tuple[()]:
        """The state before the first chunk of a stream: none."""
        return ()

    def activation_elements(self, steps: int) -> int:
        """Values saved for backward, per utterance of `steps` input steps: the input, its normalised form, and the
        bottleneck.
        """
        return steps * (2 * self.units + 2 * self.bottleneck)
