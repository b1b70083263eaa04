"""Scalars of known size, and that no exported file has an operator of unknown size."""

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from tflite_asr.export.compaction import compact
from tflite_asr.export.packing import packed
from tflite_asr.export.static_shapes import dynamic_operators
from tflite_asr.ops.loops import Chunk
from tflite_asr.runtime.artifact import read_artifact


def converted(function, *specs):
    concrete = tf.function(function, autograph=False).get_concrete_function(*specs)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
    return converter.convert()


def run(content, value):
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], value)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def reshaped(x):
    return tf.reshape(x, []) * 2.0 + x


def test_a_reshape_to_a_scalar_becomes_one_of_known_size():
    raw = converted(reshaped, tf.TensorSpec([1], tf.float32))
    assert [name.split()[0] for name in dynamic_operators(raw)] == ["RESHAPE"]
    found = compact(raw)
    assert dynamic_operators(found) == []
    value = np.asarray([3.5], np.float32)
    np.testing.assert_array_equal(run(found, value), run(raw, value))
    assert run(found, value).shape == run(raw, value).shape


def with_scalar_fill(content):
    """A graph of one input [1] with RESHAPE to a scalar and FILL without dimensions between its input and the rest."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    graph = model.subgraphs[0]
    source, shape = int(graph.inputs[0]), len(graph.tensors)
    integer, real = schema.TensorType.INT32, schema.TensorType.FLOAT32
    for dims, dtype in (([0], integer), ([], real), ([], real)):
        tensor = schema.TensorT()
        tensor.shape, tensor.type, tensor.buffer = dims, dtype, 0
        graph.tensors.append(tensor)
    for operator in graph.operators:
        operator.inputs = [shape + 2 if int(index) == source else int(index) for index in operator.inputs]
    added = []
    for kind, inputs, output in (("RESHAPE", [source, shape], shape + 1), ("FILL", [shape, shape + 1], shape + 2)):
        code, operator = schema.OperatorCodeT(), schema.OperatorT()
        code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, kind)
        code.version = 1
        model.operatorCodes.append(code)
        operator.opcodeIndex, operator.inputs, operator.outputs = len(model.operatorCodes) - 1, inputs, [output]
        added.append(operator)
    graph.operators = [*added, *graph.operators]
    return packed(model, content)


def test_a_fill_of_a_scalar_goes_and_its_value_is_read_in_its_place():
    raw = with_scalar_fill(converted(lambda x: tf.zeros([4]) + x, tf.TensorSpec([1], tf.float32)))
    assert sorted(name.split()[0] for name in dynamic_operators(raw)) == ["FILL", "RESHAPE"]
    found = compact(raw)
    assert dynamic_operators(found) == []
    np.testing.assert_array_equal(run(found, np.asarray([2.0], np.float32)), np.full(4, 2.0, np.float32))


def test_rows_of_a_chunk_are_of_known_size():
    chunk = Chunk(start=4, iterations=2, steps=2)

    def rows(x, when):
        return chunk.of(x, when), chunk.of(x, when, back=1)

    content = compact(converted(rows, tf.TensorSpec([10, 1, 3], tf.float32), tf.TensorSpec([], tf.int32)))
    assert dynamic_operators(content) == []
    x = tf.reshape(tf.range(30.0), [10, 1, 3])
    now, before = rows(x, tf.constant(-7))
    np.testing.assert_array_equal(tf.reshape(now, [4, 1, 3]), x[4:8])
    np.testing.assert_array_equal(tf.reshape(before, [4, 1, 3]), x[3:7])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tiny_tflite", "lengths_tflite", "two_pass_tflite"])
def test_no_operator_of_an_exported_file_is_of_unknown_size(name, request):
    assert dynamic_operators(request.getfixturevalue(name).read_bytes()) == []


def test_no_operator_of_english_is_of_unknown_size():
    assert dynamic_operators(read_artifact("english").path.read_bytes()) == []
