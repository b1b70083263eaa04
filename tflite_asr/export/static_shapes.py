"""Tensors whose size TFLite knows before it runs a graph.

TFLite plans the memory of a graph up to the first operator whose output it calls dynamic, runs so far, and plans
again. The arena then grows: the old one stays until it is copied, so a single scalar of unknown size costs the memory
of the whole graph a second time. The shape of a scalar is a constant without elements, which TFLite takes for a tensor
that is computed: RESHAPE and FILL to a scalar are dynamic.
"""

from ai_edge_litert import schema_py_generated as schema

from tflite_asr.export.graphs import code_of

OP = schema.BuiltinOperator
# the inputs that must be constants with elements, by operator, for the output to be of known size
SHAPE_INPUTS = {
    OP.RESHAPE: (1,),
    OP.FILL: (0,),
    OP.RANGE: (0, 1, 2),
    OP.TILE: (1,),
    OP.BROADCAST_TO: (1,),
    OP.SLICE: (1, 2),
    OP.STRIDED_SLICE: (1, 2, 3),
    OP.PAD: (1,),
    OP.PADV2: (1,),
    OP.ONE_HOT: (1,),
    OP.SUM: (1,),
    OP.MEAN: (1,),
    OP.REDUCE_MAX: (1,),
    OP.REDUCE_MIN: (1,),
    OP.REDUCE_ANY: (1,),
    OP.TRANSPOSE: (1,),
    OP.EXPAND_DIMS: (1,),
    OP.SPLIT: (0,),
    OP.SPLIT_V: (1, 2),
}


def make_scalars_static(model: schema.ModelT) -> None:
    """Write RESHAPE and FILL to a scalar so that their output is of known size."""
    for graph in model.subgraphs:
        same: dict[int, int] = {}  # output of a FILL -> the scalar that it repeats once
        kept = []
        for operator in graph.operators:
            code = code_of(model, operator)
            operator.inputs = [same.get(int(index), int(index)) for index in operator.inputs]
            if code == OP.FILL and _is_empty(graph.tensors[operator.inputs[0]]):
                same[int(operator.outputs[0])] = operator.inputs[1]
                continue
            if code == OP.RESHAPE and len(operator.inputs) > 1 and _is_empty(graph.tensors[operator.inputs[1]]):
                options = schema.ReshapeOptionsT()
                options.newShape = [0]  # a scalar: an empty list is not distinguished from none
                operator.builtinOptionsType, operator.builtinOptions = schema.BuiltinOptions.ReshapeOptions, options
                operator.inputs = operator.inputs[:1]
            kept.append(operator)
        graph.operators = kept
        graph.outputs = [same.get(int(index), int(index)) for index in graph.outputs]


def dynamic_operators(content: bytes) -> list[str]:
    """The operators of a .tflite whose output TFLite calls dynamic since an input that fixes its size is computed."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    names = {value: name for name, value in vars(OP).items() if isinstance(value, int)}
    found = []
    for number, graph in enumerate(model.subgraphs):
        for operator in graph.operators:
            code = code_of(model, operator)
            given = [int(operator.inputs[i]) for i in SHAPE_INPUTS.get(code, ()) if i < len(operator.inputs)]
            if not all(_is_constant(model, graph.tensors[index]) for index in given if index >= 0):
                found.append(f"{names[code]} in graph {number}")
    return found


def _is_empty(tensor) -> bool:
    """Whether a tensor has no elements, as the shape of a scalar has none."""
    return tensor.shape is not None and list(tensor.shape) == [0]


def _is_constant(model, tensor) -> bool:
    data = model.buffers[tensor.buffer].data
    return data is not None and len(data) > 0
