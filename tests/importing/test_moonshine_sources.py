"""What `import` says to sources that are not what it takes: one line, code 2, no folder. No real weights needed."""

import hashlib
import importlib.metadata
import json
import zipfile

import numpy as np
import pytest
from transformers_files import CONFIG, transformers_folder, write_folder

from tflite_asr.cli.main import main
from tflite_asr.importing import sources

INSIDE = "moonshine_voice/assets/tiny-en"
ENCODER, DECODER, TOKENIZER = "encoder_model.ort", "decoder_model_merged.ort", "tokenizer.bin"
ENCODER_SHA256 = "94e90a4654fc45cdfedb77c4c08e1739f48862998e58fada384b25118134f221"


@pytest.fixture
def refused(tmp_path, capsys):
    """A function: the line that the command prints when it refuses a source; nothing is written."""
    out = tmp_path / "runs" / "model"
    out.parent.mkdir()

    def run(source, out=out):
        before = sorted(out.parent.rglob("*"))
        assert main(["import", "moonshine", str(source), "--out", str(out)]) == 2
        printed, message = capsys.readouterr()
        assert printed == "" and message.count("\n") == 1 and message.startswith("tflite-asr import: "), message
        assert sorted(out.parent.rglob("*")) == before
        return message

    return run


def write_wheel(path, version="0.0.64", name="moonshine-voice", files=(ENCODER, DECODER, TOKENIZER), metadata=True):
    with zipfile.ZipFile(path, "w") as wheel:
        if metadata:
            wheel.writestr(
                f"x-{version}.dist-info/METADATA", f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n\ntext\n"
            )
        for file in files:
            wheel.writestr(f"{INSIDE}/{file}", f"not {file}" * 100)
    return path


def test_sources_that_are_not_there(tmp_path, refused):
    assert "no such file or folder" in refused(tmp_path / "none.whl")
    assert "no such file or folder" in refused("instaled")
    assert f"{ENCODER} is missing" in refused(write_folder(tmp_path / "empty", {}))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"version": "0.0.65", "files": ()}, "expected version 0.0.64, which holds the weights, got 0.0.65"),
        ({"version": ""}, "got none"),
        ({"name": "torch"}, "expected a wheel of moonshine-voice, got one of torch"),
        ({"metadata": False}, "expected a wheel of moonshine-voice, got one of no package"),
        ({"files": (ENCODER, DECODER)}, "expected sha256"),
        ({"files": ()}, f"expected {INSIDE}/{ENCODER} in it"),
        ({"name": "Moonshine_Voice"}, f"{ENCODER}: expected sha256 {ENCODER_SHA256}"),
    ],
)
def test_other_wheels(changes, message, tmp_path, refused):
    line = refused(write_wheel(tmp_path / "x.whl", **changes))
    assert message in line and "pip download --no-deps moonshine-voice==0.0.64" in line


def test_damaged_wheels(tmp_path, refused):
    wheel = write_wheel(tmp_path / "x.whl")
    content = wheel.read_bytes()
    for cut in (content[: len(content) // 2], content[:10], b"", b"text" * 100):
        wheel.write_bytes(cut)
        assert "not a wheel, or a damaged one" in refused(wheel)
    wheel.write_bytes(content.replace(b"not encoder", b"nut encoder"))  # the checksum of the archive
    assert "not a wheel, or a damaged one" in refused(wheel)


@pytest.mark.parametrize("wrong", [ENCODER, DECODER, TOKENIZER])
def test_a_file_of_another_model(wrong, tmp_path, refused, monkeypatch):
    contents = {name: name.encode() for name in (ENCODER, DECODER, TOKENIZER)}
    expected = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    monkeypatch.setattr(sources, "DIGESTS", expected)
    folder = write_folder(tmp_path / "ort", contents | {wrong: b"another"})
    line = refused(folder)
    assert f"{wrong}: expected sha256 {expected[wrong]}" in line and hashlib.sha256(b"another").hexdigest() in line


def test_a_file_that_is_too_large(tmp_path, refused, monkeypatch):
    monkeypatch.setattr(sources, "MAX_BYTES", 1000)
    assert "expected at most 1000 bytes, got 2100" in refused(write_wheel(tmp_path / "x.whl"))
    assert "expected at most 1000 bytes" in refused(
        write_folder(tmp_path / "ort", {ENCODER: bytes(2100), DECODER: b"", TOKENIZER: b""})
    )


def test_a_package_that_is_not_installed_or_another_version(tmp_path, refused, monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", missing)
    assert "is not installed: pip install 'tflite_asr[english]'" in refused("installed")
    monkeypatch.undo()
    information = tmp_path / "site" / "moonshine_voice-0.1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: moonshine-voice\nVersion: 0.1.0\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert "expected version 0.0.64, which holds the weights, got 0.1.0" in refused("installed")


def test_a_folder_that_is_there_is_not_overwritten(tmp_path, refused):
    wheel = write_wheel(tmp_path / "x.whl")
    taken = write_folder(tmp_path / "taken", {"config.json": b"{}"})
    assert f"{taken}: expected a folder that does not exist yet" in refused(wheel, taken)
    assert "expected a folder that does not exist yet" in refused(wheel, wheel)


@pytest.fixture(scope="module")
def stored(invented):
    """A file of all weights, with a smaller embedding: quick to write."""
    return invented | {"model.decoder.embed_tokens.weight": np.ones([4, 288], np.float32)}


@pytest.mark.parametrize(
    "file, content, message",
    [
        ("model.safetensors", None, "missing: model.safetensors"),
        ("config.json", b"{", "expected the configuration of a Moonshine model"),
        (
            "config.json",
            b'{"model_type": "whisper"}',
            "model_type: expected 'moonshine' (Moonshine tiny), got 'whisper'",
        ),
        (
            "config.json",
            json.dumps(CONFIG | {"hidden_size": 416}).encode(),
            "hidden_size: expected 288 (Moonshine tiny), got 416",
        ),
        ("config.json", json.dumps(CONFIG | {"rope_parameters": {"partial_rotary_factor": 0.5}}).encode(), "got 0.5"),
        ("model.safetensors", b"", "not a whole safetensors file"),
        ("model.safetensors", b"\xff" * 100, "not a whole safetensors file"),
        ("tokenizer.json", b"[]", "expected a tokenizer with model.vocab"),
        ("tokenizer.json", b'{"model": {"vocab": {"<unk>": 0}}}', "as its first tokens"),
    ],
)
def test_other_folders_of_transformers(file, content, message, stored, tmp_path, refused):
    folder = transformers_folder(tmp_path / "hf", stored)
    if content is None:
        (folder / file).unlink()
    else:
        (folder / file).write_bytes(content)
    assert message in refused(folder)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"model.encoder.conv2.bias": None}, "expected model.encoder.conv2.bias, which is missing; 1 such weights"),
        (
            {"model.encoder.layers.6.mlp.fc1.bias": np.zeros(3, np.float32)},
            "model.encoder.layers.6.mlp.fc1.bias is not of Moonshine",
        ),
        (
            {"model.decoder.norm.weight": np.full(288, np.nan, np.float32)},
            "model.decoder.norm.weight: expected finite numbers",
        ),
        ({"model.decoder.norm.weight": np.zeros(288, np.int32)}, "model.decoder.norm.weight: expected float32"),
        ({"proj_out.weight": np.zeros([4, 288], np.float32)}, "expected proj_out.weight to be the embedding"),
    ],
)
def test_other_weights_of_transformers(changes, message, stored, tmp_path, refused):
    weights = {name: value for name, value in (stored | changes).items() if value is not None}
    assert message in refused(transformers_folder(tmp_path / "hf", weights))


def test_truncated_weights_of_transformers(stored, tmp_path, refused):
    folder = transformers_folder(tmp_path / "hf", stored)
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])
    assert "not a whole safetensors file" in refused(folder)


def test_a_disk_that_fills_up_leaves_no_folder(tmp_path, refused, monkeypatch):
    from tflite_asr.config import preset
    from tflite_asr.importing import moonshine
    from tflite_asr.models import build, storage

    class Model:
        def named_weights(self):
            return {}

    def full(folder, config, weights):
        (folder / "weights.safetensors").write_bytes(b"half")
        raise OSError(28, "No space left on device", str(folder))

    pieces = ("piece",) * preset("english").decoder.vocabulary_size
    monkeypatch.setattr(moonshine, "read_moonshine", lambda _: moonshine.Imported({}, {}, pieces, {}, None))
    monkeypatch.setattr(build, "build_model", lambda _: Model())
    monkeypatch.setattr(storage, "save_model", full)
    assert "No space left on device" in refused(tmp_path / "any.whl")
