"""The joint loss of several exits."""

import tensorflow as tf

BESIDES = 0.3  # weight of each of the two exits that the sandwich takes besides the last


def exit_weights(exits: int, weighting: str) -> list[float]:
    """The weight of each exit's loss, the last exit last.

    Args:
        exits: how many.
        weighting: `sum`, every exit alike (Wright et al. 2023), or `sandwich`: the last, 0.3 of the first and 0.3
            of one between (after Yu and Huang 2019, arXiv 1903.05134), here of the mean of those between.
    """
    if exits == 1 or weighting == "sum":
        return [1.0] * exits
    between = exits - 2
    return [BESIDES, *(BESIDES / between for _ in range(between)), 1.0]


def joint_loss(exit_losses: tf.Tensor, weighting: str, *, draw: bool) -> tf.Tensor:
    """The joint loss of all exits.

    Args:
        exit_losses: [exits, batch] float32, the last exit last.
        weighting: see `exit_weights`.
        draw: let the sandwich take the one between at random, the same for the whole batch; the mean of those
            between is what this has as its expectation.

    Returns:
        [batch].
    """
    exits = exit_losses.shape[0]
    weights = tf.constant([exit_weights(exits, weighting)])
    if draw and weighting == "sandwich" and exits > 2:
        chosen = tf.one_hot(tf.random.uniform([], minval=1, maxval=exits - 1, dtype=tf.int32), exits)
        ends = tf.constant([BESIDES, *[0.0] * (exits - 2), 1.0])
        weights = tf.expand_dims(ends + BESIDES * chosen, 0)
    return tf.squeeze(tf.matmul(weights, exit_losses), 0)
