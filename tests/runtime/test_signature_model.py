import json
import shutil

import numpy as np
import pytest

from tflite_asr.errors import InputError
from tflite_asr.runtime.artifact import read_artifact
from tflite_asr.runtime.description import with_digest
from tflite_asr.runtime.interpreter import SignatureModel
from tflite_asr.runtime.recognizer import Recognizer

NAMES = [
    "features", "infer", "stream", "encode", "predict", "join",
    "loss", "parameters", "train", "forward_0", "head", "backward_0", "get_weights", "set_weights",
]  # fmt: skip


def plausible_inputs(artifact, name):
    """Inputs of the right names, shapes and dtypes; lengths that fit."""
    random = np.random.default_rng(0)
    lengths = {"frame_lengths": 20, "token_lengths": 3}
    inputs = {}
    for tensor in artifact.signatures[name]["inputs"]:
        shape, key = tensor["shape"], tensor["name"]
        if tensor["dtype"] == "int32":
            inputs[key] = np.full(shape, lengths.get(key, 1), np.int32)
        else:
            inputs[key] = np.asarray(0.1 * random.standard_normal(shape), np.float32)
        if key == "rows":
            inputs[key] = np.ones(shape, np.float32)
    return inputs


@pytest.fixture(scope="module")
def artifact(tiny_tflite):
    return read_artifact(tiny_tflite)


@pytest.fixture
def model(tiny_tflite):
    return SignatureModel(tiny_tflite)


@pytest.mark.parametrize("name", NAMES)
def test_each_signature_is_the_first_that_an_interpreter_runs(name, artifact, model):
    result = model.run(name, plausible_inputs(artifact, name))
    assert sorted(result) == artifact.signatures[name]["outputs"]
    for key, value in result.items():
        assert np.all(np.isfinite(value)), key


def test_the_names_are_all_there_are(artifact):
    assert sorted(artifact.signatures) == sorted(NAMES)


@pytest.mark.parametrize("seed", range(4))
def test_those_that_write_nothing_do_not_depend_on_the_order(seed, artifact, tiny_tflite, model):
    readers = [name for name in NAMES if not artifact.signatures[name]["writes"]]
    assert len(readers) == len(NAMES) - 4  # train, head, backward_0, set_weights
    order = np.random.default_rng(seed).permutation(readers + readers)
    for name in order:
        inputs = plausible_inputs(artifact, name)
        alone = SignatureModel(tiny_tflite).run(name, inputs)
        for key, value in model.run(name, inputs).items():
            np.testing.assert_array_equal(value, alone[key], err_msg=f"{name} {key}")


def test_variables_are_those_of_the_interpreter_not_of_the_file(artifact, tiny_tflite, model):
    other = SignatureModel(tiny_tflite)
    model.run("train", plausible_inputs(artifact, "train"))
    assert model.run("get_weights")["step"] == 1
    assert other.run("get_weights")["step"] == 0
    assert SignatureModel(tiny_tflite).run("get_weights")["step"] == 0


def test_an_unknown_signature_is_answered_with_those_there_are(model):
    with pytest.raises(InputError, match=r"no signature 'transcribe'; there are: .*infer.*train"):
        model.run("transcribe")


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda inputs: inputs.pop("frames"), r"infer: expected inputs \['frame_lengths', 'frames'\], got \['frame_l"),
        (lambda inputs: inputs.update(pace=np.float32(1)), r"infer: expected inputs .*got .*'pace'"),
        (
            lambda inputs: inputs.update(frames=inputs["frames"][:, 1:]),
            r"frames: expected float32 \[1, 120, 40\], got float32 \[1, 119, 40\]",
        ),
        (lambda inputs: inputs.update(frames=inputs["frames"][0]), r"frames: expected .*got float32 \[120, 40\]"),
        (
            lambda inputs: inputs.update(frames=inputs["frames"].astype(np.float64)),
            r"frames: expected float32 .*got float64",
        ),
        (
            lambda inputs: inputs.update(frame_lengths=np.asarray([20])),
            r"frame_lengths: expected int32 \[1\], got int64 \[1\]",
        ),
        (
            lambda inputs: inputs.update(frame_lengths=np.int32([[20]])),
            r"frame_lengths: expected int32 \[1\], got int32 \[1, 1\]",
        ),
    ],
)
def test_wrong_inputs_are_told_apart(change, message, artifact, model):
    inputs = plausible_inputs(artifact, "infer")
    change(inputs)
    with pytest.raises(InputError, match=message):
        model.run("infer", inputs)
    model.run("infer", plausible_inputs(artifact, "infer"))  # and the interpreter is still good


def test_a_signature_without_inputs_is_given_none(model):
    with pytest.raises(InputError, match=r"get_weights: expected inputs \[\], got \['step'\]"):
        model.run("get_weights", {"step": np.int32(0)})


@pytest.fixture
def copied(tiny_tflite, tmp_path):
    """A copy of both files that a test may spoil."""
    for suffix in (".tflite", ".json"):
        shutil.copy(tiny_tflite.with_suffix(suffix), tmp_path)
    return tmp_path / tiny_tflite.name


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 0x40
    path.write_bytes(content)


def change_json(path, **values):
    """Change NAME.json and give it the digest that belongs to it."""
    description = path.with_suffix(".json")
    changed = json.loads(description.read_text()) | values
    del changed["digest"]
    description.write_text(with_digest(changed))


SPOILED = {
    "a bit in the header": (lambda path: flip(path, 5), "sha256"),
    "a bit in the middle": (lambda path: flip(path, path.stat().st_size // 2), "sha256"),
    "a bit at the end": (lambda path: flip(path, -1), "sha256"),
    "cut in half": (lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]), "sha256"),
    "empty": (lambda path: path.write_bytes(b""), "sha256"),
    "bytes after the end": (lambda path: path.write_bytes(path.read_bytes() + b"\0"), "sha256"),
    "no file": (lambda path: path.unlink(), "no such .tflite file"),
    "no description": (lambda path: path.with_suffix(".json").unlink(), "expected its description tiny.json"),
    "the hash of another": (lambda path: change_json(path, tflite_sha256="0" * 64), "written for 000000000000"),
    "another format": (lambda path: change_json(path, format=99), "expected format 1 or 2, got 99"),
    "an unknown field": (lambda path: change_json(path, colour="blue"), "colour"),
    "cut description": (lambda path: path.with_suffix(".json").write_text('{"format": 1, "na'), "not the description"),
    "a list for a description": (lambda path: path.with_suffix(".json").write_text("[]"), "not the description"),
}


@pytest.mark.parametrize("name", SPOILED)
def test_a_spoiled_artifact_is_refused_before_the_runtime_sees_it(name, copied):
    spoil, message = SPOILED[name]
    spoil(copied)

    def interpreter(**_):
        raise AssertionError("the runtime was given a spoiled file, which may crash the process")

    with pytest.raises(InputError, match=message) as raised:
        Recognizer.load(copied, interpreter=interpreter)
    assert copied.stem in str(raised.value) and "\n" not in str(raised.value)


def test_a_copy_of_both_files_is_as_good(copied):
    assert Recognizer.load(copied).artifact.path == copied


def test_what_is_no_model_is_refused_by_the_runtime(tmp_path):
    path = tmp_path / "text.tflite"
    path.write_text("not a model, but long enough to be looked at" * 10)
    with pytest.raises(InputError, match="text.tflite: the TFLite runtime cannot load it"):
        SignatureModel(path)
    with pytest.raises(InputError, match="cannot load it"):
        SignatureModel(tmp_path / "nothing.tflite")
