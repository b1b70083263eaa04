"""Losses of the second pass: cross entropy of label sequences, and a penalty on attention far from the diagonal."""

import tensorflow as tf

from tflite_asr.ops.elementary import length_mask, log_softmax, with_end

END = 0  # the label after the last; blank does not occur among them


def sequence_cross_entropy(logits: tf.Tensor, tokens: tf.Tensor, token_lengths: tf.Tensor) -> tf.Tensor:
    """-log P(labels, end), each label given those before it: [batch] float32, in nats.

    Args:
        logits: [batch, U+1, vocabulary] float32, after 0, 1, ... U labels; ignored past the lengths.
        tokens: [batch, U] int32.
        token_lengths: [batch] int32.
    """
    width, vocabulary = logits.shape[1:]
    valid = length_mask(token_lengths + 1, width)
    log_probabilities = log_softmax(tf.where(tf.expand_dims(valid, 2), logits, tf.zeros_like(logits)))
    targets = with_end(tokens, token_lengths, END)
    chosen = tf.reduce_sum(log_probabilities * tf.one_hot(targets, vocabulary), axis=2)
    return -tf.reduce_sum(tf.where(valid, chosen, tf.zeros_like(chosen)), axis=1)


def guided_attention(
    weights: tf.Tensor, lengths: tf.Tensor, token_lengths: tf.Tensor, deviation: float = 0.25
) -> tf.Tensor:
    """Attention that is far from the diagonal: [batch] float32, at most the number of labels and end.

    Sum over labels u of the mean over heads of sum_t w(u, t) (1 - exp(-(u/U - t/T)^2 / (2 deviation^2))): Tachibana et
    al. 2018 (arXiv 1710.08969), equation 6. Speech is read from left to right, which a decoder would else have to find
    out.

    Args:
        weights: [batch, heads, U+1, T] float32.
        lengths: [batch] int32, of T; token_lengths: [batch] int32, of U.
        deviation: how far is far, as a share of the utterance.
    """
    labels, time = weights.shape[2:]

    def share(size, counts):
        counts = tf.maximum(tf.expand_dims(tf.cast(counts, tf.float32), 1), 1.0)
        return tf.expand_dims(tf.range(size, dtype=tf.float32), 0) / counts

    distance = tf.expand_dims(share(labels, token_lengths + 1), 2) - tf.expand_dims(share(time, lengths), 1)
    penalty = 1.0 - tf.exp(-tf.square(distance) / (2 * deviation**2))
    far = tf.reduce_sum(tf.reduce_mean(weights, axis=1) * penalty, axis=2)
    return tf.reduce_sum(tf.where(length_mask(token_lengths + 1, labels), far, tf.zeros_like(far)), axis=1)
