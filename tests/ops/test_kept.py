import numpy as np
import pytest
import tensorflow as tf

from tflite_asr.ops.kept import kept, recording, replaying
from tflite_asr.ops.lstm import lstm


def test_each_op_gets_back_what_it_kept():
    calls = []

    def op(value):
        def compute():
            calls.append(value)
            return [tf.constant(value), tf.constant(-value)]

        return [float(tensor) for tensor in kept(2, compute)]

    assert op(1.0) == [1.0, -1.0]  # nothing records: computed and forgotten
    with recording() as tensors:
        assert (op(2.0), op(3.0)) == ([2.0, -2.0], [3.0, -3.0])
    with replaying(tensors):
        assert (op(0.0), op(0.0)) == ([2.0, -2.0], [3.0, -3.0])
    assert calls == [1.0, 2.0, 3.0]
    with pytest.raises(ValueError, match="other ops than forward"), replaying(tensors):
        op(0.0)


def test_an_lstm_has_the_gradients_of_one_pass_from_what_it_kept():
    random = np.random.default_rng(0)
    x, kernel, recurrent, projection = (
        tf.constant(random.standard_normal(shape), tf.float32) for shape in ([2, 7, 3], [3, 20], [4, 20], [5, 4])
    )
    lengths, bias = tf.constant([7, 4]), tf.zeros([20])
    sources = [x, kernel, recurrent, projection, bias]

    @tf.function
    def gradients(tensors):
        with tf.GradientTape() as tape:
            tape.watch(sources)
            if tensors is None:
                outputs, _ = lstm(x, lengths, kernel, recurrent, bias, projection=projection)
            else:
                with replaying(tensors):
                    outputs, _ = lstm(x, lengths, kernel, recurrent, bias, projection=projection)
            total = tf.reduce_sum(tf.sin(outputs))
        return tape.gradient(total, sources)

    with recording() as tensors:
        lstm(x, lengths, kernel, recurrent, bias, projection=projection)
    for whole, replayed in zip(gradients(None), gradients(list(tensors))):
        assert np.any(whole)
        np.testing.assert_allclose(replayed, whole, rtol=1e-6, atol=1e-7)
