"""Reading and writing one row of a buffer inside a loop, in place on every runtime.

`tensor_scatter_nd_update` and `TensorArray` copy the whole buffer at each step in TFLite; the op below
becomes DYNAMIC_UPDATE_SLICE, which works in place, and XLA does the same when a model is trained.
"""

import tensorflow as tf
from tensorflow.compiler.tf2xla.ops import gen_xla_ops


def set_row(buffer: tf.Tensor, index: tf.Tensor, row: tf.Tensor) -> tf.Tensor:
    """`buffer` with `buffer[index] = row`.

    Args:
        buffer: [rows, ...].
        index: [] int32, in [0, rows).
        row: [...], one row.
    """
    start = tf.concat([tf.reshape(index, [1]), tf.zeros([buffer.shape.rank - 1], tf.int32)], axis=0)
    return gen_xla_ops.xla_dynamic_update_slice(buffer, tf.expand_dims(row, 0), start)


def get_row(buffer: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
    """`buffer[index]`: [...] of [rows, ...]."""
    return tf.gather(buffer, index)
