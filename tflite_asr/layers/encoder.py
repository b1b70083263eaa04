"""The encoder's parts: the LSTM layer group and time reduction."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras

from tflite_asr.ops.elementary import layer_norm, zero_padding
from tflite_asr.ops.loops import padded_time
from tflite_asr.ops.lstm import lstm

LSTMState = tuple[tf.Tensor, tf.Tensor]  # hidden [batch, units], cell [batch, cells]
GroupState = LSTMState | tuple[()] | None  # of a layer group; only LSTM groups have one


def stack_frames(x: tf.Tensor, lengths: tf.Tensor, factor: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Join `factor` neighbouring frames into one: [batch, time, d] -> [batch, time // factor, factor d].

    Frames that do not fill a whole new frame are dropped, so that a stream and a whole utterance agree. Values past a
    row's length, NaN included, become zero.
    """
    batch, time, width = x.shape
    x = zero_padding(x, lengths)
    steps = time // factor
    x = tf.reshape(tf.slice(x, [0, 0, 0], [-1, steps * factor, -1]), [batch, steps, factor * width])
    return x, lengths // factor


class LSTMGroup(keras.layers.Layer):
    """A layer group: time reduction, if needed, then an LSTM layer and layer normalisation.

    The output has `units` values: the LSTM's cells, or a projection of more `cells`. Its state for streaming is (hidden
    [batch, units], cell [batch, cells]). A `residual` group adds its input to its output (He et al. 2016, arXiv
    1512.03385); its gain is zero at first, so that a new group on top of a trained encoder changes nothing yet.
    """

    def __init__(
        self,
        units: int,
        reduction: int = 1,
        dropout: float = 0.0,
        cells: int | None = None,
        residual: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.units = units
        self.cells = cells or units
        self.reduction = reduction
        self.residual = residual
        self.dropout = keras.layers.Dropout(dropout)

    def build(self, input_shape: tf.TensorShape) -> None:
        """Create the weights."""
        width = input_shape[-1] * self.reduction
        units, cells = self.units, self.cells
        self.kernel = self.add_weight("kernel", [width, 4 * cells], initializer="glorot_uniform")
        # an orthogonal matrix of this size takes minutes to draw when it is large
        initializer = "orthogonal" if cells == units else "glorot_uniform"
        self.recurrent_kernel = self.add_weight("recurrent_kernel", [units, 4 * cells], initializer=initializer)
        self.bias = self.add_weight("bias", [4 * cells], initializer=_forget_bias)
        self.projection = None
        if cells != units:
            self.projection = self.add_weight("projection", [cells, units], initializer="glorot_uniform")
        self.gain = self.add_weight("gain", [units], initializer="zeros" if self.residual else "ones")
        self.shift = self.add_weight("shift", [units], initializer="zeros")

    def call(
        self, x: tf.Tensor, lengths: tf.Tensor, state: LSTMState | None = None, training: bool = False
    ) -> tuple[tf.Tensor, tf.Tensor, LSTMState]:
        """x [batch, time, d], lengths [batch] -> [batch, time // reduction, units], lengths, state."""
        if self.reduction > 1:
            x, lengths = stack_frames(x, lengths, self.reduction)
        else:
            x = zero_padding(x, lengths)
        heard = self.dropout(x, training=True) if training else x
        y, new_state = lstm(heard, lengths, self.kernel, self.recurrent_kernel, self.bias, state, self.projection)
        y = layer_norm(y, self.gain, self.shift)
        return x + y if self.residual else y, lengths, new_state

    def initial_state(self, batch: int) -> LSTMState:
        """The state before the first chunk of a stream: zeros."""
        return tf.zeros([batch, self.units]), tf.zeros([batch, self.cells])

    def activation_elements(self, steps: int) -> int:
        """Kept for backward, per utterance of `steps` input steps: input, four gates, cell, output,
        normalised output.
        """
        return padded_time(steps // self.reduction) * (self.kernel.shape[0] + 5 * self.cells + 2 * self.units)


def _forget_bias(shape: Sequence[int], dtype: tf.DType | None = None) -> tf.Tensor:
    """Zeros, and ones for the forget gate, so that cells keep their values at the start of training (Jozefowicz et al.
    2015)."""
    units = shape[0] // 4
    return tf.concat([tf.zeros([units]), tf.ones([units]), tf.zeros([2 * units])], axis=0)
