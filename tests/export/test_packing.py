import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from tflite_asr.export.packing import _content, packed
from tflite_asr.runtime.artifact import read_artifact
from tflite_asr.runtime.file_part import keep_signatures


@pytest.fixture(scope="module")
def content():
    return read_artifact("commands").path.read_bytes()


def read(content):
    return schema.ModelT.InitFromPackedBuf(content, 0)


def written_in_full(model):
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def without_empty_quantization(model):
    nothing = _content(schema.QuantizationParametersT())
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            if tensor.quantization is not None and _content(tensor.quantization) == nothing:
                tensor.quantization = None
    return model


def test_a_packed_model_says_the_same_and_is_smaller(content):
    in_full = written_in_full(read(content))
    small = packed(read(in_full), in_full)
    assert _content(without_empty_quantization(read(in_full))) == _content(without_empty_quantization(read(small)))
    # 5.5 MB of it are weights, which packing leaves alone
    assert len(small) < 0.94 * len(in_full)
    assert packed(read(small), small) == small


def test_packing_leaves_the_model_as_it_was(content):
    model = read(content)
    before = _content(model)
    packed(model, content)
    assert _content(model) == before


def test_a_part_of_a_packed_file_keeps_what_its_graphs_share_with_those_left_out(content):
    whole = read(packed(read(content), content))
    part = bytearray(packed(read(content), content))
    keep_signatures(part, ["infer"])
    kept = read(bytes(part))
    (infer,) = [entry.subgraphIndex for entry in kept.signatureDefs if entry.signatureKey == b"infer"]
    assert _content(kept.subgraphs[infer]) == _content(whole.subgraphs[infer])
    left_out = [graph for graph in kept.subgraphs if graph.operators is None or not np.size(graph.operators)]
    assert left_out
