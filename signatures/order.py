"""Order between ops that no data flows between.

TFLite runs ops in the order they are written in the file, which is that of their data alone; control dependencies are
lost. What backward makes anew to save memory would so be made in the forward pass and held, or be found equal to what
the forward pass made.
"""

import tensorflow as tf


def after(x: tf.Tensor, earlier: tf.Tensor) -> tf.Tensor:
    """x, any float32 tensor, made only when `earlier` is there: x + min(|earlier|, 0), of the first value of `earlier`.

    The same values, unless that first one is NaN, which makes all NaN. Of rank 1 at least.
    """
    rank = earlier.shape.rank
    first = tf.reshape(tf.slice(earlier, [0] * rank, [1] * rank), [1])  # the whole reshaped would be a copy
    return x + tf.minimum(tf.abs(first), 0.0)
