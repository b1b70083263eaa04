import numpy as np
import pytest
import tensorflow as tf

from tflite_asr.ops.elementary import layer_norm, length_mask, log_softmax, relu, sigmoid, tanh

# a handful of float32 roundings (6e-8 each) of values of the order of 1
ROUNDING = {"rtol": 2e-6, "atol": 2e-6}


def numpy_log_softmax(x):
    shifted = x - x.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def numpy_layer_norm(x, gain, bias):
    centered = x - x.mean(axis=-1, keepdims=True)
    return centered / np.sqrt((centered**2).mean(axis=-1, keepdims=True) + 1e-5) * gain + bias


def plain_layer_norm(x, gain, bias):
    mean, variance = tf.nn.moments(x, axes=[-1], keepdims=True)
    return (x - mean) / tf.sqrt(variance + 1e-5) * gain + bias


# the op, float64 NumPy, and a plain formula that TensorFlow differentiates itself
UNARY = {
    "tanh": (tanh, np.tanh, tf.tanh),
    "sigmoid": (sigmoid, lambda x: 1 / (1 + np.exp(-x)), lambda x: 1 / (1 + tf.exp(-x))),
    "relu": (relu, lambda x: np.maximum(x, 0), tf.nn.relu),
    "log_softmax": (
        log_softmax,
        numpy_log_softmax,
        lambda x: x - tf.reduce_logsumexp(x, axis=-1, keepdims=True),
    ),
}


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def gradients(function, arguments, weights):
    """Gradients of sum(weights * function(*arguments)) with respect to every argument."""
    arguments = [tf.constant(a) for a in arguments]
    with tf.GradientTape() as tape:
        tape.watch(arguments)
        total = tf.reduce_sum(function(*arguments) * weights)
    return [g.numpy() for g in tape.gradient(total, arguments)]


def differences(function, arguments, index, step=1e-5):
    """Central differences of a scalar function of float64 arrays: good to about 1e-9."""
    arguments = [a.astype(np.float64) for a in arguments]
    result = np.zeros(arguments[index].shape)
    for place in np.ndindex(result.shape):
        values = []
        for sign in (1, -1):
            moved = arguments[index].copy()
            moved[place] += sign * step
            values.append(function(*arguments[:index], moved, *arguments[index + 1 :]))
        result[place] = (values[0] - values[1]) / (2 * step)
    return result


@pytest.mark.parametrize("name", UNARY)
def test_values(name):
    op, reference, _ = UNARY[name]
    x = 3 * normal(4, 5, 6)
    np.testing.assert_allclose(op(x), reference(x.astype(np.float64)), **ROUNDING)


@pytest.mark.parametrize("name", UNARY)
def test_gradients(name):
    op, reference, plain = UNARY[name]
    x, weights = 2 * normal(3, 4), normal(3, 4, seed=1)
    (gradient,) = gradients(op, [x], weights)
    np.testing.assert_allclose(gradient, gradients(plain, [x], weights)[0], **ROUNDING)
    # of the float64 reference: differences of float32 values would keep three digits
    expected = differences(lambda v: (reference(v) * weights).sum(), [x], 0)
    np.testing.assert_allclose(gradient, expected, **ROUNDING)


@pytest.mark.parametrize("name", UNARY)
def test_large_inputs_stay_finite_and_so_do_gradients(name):
    x = np.array([[-1e4, -200.0, 200.0, 1e4]], np.float32)
    assert np.isfinite(UNARY[name][0](x)).all()
    assert np.isfinite(gradients(UNARY[name][0], [x], np.ones([1, 4], np.float32))[0]).all()


def test_relu_passes_nothing_at_zero():
    (gradient,) = gradients(relu, [np.array([-1.0, 0.0, 1.0], np.float32)], np.float32([2, 3, 4]))
    np.testing.assert_array_equal(gradient, [0, 0, 4])


def test_layer_norm_values_and_gradients():
    x, gain, bias = 3 * normal(2, 3, 5) + 1, normal(5, seed=1), normal(5, seed=2)
    weights = normal(2, 3, 5, seed=3)
    exact = numpy_layer_norm(x.astype(np.float64), gain, bias)
    np.testing.assert_allclose(layer_norm(x, gain, bias), exact, **ROUNDING)
    found = gradients(layer_norm, [x, gain, bias], weights)
    plain = gradients(plain_layer_norm, [x, gain, bias], weights)
    for index, (ours, theirs) in enumerate(zip(found, plain)):
        expected = differences(lambda *a: (numpy_layer_norm(*a) * weights).sum(), [x, gain, bias], index)
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)  # the plain formula cancels more
        np.testing.assert_allclose(ours, expected, **ROUNDING)


def test_layer_norm_of_a_constant_row_is_the_bias_and_has_a_finite_gradient():
    x, bias = np.full([1, 4], 7.0, np.float32), normal(4)
    np.testing.assert_array_equal(layer_norm(x, np.ones(4, np.float32), bias)[0], bias)
    (gradient,) = gradients(lambda v: layer_norm(v, np.ones(4, np.float32), bias), [x], normal(1, 4, seed=1))
    assert np.isfinite(gradient).all()


def test_backward_graphs_hold_no_gradient_op_that_tflite_lacks():
    @tf.function(input_signature=[tf.TensorSpec([2, 3])])
    def backward(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer_norm(log_softmax(relu(sigmoid(tanh(x)))), tf.ones([3]), tf.zeros([3]))
        return tape.gradient(y, x)

    types = {operation.type for operation in backward.get_concrete_function().graph.get_operations()}
    assert "Mul" in types
    assert not [t for t in types if t.endswith("Grad")]


def test_length_mask_marks_what_is_below_each_length():
    mask = length_mask(tf.constant([0, 2, 3]), 3)
    np.testing.assert_array_equal(mask, [[0, 0, 0], [1, 1, 0], [1, 1, 1]])
