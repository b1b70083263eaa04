"""What makes the runtime give a computation's memory back as soon as it is done.

TFLite plans one arena for a signature and keeps it until the interpreter ends, so calls in parts would add up. The arena
of a branch of an IF op is freed when the branch ends. Each piece of a split step is therefore a branch that is always
taken, for a reason that only the runtime can know.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def in_arena(counts: tf.Tensor, body: Callable[[], Any]) -> Any:
    """What `body` returns, computed in an arena of its own.

    Args:
        counts: any int32 tensor without negative values, such as lengths.
        body: returns a nest of float32 and int32 tensors of fixed shapes; it may read and assign variables.
    """
    results: list[Any] = []

    def taken():
        results.append(body())
        return results[0]

    def not_taken():  # traced after the other branch
        zero = tf.reduce_min(counts)  # computed, so that no zeros are stored in the file
        return tf.nest.map_structure(lambda like: tf.fill(like.shape.as_list(), tf.cast(zero, like.dtype)), results[0])

    return tf.cond(tf.reduce_min(counts) >= 0, taken, not_taken)
