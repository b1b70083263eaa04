"""Distillation losses: distributions over a transducer's lattice and along label sequences.

At a lattice node (t, u) only three things can happen that matter to an alignment: the next label, blank, or anything
else (Panchapagesan et al. 2020, arXiv 2011.06110, section 3). A distribution over the vocabulary collapsed to these
three is what is kept of the teacher: 3 T U numbers an utterance, however large the vocabulary.
"""

import tensorflow as tf

from tflite_asr.losses.lattice import LOG_ZERO
from tflite_asr.ops.elementary import length_mask, log_softmax


def collapse(logits: tf.Tensor, labels: tf.Tensor, label_lengths: tf.Tensor) -> tf.Tensor:
    """Log probabilities of (next label, blank, rest) at every lattice node: [batch, T, U+1, 3].

    At a row's last labels, u = U, and past them there is no next label: its log probability is log zero there, and the
    rest is all but blank. The rest is the logsumexp over the other labels, not 1 - p - q, which would lose it where it
    is small.

    Args:
        logits: [batch, T, U+1, vocabulary] float32, finite, label 0 is blank; the vocabulary has three labels or more.
        labels: [batch, U] int32, none of them 0 within its length.
        label_lengths: [batch] int32.
    """
    width, vocabulary = logits.shape[2:]
    log_probabilities = log_softmax(logits)
    has_next = tf.expand_dims(length_mask(label_lengths, width), 2)  # [batch, U+1, 1]
    chosen = tf.one_hot(tf.pad(labels, [[0, 0], [0, 1]]), vocabulary, on_value=True, off_value=False) & has_next
    chosen, has_next = tf.expand_dims(chosen, 1), tf.expand_dims(has_next, 1)
    is_blank = tf.reshape(tf.range(vocabulary) == 0, [1, 1, 1, vocabulary])

    def log_sum(where):
        kept = tf.where(where, log_probabilities, LOG_ZERO)
        top = tf.stop_gradient(tf.reduce_max(kept, axis=3, keepdims=True))
        return top + tf.math.log(tf.reduce_sum(tf.exp(kept - top), axis=3, keepdims=True))

    label = tf.where(has_next, tf.reduce_sum(tf.where(chosen, log_probabilities, 0.0), axis=3, keepdims=True), LOG_ZERO)
    blank = tf.slice(log_probabilities, [0, 0, 0, 0], [-1, -1, -1, 1])
    return tf.concat([label, blank, log_sum(~(chosen | is_blank))], axis=3)


def transducer_distillation(
    teacher: tf.Tensor, student: tf.Tensor, frame_lengths: tf.Tensor, label_lengths: tf.Tensor
) -> tf.Tensor:
    """KL divergence of the student's lattice from the teacher's, mean over an utterance's nodes: [batch] float32, in
    nats.

    Args:
        teacher, student: [batch, T, U+1, 3] float32, as `collapse` makes them of the same labels.
        frame_lengths: [batch] int32; a row of length 0 has loss 0.
        label_lengths: [batch] int32.
    """
    time, width = teacher.shape[1:3]
    divergence = _divergence(teacher, student)
    valid = tf.expand_dims(length_mask(frame_lengths, time), 2) & tf.expand_dims(
        length_mask(label_lengths + 1, width), 1
    )
    nodes = tf.cast(frame_lengths * (label_lengths + 1), tf.float32)
    total = tf.reduce_sum(tf.where(valid, divergence, tf.zeros_like(divergence)), axis=[1, 2])
    return total / tf.maximum(nodes, 1.0)


def sequence_distillation(teacher: tf.Tensor, student: tf.Tensor, token_lengths: tf.Tensor) -> tf.Tensor:
    """KL divergence of the student's next labels from the teacher's, sum over the labels and the end: [batch], in nats.

    Args:
        teacher, student: logits [batch, U+1, vocabulary] float32 of the rescorers, after the same labels.
        token_lengths: [batch] int32.
    """
    divergence = _divergence(log_softmax(teacher), log_softmax(student))
    valid = length_mask(token_lengths + 1, teacher.shape[1])
    return tf.reduce_sum(tf.where(valid, divergence, tf.zeros_like(divergence)), axis=1)


def _divergence(teacher: tf.Tensor, student: tf.Tensor) -> tf.Tensor:
    """sum p (log p - log q) over the last axis; nothing goes back to the teacher."""
    teacher = tf.stop_gradient(teacher)
    return tf.reduce_sum(tf.exp(teacher) * (teacher - student), axis=-1)
