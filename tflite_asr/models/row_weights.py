"""Weights of the rows of a batch: 1 for an utterance, 0 for an empty row, NaN for invalid lengths or labels."""

import tensorflow as tf

from signatures.spec import in_range
from tflite_asr.ops.elementary import length_mask


def nan_outside(frame_lengths: tf.Tensor, most: int) -> tf.Tensor:
    """Row weights [batch] float32: 1 for an utterance, 0 for a row without frames, NaN where frame_lengths [batch] are
    not from 0 to `most`."""
    return tf.where(in_range(frame_lengths, 0, most), tf.cast(frame_lengths > 0, tf.float32), float("nan"))


def nan_without_labels(row_weights: tf.Tensor, valid: tf.Tensor, token_lengths: tf.Tensor) -> tf.Tensor:
    """`row_weights` [batch], NaN where an utterance's number of labels is out of range or any of them is none: valid
    [batch, U] bool tells which tokens are labels."""
    width = valid.shape[1]
    wrong = tf.reduce_sum(tf.cast(~(valid | ~length_mask(token_lengths, width)), tf.int32), axis=1)
    checked = in_range(token_lengths, 0, width) & (wrong == 0)
    return tf.where(checked | (row_weights == 0.0), row_weights, float("nan"))
