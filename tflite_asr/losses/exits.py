"""One loss of the losses at several exits."""

import tensorflow as tf

BESIDES = 0.3  # weight of each of the two exits that the sandwich takes besides the last


def joint_loss(exit_losses: tf.Tensor, weighting: str, *, draw: bool) -> tf.Tensor:
    """What all exits are trained by together.

    Args:
        exit_losses: [exits, batch] float32, the last exit last.
        weighting: `sum`, every exit alike (Wright et al. 2023), or `sandwich`: the last, 0.3 of the first
            and 0.3 of one between (after Yu and Huang 2019, arXiv 1903.05134).
        draw: take the one between at random, the same for the whole batch; otherwise the mean of those between, which
            the draw has as its expectation.

    Returns:
        [batch].
    """
    exits = exit_losses.shape[0]
    if exits == 1 or weighting == "sum":
        return tf.reduce_sum(exit_losses, axis=0)
    between = exits - 2
    if between == 0:
        weights = tf.constant([[BESIDES, 1.0]])
    else:
        if draw:
            chosen = tf.one_hot(tf.random.uniform([], maxval=between, dtype=tf.int32), between)
        else:
            chosen = tf.fill([between], 1.0 / between)
        weights = tf.expand_dims(tf.concat([[BESIDES], BESIDES * chosen, [1.0]], axis=0), 0)
    return tf.squeeze(tf.matmul(weights, exit_losses), 0)
