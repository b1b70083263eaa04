"""The transducer's head: prediction network and joint network."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras

from tflite_asr.layers.encoder import LSTMGroup, LSTMState
from tflite_asr.ops.elementary import tanh
from tflite_asr.ops.emissions import emissions
from tflite_asr.ops.product import dense, merged, product


class PredictionNetwork(keras.layers.Layer):
    """The label history: embedding and an LSTM layer, a layer group. Label 0 (blank) stands for the start."""

    def __init__(
        self,
        vocabulary_size: int,
        embedding: int,
        units: int,
        dropout: float = 0.0,
        cells: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.vocabulary_size = vocabulary_size
        self.embedding_size = embedding
        self.dropout = keras.layers.Dropout(dropout)
        self.recurrent = LSTMGroup(units, dropout=dropout, cells=cells, name="recurrent")

    def build(self, input_shape: tf.TensorShape) -> None:
        """Create the weights."""
        shape = [self.vocabulary_size, self.embedding_size]
        self.embedding = self.add_weight("embedding", shape, initializer="glorot_uniform")
        super().build(input_shape)

    def call(
        self, tokens: tf.Tensor, lengths: tf.Tensor, state: LSTMState | None = None, training: bool = False
    ) -> tuple[tf.Tensor, tf.Tensor, LSTMState]:
        """tokens [batch, n] int32, lengths [batch] -> [batch, n, units], lengths and the state after them."""
        # a matrix product, since a gather has no gradient in TFLite
        embedded = product(tf.one_hot(tokens, self.vocabulary_size), self.embedding)
        outputs, _, new_state = self.recurrent(embedded, lengths, state, training=training)
        if training:
            outputs = self.dropout(outputs, training=True)
        return outputs, lengths, new_state

    def activation_elements(self, steps: int) -> int:
        """Kept for backward, per utterance of `steps` labels: the one-hot labels and the recurrent layer's."""
        return steps * self.vocabulary_size + self.recurrent.activation_elements(steps)


class JointNetwork(keras.layers.Layer):
    """tanh(W_e encoder + W_p prediction + b) projected to the labels (Graves 2012, equation 14 with a hidden layer)."""

    def __init__(self, vocabulary_size: int, units: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.vocabulary_size = vocabulary_size
        self.units = units

    def build(self, input_shape: Sequence[tf.TensorShape]) -> None:
        """Create the weights."""
        encoder_shape, prediction_shape = input_shape
        add, glorot = self.add_weight, "glorot_uniform"
        self.encoder_kernel = add("encoder_kernel", [encoder_shape[-1], self.units], initializer=glorot)
        self.prediction_kernel = add("prediction_kernel", [prediction_shape[-1], self.units], initializer=glorot)
        self.bias = add("bias", [self.units], initializer="zeros")
        self.output_kernel = add("output_kernel", [self.units, self.vocabulary_size], initializer=glorot)
        self.output_bias = add("output_bias", [self.vocabulary_size], initializer="zeros")

    def call(
        self, inputs: tuple[tf.Tensor, tf.Tensor], lattice: bool = False, one_hot: tf.Tensor | None = None
    ) -> tf.Tensor | tuple[tf.Tensor, tf.Tensor]:
        """(encoder [..., e], prediction [..., p]) -> logits [..., vocabulary].

        With `lattice`, encoder [batch, T, e] and prediction [batch, U+1, p] -> [batch, T, U+1, vocabulary]. With
        `one_hot`, [batch, U+1, vocabulary], of that lattice only what the loss needs, in less memory: log probabilities
        of blank and of these labels, [batch, T, U+1] each.
        """
        encoder, prediction = inputs
        encoder = product(encoder, self.encoder_kernel)
        prediction = dense(prediction, self.prediction_kernel, self.bias)
        if one_hot is not None:
            return emissions(encoder, prediction, merged(self.output_kernel), self.output_bias, one_hot)
        if lattice:
            encoder, prediction = tf.expand_dims(encoder, 2), tf.expand_dims(prediction, 1)
        return dense(tanh(encoder + prediction), self.output_kernel, self.output_bias)

    def activation_elements(self, steps: int) -> int:
        """Kept for backward, per utterance of `steps` lattice nodes: hidden values and log probabilities."""
        return steps * (self.units + self.vocabulary_size)
