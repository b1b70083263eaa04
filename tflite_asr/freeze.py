"""Weights that do not train become int8 constants of the .tflite.

What reads such a variable reads a constant instead, made floats by CAST and MUL, which every runtime has. Matrices have a
scale for each column, as quantisation-aware training sees them, so nothing is rounded that training did not round. The
arithmetic stays float.

The converter makes constants of its own, as floats, of variables that no signature assigns, transposed and copied as it
likes. The signature `HOLD` assigns them while it looks, and is taken out again.
"""

import math
from collections.abc import Iterator, Sequence

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

SMALLEST_ELEMENTS = 512  # smaller weights stay floats: their scales would weigh as much as is saved
LEVELS = 127  # of int8 on either side of 0
OP = schema.BuiltinOperator
INT8_CAST_VERSION = 2
# how options of operators name the graphs that these run
GRAPH_FIELDS = ("thenSubgraphIndex", "elseSubgraphIndex", "condSubgraphIndex", "bodySubgraphIndex", "initSubgraphIndex")
HOLD = "hold_frozen"  # name of the signature that is there for the converter's sake


def becomes_int8(shape: Sequence[int]) -> bool:
    """Whether a weight of this shape does; vectors and small matrices stay floats."""
    return len(shape) > 1 and math.prod(shape) >= SMALLEST_ELEMENTS


def quantize(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """int8 of the same shape and scales of the last axis [columns] float32, so that int8 times scale is the weight; None
    for what stays floats."""
    if not becomes_int8(weight.shape):
        return None
    top = np.max(np.abs(weight), axis=tuple(range(weight.ndim - 1)))
    scales = np.where(top > 0, top / LEVELS, 1.0).astype(np.float32)
    return np.clip(np.round(weight / scales), -LEVELS, LEVELS).astype(np.int8), scales


def freeze(content: bytes, weights: dict[str, np.ndarray]) -> bytes:
    """The same model with each of these variables a constant, int8 where `quantize` says so, and without the signature
    `HOLD`. What then is in no use stays for `compact` to drop.

    Args:
        content: a .tflite.
        weights: values by the names of the variables; no signature but `HOLD` assigns them.
    """
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    _drop_signature(model, HOLD)
    constants = _Constants(model, weights)
    for graph, names in zip(model.subgraphs, _variables_of(model)):
        operators = []
        for operator in graph.operators:
            code, name = _code(model, operator), names.get(operator.inputs[0] if len(operator.inputs) else -1)
            if name not in weights or code not in (OP.READ_VARIABLE, OP.ASSIGN_VARIABLE):
                operators.append(operator)
            elif code == OP.READ_VARIABLE:
                operators += constants.read(graph, name, operator.outputs[0])
        graph.operators = operators
    _drop_handles(model)
    return _packed(model, content)


def restore_floats(content: bytes, signature: str, matrices: Sequence[np.ndarray]) -> bytes:
    """The same model with these matrices [inputs, outputs] of a signature's products as floats again, where the converter
    made them int8."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    index = next(entry.subgraphIndex for entry in model.signatureDefs if entry.signatureKey == signature.encode())
    for tensor in model.subgraphs[index].tensors:
        for matrix in matrices:
            stored = matrix.T  # as FULLY_CONNECTED takes it
            if _rounded(model, tensor, stored):
                tensor.type, tensor.quantization = schema.TensorType.FLOAT32, None
                model.buffers[tensor.buffer].data = np.frombuffer(stored.tobytes(), np.uint8)
    return _packed(model, content)


def _rounded(model, tensor, stored: np.ndarray) -> bool:
    """Whether a tensor of the model is this matrix as int8, a scale for all of it or for each row."""
    if tensor.type != schema.TensorType.INT8 or tuple(tensor.shape) != stored.shape:
        return False
    scales = np.reshape(tensor.quantization.scale, [-1, 1])
    values = np.frombuffer(bytes(model.buffers[tensor.buffer].data), np.int8).reshape(stored.shape) * scales
    return bool(np.all(np.abs(values - stored) <= scales))


def _packed(model, like: bytes) -> bytes:
    """The bytes of a model, about as many as those of `like`."""
    builder = flatbuffers.Builder(len(like))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


class _Constants:
    """Buffers of a model's frozen weights, each made once however many graphs read it."""

    def __init__(self, model, weights: dict[str, np.ndarray]):
        self.model, self.weights = model, weights
        self._buffers: dict[str, int] = {}
        self._codes: dict[tuple[int, int], int] = {}

    def read(self, graph, name: str, output: int) -> list:
        """The operators that put a weight into the tensor `output` of a graph; none when it is made a constant itself."""
        weight = self.weights[name]
        quantized = quantize(weight)
        if quantized is None:
            graph.tensors[output].buffer = self._buffer(name, weight.astype(np.float32))
            return []
        values, scales = quantized
        stored = self._tensor(graph, f"{name} int8", values, schema.TensorType.INT8)
        scale = self._tensor(graph, f"{name} scale", scales, schema.TensorType.FLOAT32)
        cast = schema.TensorT()
        cast.type, cast.shape, cast.buffer = schema.TensorType.FLOAT32, list(values.shape), 0
        graph.tensors.append(cast)
        widened = len(graph.tensors) - 1
        options = schema.CastOptionsT()
        options.inDataType, options.outDataType = schema.TensorType.INT8, schema.TensorType.FLOAT32
        return [
            self._operator(OP.CAST, INT8_CAST_VERSION, schema.BuiltinOptions.CastOptions, options, [stored], [widened]),
            self._operator(OP.MUL, 1, schema.BuiltinOptions.MulOptions, schema.MulOptionsT(), [widened, scale], [output]),
        ]

    def _operator(self, code: int, version: int, kind: int, options, inputs: list[int], outputs: list[int]):
        operator = schema.OperatorT()
        operator.opcodeIndex = self._code_index(code, version)
        operator.builtinOptionsType, operator.builtinOptions = kind, options
        operator.inputs, operator.outputs = inputs, outputs
        return operator

    def _code_index(self, code: int, version: int) -> int:
        if (code, version) not in self._codes:
            entry = schema.OperatorCodeT()
            entry.builtinCode = entry.deprecatedBuiltinCode = code
            entry.version = version
            self.model.operatorCodes.append(entry)
            self._codes[code, version] = len(self.model.operatorCodes) - 1
        return self._codes[code, version]

    def _tensor(self, graph, name: str, values: np.ndarray, kind: int) -> int:
        tensor = schema.TensorT()
        tensor.type, tensor.shape, tensor.buffer = kind, list(values.shape), self._buffer(name, values)
        graph.tensors.append(tensor)
        return len(graph.tensors) - 1

    def _buffer(self, name: str, values: np.ndarray) -> int:
        if name not in self._buffers:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(values.tobytes(), np.uint8)
            self.model.buffers.append(buffer)
            self._buffers[name] = len(self.model.buffers) - 1
        return self._buffers[name]


def _code(model, operator) -> int:
    entry = model.operatorCodes[operator.opcodeIndex]
    return max(entry.builtinCode, entry.deprecatedBuiltinCode)


def _variables_of(model) -> list[dict[int, str]]:
    """For each graph, which variable a tensor is the handle of: handles go into branches and loops as inputs."""
    names: list[dict[int, str]] = [{} for _ in model.subgraphs]
    waiting = list(range(len(model.subgraphs)))
    while waiting:
        index = waiting.pop()
        graph, known = model.subgraphs[index], names[index]
        for operator in graph.operators:
            if _code(model, operator) == OP.VAR_HANDLE:
                known[operator.outputs[0]] = operator.builtinOptions.sharedName.decode()
            for inner, passed in _entered(model, operator):
                handles = {
                    own: known[given]
                    for own, given in zip(model.subgraphs[inner].inputs, passed)
                    if given in known and names[inner].get(own) != known[given]
                }
                if handles.keys() & names[inner].keys():
                    raise ValueError(f"one branch is given different variables: {sorted(handles.values())}")
                if handles:
                    names[inner] |= handles
                    waiting.append(inner)
    return names


def _entered(model, operator) -> Iterator[tuple[int, list[int]]]:
    """The graphs that an operator runs, each with the tensors that it hands to them."""
    code, options = _code(model, operator), operator.builtinOptions
    if code == OP.IF:
        yield options.thenSubgraphIndex, operator.inputs[1:]
        yield options.elseSubgraphIndex, operator.inputs[1:]
    elif code == OP.WHILE:
        yield options.condSubgraphIndex, operator.inputs
        yield options.bodySubgraphIndex, operator.inputs


def _drop_signature(model, name: str) -> None:
    """Take out a signature and its graph, and number the other graphs anew.

    An empty graph must not stay: if it is the file's first one, as the names of the signatures may have it, the runtime
    applies XNNPACK to no graph at all.
    """
    for signature in [signature for signature in model.signatureDefs if signature.signatureKey == name.encode()]:
        model.signatureDefs.remove(signature)
        gone = signature.subgraphIndex
        del model.subgraphs[gone]
        operators = (operator for graph in model.subgraphs for operator in graph.operators)
        for holder in (*model.signatureDefs, *(operator.builtinOptions for operator in operators)):
            for field in ("subgraphIndex", *GRAPH_FIELDS):
                index = getattr(holder, field, None)
                if index is not None and index > gone:
                    setattr(holder, field, index - 1)


def _drop_handles(model) -> None:
    """Take out the handles that nothing uses any more."""
    for graph in model.subgraphs:
        used = {int(i) for operator in graph.operators for i in operator.inputs} | {int(i) for i in graph.outputs}
        graph.operators = [
            operator
            for operator in graph.operators
            if _code(model, operator) != OP.VAR_HANDLE or int(operator.outputs[0]) in used
        ]
