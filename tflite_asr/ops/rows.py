"""Reading and writing one row of a buffer inside a loop.

`tensor_scatter_nd_update` and `TensorArray` are several ops in TFLite, each with a copy of the whole buffer; the op
below becomes DYNAMIC_UPDATE_SLICE alone. It still copies a buffer that goes round a loop, as WHILE does after each
step, so what a loop carries should be small. XLA works in place when a model is trained.
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
