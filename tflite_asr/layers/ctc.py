"""The CTC head."""

from typing import Any

import tensorflow as tf
import tf_keras as keras

from tflite_asr.ops.elementary import layer_norm
from tflite_asr.ops.product import dense


class CTCHead(keras.layers.Layer):
    """A projection of the encoder's output to the labels, 0 being blank (Graves et al. 2006, section 3).

    Args:
        vocabulary_size: of the labels.
        normalizes: whether the input is normalised first: between the layers of a pre-norm encoder it is not.
    """

    def __init__(self, vocabulary_size: int, *, normalizes: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        self.vocabulary_size = vocabulary_size
        self.normalizes = normalizes

    def build(self, input_shape: tf.TensorShape) -> None:
        """Create the weights."""
        shape = [input_shape[-1], self.vocabulary_size]
        if self.normalizes:
            self.gain = self.add_weight("gain", [input_shape[-1]], initializer="ones")
        self.kernel = self.add_weight("kernel", shape, initializer="glorot_uniform")
        self.bias = self.add_weight("bias", [self.vocabulary_size], initializer="zeros")

    def call(self, encoded: tf.Tensor) -> tf.Tensor:
        """encoded [batch, time, d] -> logits [batch, time, vocabulary]."""
        return dense(layer_norm(encoded, self.gain) if self.normalizes else encoded, self.kernel, self.bias)

    def activation_elements(self, steps: int) -> int:
        """Kept for backward, per utterance of `steps` encoder steps: its input, also normalised, and log
        probabilities.
        """
        return steps * ((1 + self.normalizes) * self.kernel.shape[0] + self.vocabulary_size)


def best_path(logits: tf.Tensor, lengths: tf.Tensor, max_tokens: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Greedy decoding: the best label of each step, repeats joined, then blanks dropped (Graves et al. 2006, section
    3.2).

    Args:
        logits: [batch, time, vocabulary] float32.
        lengths: [batch] int32, in steps.
        max_tokens: labels of a row after which the rest of it is dropped.

    Returns:
        tokens [batch, max_tokens] int32 padded with 0, and their counts [batch] int32.
    """
    tokens, count, _ = continue_path(logits, lengths, max_tokens, tf.zeros_like(lengths))
    return tokens, count


def continue_path(
    logits: tf.Tensor, lengths: tf.Tensor, max_tokens: int, before: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """`best_path` of steps that follow others: `before` [batch] int32 is the best label of the step before these, which
    also comes back third, for the steps after these."""
    time = logits.shape[1]
    labels = tf.argmax(logits, axis=2, output_type=tf.int32)
    path = tf.concat([tf.expand_dims(before, 1), labels], axis=1)
    within = tf.expand_dims(tf.range(time), 0) < tf.expand_dims(lengths, 1)
    spoken = tf.cast((labels != 0) & (labels != tf.slice(path, [0, 0], [-1, time])) & within, tf.int32)
    ends = tf.cumsum(spoken, axis=1)  # the place of a label that is spoken, counted from 1
    place = tf.where(spoken > 0, ends - 1, -tf.ones_like(ends))
    rows = tf.one_hot(place, max_tokens) * tf.expand_dims(tf.cast(labels, tf.float32), 2)
    tokens = tf.cast(tf.reduce_sum(rows, axis=1), tf.int32)
    count = tf.minimum(tf.reduce_sum(spoken, axis=1), max_tokens)
    return tokens, count, tf.gather(path, lengths, batch_dims=1)
