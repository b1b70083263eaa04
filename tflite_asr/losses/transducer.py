"""Transducer loss (Graves 2012, arXiv 1211.3711, section 2.4) as a wavefront over diagonals.

The lattice has nodes (t, u); blank goes from (t, u) to (t+1, u), label u+1 from (t, u) to (t, u+1). All nodes of
one diagonal n = t + u depend only on the diagonal before, so T + U steps of vector work do both recursions. The
gradient with respect to a transition's log probability is minus its occupation probability, which the backward
recursion gives; nothing is differentiated through a loop.
"""

import tensorflow as tf

from tflite_asr.losses.lattice import LOG_ZERO, log_add, shift_left, shift_right
from tflite_asr.ops.elementary import log_softmax
from tflite_asr.ops.rows import get_row, set_row


def _skew(x: tf.Tensor) -> tf.Tensor:
    """[batch, T, U+1] -> [T+U, batch, U+1], row n holding the diagonal t + u = n, log zero off the lattice."""
    batch, time, width = x.shape
    columns = tf.pad(tf.transpose(x, [0, 2, 1]), [[0, 0], [0, 0], [0, width]], constant_values=LOG_ZERO)
    flat = tf.reshape(columns, [batch, width * (time + width)])
    flat = tf.slice(flat, [0, 0], [-1, width * (time + width - 1)])  # every row starts one place later
    return tf.transpose(tf.reshape(flat, [batch, width, time + width - 1]), [2, 0, 1])


def _unskew(diagonals: tf.Tensor, time: int) -> tf.Tensor:
    """The inverse of `_skew` on the lattice: [T+U, batch, U+1] -> [batch, T, U+1]."""
    count, batch, width = diagonals.shape
    flat = tf.reshape(tf.transpose(diagonals, [1, 2, 0]), [batch, width * count])
    flat = tf.pad(flat, [[0, 0], [0, width]])
    columns = tf.slice(tf.reshape(flat, [batch, width, count + 1]), [0, 0, 0], [-1, -1, time])
    return tf.transpose(columns, [0, 2, 1])


@tf.custom_gradient
def _negative_log_likelihood(blank, label, ends_diagonal, ends_label):
    """blank, label [batch, T, U+1] log probabilities, log zero where no transition is; ends: [batch] int32 T_b + U_b
    and [batch, U+1] 0/1 at U_b. Returns [batch]."""
    batch, time, width = blank.shape
    blank_diagonals, label_diagonals = _skew(blank), _skew(label)
    count = blank_diagonals.shape[0]
    steps = tf.reduce_max(ends_diagonal)
    at_end = tf.cast(ends_label, tf.bool)
    start = tf.tile(tf.constant([[0.0] + [LOG_ZERO] * (width - 1)]), [batch, 1])

    def forward(n, alpha, alphas):
        alpha = log_add(alpha + get_row(blank_diagonals, n), shift_right(alpha + get_row(label_diagonals, n)))
        return n + 1, alpha, set_row(alphas, n + 1, alpha)

    alphas = set_row(tf.fill([count + 1, batch, width], LOG_ZERO), tf.constant(0), start)
    _, _, alphas = tf.while_loop(lambda n, *_: n < steps, forward, (tf.constant(0), start, alphas))
    # each row's last node, picked by a mask: diagonal T_b + U_b, label U_b
    on_diagonal = tf.expand_dims(tf.range(count + 1), 1) == tf.expand_dims(ends_diagonal, 0)
    last = tf.expand_dims(on_diagonal, 2) & tf.expand_dims(at_end, 0)
    log_likelihood = tf.reduce_sum(tf.where(last, alphas, tf.zeros_like(alphas)), axis=[0, 2])

    def gradient(d_loss):
        def backward(n, beta, blank_occupation, label_occupation):
            # beta belongs to diagonal n + 1; a row that ends there starts from log 1
            ends_here = tf.expand_dims(ends_diagonal == n + 1, 1) & at_end
            beta = tf.where(ends_here, tf.zeros_like(beta), beta)
            through_blank = get_row(blank_diagonals, n) + beta
            through_label = get_row(label_diagonals, n) + shift_left(beta)
            offset = get_row(alphas, n) - tf.expand_dims(log_likelihood, 1)
            blank_occupation = set_row(blank_occupation, n, tf.exp(tf.minimum(through_blank + offset, 0.0)))
            label_occupation = set_row(label_occupation, n, tf.exp(tf.minimum(through_label + offset, 0.0)))
            return n - 1, log_add(through_blank, through_label), blank_occupation, label_occupation

        zeros = tf.zeros([count, batch, width])
        _, _, blank_occupation, label_occupation = tf.while_loop(
            lambda n, *_: n >= 0,
            backward,
            (steps - 1, tf.fill([batch, width], LOG_ZERO), zeros, zeros),
        )
        scale = -tf.reshape(d_loss, [batch, 1, 1])
        return _unskew(blank_occupation, time) * scale, _unskew(label_occupation, time) * scale, None, None

    return -log_likelihood, gradient


def transducer_loss(
    logits: tf.Tensor, labels: tf.Tensor, frame_lengths: tf.Tensor, label_lengths: tf.Tensor
) -> tf.Tensor:
    """-log P(labels | frames), summed over all alignments: equation 18 of Graves 2012.

    Args:
        logits: [batch, T, U+1, vocabulary] float32, label 0 is blank; what stands past the lengths is ignored, NaN too.
        labels: [batch, U] int32.
        frame_lengths: [batch] int32, at most T; a row of length 0 has loss 0 and no gradient.
        label_lengths: [batch] int32; out of range, a row has no meaningful loss.

    Returns:
        [batch] float32, in nats.
    """
    may_blank, _ = _transitions(logits.shape[1], logits.shape[2], frame_lengths, label_lengths)
    log_probabilities = log_softmax(tf.where(tf.expand_dims(may_blank, 3), logits, tf.zeros_like(logits)))
    blank = tf.squeeze(tf.slice(log_probabilities, [0, 0, 0, 0], [-1, -1, -1, 1]), axis=3)
    one_hot = next_labels(labels, logits.shape[3])
    label = tf.reduce_sum(log_probabilities * tf.expand_dims(one_hot, 1), axis=3)
    return alignment_loss(blank, label, frame_lengths, label_lengths)


def next_labels(labels: tf.Tensor, vocabulary: int) -> tf.Tensor:
    """labels [batch, U] int32 -> one-hot [batch, U+1, vocabulary] of the label that comes after u."""
    return tf.one_hot(tf.pad(labels, [[0, 0], [0, 1]]), vocabulary)


def alignment_loss(blank: tf.Tensor, label: tf.Tensor, frame_lengths: tf.Tensor, label_lengths: tf.Tensor) -> tf.Tensor:
    """`transducer_loss` from the log probabilities of blank and of the next label, [batch, T, U+1] each, ignored past
    the lengths.
    """
    batch, time, width = blank.shape
    may_blank, may_label = _transitions(time, width, frame_lengths, label_lengths)
    log_zero = tf.fill([batch, time, width], LOG_ZERO)
    # a row without frames has nothing to align: its end is its start
    # no diagonal past the last
    label_lengths = tf.where(
        frame_lengths > 0, tf.where(label_lengths >= width, width - 1, tf.maximum(label_lengths, 0)), 0
    )
    ends_label = tf.cast(tf.expand_dims(tf.range(width), 0) == tf.expand_dims(label_lengths, 1), tf.int32)
    return _negative_log_likelihood(
        tf.where(may_blank, blank, log_zero),
        tf.where(may_label, label, log_zero),
        frame_lengths + label_lengths,
        ends_label,
    )


def _transitions(
    time: int, width: int, frame_lengths: tf.Tensor, label_lengths: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Where blank and where a label may be emitted: two [batch, T, U+1] bool."""
    in_time = tf.reshape(tf.range(time), [1, time, 1]) < tf.reshape(frame_lengths, [-1, 1, 1])
    positions = tf.reshape(tf.range(width), [1, 1, width])
    row_labels = tf.reshape(label_lengths, [-1, 1, 1])
    return in_time & (positions <= row_labels), in_time & (positions < row_labels)
