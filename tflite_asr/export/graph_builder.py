"""Tensors, constants and operators that are added to the graphs of a .tflite."""

from collections.abc import Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

OP, KIND = schema.BuiltinOperator, schema.BuiltinOptions
FLOAT, INT8, INT32 = schema.TensorType.FLOAT32, schema.TensorType.INT8, schema.TensorType.INT32
BOOL = schema.TensorType.BOOL
INT8_CAST_VERSION = 2
HYBRID_DENSE_VERSION = 5  # of FULLY_CONNECTED: int8 weights, float activations, and it keeps their axes


class GraphBuilder:
    """Adds tensors, constants and operators to the graphs of a model. Tensors are indices within their graph; the
    caller inserts the returned operators.

    Args:
        model: the .tflite.
    """

    def __init__(self, model: schema.ModelT):
        self.model = model
        self._buffers: dict[str, int] = {}
        self._codes: dict[tuple[int, int], int] = {}

    def tensor(self, graph: schema.SubGraphT, shape: Sequence[int], kind: int = FLOAT, buffer: int = 0) -> int:
        """Add a tensor to a graph."""
        tensor = schema.TensorT()
        tensor.type, tensor.shape, tensor.buffer = kind, [int(size) for size in shape], buffer
        graph.tensors.append(tensor)
        return len(graph.tensors) - 1

    def constant(self, graph: schema.SubGraphT, name: str, values: np.ndarray, kind: int) -> int:
        """Add a constant. Constants of the same name share one buffer, whichever graph they are in."""
        return self.tensor(graph, values.shape, kind, self.buffer(name, values))

    def scaled(self, graph: schema.SubGraphT, name: str, values: np.ndarray, scale: float) -> int:
        """Add an int8 constant with a scale and the zero point 0."""
        index = self.constant(graph, name, values, INT8)
        quantization = schema.QuantizationParametersT()
        quantization.scale, quantization.zeroPoint = [float(scale)], [0]
        graph.tensors[index].quantization = quantization
        return index

    def buffer(self, name: str, values: np.ndarray) -> int:
        """The number of the buffer of this name, added when it is new."""
        if name not in self._buffers:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(values.tobytes(), np.uint8)
            self.model.buffers.append(buffer)
            self._buffers[name] = len(self.model.buffers) - 1
        return self._buffers[name]

    def dense(self, x: int, weight: int, output: int) -> schema.OperatorT:
        """FULLY_CONNECTED of float x with an int8 weight [outputs, inputs]."""
        options = schema.FullyConnectedOptionsT()
        options.keepNumDims = True
        return self.operator(
            OP.FULLY_CONNECTED, HYBRID_DENSE_VERSION, KIND.FullyConnectedOptions, options, [x, weight, -1], [output]
        )

    def cast(self, stored: int, output: int) -> schema.OperatorT:
        """CAST of int8 to float32."""
        options = schema.CastOptionsT()
        options.inDataType, options.outDataType = INT8, FLOAT
        return self.operator(OP.CAST, INT8_CAST_VERSION, KIND.CastOptions, options, [stored], [output])

    def arithmetic(self, code: int, left: int, right: int, output: int) -> schema.OperatorT:
        """ADD, SUB or MUL of two float or int32 tensors."""
        kind, options = {
            OP.ADD: (KIND.AddOptions, schema.AddOptionsT),
            OP.SUB: (KIND.SubOptions, schema.SubOptionsT),
            OP.MUL: (KIND.MulOptions, schema.MulOptionsT),
        }[code]
        return self.operator(code, 1, kind, options(), [left, right], [output])

    def operator(
        self, code: int, version: int, kind: int, options: object, inputs: Sequence[int], outputs: Sequence[int]
    ) -> schema.OperatorT:
        """An operator of a kind and version, with its options."""
        operator = schema.OperatorT()
        operator.opcodeIndex = self._code_index(code, version)
        operator.builtinOptionsType, operator.builtinOptions = kind, options
        operator.inputs, operator.outputs = list(inputs), list(outputs)
        return operator

    def _code_index(self, code: int, version: int) -> int:
        """The number of an operator code of the model, added when it is new."""
        if (code, version) not in self._codes:
            entry = schema.OperatorCodeT()
            entry.builtinCode = entry.deprecatedBuiltinCode = code
            entry.version = version
            self.model.operatorCodes.append(entry)
            self._codes[code, version] = len(self.model.operatorCodes) - 1
        return self._codes[code, version]
