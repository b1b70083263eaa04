import numpy as np
import pytest

from tflite_asr.config import preset
from tflite_asr.export.compaction import compact
from tflite_asr.runtime.batch import collate
from tflite_asr.runtime.flatbuffer import read_contents
from tflite_asr.runtime.interpreter import SignatureModel


@pytest.fixture(scope="module")
def files(new_tiny_model, tmp_path_factory):
    """`train` and `get_weights` as the converter writes them, and compacted."""
    from signatures.optimizers import OPTIMIZERS, State
    from signatures.training import train_signature
    from signatures.weights import weights_signatures
    from tflite_asr.export import converter

    model = new_tiny_model()
    state = State(model.named_weights(), OPTIMIZERS["adam"])
    get_weights, _ = weights_signatures(model, state)
    functions = {signature.name: signature.concrete() for signature in (train_signature(model, state), get_weights)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(converter, "compact", lambda content: content)
        raw = converter.convert(functions, state)
    folder = tmp_path_factory.mktemp("compact")
    (folder / "raw.tflite").write_bytes(raw)
    (folder / "compact.tflite").write_bytes(compact(raw))
    return folder / "raw.tflite", folder / "compact.tflite"


@pytest.mark.slow
def test_a_compacted_model_trains_bit_for_bit_as_the_raw_one(files, utterances):
    raw, small = map(SignatureModel, files)
    for seed in range(3):
        inputs = {
            **collate(utterances(2, seed), preset("tiny")),
            "learning_rate": np.float32(1e-2),
            "clip_norm": np.float32(5.0),
            "pull": np.float32(0.1),
            "group_rates": np.ones([5], np.float32),
        }
        for name, given in (("get_weights", {}), ("train", inputs), ("get_weights", {})):
            expected, found = raw.run(name, given), small.run(name, given)
            assert expected.keys() == found.keys()
            for key, value in expected.items():
                assert value.tobytes() == found[key].tobytes() and value.shape == found[key].shape, (name, key)
    assert found["step"] == 3


@pytest.mark.slow
def test_a_compacted_model_is_smaller_and_nothing_else(files):
    raw, small = map(read_contents, files)
    # Adam's two slots, zero at first, are as large as the weights each; the converter shares those of one shape
    weights = sum(
        value.nbytes for key, value in SignatureModel(files[0]).run("get_weights").items() if "moment" not in key
    )
    assert files[0].stat().st_size - files[1].stat().st_size > weights
    assert "FILL" in small.op_versions
    assert {**small.op_versions, "FILL": 0} == {**raw.op_versions, "FILL": 0}
    assert small.signatures == raw.signatures == ["get_weights", "train"]
    assert small.min_runtime == raw.min_runtime != ""


@pytest.mark.slow
def test_compacting_twice_changes_nothing_more(files):
    _, small = files
    # the flatbuffer is packed anew; a few bytes of alignment may differ
    assert abs(len(compact(small.read_bytes())) - small.stat().st_size) < 64
