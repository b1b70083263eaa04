"""The second pass: an attention decoder that scores label sequences given the encoder's output."""

from typing import Any

import tensorflow as tf
import tf_keras as keras

from tflite_asr.layers.encoder import LSTMGroup
from tflite_asr.layers.transducer import PredictionNetwork
from tflite_asr.ops.attention import cross_attention, cross_attention_weights
from tflite_asr.ops.product import dense


class Rescorer(keras.layers.Layer):
    """Listen, attend and spell (Chan et al. 2016, arXiv 1508.01211) as a rescorer (Sainath et al. 2019, arXiv
    1908.10992).

    An LSTM layer over the labels asks, by several heads, the encoder's output; a second LSTM layer takes both. What was
    attended to goes into the second layer, not back into the first (as in Wu et al. 2016, section 3), so that for given
    labels all steps are computed at once. Label 0 stands for the start, and in what comes out for the end.

    Args:
        vocabulary_size, embedding, units, dropout: as of a prediction network.
        heads: a divisor of units.
        max_labels: of a sequence, to say what activations weigh.
    """

    def __init__(
        self,
        vocabulary_size: int,
        embedding: int,
        units: int,
        heads: int,
        max_labels: int,
        dropout: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.vocabulary_size = vocabulary_size
        self.units = units
        self.heads = heads
        self.max_labels = max_labels
        self.labels = PredictionNetwork(vocabulary_size, embedding, units, dropout, name="labels")
        self.upper = LSTMGroup(units, dropout=dropout, name="upper")
        self.dropout = keras.layers.Dropout(dropout)

    def build(self, input_shape: tf.TensorShape) -> None:
        """Create the weights."""

        def projection(name, inputs, outputs):
            return (
                self.add_weight(f"{name}_kernel", [inputs, outputs], initializer="glorot_uniform"),
                self.add_weight(f"{name}_bias", [outputs], initializer="zeros"),
            )

        self.query = projection("query", self.units, self.units)
        self.key = projection("key", input_shape[-1], self.units)
        self.value = projection("value", input_shape[-1], self.units)
        self.output_projection = projection("output", self.units, self.vocabulary_size)
        super().build(input_shape)

    def call(
        self,
        encoded: tf.Tensor,
        lengths: tf.Tensor,
        tokens: tf.Tensor,
        token_lengths: tf.Tensor,
        training: bool = False,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Logits of the next label of each sequence, after 0, 1, ... U labels.

        Args:
            encoded: [batch, time, e] float32, lengths: [batch] int32, of the encoder.
            tokens: [batch n, U] int32, n sequences for each row of the encoder; token_lengths: [batch n] int32.

        Returns:
            logits [batch n, U+1, vocabulary], and attention weights [batch, heads, n (U+1), time].
        """
        rows, width = tokens.shape[0], tokens.shape[1] + 1
        started, counts = tf.pad(tokens, [[0, 0], [1, 0]]), token_lengths + 1
        labels, _, _ = self.labels(started, counts, training=training)
        query = tf.reshape(dense(labels, *self.query), [encoded.shape[0], -1, self.units])
        key = dense(encoded, *self.key)
        context = cross_attention(query, key, dense(encoded, *self.value), lengths, self.heads)
        weights = cross_attention_weights(query, key, lengths, self.heads)
        both = tf.concat([labels, tf.reshape(context, [rows, width, self.units])], axis=2)
        x, _, _ = self.upper(both, counts, training=training)
        if training:
            x = self.dropout(x, training=True)
        return dense(x, *self.output_projection), weights

    def activation_elements(self, steps: int) -> int:
        """Kept for backward, per utterance of `steps` encoder steps: both recurrent layers', queries, keys, values and
        context, log probabilities."""
        labels = self.max_labels + 1
        recurrent = self.labels.activation_elements(labels) + self.upper.activation_elements(labels)
        attention = 2 * self.units * (steps + labels)
        return recurrent + attention + labels * (self.units + self.vocabulary_size)
