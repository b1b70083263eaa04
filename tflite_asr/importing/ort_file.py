"""Read the graph of an ONNX Runtime .ort file, without ONNX Runtime: its nodes, initialisers and subgraphs.

An .ort file is a flatbuffer; the field numbers are those of `ort.fbs` in ONNX Runtime 1.23. Offsets and lengths of a
damaged file may point anywhere, so each one is checked and the number of tables is bounded.
"""

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from flatbuffers import encode, packer
from flatbuffers.number_types import Int32Flags, Uint32Flags
from flatbuffers.table import Table

from tflite_asr.errors import InputError

IDENTIFIER = b"ORTM"
DTYPES = {
    1: np.float32, 2: np.uint8, 3: np.int8, 6: np.int32, 7: np.int64, 9: np.bool_, 11: np.float64
}  # fmt: skip
GRAPH_ATTRIBUTE = 5
MAX_TABLES = 200_000  # and strings, read in one file; a decoder of six layers has 30 thousand
MAX_NAME = 1_024  # bytes
MAX_RANK = 8
MAX_DEPTH = 4  # of subgraphs within subgraphs


class _Field:
    """Field numbers, in the order of the schema."""

    SESSION_MODEL = 1
    MODEL_GRAPH = 7
    GRAPH_INITIALIZERS, GRAPH_NODES = 0, 2
    NODE_NAME, NODE_INDEX, NODE_OP_TYPE, NODE_INPUTS, NODE_ATTRIBUTES = 0, 4, 5, 8, 10
    ATTRIBUTE_NAME, ATTRIBUTE_TYPE, ATTRIBUTE_GRAPH = 0, 2, 7
    TENSOR_NAME, TENSOR_DIMS, TENSOR_DTYPE, TENSOR_DATA = 0, 2, 3, 4


@dataclass(frozen=True)
class Node:
    """One op of a graph."""

    name: str
    op: str
    inputs: tuple[str, ...]  # names of tensors; "" for an input that is left out
    graphs: "dict[str, Graph]"  # by attribute name, of `If` and `Loop`


@dataclass(frozen=True)
class Graph:
    """Constants by name, and the ops in the order in which they were added."""

    initializers: dict[str, np.ndarray]
    nodes: tuple[Node, ...]


def read_ort(content: bytes, where: str) -> Graph:
    """The main graph of a file.

    Args:
        content: the whole file; the initialisers are views of it.
        where: its name, for errors.

    Raises:
        InputError: it is not an .ort file, or it is damaged.
    """
    if content[4:8] != IDENTIFIER:
        raise InputError(f"{where}: not an .ort file; expected a model of ONNX Runtime")
    try:
        return _Reader(content).main_graph()
    except (ValueError, TypeError, IndexError, OverflowError, struct.error) as error:
        raise InputError(f"{where}: damaged .ort file ({error}); copy or download it again") from None


class _Reader:
    def __init__(self, content: bytes):
        self.content = content
        self.left = MAX_TABLES

    def main_graph(self) -> Graph:
        session = Table(self.content, encode.Get(packer.uoffset, self.content, 0))
        model = self._child(session, _Field.SESSION_MODEL)
        return self._graph(self._child(model, _Field.MODEL_GRAPH), depth=0)

    def _graph(self, table: Table, depth: int) -> Graph:
        if depth > MAX_DEPTH:
            raise ValueError(f"graphs more than {MAX_DEPTH} deep in one another")
        tensors = (self._tensor(each) for each in self._children(table, _Field.GRAPH_INITIALIZERS))
        nodes = [self._node(each, depth) for each in self._children(table, _Field.GRAPH_NODES)]
        return Graph(dict(tensors), tuple(node for _, node in sorted(nodes, key=lambda pair: pair[0])))

    def _node(self, table: Table, depth: int) -> tuple[int, Node]:
        graphs = {}
        for attribute in self._children(table, _Field.NODE_ATTRIBUTES):
            if self._number(attribute, _Field.ATTRIBUTE_TYPE, Int32Flags) == GRAPH_ATTRIBUTE:
                inner = self._child(attribute, _Field.ATTRIBUTE_GRAPH)
                graphs[self._name(attribute, _Field.ATTRIBUTE_NAME)] = self._graph(inner, depth + 1)
        start, length = self._vector(table, _Field.NODE_INPUTS, 4)
        inputs = tuple(self._string(start + 4 * index) for index in range(length))
        node = Node(self._name(table, _Field.NODE_NAME), self._name(table, _Field.NODE_OP_TYPE), inputs, graphs)
        return self._number(table, _Field.NODE_INDEX, Uint32Flags), node

    def _tensor(self, table: Table) -> tuple[str, np.ndarray]:
        name = self._name(table, _Field.TENSOR_NAME)
        start, rank = self._vector(table, _Field.TENSOR_DIMS, 8)
        if rank > MAX_RANK:
            raise ValueError(f"a tensor of {rank} dimensions")
        shape = np.frombuffer(self.content, "<i8", rank, start).tolist() if rank else []
        code = self._number(table, _Field.TENSOR_DTYPE, Int32Flags)
        if code not in DTYPES:
            raise ValueError(f"a tensor of data type {code}")
        dtype = np.dtype(DTYPES[code])
        start, size = self._vector(table, _Field.TENSOR_DATA, 1)
        if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != size:
            raise ValueError(f"a tensor of shape {shape} and {size} bytes")
        return name, np.frombuffer(self.content, dtype, math.prod(shape), start if size else 0).reshape(shape)

    def _count(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise ValueError(f"more than {MAX_TABLES} tables")

    def _position(self, table: Table, field: int) -> int:
        """Where a field of a table stands; 0 when the table does not have it."""
        offset = table.Offset(4 + 2 * field)
        return table.Pos + offset if offset else 0

    def _number(self, table: Table, field: int, flags: type) -> int:
        position = self._position(table, field)
        return table.Get(flags, position) if position else 0

    def _child(self, table: Table, field: int) -> Table:
        position = self._position(table, field)
        if not position:
            raise ValueError("a part of the graph is missing")
        return self._table(position)

    def _table(self, position: int) -> Table:
        """The table to which the offset at a position points."""
        self._count()
        return Table(self.content, position + encode.Get(packer.uoffset, self.content, position))

    def _children(self, table: Table, field: int) -> Iterator[Table]:
        start, length = self._vector(table, field, 4)
        return (self._table(start + 4 * index) for index in range(length))

    def _vector(self, table: Table, field: int, item_bytes: int) -> tuple[int, int]:
        """Start and length of a vector; (0, 0) when the table does not have it."""
        position = self._position(table, field)
        return self._extent(position, item_bytes) if position else (0, 0)

    def _extent(self, position: int, item_bytes: int) -> tuple[int, int]:
        start = position + encode.Get(packer.uoffset, self.content, position)
        length = encode.Get(packer.uoffset, self.content, start)
        if start + 4 + length * item_bytes > len(self.content):
            raise ValueError("a list goes beyond the end of the file")
        return start + 4, length

    def _name(self, table: Table, field: int) -> str:
        position = self._position(table, field)
        return self._string(position) if position else ""

    def _string(self, position: int) -> str:
        self._count()
        start, length = self._extent(position, 1)
        if length > MAX_NAME:
            raise ValueError(f"a name of {length} bytes")
        return self.content[start : start + length].decode()
