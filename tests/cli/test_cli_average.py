"""Weights between two models: what `average` writes, and what it refuses."""

import json

import numpy as np
import pytest
import tf_keras as keras

from tflite_asr.cli.main import main
from tflite_asr.config import preset
from tflite_asr.models.build import build_model
from tflite_asr.models.storage import read_model, save_model


@pytest.fixture
def folders(tmp_path):
    """Two models that differ in their joint network, the first with a licence's text."""
    keras.utils.set_random_seed(1)
    weights = {name: weight.numpy() for name, weight in build_model(preset("tiny")).named_weights().items()}
    save_model(tmp_path / "a", preset("tiny"), weights)
    (tmp_path / "a" / "LICENSE.someone").write_text("MIT")
    weights["joint/bias"] = weights["joint/bias"] + np.float32(4.0)
    save_model(tmp_path / "b", preset("tiny"), weights)
    (tmp_path / "b" / "voices.json").write_text("{}")
    return tmp_path


def average(folder, *options):
    return main(["average", str(folder / "a"), str(folder / "b"), "--out", str(folder / "c"), *options])


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_weights_are_on_the_way_from_one_to_the_other(folders, capsys, share):
    assert average(folders, "--share", str(share), "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["share"], result["averaged"]) == (share, 1)
    (config, first), (_, found) = read_model(folders / "a"), read_model(folders / "c")
    assert config == preset("tiny") and first.keys() == found.keys()
    for name, value in first.items():
        np.testing.assert_allclose(found[name], value + (4 * share if name == "joint/bias" else 0), rtol=1e-6)
        assert found[name].dtype == value.dtype
    assert (folders / "c" / "LICENSE.someone").read_text() == "MIT" and (folders / "c" / "voices.json").exists()


@pytest.mark.parametrize("share", ["-0.1", "1.5", "nan"])
def test_a_share_out_of_range_is_refused(folders, capsys, share):
    assert average(folders, "--share", share) == 2
    assert "--share: expected 0 to 1" in capsys.readouterr().err and not (folders / "c").exists()


def test_another_model_is_refused(folders, capsys):
    keras.utils.set_random_seed(1)
    other = preset("tiny_conformer")
    weights = {name: weight.numpy() for name, weight in build_model(other).named_weights().items()}
    save_model(folders / "b", other, weights)
    assert average(folders) == 2
    assert "expected the weights of" in capsys.readouterr().err and not (folders / "c").exists()
