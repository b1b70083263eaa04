import numpy as np
import tensorflow as tf

from tflite_asr.ops.product import product


def test_product_and_its_gradients_are_those_of_matmul():
    random = np.random.default_rng(0)
    x, kernel, weights = (
        tf.constant(random.standard_normal(shape), tf.float32) for shape in ((2, 3, 7), (7, 9), (2, 3, 9))
    )
    results = []
    for multiply in (product, lambda x, kernel: tf.einsum("btd,de->bte", x, kernel)):
        with tf.GradientTape() as tape:
            tape.watch([x, kernel])
            y = multiply(x, kernel)
            total = tf.reduce_sum(y * weights)
        results.append([y, *tape.gradient(total, [x, kernel])])
    for ours, theirs in zip(*results):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)  # sums of at most nine terms of the order of 1


def test_all_rows_of_a_product_stand_along_one_axis_of_the_file(tmp_path):
    # XNNPACK multiplies what lies along the last two axes at once; of [5, 2, 7] these would be two rows
    class Module(tf.Module):
        def __init__(self):
            self.kernel = tf.Variable(np.ones([7, 9], np.float32))

        @tf.function(input_signature=[tf.TensorSpec([5, 2, 7], tf.float32)])
        def step(self, x):
            with tf.GradientTape() as tape:
                tape.watch(x)
                loss = tf.reduce_sum(tf.square(product(x, self.kernel)))
            dx, dkernel = tape.gradient(loss, [x, self.kernel])
            self.kernel.assign_sub(dkernel)  # else it were a constant
            return {"dx": dx}

    module = Module()
    tf.saved_model.save(module, str(tmp_path), signatures={"step": module.step})
    converter = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path), signature_keys=["step"])
    converter.experimental_enable_resource_variables = True
    resolver = tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = tf.lite.Interpreter(model_content=converter.convert(), experimental_op_resolver_type=resolver)
    shapes = {tensor["index"]: list(tensor["shape"]) for tensor in interpreter.get_tensor_details()}
    products = [
        [shapes[index] for index in op["inputs"]] for op in interpreter._get_ops_details() if "MAT" in op["op_name"]
    ]
    assert sorted(products) == [[[1, 10, 7], [7, 9]], [[1, 10, 9], [7, 9]], [[10, 7], [10, 9]]]
