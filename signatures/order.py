"""Orders ops that do not depend on each other's data.

TFLite runs ops in the order of the file, which follows data dependencies alone; control dependencies are lost. Tensors
that backward recomputes to save memory would be computed in the forward pass and held, or merged with those of the
forward pass.
"""

import tensorflow as tf


def after(x: tf.Tensor, earlier: tf.Tensor) -> tf.Tensor:
    """x, any float32 tensor, computed only after `earlier`: x + min(|earlier|, 0), of the first value of `earlier`.

    The values are the same, unless that first value is NaN, which makes all NaN. The rank is at least 1.
    """
    rank = earlier.shape.rank
    first = tf.reshape(tf.slice(earlier, [0] * rank, [1] * rank), [1])  # the whole reshaped would be a copy
    return x + tf.minimum(tf.abs(first), 0.0)
