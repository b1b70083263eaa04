"""Weights that do not train become int8 constants of the .tflite; `frozen_weights` says in which form.

The converter makes constants of its own, as floats, of variables that no signature assigns, transposed and copied as it
likes. The signature `HOLD` assigns them while it looks, and is taken out again.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from types import MappingProxyType

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tflite_asr.frozen_weights import FrozenWeights, code_of
from tflite_asr.models.grids import Grid

OP = schema.BuiltinOperator
# how options of operators name the graphs that these run
GRAPH_FIELDS = ("thenSubgraphIndex", "elseSubgraphIndex", "condSubgraphIndex", "bodySubgraphIndex", "initSubgraphIndex")
HOLD = "hold_frozen"  # name of the signature that is there for the converter's sake


def freeze(
    content: bytes,
    weights: dict[str, np.ndarray],
    grids: Mapping[str, Grid] = MappingProxyType({}),
    int8_products: Collection[str] = (),
) -> bytes:
    """The same model with each of these variables a constant, and without the signature `HOLD`. What then is in no use
    stays for `compact` to drop.

    Args:
        content: a .tflite.
        weights: values by the names of the variables; no signature but `HOLD` assigns them.
        grids: of the weights that are stored on the grid that they came with.
        int8_products: signatures whose products with such weights are int8 products. XNNPACK keeps a copy of the
            weights of each, from the first call of any signature on; the others make floats of them at each call.
    """
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    _drop_signature(model, HOLD)
    constants = FrozenWeights(model, weights, grids)
    variables = _variables_of(model)
    chosen = _graphs_of(model, int8_products)
    for index, (graph, names) in enumerate(zip(model.subgraphs, variables)):
        if index in chosen:
            constants.find_products(graph, _read_as(model, graph, names, weights))
    for index, (graph, names) in enumerate(zip(model.subgraphs, variables)):
        graph.operators = _frozen_operators(model, graph, names, constants, index in chosen)
    _drop_handles(model)
    return _packed(model, content)


def _graphs_of(model, signatures: Collection[str]) -> set[int]:
    """The graphs that these signatures run, the branches and bodies of loops in them too."""
    found: set[int] = set()
    waiting = [entry.subgraphIndex for entry in model.signatureDefs if entry.signatureKey.decode() in signatures]
    while waiting:
        index = waiting.pop()
        if index not in found:
            found.add(index)
            for operator in model.subgraphs[index].operators:
                waiting += [inner for inner, _ in _entered(model, operator)]
    return found


def _frozen_operators(model, graph, names: dict[int, str], constants: FrozenWeights, int8_products: bool) -> list:
    """The operators of a graph, with what reads a frozen variable reading a constant."""
    read_as = _read_as(model, graph, names, constants.weights)
    floats: set[int] = set()  # of these, the ones that are there as floats already
    operators = []
    for operator in graph.operators:
        code = code_of(model, operator)
        if code in (OP.READ_VARIABLE, OP.ASSIGN_VARIABLE) and names.get(operator.inputs[0]) in constants.weights:
            continue
        replaced = constants.computed(graph, operator, read_as, int8_products)
        if replaced is not None:
            operators += replaced
            continue
        # made floats just before they are used, so that few are alive at a time
        for tensor in map(int, operator.inputs):
            if tensor in read_as and tensor not in floats:
                operators += constants.read(
                    graph, read_as[tensor], tensor, _other_factor(model, graph, operator, read_as)
                )
                floats.add(tensor)
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


def restore_floats(content: bytes, signature: str, matrices: Sequence[np.ndarray]) -> bytes:
    """The same model with these matrices [inputs, outputs] of a signature's products as floats again, where the
    converter made them int8.
    """
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


def _variables_of(model) -> list[dict[int, str]]:
    """For each graph, which variable a tensor is the handle of: handles go into branches and loops as inputs."""
    names: list[dict[int, str]] = [{} for _ in model.subgraphs]
    waiting = list(range(len(model.subgraphs)))
    while waiting:
        index = waiting.pop()
        graph, known = model.subgraphs[index], names[index]
        for operator in graph.operators:
            if code_of(model, operator) == OP.VAR_HANDLE:
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
    code, options = code_of(model, operator), operator.builtinOptions
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
            if code_of(model, operator) != OP.VAR_HANDLE or int(operator.outputs[0]) in used
        ]
