"""Licences of imported weights: from config.json to training folders, exports and `inspect`."""

import dataclasses
import json
import shutil

import pytest

from tflite_asr.cli.main import main
from tflite_asr.config import ModelConfig, SubwordConfig, preset
from tflite_asr.errors import InputError
from tflite_asr.models.storage import copy_licences
from tflite_asr.runtime.artifact import read_artifact
from tflite_asr.runtime.description import with_digest

MIT = {
    "what": "encoder and decoder weights",
    "licence": "MIT",
    "holder": "Moonshine AI",
    "source": "moonshine-voice 0.0.64",
}
CC = {"what": "head", "licence": "CC-BY-4.0", "holder": "Ann", "source": "a \u2581 file"}


def english(licences=(MIT, CC), pieces=("<unk>", "<0x41>", "\u2581the"), scores=None):
    config = preset("tiny_english")
    decoder = dataclasses.replace(config.decoder, subwords=SubwordConfig(pieces, scores))
    return dataclasses.replace(config, decoder=decoder, licences=licences)


@pytest.mark.parametrize(
    "config",
    [english(), english(licences=()), english(scores=(0.0, -1.5, -2.0)), preset("tiny_english"), preset("tiny")],
)
def test_a_configuration_comes_back_from_json(config):
    again = ModelConfig.from_json(json.loads(json.dumps(config.to_json())))
    assert again == config
    assert isinstance(again.licences, tuple)
    if config.decoder and config.decoder.subwords:
        assert isinstance(again.decoder.subwords.pieces, tuple)


@pytest.mark.parametrize("changes", [{"licences": 5}, {"licences": ["MIT"]}, {"licences": [5]}])
def test_licences_that_are_none_are_refused(changes):
    with pytest.raises(InputError):
        ModelConfig.from_json(json.loads(json.dumps(english().to_json())) | changes)


@pytest.mark.parametrize(
    "subwords", [5, [1], {"pieces": ["a"], "more": 1}, {"pieces": 5, "scores": None}, {"scores": []}]
)
def test_subwords_that_are_none_are_refused(subwords):
    values = json.loads(json.dumps(english().to_json()))
    values["decoder"]["subwords"] = subwords
    with pytest.raises(InputError):
        ModelConfig.from_json(values)


def test_older_configurations_have_none():
    values = json.loads(json.dumps(preset("tiny_english").to_json()))
    del values["licences"], values["decoder"]["subwords"]
    assert ModelConfig.from_json(values) == preset("tiny_english")


@pytest.fixture
def licensed(tiny_tflite, tmp_path):
    path = tmp_path / "own.tflite"
    shutil.copy(tiny_tflite, path)
    values = json.loads(tiny_tflite.with_suffix(".json").read_text())
    assert values["licences"] == []
    values["licences"] = values["model"]["licences"] = [MIT, CC]
    describe(path, values)
    return path


def describe(path, values):
    """Write NAME.json with its digest."""
    path.with_suffix(".json").write_text(
        with_digest({name: value for name, value in values.items() if name != "digest"})
    )


def test_inspect_tells_them(licensed, tiny_tflite, capsys):
    assert main(["inspect", str(licensed)]) == 0
    message = capsys.readouterr().out
    assert "licence: encoder and decoder weights, MIT, Moonshine AI, moonshine-voice 0.0.64\n" in message
    assert "licence: head, CC-BY-4.0, Ann, a \u2581 file\n" in message
    assert main(["inspect", str(licensed), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["licences"] == [MIT, CC]
    assert main(["inspect", str(tiny_tflite)]) == 0
    assert "licence" not in capsys.readouterr().out


def test_older_descriptions_have_none(licensed):
    values = json.loads(licensed.with_suffix(".json").read_text())
    del values["licences"], values["model"]["licences"]
    describe(licensed, values)
    assert list(read_artifact(licensed).licences) == [] and read_artifact(licensed).config.licences == ()


def test_training_from_such_weights_keeps_licences_and_subwords(licensed, tmp_path):
    from tflite_asr.training.initial import with_origin

    assert with_origin(preset("tiny_exits"), str(licensed)).licences == (MIT, CC)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(english().to_json()))
    assert with_origin(preset("tiny_english"), str(folder)) == english()
    assert with_origin(preset("tiny"), str(folder)) == dataclasses.replace(preset("tiny"), licences=(MIT, CC))
    with pytest.raises(InputError, match="nor a folder that `tflite-asr train` wrote"):
        with_origin(preset("tiny"), str(tmp_path / "none"))
    (folder / "config.json").write_text("{")
    with pytest.raises(InputError, match="expected a folder that `tflite-asr train` wrote"):
        with_origin(preset("tiny"), str(folder))


def test_an_export_has_those_of_its_model(tmp_path):
    from tflite_asr.export import export
    from tflite_asr.export.quantization import Quantization
    from tflite_asr.models.build import build_model

    model = build_model(dataclasses.replace(preset("tiny_conformer"), licences=(MIT,)))
    out = tmp_path / "own.tflite"
    export(model, out, quantization=Quantization(trainable="none"), inference=False)
    values = json.loads(out.with_suffix(".json").read_text())
    assert values["licences"] == values["model"]["licences"] == [MIT]
    assert list(read_artifact(out).licences) == [MIT]


def test_texts_of_licences_go_where_the_model_goes(tmp_path):
    source, folder = tmp_path / "model", tmp_path / "out"
    source.mkdir(), folder.mkdir()
    (source / "LICENSE.ann").write_text("be kind")
    assert copy_licences(source, folder) == [folder / "LICENSE.ann"]
    assert (folder / "LICENSE.ann").read_text() == "be kind"
    assert (
        copy_licences(source, source) == [source / "LICENSE.ann"] and (source / "LICENSE.ann").read_text() == "be kind"
    )
