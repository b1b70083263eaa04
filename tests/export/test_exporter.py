import dataclasses
import json

import numpy as np
import pytest

from tflite_asr.config import ModelConfig, preset
from tflite_asr.errors import InputError
from tflite_asr.runtime.artifact import read_artifact, sha256
from tflite_asr.runtime.flatbuffer import read_contents
from tflite_asr.runtime.interpreter import SignatureModel
from tflite_asr.runtime.recognizer import Recognizer


@pytest.fixture(scope="module")
def artifact(tiny_tflite):
    return read_artifact(tiny_tflite)


def test_the_description_fits_the_file(artifact, tiny_tflite):
    contents = read_contents(tiny_tflite)
    assert artifact.name == "tiny" and artifact.optimizer == "adam" and artifact.allow_flex is False
    assert artifact.bytes == tiny_tflite.stat().st_size and artifact.tflite_sha256 == sha256(tiny_tflite)
    assert sorted(artifact.signatures) == contents.signatures
    assert artifact.min_runtime == contents.min_runtime
    assert artifact.config == preset("tiny") == ModelConfig.from_json(json.loads(json.dumps(artifact.model)))
    assert artifact.make_tokenizer().decode(artifact.make_tokenizer().encode("A CAT'S")) == "A CAT'S"
    for call in artifact.plans["train"]:
        assert call["signature"] in artifact.signatures
    groups = [group["name"] for group in artifact.groups]
    for exit in artifact.exits:
        assert exit["group"] in groups
    for signature in artifact.signatures.values():
        assert set(signature["reads"]) | set(signature["writes"]) <= set(groups)
    # what another language reads, too: no NaN, no infinity
    json.loads(tiny_tflite.with_suffix(".json").read_text(), parse_constant=pytest.fail)


def test_the_inputs_and_outputs_are_those_of_the_interpreter(artifact, tiny_tflite):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(tiny_tflite))
    for name, signature in artifact.signatures.items():
        runner = interpreter.get_signature_runner(name)
        found = {
            key: (detail["shape"].tolist(), np.dtype(detail["dtype"]).name)
            for key, detail in runner.get_input_details().items()
        }
        assert found == {t["name"]: (t["shape"], t["dtype"]) for t in signature["inputs"]}, name
        assert sorted(runner.get_output_details()) == signature["outputs"], name


def test_parameters_and_state_are_complete(artifact, tiny_tflite, new_tiny_model):
    weights = new_tiny_model().named_weights()
    assert [p["name"] for p in artifact.parameters] == list(weights)
    for group in artifact.groups:
        sizes = [np.prod(p["shape"], dtype=int) for p in artifact.parameters if p["group"] == group["name"]]
        assert sizes and group["parameters"] == sum(sizes) and group["bytes"] == 4 * sum(sizes)
        assert group["activation_bytes"] > 0
    assert sum(group["parameters"] for group in artifact.groups) == sum(w.numpy().size for w in weights.values())
    assert len({group["name"] for group in artifact.groups}) == len(artifact.groups)

    state = SignatureModel(tiny_tflite).run("get_weights")
    assert {t["tensor"]: (tuple(t["shape"]), t["dtype"]) for t in artifact.state} == {
        name: (value.shape, value.dtype.name) for name, value in state.items()
    }
    for parameter in artifact.parameters:
        tensor, weight = parameter["tensor"], weights[parameter["name"]].numpy()
        assert parameter["trainable"] is True and parameter["dtype"] == "float32"
        np.testing.assert_array_equal(state[tensor], weight)  # shipped as they were trained
        for slot in ("first_moment", "second_moment"):
            assert not state[f"{tensor}_{slot}"].any() and state[f"{tensor}_{slot}"].shape == weight.shape
    assert len(state) == 3 * len(weights) + 1 and state["step"] == 0


def test_builtin_ops_alone_and_an_old_runtime_will_do(tiny_tflite):
    contents = read_contents(tiny_tflite)
    assert contents.flex_ops == [] and contents.custom_ops == []
    major, minor, *_ = map(int, contents.min_runtime.split("."))
    assert (2, 0) <= (major, minor) <= (2, 14)
    assert {"WHILE", "ASSIGN_VARIABLE", "DYNAMIC_UPDATE_SLICE", "FILL"} <= set(contents.op_versions)


@pytest.mark.slow
def test_two_exports_of_one_model_are_alike_and_leave_it_alone(utterances, tmp_path):
    from tflite_asr.export import export
    from tflite_asr.models.build import build_model

    tiny = preset("tiny")  # one layer converts in a third of the time
    model = build_model(dataclasses.replace(tiny, encoder=dataclasses.replace(tiny.encoder, layers=1, reduce_after=0)))
    before = {name: weight.numpy() for name, weight in model.named_weights().items()}
    results = []
    for name in ("first", "second"):
        export(model, tmp_path / "deeper" / f"{name}.tflite", optimizer="sgd")
        recognizer = Recognizer.load(tmp_path / "deeper" / f"{name}.tflite")
        assert recognizer.artifact.name == name
        assert set(recognizer.state()) == {key.replace("/", "_") for key in before} | {"step"}  # SGD has no slots
        step = recognizer.train_step(utterances(2, 1), learning_rate=0.01)
        results.append((step, recognizer.state()))
    assert not results[0][0].skipped and results[0][0] == results[1][0]
    for key, value in results[0][1].items():
        np.testing.assert_array_equal(value, results[1][1][key], err_msg=key)
    for name, weight in model.named_weights().items():
        np.testing.assert_array_equal(weight, before[name], err_msg=name)
    files = sorted(path.name for path in (tmp_path / "deeper").iterdir())
    assert files == ["first.json", "first.tflite", "second.json", "second.tflite"]


@pytest.fixture
def lacking():
    """A function -> a signature `NAME` around an op that TFLite has no builtin for, and one, `good`, without."""
    import tensorflow as tf

    from signatures.spec import Signature

    def singular_values(x):
        return {"values": tf.linalg.svd(x, compute_uv=False)}

    def relu_gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.nn.relu(x)
        return {"gradient": tape.gradient(y, x)}

    spec = (tf.TensorSpec([4, 4], tf.float32, name="x"),)

    def signature(name, function):
        return Signature(name=name, does="for a test", function=function, inputs=spec)

    return {
        "good": signature("good", lambda x: {"y": 2 * x}),
        "svd": signature("svd", singular_values),
        "relu": signature("relu", relu_gradient),
    }


@pytest.fixture
def small_state():
    import tensorflow as tf

    from signatures.optimizers import OPTIMIZERS, State

    return State({"group/weight": tf.Variable([1.0, 2.0])}, OPTIMIZERS["sgd"])


def test_ops_that_tflite_lacks_are_told_by_signature(lacking, small_state):
    from tflite_asr.export import convert

    functions = {name: signature.concrete() for name, signature in lacking.items()}
    with pytest.raises(InputError) as raised:
        convert(functions, small_state)
    message = str(raised.value)
    assert "signature svd: Svd |" in message
    assert "signature relu: ReluGrad (for ReluGrad use tflite_asr.ops.elementary.relu)" in message
    assert "good" not in message and "--allow-flex" in message and "\n" not in message
    assert convert({"good": functions["good"]}, small_state)[4:8] == b"TFL3"


def test_flex_lets_them_through_and_the_file_says_so(lacking, small_state, tmp_path):
    from tflite_asr.export import convert

    path = tmp_path / "flex.tflite"
    path.write_bytes(convert({"relu": lacking["relu"].concrete()}, small_state, allow_flex=True))
    contents = read_contents(path)
    assert contents.flex_ops == ["ReluGrad"] and contents.custom_ops == []
    # not even the TensorFlow library has this one for TFLite: the way out that was taken is not offered again
    with pytest.raises(InputError, match="signature svd: Svd; write them from builtins$"):
        convert({"svd": lacking["svd"].concrete()}, small_state, allow_flex=True)


def fail_to_convert(monkeypatch, lacking):
    monkeypatch.setattr("tflite_asr.export.exporter.all_signatures", lambda *_, **__: [lacking["svd"]])


def fail_to_describe(monkeypatch, lacking):
    def describe(*_):
        raise InputError("Svd is not what stopped this one")

    monkeypatch.setattr("tflite_asr.export.exporter.all_signatures", lambda *_, **__: [lacking["good"]])
    monkeypatch.setattr("tflite_asr.export.exporter.describe", describe)


@pytest.mark.parametrize("fail", [fail_to_convert, fail_to_describe])
def test_a_failure_leaves_the_former_files_and_no_others(fail, lacking, new_tiny_model, monkeypatch, tmp_path):
    from tflite_asr.export import export

    (tmp_path / "model.tflite").write_text("former")
    (tmp_path / "model.json").write_text("former too")
    fail(monkeypatch, lacking)
    with pytest.raises(InputError, match="Svd"):
        export(new_tiny_model(), tmp_path / "model.tflite")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "model.tflite": "former",
        "model.json": "former too",
    }


def test_what_export_cannot_do_is_said_at_once(tmp_path):
    from tflite_asr.export import export

    with pytest.raises(InputError, match="expected a name that ends in .tflite"):
        export(None, tmp_path / "model.onnx")
    with pytest.raises(InputError, match="no optimizer named 'adagrad'; there are: sgd, momentum, adam"):
        export(None, tmp_path / "model.tflite", optimizer="adagrad")
    assert not list(tmp_path.iterdir())
