"""What one test file traced is freed before the next: the whole suite has to fit into a laptop's memory."""

import gc
import weakref


def test_graphs_of_custom_gradients_are_freed(request):
    import tensorflow as tf

    conftest = request.config.pluginmanager.getplugin(str(request.config.rootpath / "tests" / "conftest.py"))

    @tf.custom_gradient
    def double(x):
        return 2 * x, lambda upstream: 2 * upstream

    def trace():
        with tf.Graph().as_default() as graph:
            double(tf.constant(1.0))
        return weakref.ref(graph)

    graph = trace()
    gc.collect()
    assert graph() is not None  # if this fails, TensorFlow frees it by itself and conftest need not
    conftest.forget_custom_gradients()
    gc.collect()
    assert graph() is None
    assert tf.raw_ops.Add(x=1.0, y=1.0) == 2.0 and gradient_of_square(tf) == 6.0  # TensorFlow's own are still registered


def gradient_of_square(tf):
    x = tf.Variable(3.0)
    with tf.GradientTape() as tape:
        y = x * x
    return tape.gradient(y, x)
