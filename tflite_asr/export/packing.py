"""The bytes of a .tflite. Equal tables stand in it once.

A signature of training has thousands of operators and tensors, and most of its tensors have the type and shape of
others. The signatures of another length have the same operators. With each written once, the graphs of `english` take
less than half of the bytes.
"""

import copy
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema


def packed(model: schema.ModelT, like: bytes) -> bytes:
    """The bytes of a model, about as many as those of `like`."""
    builder = flatbuffers.Builder(len(like))
    builder.Finish(_with_shared_tables(model).Pack(builder), b"TFL3")
    return bytes(builder.Output())


class _Shared:
    """A table that is written when it is first referred to."""

    def __init__(self, table: Any):
        self.table = table
        self.offset: int | None = None

    def Pack(self, builder: flatbuffers.Builder) -> int:
        """Where the table stands; the name is that of the schema's tables."""
        offset = self.table.Pack(builder) if self.offset is None else self.offset
        self.offset = offset
        return offset


def _with_shared_tables(model: schema.ModelT) -> schema.ModelT:
    """A copy of the model that refers to one table for all equal tensors, operators and options of operators.

    The vectors of a graph itself are its own: a part of a file is made by emptying those of other graphs.
    """
    places: dict[tuple, _Shared] = {}

    def shared(table) -> _Shared:
        return places.setdefault(_content(table), _Shared(table))

    def operator(table: schema.OperatorT) -> _Shared:
        table = copy.copy(table)
        if table.builtinOptions is not None:
            table.builtinOptions = shared(table.builtinOptions)
        return shared(table)

    def tensor(table: schema.TensorT) -> _Shared:
        table = copy.copy(table)
        if table.quantization is not None and _content(table.quantization) == _NOT_QUANTIZED:
            table.quantization = None
        return shared(table)

    model = copy.copy(model)
    model.subgraphs = [copy.copy(graph) for graph in model.subgraphs]
    for graph in model.subgraphs:
        graph.tensors = [tensor(table) for table in graph.tensors]
        graph.operators = [operator(table) for table in graph.operators]
    return model


def _content(value: Any) -> Any:
    """What tells tables from others: equal for equal ones."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, list):
        return tuple(map(_content, value))
    if isinstance(value, _Shared):
        return id(value)
    if hasattr(value, "__dict__"):
        return type(value).__name__, *((name, _content(part)) for name, part in vars(value).items())
    return value


_NOT_QUANTIZED = _content(schema.QuantizationParametersT())
