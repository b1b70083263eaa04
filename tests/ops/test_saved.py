import numpy as np
import pytest
import tensorflow as tf

from tflite_asr.layers.conformer import ConformerGroup
from tflite_asr.ops.lstm import lstm
from tflite_asr.ops.saved import restoring, saved, saving


def test_each_op_gets_back_what_it_saved():
    calls = []

    def op(value):
        def compute():
            calls.append(value)
            return [tf.constant(value), tf.constant(-value)]

        return [float(tensor) for tensor in saved(2, compute)]

    assert op(1.0) == [1.0, -1.0]  # nothing saves: computed and forgotten
    with saving() as tensors:
        assert (op(2.0), op(3.0)) == ([2.0, -2.0], [3.0, -3.0])
    with restoring(tensors):
        assert (op(0.0), op(0.0)) == ([2.0, -2.0], [3.0, -3.0])
    assert calls == [1.0, 2.0, 3.0]
    with pytest.raises(ValueError, match="other ops than forward"), restoring(tensors):
        op(0.0)


def test_recomputable_tensors_are_computed_again_unless_saved():
    calls = []

    def op(recomputable):
        def compute():
            calls.append(recomputable)
            return [tf.constant(len(calls))]

        return int(saved(1, compute, recomputable)[0])

    with saving(recomputable=False) as expensive:
        assert (op(True), op(False)) == (1, 2)
    with restoring(expensive, recomputable=False):
        assert (op(True), op(False)) == (3, 2)
    with saving() as everything:
        assert (op(True), op(False)) == (4, 5)
    with restoring(everything):
        assert (op(True), op(False)) == (4, 5)
    assert (op(True), len(calls)) == (6, 6)  # outside of both it is computed


def test_a_conformer_has_the_gradients_of_one_pass_from_saved_tensors():
    group = ConformerGroup(8, 16, 2, 3)
    random = np.random.default_rng(0)
    x, lengths = tf.constant(random.standard_normal([2, 6, 8]), tf.float32), tf.constant([6, 4])
    group(x, lengths)

    @tf.function
    def gradients(tensors):
        with tf.GradientTape() as tape:
            tape.watch(x)
            if tensors is None:
                outputs, _, _ = group(x, lengths)
            else:
                with restoring(tensors):
                    outputs, _, _ = group(x, lengths)
            total = tf.reduce_sum(tf.sin(outputs))
        return tape.gradient(total, [x, *group.weights])

    with saving(recomputable=False) as expensive:
        group(x, lengths)
    with saving() as tensors:
        group(x, lengths)
    # two products of each feed-forward module, four of the attention, two of the convolution and itself
    assert not expensive and len(tensors) == 2 + 4 + 3 + 2
    expected = gradients(None)
    rounding = 1e-5 * max(float(tf.reduce_max(tf.abs(whole))) for whole in expected)  # the same sums in another order
    for whole, replayed in zip(expected, gradients(list(tensors))):
        assert np.any(whole)
        np.testing.assert_allclose(replayed, whole, rtol=1e-5, atol=rounding)


def test_an_lstm_has_the_gradients_of_one_pass_from_saved_tensors():
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
                with restoring(tensors):
                    outputs, _ = lstm(x, lengths, kernel, recurrent, bias, projection=projection)
            total = tf.reduce_sum(tf.sin(outputs))
        return tape.gradient(total, sources)

    with saving() as tensors:
        lstm(x, lengths, kernel, recurrent, bias, projection=projection)
    for whole, replayed in zip(gradients(None), gradients(list(tensors))):
        assert np.any(whole)
        np.testing.assert_allclose(replayed, whole, rtol=1e-6, atol=1e-7)
