"""The forms in which a .tflite holds a weight that does not train.

- A vector or small matrix is a float constant.
- A matrix is int8 with a scale for each column, the grid of quantisation-aware training (`models.int8_columns`). CAST
  and MUL compute floats just before they are used; the arithmetic is float.
- A matrix that was imported on a grid of its own (`models.grids`) is int8 on that grid, with one scale and zero point.
  Products with it are int8 products: see `FrozenWeights._product`. Other operators take floats from CAST, SUB and MUL.
"""

from collections.abc import Mapping

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tflite_asr.export.graph_builder import BOOL, FLOAT, INT8, INT32, KIND, OP, GraphBuilder
from tflite_asr.export.graphs import code_of
from tflite_asr.models.grids import Grid
from tflite_asr.models.int8_columns import LEVELS, becomes_int8, quantize

LARGE_ELEMENTS = 16_384  # from here on a weight's floats are computed just before they are used
INT8_GATHER_VERSION = 2


class FrozenWeights:
    """Buffers of a model's frozen weights, each made once however many graphs read it.

    Args:
        model: the .tflite, which gets the constants.
        weights: values by name.
        grids: of the weights that are stored on the grid that they came with.
    """

    def __init__(self, model: schema.ModelT, weights: Mapping[str, np.ndarray], grids: Mapping[str, Grid]):
        self.model, self.weights, self.grids = model, weights, grids
        self.build = GraphBuilder(model)
        self._in_products: dict[int, set[str]] = {}  # of weights on a grid, by the number of values that a row has
        self._zeros: dict[tuple[int, int], int] = {}  # by graph and tensor, see `_zero_after`
        self._transposed: set[str] = set()  # of these, those that int8 products take transposed: they are stored so

    def find_products(self, graph: schema.SubGraphT, read_as: Mapping[int, str]) -> None:
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

    def _factor(self, operator: schema.OperatorT, read_as: Mapping[int, str]) -> str | None:
        """The weight on a grid that an operator multiplies rows with."""
        if code_of(self.model, operator) != OP.BATCH_MATMUL or operator.builtinOptions.adjX:
            return None
        left, right = (read_as.get(int(index)) for index in operator.inputs)
        return right if left is None and right in self.grids else None

    def _identity_is_smaller(self, width: int) -> bool:
        """Whether the identity matrix that products of rows of this width need weighs less than their weights."""
        return width**2 <= sum(self.weights[name].size for name in self._in_products[width])

    def computes_floats(self, name: str) -> bool:
        """Whether `read` computes the floats of a weight from int8, rather than storing floats."""
        weight = self.weights[name]
        return weight.size >= LARGE_ELEMENTS and becomes_int8(weight.shape)

    def read(self, graph: schema.SubGraphT, name: str, output: int, earlier: int | None = None) -> list:
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
            floats = self.build.tensor(graph, values.shape) if transposed else output
            operators += self._dequantized(graph, name, rows, zero, scale, floats)
            if transposed:
                order = self.build.constant(graph, "axes 1 0", np.asarray([1, 0], np.int32), INT32)
                options = schema.TransposeOptionsT()
                operators.append(
                    self.build.operator(OP.TRANSPOSE, 1, KIND.TransposeOptions, options, [floats, order], [output])
                )
            return operators
        quantized = quantize(weight)
        if quantized is None:
            graph.tensors[output].buffer = self.build.buffer(name, weight.astype(np.float32))
            return []
        values, scales = quantized
        stored = self.build.constant(graph, f"{name} int8", values, INT8)
        scale = self.build.constant(graph, f"{name} scale", scales, FLOAT)
        rows, operators = self._after(graph, stored, earlier)
        widened = self.build.tensor(graph, values.shape)
        return [*operators, self.build.cast(rows, widened), self.build.arithmetic(OP.MUL, widened, scale, output)]

    def _after(self, graph, stored: int, earlier: int | None) -> tuple[int, list]:
        """A copy of an int8 constant that is made when `earlier` is there, and the operators that make it: GATHER of
        all rows by their numbers + (earlier > infinity)."""
        if earlier is None:
            return stored, []
        zero, operators = self._zero_after(graph, earlier)
        shape = [int(size) for size in graph.tensors[stored].shape]
        numbers = self.build.constant(graph, f"range {shape[0]}", np.arange(shape[0], dtype=np.int32), INT32)
        chosen, rows = self.build.tensor(graph, [shape[0]], INT32), self.build.tensor(graph, shape, INT8)
        graph.tensors[rows].quantization = graph.tensors[stored].quantization
        gather = schema.GatherOptionsT()
        operators += [
            self.build.arithmetic(OP.ADD, numbers, zero, chosen),
            self.build.operator(OP.GATHER, INT8_GATHER_VERSION, KIND.GatherOptions, gather, [stored, chosen], [rows]),
        ]
        return rows, operators

    def _zero_after(self, graph, earlier: int) -> tuple[int, list]:
        """An int32 tensor [1] of 0 that is computed from a float tensor, and the operators that do so; none when they
        are in the graph already."""
        key = id(graph), earlier
        if key in self._zeros:
            return self._zeros[key], []
        rank = len(graph.tensors[earlier].shape)
        begin = self.build.constant(graph, f"zeros {rank}", np.zeros([rank], np.int32), INT32)
        size = self.build.constant(graph, f"ones {rank}", np.ones([rank], np.int32), INT32)
        largest = self.build.constant(graph, "infinity", np.asarray([np.inf], np.float32), FLOAT)
        one_value = self.build.constant(graph, "shape 1", np.asarray([1], np.int32), INT32)
        first, value = self.build.tensor(graph, [1] * rank), self.build.tensor(graph, [1])
        above, zero = self.build.tensor(graph, [1], BOOL), self.build.tensor(graph, [1], INT32)
        reshape, widen = schema.ReshapeOptionsT(), schema.CastOptionsT()
        reshape.newShape = [1]
        widen.inDataType, widen.outDataType = BOOL, INT32
        self._zeros[key] = zero
        return zero, [
            self.build.operator(
                OP.SLICE, 1, KIND.SliceOptions, schema.SliceOptionsT(), [earlier, begin, size], [first]
            ),
            self.build.operator(OP.RESHAPE, 1, KIND.ReshapeOptions, reshape, [first, one_value], [value]),
            self.build.operator(
                OP.GREATER, 1, KIND.GreaterOptions, schema.GreaterOptionsT(), [value, largest], [above]
            ),
            self.build.operator(OP.CAST, 1, KIND.CastOptions, widen, [above], [zero]),
        ]

    def computed(
        self, graph: schema.SubGraphT, operator: schema.OperatorT, read_as: Mapping[int, str], int8_products: bool
    ) -> list | None:
        """The operators that replace an operator on a weight on a grid, without converting the weight to floats; None
        for an operator that has no replacement.

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
        identity = self.build.scaled(graph, f"identity {width}", LEVELS * np.eye(width, dtype=np.int8), 1 / LEVELS)

        def doubled(shape):
            return self.build.tensor(graph, [*shape[:-2], 2 * shape[-2], shape[-1]])

        rounded, remainder = self.build.tensor(graph, x_shape), self.build.tensor(graph, x_shape)
        both, product = doubled(x_shape), doubled(y_shape)
        upper, lower, added = (self.build.tensor(graph, y_shape) for _ in range(3))
        summed, shift = (self.build.tensor(graph, [*x_shape[:-1], 1]) for _ in range(2))
        joined, halves, summing = schema.ConcatenationOptionsT(), schema.SplitOptionsT(), schema.ReducerOptionsT()
        joined.axis, halves.numSplits, summing.keepDims = axis, 2, True
        rows_axis = self.build.constant(graph, f"axis {axis}", np.asarray(axis, np.int32), INT32)
        last_axis = self.build.constant(graph, f"axes {axis + 1}", np.asarray([axis + 1], np.int32), INT32)
        zero_scale = self.build.constant(graph, f"{name} zero scale", np.asarray([zero * scale], np.float32), FLOAT)
        return [
            self.build.dense(x, identity, rounded),
            self.build.arithmetic(OP.SUB, x, rounded, remainder),
            self.build.operator(OP.CONCATENATION, 1, KIND.ConcatenationOptions, joined, [x, remainder], [both]),
            self.build.dense(both, stored, product),
            self.build.operator(OP.SPLIT, 1, KIND.SplitOptions, halves, [rows_axis, product], [upper, lower]),
            self.build.arithmetic(OP.ADD, upper, lower, added),
            self.build.operator(OP.SUM, 1, KIND.ReducerOptions, summing, [x, last_axis], [summed]),
            self.build.arithmetic(OP.MUL, summed, zero_scale, shift),
            self.build.arithmetic(OP.SUB, added, shift, y),
        ]

    def _rows(self, graph, operator, name: str) -> list:
        """Rows of a matrix, made floats behind GATHER."""
        output = int(operator.outputs[0])
        stored, zero, scale = self._on_grid(graph, name, self.weights[name], "")
        rows = self.build.tensor(graph, graph.tensors[output].shape, INT8)
        graph.tensors[rows].quantization = graph.tensors[stored].quantization
        gathered = self.build.operator(
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
        widened, shifted = self.build.tensor(graph, shape), self.build.tensor(graph, shape)
        zero_tensor = self.build.constant(graph, f"{name} zero", np.asarray([zero], np.float32), FLOAT)
        scale_tensor = self.build.constant(graph, f"{name} scale", np.asarray([scale], np.float32), FLOAT)
        return [
            self.build.cast(stored, widened),
            self.build.arithmetic(OP.SUB, widened, zero_tensor, shifted),
            self.build.arithmetic(OP.MUL, shifted, scale_tensor, output),
        ]

    def _on_grid(self, graph, name: str, weight: np.ndarray, form: str) -> tuple[int, int, float]:
        """A tensor of the int8 numbers, which says that its zero point is 0; the zero point and scale of the grid."""
        grid = self.grids[name]
        values, zero = grid.stored(weight)
        return self.build.scaled(graph, f"{name} int8{form}", values, grid.scale), zero, grid.scale
