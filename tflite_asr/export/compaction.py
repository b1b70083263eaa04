"""A smaller .tflite: constants that repeat one value (zero slots, empty loop buffers) become FILL ops, and tensors lose
their names; scalars are of known size, see `static_shapes`.

The converter stores a buffer of zeros in full. Adam's slots and the rows that the recurrences write would be more
than half of a small file. Names of tensors are half of what a training signature weighs, and nothing reads them:
signatures have their own, and variables go by the names of their handles.
"""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tflite_asr.export.graphs import code_of
from tflite_asr.export.packing import packed
from tflite_asr.export.static_shapes import make_scalars_static

SMALLEST_BYTES = 1024  # below it the op weighs as much as the constant
OP = schema.BuiltinOperator
# consumers whose kernels take a computed tensor as well as a constant
CONSUMERS = {OP.WHILE, OP.ASSIGN_VARIABLE, OP.SELECT, OP.SELECT_V2, OP.DYNAMIC_UPDATE_SLICE}
DTYPES = {schema.TensorType.FLOAT32: np.float32, schema.TensorType.INT32: np.int32}


def compact(content: bytes) -> bytes:
    """Replace constants that repeat one value by FILL ops, and drop tensor names and unused buffers.

    Args:
        content: a .tflite.

    Returns:
        The changed .tflite; one over 2 GB is returned as it is.
    """
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    if any(buffer.size for buffer in model.buffers):
        return content  # over 2 GB, buffers stand outside the flatbuffer, at offsets that must not move
    make_scalars_static(model)
    fill = _fill_code(model)
    for graph in model.subgraphs:
        repeated: dict[tuple[int, tuple], int] = {}  # (buffer, shape) of a constant -> the tensor that replaces it
        fills = []
        for operator in graph.operators:
            if code_of(model, operator) not in CONSUMERS:
                continue
            operator.inputs = list(operator.inputs)
            for place, index in enumerate(operator.inputs):
                tensor = graph.tensors[index]
                value = _repeated_value(model.buffers[tensor.buffer], tensor)
                if value is None:
                    continue
                key = tensor.buffer, tuple(tensor.shape)
                if key not in repeated:
                    repeated[key] = _add_fill(model, graph, tensor, value, fill, fills)
                operator.inputs[place] = repeated[key]
        graph.operators = fills + list(graph.operators)
    _drop_unused(model)
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            tensor.name = None
    return packed(model, content)


def _fill_code(model) -> int:
    """Index of FILL among the operator codes, added if need be."""
    for index, code in enumerate(model.operatorCodes):
        if code.builtinCode == OP.FILL:
            return index
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = OP.FILL
    code.version = 1
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def _repeated_value(buffer, tensor):
    """The value that a constant repeats, or None."""
    if buffer.data is None or len(buffer.data) < SMALLEST_BYTES or tensor.type not in DTYPES:
        return None
    values = np.frombuffer(bytes(buffer.data), DTYPES[tensor.type])
    return values[0] if np.all(values == values[0]) else None


def _add_fill(model, graph, like, value, code: int, fills: list) -> int:
    """Add FILL(shape, value) to `fills` and its tensors to the graph; index of its output."""
    output = schema.TensorT()
    output.type, output.shape, output.buffer = like.type, like.shape, 0
    operator = schema.OperatorT()
    operator.opcodeIndex = code
    operator.builtinOptionsType, operator.builtinOptions = schema.BuiltinOptions.FillOptions, schema.FillOptionsT()
    dims = _add_constant(model, graph, np.asarray(like.shape, np.int32), schema.TensorType.INT32)
    repeated = _add_constant(model, graph, np.asarray(value), like.type)
    graph.tensors.append(output)
    operator.inputs, operator.outputs = [dims, repeated], [len(graph.tensors) - 1]
    fills.append(operator)
    return operator.outputs[0]


def _add_constant(model, graph, value: np.ndarray, dtype: int) -> int:
    buffer, tensor = schema.BufferT(), schema.TensorT()
    buffer.data = np.frombuffer(value.tobytes(), np.uint8)
    model.buffers.append(buffer)
    tensor.type, tensor.shape = dtype, list(value.shape)
    tensor.buffer = len(model.buffers) - 1
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


def _drop_unused(model) -> None:
    """Take out the buffers of constants that nothing reads any more, those without content, and copies of others."""
    for graph in model.subgraphs:
        touched = {*graph.inputs, *graph.outputs}
        for operator in graph.operators:
            touched |= {*operator.inputs, *operator.outputs}
        for index, tensor in enumerate(graph.tensors):
            if index not in touched:
                tensor.buffer = 0
    kept, places = [model.buffers[0]], {}  # the first one is for tensors without content
    holders = [*(tensor for graph in model.subgraphs for tensor in graph.tensors), *(model.metadata or [])]
    for holder in holders:
        data = model.buffers[holder.buffer].data
        if holder.buffer == 0 or data is None or not len(data):
            holder.buffer = 0
            continue
        content = bytes(data)
        if content not in places:
            places[content] = len(kept)
            kept.append(model.buffers[holder.buffer])
        holder.buffer = places[content]
    model.buffers = kept
