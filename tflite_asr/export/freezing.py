"""Turns weights that do not train into constants of the .tflite, in the forms of `frozen_weights`.

The converter folds variables that no signature assigns into float constants, transposed and copied. A temporary
signature, `HOLD`, assigns them during conversion; `freeze` removes it.
"""

from collections.abc import Collection, Mapping
from types import MappingProxyType

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tflite_asr.export.frozen_weights import FrozenWeights
from tflite_asr.export.graphs import code_of, drop_handles, drop_signature, graphs_of, variables_of
from tflite_asr.export.packing import packed
from tflite_asr.models.grids import Grid

OP = schema.BuiltinOperator
HOLD = "hold_frozen"  # name of the temporary signature
# a backward pass reads a weight long after the forward pass did: more operators later than this, its floats are
# computed again, so that they take no memory in between
FAR_OPERATORS = 100


def freeze(
    content: bytes,
    weights: dict[str, np.ndarray],
    grids: Mapping[str, Grid] = MappingProxyType({}),
    int8_products: Collection[str] = (),
) -> bytes:
    """Replace variables by constants and remove the signature `HOLD`. Buffers that are no longer used stay; `compact`
    drops them.

    Args:
        content: a .tflite.
        weights: values by the names of the variables; only `HOLD` assigns them.
        grids: the grids of weights that are stored on the grid that they were imported with, by name.
        int8_products: names of the signatures whose products with such weights are int8 products. XNNPACK keeps a copy
            of the weights of each, from the first call of any signature on; other signatures compute floats in each
            call.

    Returns:
        The changed .tflite.
    """
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    drop_signature(model, HOLD)
    constants = FrozenWeights(model, weights, grids)
    variables = variables_of(model)
    chosen = graphs_of(model, int8_products)
    for index, (graph, names) in enumerate(zip(model.subgraphs, variables)):
        if index in chosen:
            constants.find_products(graph, _read_as(model, graph, names, weights))
    for index, (graph, names) in enumerate(zip(model.subgraphs, variables)):
        graph.operators = _frozen_operators(model, graph, names, constants, index in chosen)
    drop_handles(model)
    return packed(model, content)


def _frozen_operators(model, graph, names: dict[int, str], constants: FrozenWeights, int8_products: bool) -> list:
    """The operators of a graph, with reads of frozen variables replaced by constants."""
    read_as = _read_as(model, graph, names, constants.weights)
    floats: dict[int, tuple[int, int]] = {}  # of these: the tensor of its floats, and the place of their last use
    operators = []
    for place, operator in enumerate(graph.operators):
        code = code_of(model, operator)
        if code in (OP.READ_VARIABLE, OP.ASSIGN_VARIABLE) and names.get(operator.inputs[0]) in constants.weights:
            continue
        replaced = constants.computed(graph, operator, read_as, int8_products)
        if replaced is not None:
            operators += replaced
            continue
        # made floats just before they are used, so that few are alive at a time
        inputs = [int(tensor) for tensor in operator.inputs]
        for position, tensor in enumerate(inputs):
            if tensor not in read_as:
                continue
            name = read_as[tensor]
            made, used = floats.get(tensor, (tensor, place))
            if tensor not in floats or (place - used > FAR_OPERATORS and constants.computes_floats(name)):
                made = tensor if tensor not in floats else constants.build.tensor(graph, graph.tensors[tensor].shape)
                operators += constants.read(graph, name, made, _other_factor(model, graph, operator, read_as))
            floats[tensor] = made, place
            inputs[position] = made
        operator.inputs = inputs
        operators.append(operator)
    for tensor in map(int, graph.outputs):
        if tensor in read_as and tensor not in floats:
            operators += constants.read(graph, read_as[tensor], tensor)
    return operators


def _other_factor(model, graph, operator, read_as: Mapping[int, str]) -> int | None:
    """A float tensor that an operator takes and that is neither a weight nor a constant, if there is one."""
    for index in map(int, operator.inputs):
        if index < 0 or index in read_as:
            continue
        tensor = graph.tensors[index]
        if tensor.type == schema.TensorType.FLOAT32 and model.buffers[tensor.buffer].data is None:
            return index
    return None


def _read_as(model, graph, names: dict[int, str], weights: Mapping[str, np.ndarray]) -> dict[int, str]:
    """The names of frozen variables by the tensors of a graph that hold their values."""
    return {
        int(operator.outputs[0]): names[operator.inputs[0]]
        for operator in graph.operators
        if code_of(model, operator) == OP.READ_VARIABLE and names.get(operator.inputs[0]) in weights
    }
