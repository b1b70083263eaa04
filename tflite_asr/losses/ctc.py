"""CTC loss (Graves et al. 2006, section 4) with its own backward recursion.

The labels are extended with blanks to S = 2U + 1 states; alpha and beta run over time, and the gradient with
respect to a state's log emission is minus its occupation probability.
"""

import tensorflow as tf

from tflite_asr.losses.lattice import LOG_ZERO, log_add, shift_left, shift_right
from tflite_asr.ops.elementary import log_softmax
from tflite_asr.ops.rows import get_row, set_row


@tf.custom_gradient
def _negative_log_likelihood(emissions, frame_lengths, may_skip, final):
    """emissions [T, batch, S] log; may_skip, final [batch, S]: 0 where a state may be entered from two before, where a
    path may end, log zero elsewhere. Returns [batch]."""
    time, batch, states = emissions.shape
    steps = tf.reduce_max(frame_lengths)
    start = tf.tile(tf.constant([[0.0, 0.0][:states] + [LOG_ZERO] * (states - 2)]), [batch, 1])

    def forward(t, alpha, alphas):
        entered = log_add(log_add(alpha, shift_right(alpha)), shift_right(alpha, 2) + may_skip)
        new = tf.where(t == 0, start, entered) + get_row(emissions, t)
        alpha = tf.where(tf.expand_dims(t < frame_lengths, 1), new, alpha)
        return t + 1, alpha, set_row(alphas, t, alpha)

    _, alpha, alphas = tf.while_loop(
        lambda t, *_: t < steps,
        forward,
        (tf.constant(0), tf.fill([batch, states], LOG_ZERO), tf.zeros([time, batch, states])),
    )
    ending = alpha + final
    top = tf.reduce_max(ending, axis=1)
    log_likelihood = top + tf.math.log(tf.reduce_sum(tf.exp(ending - tf.expand_dims(top, 1)), axis=1))
    has_frames = frame_lengths > 0
    loss = tf.where(has_frames, -log_likelihood, tf.zeros_like(log_likelihood))

    def gradient(d_loss):
        # no path at all: the occupations would be differences of log zeros
        has_paths = has_frames & (log_likelihood > 0.5 * LOG_ZERO)
        scale = tf.expand_dims(tf.where(has_paths, -d_loss, tf.zeros_like(d_loss)), 1)

        def backward(t, beta, d_emissions):
            # beta: log probability of what follows frame t, from each state
            valid = tf.expand_dims(t < frame_lengths, 1)
            occupation = tf.exp(tf.minimum(get_row(alphas, t) + beta - tf.expand_dims(log_likelihood, 1), 0.0))
            row = tf.where(valid, occupation * scale, tf.zeros_like(occupation))
            after = beta + get_row(emissions, t)
            skipped = shift_left(after + may_skip, 2)
            beta = tf.where(valid, log_add(log_add(after, shift_left(after)), skipped), beta)
            return t - 1, beta, set_row(d_emissions, t, row)

        _, _, d_emissions = tf.while_loop(
            lambda t, *_: t >= 0, backward, (steps - 1, final, tf.zeros([time, batch, states]))
        )
        return d_emissions, None, None, None

    return loss, gradient


def ctc_loss(logits: tf.Tensor, labels: tf.Tensor, frame_lengths: tf.Tensor, label_lengths: tf.Tensor) -> tf.Tensor:
    """-log P(labels | frames) summed over all alignments, label 0 being blank.

    Args:
        logits: [batch, T, vocabulary] float32; what stands past a row's length is ignored, NaN too.
        labels: [batch, U] int32, U >= 1; none is 0 within its length.
        frame_lengths: [batch] int32; a row of length 0 has loss 0 and no gradient.
        label_lengths: [batch] int32.

    Returns:
        [batch] float32, in nats; of the order of 1e30, without gradient, where the labels do not fit into the frames.
    """
    batch, time, vocabulary = logits.shape
    width = labels.shape[1]
    states = 2 * width + 1
    valid = tf.expand_dims(tf.range(time), 0) < tf.expand_dims(frame_lengths, 1)
    log_probabilities = log_softmax(tf.where(tf.expand_dims(valid, 2), logits, tf.zeros_like(logits)))
    # 0 a 0 b 0 ... 0
    extended = tf.reshape(tf.stack([tf.zeros_like(labels), labels], axis=2), [batch, 2 * width])
    extended = tf.pad(extended, [[0, 0], [0, 1]])
    emissions = tf.matmul(log_probabilities, tf.one_hot(extended, vocabulary), transpose_b=True)
    two_before = tf.pad(tf.slice(extended, [0, 0], [-1, states - 2]), [[0, 0], [2, 0]])
    log_zero = tf.fill([batch, states], LOG_ZERO)
    zeros = tf.zeros([batch, states])
    may_skip = tf.where((extended != 0) & (extended != two_before), zeros, log_zero)
    position = tf.expand_dims(tf.range(states), 0)
    last = 2 * tf.expand_dims(label_lengths, 1)
    final = tf.where((position == last) | (position == last - 1), zeros, log_zero)
    return _negative_log_likelihood(tf.transpose(emissions, [1, 0, 2]), frame_lengths, may_skip, final)
