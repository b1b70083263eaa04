"""`.ort` files: what is read of whole ones, and that damaged ones end in an InputError, soon."""

import time

import flatbuffers
import numpy as np
import pytest
from ort_builder import attribute, finished, graph, node, tensor

from tflite_asr.errors import InputError
from tflite_asr.importing.ort_file import Graph, read_ort

KERNEL = np.arange(6, dtype=np.float32).reshape(2, 3)
LEVELS = np.arange(250, 256, dtype=np.uint8).reshape(3, 2, 1)


@pytest.fixture(scope="module")
def small():
    builder = flatbuffers.Builder()
    branch = graph(
        builder, [tensor(builder, "axes", np.array([-1, 7]))], [node(builder, "/inner", "Add", 3, ["axes", ""])]
    )
    tensors = [
        tensor(builder, "kernel", KERNEL),
        tensor(builder, "levels", LEVELS),
        tensor(builder, "zero", np.uint8(137)),
    ]
    nodes = [
        node(builder, "/last", "MatMul", 2, ["x", "kernel"]),
        node(builder, "/first", "If", 1, ["use_cache"], [attribute(builder, "else_branch", branch)]),
    ]
    return finished(builder, graph(builder, tensors, nodes))


def test_constants_nodes_and_subgraphs_are_read(small):
    main = read_ort(small, "small.ort")
    assert set(main.initializers) == {"kernel", "levels", "zero"}
    for name, expected in (("kernel", KERNEL), ("levels", LEVELS), ("zero", np.uint8(137))):
        np.testing.assert_array_equal(main.initializers[name], expected)
        assert main.initializers[name].dtype == expected.dtype and main.initializers[name].shape == expected.shape
    assert [(each.name, each.op, each.inputs) for each in main.nodes] == [
        ("/first", "If", ("use_cache",)),
        ("/last", "MatMul", ("x", "kernel")),
    ]
    branch = main.nodes[0].graphs["else_branch"]
    assert branch.initializers["axes"].tolist() == [-1, 7] and branch.nodes[0].inputs == ("axes", "")


def refused(content):
    with pytest.raises(InputError) as error:
        read_ort(content, "x.ort")
    assert str(error.value).startswith("x.ort: ") and "\n" not in str(error.value)
    return str(error.value)


def test_truncated_files_are_refused(small):
    for length in range(len(small) - 8):  # what the file ends with may be padding
        refused(small[:length])


@pytest.mark.parametrize(
    "content", [b"", b"ORTM", b"\0\0\0\0ORTM", b"\xff\xff\xff\xffORTM", b"\x08\0\0\0TFL3" + bytes(64)]
)
def test_other_files_are_refused(content):
    refused(content)


def test_damaged_files_are_read_or_refused(small):
    random = np.random.default_rng(0)
    outcomes = {True: 0, False: 0}
    for _ in range(3000):
        content = bytearray(small)
        for position in random.integers(0, len(content), random.integers(1, 5)):
            content[position] = random.choice([0, 1, 4, 127, 128, 255, random.integers(256)])
        try:
            outcomes[isinstance(read_ort(bytes(content), "x.ort"), Graph)] += 1
        except InputError:
            outcomes[False] += 1
    assert min(outcomes.values()) > 100


@pytest.mark.parametrize(
    "value, code, message",
    [(np.zeros(4, np.float32), 99, "data type 99"), (np.zeros(4, np.uint8), 1, "shape [4] and 4 bytes")],
)
def test_tensors_that_contradict_themselves_are_refused(value, code, message):
    builder = flatbuffers.Builder()
    content = finished(builder, graph(builder, [tensor(builder, "w", value, code)], []))
    assert message in refused(content)


def test_a_graph_that_is_used_again_and_again_does_not_take_for_ever():
    builder = flatbuffers.Builder()
    inner = graph(builder, [], [])
    for depth in range(4):
        inner = graph(builder, [], [node(builder, "n", "If", 0, (), [attribute(builder, "g", inner)] * 100)])
    start = time.monotonic()
    assert "tables" in refused(finished(builder, inner))
    assert time.monotonic() - start < 30


def test_graphs_that_are_too_deep_are_refused():
    builder = flatbuffers.Builder()
    inner = graph(builder, [], [])
    for depth in range(40):
        inner = graph(builder, [], [node(builder, "n", "If", 0, (), [attribute(builder, "g", inner)])])
    assert "deep" in refused(finished(builder, inner))
