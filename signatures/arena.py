"""Makes the runtime free a computation's memory as soon as it is done.

TFLite plans one arena for a signature and keeps it until the interpreter ends, so calls in parts would add up. The
arena of a branch of an IF op is freed when the branch ends. Each piece of a split step is therefore a branch.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def in_arena(when: tf.Tensor, body: Callable[[], Any]) -> Any:
    """Run `body` in an arena of its own. Returns its result, or zeros without running it where `when` does not hold.

    Args:
        when: [] bool, computed from the signature's inputs: a constant would be folded away, and the branch with it.
        body: returns a nest of float32 and int32 tensors of fixed shapes; it may read and assign variables.
    """
    results: list[Any] = []

    def taken():
        results.append(body())
        return results[0]

    def not_taken():  # traced after the other branch
        zero = tf.cast(when, tf.int32)  # computed, so that no zeros are stored in the file
        return tf.nest.map_structure(lambda like: tf.fill(like.shape.as_list(), tf.cast(zero, like.dtype)), results[0])

    return tf.cond(when, taken, not_taken)


def always(counts: tf.Tensor) -> tf.Tensor:
    """[] bool, true for a reason that only the runtime can know: `counts`, int32, has no negative values."""
    return tf.reduce_min(counts) >= 0
