"""The forms in which a .tflite holds a weight that does not train.

- A vector or small matrix is a float constant.
- A matrix is int8 with a scale for each column, the grid of quantisation-aware training. CAST and MUL make floats of it
just
  before it is used; the arithmetic is float.
- A matrix that came on a grid of its own (`models.grids`) is int8 on that grid, with one scale and zero point. Products
with
  it are int8 products: see `FrozenWeights._product`. What else reads it takes floats from CAST, SUB and MUL.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tflite_asr.models.grids import Grid

SMALLEST_ELEMENTS = 512  # smaller weights stay floats: their scales would weigh as much as is saved
LARGE_ELEMENTS = 16_384  # from here on a weight's floats are made just before they are used
LEVELS = 127  # of int8 on either side of 0
OP, KIND = schema.BuiltinOperator, schema.BuiltinOptions
FLOAT, INT8, INT32 = schema.TensorType.FLOAT32, schema.TensorType.INT8, schema.TensorType.INT32
BOOL = schema.TensorType.BOOL
INT8_CAST_VERSION = 2
INT8_GATHER_VERSION = 2
HYBRID_DENSE_VERSION = 5  # of FULLY_CONNECTED: int8 weights, float activations, and it keeps their axes


def becomes_int8(shape: Sequence[int]) -> bool:
    """Whether a weight of this shape does; vectors and small matrices stay floats."""
    return len(shape) > 1 and math.prod(shape) >= SMALLEST_ELEMENTS


def quantize(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """int8 of the same shape and scales of the last axis [columns] float32, so that int8 times scale is the weight;
    None for what stays floats.
    """
    if not becomes_int8(weight.shape):
        return None
    top = np.max(np.abs(weight), axis=tuple(range(weight.ndim - 1)))
    scales = np.where(top > 0, top / LEVELS, 1.0).astype(np.float32)
    return np.clip(np.round(weight / scales), -LEVELS, LEVELS).astype(np.int8), scales


def code_of(model, operator) -> int:
    """The builtin that an operator is."""
    entry = model.operatorCodes[operator.opcodeIndex]
    return max(entry.builtinCode, entry.deprecatedBuiltinCode)


class FrozenWeights:
    """Buffers of a model's frozen weights, each made once however many graphs read it.

    Args:
        model: the .tflite, which gets the constants.
        weights: values by name.
        grids: of the weights that are stored on the grid that they came with.
    """

    def __init__(self, model, weights: Mapping[str, np.ndarray], grids: Mapping[str, Grid]):
        self.model, self.weights, self.grids = model, weights, grids
        self._buffers: dict[str, int] = {}
        self._codes: dict[tuple[int, int], int] = {}
        self._in_products: dict[int, set[str]] = {}  # of weights on a grid, by the number of values that a row has
        self._zeros: dict[tuple[int, int], int] = {}  # by graph and tensor, see `_zero_after`
        self._transposed: set[str] = set()  # of these, those that int8 products take transposed: they are stored so

    def find_products(self, graph, read_as: Mapping[int, str]) -> None:
        """Note which weights are multiplied with in a graph, before any of it is changed; arguments as of
        `computed`.
        """
        for operator in graph.operators:
            name = self._factor(operator, read_as)
            if name is not None:
                width = int(graph.tensors[operator.inputs[0]].shape[-1])
                self._in_products.setdefault(width, set()).add(name)
                if not operator.builtinOptions.adjY:
                    self._transposed.add(name)

    def _factor(self, operator, read_as: Mapping[int, str]) -> str | None:
        """The weight on a grid that an operator multiplies rows with."""
        if code_of(self.model, operator) != OP.BATCH_MATMUL or operator.builtinOptions.adjX:
            return None
        left, right = (read_as.get(int(index)) for index in operator.inputs)
        return right if left is None and right in self.grids else None

    def _identity_is_smaller(self, width: int) -> bool:
        """Whether the identity matrix that products of rows of this width need weighs less than their weights."""
        return width**2 <= sum(self.weights[name].size for name in self._in_products[width])

    def read(self, graph, name: str, output: int, earlier: int | None = None) -> list:
        """The operators that put a weight into the tensor `output` of a graph; none when it is made a
        constant itself.

        Args:
            earlier: a float tensor after which the weight is made floats. XNNPACK takes operators together in large
                pieces; what depends on constants alone runs before all of them, for every weight of the graph at once.
        """
        weight = self.weights[name]
        if weight.size < LARGE_ELEMENTS:
            earlier = None
        if name in self.grids and becomes_int8(weight.shape):
            transposed = name in self._transposed
            form, values = (" transposed", weight.T) if transposed else ("", weight)
            stored, zero, scale = self._on_grid(graph, name, values, form)
            rows, operators = self._after(graph, stored, earlier)
            floats = self._tensor(graph, values.shape) if transposed else output
            operators += self._dequantized(graph, name, rows, zero, scale, floats)
            if transposed:
                order = self._constant(graph, "axes 1 0", np.asarray([1, 0], np.int32), INT32)
                options = schema.TransposeOptionsT()
                operators.append(
                    self._operator(OP.TRANSPOSE, 1, KIND.TransposeOptions, options, [floats, order], [output])
                )
            return operators
        quantized = quantize(weight)
        if quantized is None:
            graph.tensors[output].buffer = self._buffer(name, weight.astype(np.float32))
            return []
        values, scales = quantized
        stored = self._constant(graph, f"{name} int8", values, INT8)
        scale = self._constant(graph, f"{name} scale", scales, FLOAT)
        rows, operators = self._after(graph, stored, earlier)
        widened = self._tensor(graph, values.shape)
        return [*operators, self._cast(rows, widened), self._arithmetic(OP.MUL, widened, scale, output)]

    def _after(self, graph, stored: int, earlier: int | None) -> tuple[int, list]:
        """A copy of an int8 constant that is made when `earlier` is there, and the operators that make it: GATHER of
        all rows by their numbers + (earlier > infinity)."""
        if earlier is None:
            return stored, []
        zero, operators = self._zero_after(graph, earlier)
        shape = [int(size) for size in graph.tensors[stored].shape]
        numbers = self._constant(graph, f"range {shape[0]}", np.arange(shape[0], dtype=np.int32), INT32)
        chosen, rows = self._tensor(graph, [shape[0]], INT32), self._tensor(graph, shape, INT8)
        graph.tensors[rows].quantization = graph.tensors[stored].quantization
        gather = schema.GatherOptionsT()
        operators += [
            self._arithmetic(OP.ADD, numbers, zero, chosen),
            self._operator(OP.GATHER, INT8_GATHER_VERSION, KIND.GatherOptions, gather, [stored, chosen], [rows]),
        ]
        return rows, operators

    def _zero_after(self, graph, earlier: int) -> tuple[int, list]:
        """An int32 tensor [1] of 0 that is computed from a float tensor, and the operators that do so; none when they
        are in the graph already."""
        key = id(graph), earlier
        if key in self._zeros:
            return self._zeros[key], []
        rank = len(graph.tensors[earlier].shape)
        begin = self._constant(graph, f"zeros {rank}", np.zeros([rank], np.int32), INT32)
        size = self._constant(graph, f"ones {rank}", np.ones([rank], np.int32), INT32)
        largest = self._constant(graph, "infinity", np.asarray([np.inf], np.float32), FLOAT)
        one_value = self._constant(graph, "shape 1", np.asarray([1], np.int32), INT32)
        first, value = self._tensor(graph, [1] * rank), self._tensor(graph, [1])
        above, zero = self._tensor(graph, [1], BOOL), self._tensor(graph, [1], INT32)
        reshape, widen = schema.ReshapeOptionsT(), schema.CastOptionsT()
        reshape.newShape = [1]
        widen.inDataType, widen.outDataType = BOOL, INT32
        self._zeros[key] = zero
        return zero, [
            self._operator(OP.SLICE, 1, KIND.SliceOptions, schema.SliceOptionsT(), [earlier, begin, size], [first]),
            self._operator(OP.RESHAPE, 1, KIND.ReshapeOptions, reshape, [first, one_value], [value]),
            self._operator(OP.GREATER, 1, KIND.GreaterOptions, schema.GreaterOptionsT(), [value, largest], [above]),
            self._operator(OP.CAST, 1, KIND.CastOptions, widen, [above], [zero]),
        ]

    def computed(self, graph, operator, read_as: Mapping[int, str], int8_products: bool) -> list | None:
        """The operators that do what one does with a weight on a grid, without making floats of the weight; None for an
        operator that does something else.

        Args:
            read_as: the weights' names by the tensors that hold their values.
            int8_products: whether products are among what is done so; rows of a matrix always are.
        """
        factor = self._factor(operator, read_as) if int8_products else None
        if factor is not None and self._identity_is_smaller(int(graph.tensors[operator.inputs[0]].shape[-1])):
            return self._product(graph, operator, factor)
        if code_of(self.model, operator) == OP.GATHER and read_as.get(int(operator.inputs[0])) in self.grids:
            return self._rows(graph, operator, read_as[int(operator.inputs[0])])
        return None

    def _product(self, graph, operator, name: str) -> list:
        """x W of a float x and an int8 W, exact in W and, in x, to 16 bits.

        FULLY_CONNECTED with int8 weights rounds each row of x to 8 bits, in a way that depends on the runtime. The same
        with an identity matrix tells what it rounds x to, x'. The remainder x - x' is rounded to 8 bits again, and so
        much finer: with both as rows of one product, which reads W once, x W = x' W + (x - x') W. In place of the
        grid's zero point z, which these products do not have, scale z sum(x) is taken away.
        """
        x, y = int(operator.inputs[0]), int(operator.outputs[0])
        x_shape, y_shape = ([int(size) for size in graph.tensors[index].shape] for index in (x, y))
        axis, width = len(x_shape) - 2, x_shape[-1]
        transposed = operator.builtinOptions.adjY
        weight = self.weights[name] if transposed else np.ascontiguousarray(self.weights[name].T)
        stored, zero, scale = self._on_grid(graph, name, weight, "" if transposed else " transposed")
        identity = self._scaled(graph, f"identity {width}", LEVELS * np.eye(width, dtype=np.int8), 1 / LEVELS)

        def doubled(shape):
            return self._tensor(graph, [*shape[:-2], 2 * shape[-2], shape[-1]])

        rounded, remainder = self._tensor(graph, x_shape), self._tensor(graph, x_shape)
        both, product = doubled(x_shape), doubled(y_shape)
        upper, lower, added = (self._tensor(graph, y_shape) for _ in range(3))
        summed, shift = (self._tensor(graph, [*x_shape[:-1], 1]) for _ in range(2))
        joined, halves, summing = schema.ConcatenationOptionsT(), schema.SplitOptionsT(), schema.ReducerOptionsT()
        joined.axis, halves.numSplits, summing.keepDims = axis, 2, True
        rows_axis = self._constant(graph, f"axis {axis}", np.asarray(axis, np.int32), INT32)
        last_axis = self._constant(graph, f"axes {axis + 1}", np.asarray([axis + 1], np.int32), INT32)
        zero_scale = self._constant(graph, f"{name} zero scale", np.asarray([zero * scale], np.float32), FLOAT)
        return [
            self._dense(x, identity, rounded),
            self._arithmetic(OP.SUB, x, rounded, remainder),
            self._operator(OP.CONCATENATION, 1, KIND.ConcatenationOptions, joined, [x, remainder], [both]),
            self._dense(both, stored, product),
            self._operator(OP.SPLIT, 1, KIND.SplitOptions, halves, [rows_axis, product], [upper, lower]),
            self._arithmetic(OP.ADD, upper, lower, added),
            self._operator(OP.SUM, 1, KIND.ReducerOptions, summing, [x, last_axis], [summed]),
            self._arithmetic(OP.MUL, summed, zero_scale, shift),
            self._arithmetic(OP.SUB, added, shift, y),
        ]

    def _rows(self, graph, operator, name: str) -> list:
        """Rows of a matrix, made floats behind GATHER."""
        output = int(operator.outputs[0])
        stored, zero, scale = self._on_grid(graph, name, self.weights[name], "")
        rows = self._tensor(graph, graph.tensors[output].shape, INT8)
        graph.tensors[rows].quantization = graph.tensors[stored].quantization
        gathered = self._operator(
            OP.GATHER,
            INT8_GATHER_VERSION,
            operator.builtinOptionsType,
            operator.builtinOptions,
            [stored, int(operator.inputs[1])],
            [rows],
        )
        return [gathered, *self._dequantized(graph, name, rows, zero, scale, output)]

    def _dequantized(self, graph, name: str, stored: int, zero: int, scale: float, output: int) -> list:
        """scale (stored - zero) -> output."""
        shape = graph.tensors[stored].shape
        widened, shifted = self._tensor(graph, shape), self._tensor(graph, shape)
        zero_tensor = self._constant(graph, f"{name} zero", np.asarray([zero], np.float32), FLOAT)
        scale_tensor = self._constant(graph, f"{name} scale", np.asarray([scale], np.float32), FLOAT)
        return [
            self._cast(stored, widened),
            self._arithmetic(OP.SUB, widened, zero_tensor, shifted),
            self._arithmetic(OP.MUL, shifted, scale_tensor, output),
        ]

    def _on_grid(self, graph, name: str, weight: np.ndarray, form: str) -> tuple[int, int, float]:
        """A tensor of the int8 numbers, which says that its zero point is 0; the zero point and scale of the grid."""
        grid = self.grids[name]
        values, zero = grid.stored(weight)
        return self._scaled(graph, f"{name} int8{form}", values, grid.scale), zero, grid.scale

    def _scaled(self, graph, name: str, values: np.ndarray, scale: float) -> int:
        index = self._constant(graph, name, values, INT8)
        quantization = schema.QuantizationParametersT()
        quantization.scale, quantization.zeroPoint = [float(scale)], [0]
        graph.tensors[index].quantization = quantization
        return index

    def _dense(self, x: int, weight: int, output: int):
        options = schema.FullyConnectedOptionsT()
        options.keepNumDims = True
        return self._operator(
            OP.FULLY_CONNECTED, HYBRID_DENSE_VERSION, KIND.FullyConnectedOptions, options, [x, weight, -1], [output]
        )

    def _cast(self, stored: int, output: int):
        options = schema.CastOptionsT()
        options.inDataType, options.outDataType = INT8, FLOAT
        return self._operator(OP.CAST, INT8_CAST_VERSION, KIND.CastOptions, options, [stored], [output])

    def _arithmetic(self, code: int, left: int, right: int, output: int):
        kind, options = {
            OP.ADD: (KIND.AddOptions, schema.AddOptionsT),
            OP.SUB: (KIND.SubOptions, schema.SubOptionsT),
            OP.MUL: (KIND.MulOptions, schema.MulOptionsT),
        }[code]
        return self._operator(code, 1, kind, options(), [left, right], [output])

    def _operator(self, code: int, version: int, kind: int, options, inputs: Sequence[int], outputs: Sequence[int]):
        operator = schema.OperatorT()
        operator.opcodeIndex = self._code_index(code, version)
        operator.builtinOptionsType, operator.builtinOptions = kind, options
        operator.inputs, operator.outputs = list(inputs), list(outputs)
        return operator

    def _code_index(self, code: int, version: int) -> int:
        if (code, version) not in self._codes:
            entry = schema.OperatorCodeT()
            entry.builtinCode = entry.deprecatedBuiltinCode = code
            entry.version = version
            self.model.operatorCodes.append(entry)
            self._codes[code, version] = len(self.model.operatorCodes) - 1
        return self._codes[code, version]

    def _tensor(self, graph, shape: Sequence[int], kind: int = FLOAT, buffer: int = 0) -> int:
        tensor = schema.TensorT()
        tensor.type, tensor.shape, tensor.buffer = kind, [int(size) for size in shape], buffer
        graph.tensors.append(tensor)
        return len(graph.tensors) - 1

    def _constant(self, graph, name: str, values: np.ndarray, kind: int) -> int:
        return self._tensor(graph, values.shape, kind, self._buffer(name, values))

    def _buffer(self, name: str, values: np.ndarray) -> int:
        if name not in self._buffers:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(values.tobytes(), np.uint8)
            self.model.buffers.append(buffer)
            self._buffers[name] = len(self.model.buffers) - 1
        return self._buffers[name]
