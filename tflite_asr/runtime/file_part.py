"""A part of a .tflite: some of its signatures, without what only the others need.

A runtime lays out every subgraph of a file when it loads it, and packs the constant weights of each at the first call.
A part has the bytes of the whole file, but for a few: vectors of subgraphs that are left out get the length 0, and the
signatures that are kept stand at the start of their vector.
"""

import contextlib
import mmap
import os
import shutil
import struct
import tempfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

# fields of the flatbuffer's tables, by their order in the schema
_SUBGRAPHS, _SIGNATURES = 2, 7  # of Model
_TENSORS, _INPUTS, _OUTPUTS, _OPERATORS = range(4)  # of SubGraph
_OPTIONS_TYPE, _OPTIONS = 3, 4  # of Operator
_KEY, _SUBGRAPH = 2, 4  # of SignatureDef
# options of operators that call subgraphs, by type: If, While, CallOnce; their fields are indices of subgraphs
_CALLS = {92: 2, 93: 2, 103: 1}

Bytes = bytearray | mmap.mmap
ON_DISK = Path("/var/tmp")  # where temporary files are on a disk by convention; /tmp may be memory


@contextlib.contextmanager
def file_of_part(path: Path, signatures: Collection[str] | None) -> Iterator[Path]:
    """A file with some signatures of a .tflite, to be loaded within the block; `path` itself for None.

    It is written to disk, so that its pages are the system's to drop, as those of the whole file are. Where there is no
    room for it, the whole file is loaded.
    """
    if signatures is None:
        yield path
        return
    place = ON_DISK if os.access(ON_DISK, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="tflite-asr-", dir=place, ignore_cleanup_errors=True) as folder:
        part = Path(folder) / path.name
        try:
            shutil.copyfile(path, part)
            with part.open("r+b") as file:
                with mmap.mmap(file.fileno(), 0) as content:
                    keep_signatures(content, signatures)
                    content.flush()
                os.fsync(file.fileno())
        except OSError:
            part = path
        yield part


def keep_signatures(content: Bytes, signatures: Collection[str]) -> None:
    """Leave all but some signatures out of a .tflite, in place; those that it lacks are ignored.

    Subgraph 0 stays: XNNPACK is not applied to a file whose first subgraph is empty.
    """
    model = _Table(content, _read(content, "<I", 0))
    graphs, definitions = model.tables(_SUBGRAPHS), model.tables(_SIGNATURES)
    kept = [one for one in definitions if one.string(_KEY) in signatures]
    needed = _called(graphs, {0, *(one.unsigned(_SUBGRAPH) for one in kept)})
    vectors = {graphs[index].vector(field) for index in needed for field in (_TENSORS, _INPUTS, _OUTPUTS, _OPERATORS)}
    for index, graph in enumerate(graphs):
        for field in (_TENSORS, _INPUTS, _OUTPUTS, _OPERATORS):
            vector = graph.vector(field)
            if index not in needed and vector not in vectors:  # which a table that is needed may share
                struct.pack_into("<I", content, vector, 0)
    start = model.vector(_SIGNATURES)
    for place, definition in enumerate(kept):
        slot = start + 4 + 4 * place
        struct.pack_into("<I", content, slot, definition.at - slot)
    struct.pack_into("<I", content, start, len(kept))


def _called(graphs: list["_Table"], first: set[int]) -> set[int]:
    """The indices of some subgraphs and of those that their operators call."""
    found, open_graphs = set(), list(first)
    while open_graphs:
        index = open_graphs.pop()
        if index in found:
            continue
        found.add(index)
        for operator in graphs[index].tables(_OPERATORS):
            options = _CALLS.get(operator.unsigned(_OPTIONS_TYPE, "<B"), 0)
            for field in range(options):
                open_graphs.append(operator.table(_OPTIONS).unsigned(field))
    return found


def _read(content: Bytes, kind: str, at: int) -> int:
    return struct.unpack_from(kind, content, at)[0]


@dataclass(frozen=True)
class _Table:
    """A table of a flatbuffer, which starts at `at`."""

    content: Bytes
    at: int

    def unsigned(self, field: int, kind: str = "<I") -> int:
        """A number; 0, which is what the schema's fields have by default, where it is absent."""
        place = self._place(field)
        return _read(self.content, kind, place) if place else 0

    def table(self, field: int) -> "_Table":
        """A table that is there."""
        return _Table(self.content, self._target(self._place(field)))

    def vector(self, field: int) -> int:
        """Where a vector's length stands; of an absent one the place of this table, which no vector has."""
        place = self._place(field)
        return self._target(place) if place else self.at

    def tables(self, field: int) -> list["_Table"]:
        """The tables of a vector, none of an absent one."""
        if not self._place(field):
            return []
        start = self.vector(field)
        slots = range(start + 4, start + 4 + 4 * _read(self.content, "<I", start), 4)
        return [_Table(self.content, self._target(slot)) for slot in slots]

    def string(self, field: int) -> str:
        start = self.vector(field)
        return self.content[start + 4 : start + 4 + _read(self.content, "<I", start)].decode()

    def _target(self, place: int) -> int:
        return place + _read(self.content, "<I", place)

    def _place(self, field: int) -> int:
        """Where a field stands; 0 if it is absent."""
        names = self.at - _read(self.content, "<i", self.at)
        if 4 + 2 * field >= _read(self.content, "<H", names):
            return 0
        offset = _read(self.content, "<H", names + 4 + 2 * field)
        return self.at + offset if offset else 0
