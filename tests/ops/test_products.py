import numpy as np
import tensorflow as tf

from tflite_asr.ops.product import product


def test_product_and_its_gradients_are_those_of_matmul():
    random = np.random.default_rng(0)
    x, kernel, weights = (tf.constant(random.standard_normal(shape), tf.float32) for shape in ((2, 3, 7), (7, 9), (2, 3, 9)))
    results = []
    for multiply in (product, lambda x, kernel: tf.einsum("btd,de->bte", x, kernel)):
        with tf.GradientTape() as tape:
            tape.watch([x, kernel])
            y = multiply(x, kernel)
            total = tf.reduce_sum(y * weights)
        results.append([y, *tape.gradient(total, [x, kernel])])
    for ours, theirs in zip(*results):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)  # sums of at most nine terms of the order of 1
