import dataclasses
import json
import sys
from importlib.metadata import distribution
from importlib.util import find_spec

import numpy as np
import pytest
import tensorflow as tf

from tflite_asr.benchmark.peers import compare as comparing
from tflite_asr.benchmark.peers import stock
from tflite_asr.benchmark.peers.child import PEERS, run
from tflite_asr.benchmark.peers.disk import installed_mb
from tflite_asr.benchmark.peers.prepare import prepare
from tflite_asr.benchmark.peers.work import WORKS, Weights, position_bias, read_work
from tflite_asr.cli.main import main
from tflite_asr.config import preset
from tflite_asr.errors import InputError
from tflite_asr.runtime.artifact import read_artifact
from tflite_asr.runtime.interpreter import SignatureModel


@pytest.fixture(scope="module", params=["tiny", "tiny_conformer"])
def folder(request, tmp_path_factory):
    """A small work of two encoder groups, prepared."""
    path, config = tmp_path_factory.mktemp(request.param), preset(request.param)
    prepare(dataclasses.replace(config, encoder=dataclasses.replace(config.encoder, layers=2)), path)
    return path


@pytest.fixture(scope="module")
def our_losses(folder):
    """Of four whole steps on the longest batch."""
    _, _, batch = read_work(folder)
    artifact = read_artifact(folder / "ours.tflite")
    model = SignatureModel(artifact.path)
    rates = {
        "learning_rate": np.float32(1e-4),
        "clip_norm": np.float32(1),
        "group_rates": np.ones([len(artifact.groups)], np.float32),
    }
    return [float(model.run("train", batch | rates)["loss"]) for _ in range(4)]


@pytest.mark.parametrize("runtime", ["tensorflow_eager", "tensorflow_graph"])
def test_a_peer_takes_the_same_steps(folder, our_losses, runtime):
    step = PEERS[runtime](folder)
    losses = [step() for _ in our_losses]
    assert losses == pytest.approx(our_losses, rel=1e-5)
    assert losses[0] - losses[-1] > 1e-5 * losses[0]  # the weights moved


@pytest.mark.skipif(not (find_spec("torch") and find_spec("torchaudio")), reason="needs the extra `peers`")
def test_pytorch_takes_the_same_steps(folder, our_losses):
    # alone: it does not share a process with TensorFlow
    figures = comparing._child("pytorch_eager", folder, 2, sys.executable)
    assert figures["losses"] == pytest.approx(our_losses, rel=1e-5)
    assert figures["disk_mb"] > installed_mb("numpy") > 0


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["tiny"], indirect=True)
def test_the_stock_way_takes_the_same_steps(folder, our_losses):
    stock.convert(folder)
    try:
        step = PEERS["stock_tflite"](folder)
        losses = [step() for _ in our_losses]
    except RuntimeError as error:
        assert tf.__version__ >= "2.20" and "Select TensorFlow op(s)" in str(error)
        pytest.skip("this TensorFlow's interpreter has no delegate for TensorFlow's ops")
    assert losses == pytest.approx(our_losses, rel=1e-5)


@pytest.mark.parametrize("folder", ["tiny"], indirect=True)
def test_a_runtime_is_measured(folder, our_losses):
    figures = run("tensorflow_graph", folder, steps=2)
    assert figures["losses"] == pytest.approx(our_losses, rel=1e-5) and len(figures["step_seconds"]) == 2
    assert figures["peak_private_mb"] >= figures["base_private_mb"] > 0 and min(figures["step_seconds"]) > 0


def test_the_bias_is_that_of_our_attention():
    from tflite_asr.ops.attention import position_bias as ours

    np.testing.assert_array_equal(position_bias(7, 4), ours(7, 4))


def test_a_peer_that_leaves_weights_out_is_told():
    weights = Weights({"a/kernel": np.zeros([2, 3]), "a/bias": np.zeros([3])})
    kernel = weights.at("a")["kernel"]
    with pytest.raises(ValueError, match=r"expected 9 trained parameters, got 6; not taken: \['a/bias'\]"):
        weights.check(kernel.size)
    weights.at("a")["bias"]
    weights.check(9)


def test_the_disk_holds_a_package_and_what_it_requires():
    own = sum(
        path.stat().st_size
        for path in map(distribution("jiwer").locate_file, distribution("jiwer").files)
        if path.is_file()
    )
    assert installed_mb("jiwer") > own / 1e6 + installed_mb("rapidfuzz") > own / 1e6
    assert installed_mb("jiwer", "rapidfuzz") == installed_mb("jiwer")


def made_up(runtime, folder, steps, python="python"):
    """What a child prints."""
    scale = {"ours_whole": 2.0, "ours_split": 1.0, "pytorch_eager": 4.0}[runtime]
    return {
        "base_rss_mb": 50.0,
        "base_private_mb": 10.0,
        "peak_rss_mb": 90.0,
        "peak_private_mb": 10.0 + scale,
        "added_private_mb": scale,
        "step_seconds": [scale] * steps,
        "losses": [7.0],
        "version": "1.0",
        "disk_mb": 3.0,
    }


@pytest.fixture
def no_processes(monkeypatch):
    monkeypatch.setattr(comparing, "_alone", lambda function, *arguments: {"parameters": 5})
    monkeypatch.setattr(comparing, "find_spec", lambda name: True)
    monkeypatch.setattr(comparing, "_child", made_up)


def test_ratios_are_to_pytorch(no_processes, capsys):
    order = ["--runtime", "ours_split", "--runtime", "pytorch_eager", "--runtime", "ours_whole"]
    assert main(["benchmark", "peers", "--work", "conformer", *order, "--runs", "2", "--json"]) == 0
    output = capsys.readouterr()
    result = json.loads(output.out)
    assert [row["runtime"] for row in result["rows"]] == ["ours_split", "pytorch_eager", "ours_whole"]
    row = result["rows"][0]
    assert (row["work"], row["start_rss_mb"], row["disk_mb"], row["time_to_pytorch"]) == ("conformer", 50.0, 3.0, 0.25)
    expected = {"whole_time_to_pytorch": 0.5, "split_time_to_pytorch": 0.25, "split_memory_to_pytorch": 0.25}
    assert result["summary"] == {"conformer": expected}
    turns = [line.split(": ")[1] for line in output.err.splitlines()[1:]]
    assert turns == 2 * ["ours_split", "pytorch_eager", "ours_whole"]


def test_where_the_stock_way_fails_the_row_says_why(no_processes, monkeypatch, capsys):
    monkeypatch.setattr(comparing, "_run", lambda *arguments: "")
    monkeypatch.setattr(comparing, "_child", refuses)
    arguments = ["benchmark", "peers", "--work", "conformer", "--runtime", "stock_tflite", "--runtime", "pytorch_eager"]
    assert main([*arguments, "--stock-python", "another"]) == 0
    assert "not run: another has no delegate" in capsys.readouterr().out
    assert main([*arguments, "--stock-python", "another", "--json"]) == 0
    failed, measured = json.loads(capsys.readouterr().out)["rows"]
    assert failed["step_seconds"] is failed["added_private_mb"] is failed["time_to_pytorch"] is None
    assert failed["note"] == "not run: another has no delegate" and measured["time_to_pytorch"] == 1
    assert failed.keys() == measured.keys()


def refuses(runtime, folder, steps, python):
    if runtime == "stock_tflite":
        raise comparing.NotMeasured(f"{python} has no delegate")
    return made_up(runtime, folder, steps)


def test_a_command_that_fails_or_takes_too_long_is_not_measured():
    with pytest.raises(comparing.NotMeasured, match="exit code 3: why"):
        comparing._run([sys.executable, "-c", "import sys; print('first\\nwhy', file=sys.stderr); sys.exit(3)"], None)
    with pytest.raises(comparing.NotMeasured, match="given up after 0.01 seconds"):
        comparing._run([sys.executable, "-c", "import time; time.sleep(60)"], 0.01)


def test_another_loss_is_other_work(no_processes, monkeypatch):
    monkeypatch.setattr(
        comparing, "_child", lambda runtime, *rest: made_up(runtime, *rest) | {"losses": [len(runtime)]}
    )
    with pytest.raises(
        InputError, match="expected the same first loss of every runtime, got 10 of ours_whole and 13 of pytorch"
    ):
        comparing.compare(WORKS, ["ours_whole", "pytorch_eager"], steps=1, runs=1, stock_python="", progress=str)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["peers", "--work", "sim"], "--work: nothing is named 'sim'; there are: conformer, lstm_transducer, sim2019"),
        (["peers", "--runtime", "torch"], "--runtime: nothing is named 'torch'; there are: ours_whole, "),
        (["peers", "--runs", "0"], "--runs: expected 1 or more"),
    ],
)
def test_what_cannot_be_compared_is_refused(arguments, message, capsys):
    assert main(["benchmark", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_without_pytorch_there_is_one_line(monkeypatch, capsys):
    monkeypatch.setattr(comparing, "find_spec", lambda name: None)
    assert main(["benchmark", "peers"]) == 2
    error = capsys.readouterr().err
    assert "pip install 'tflite_asr[peers]'" in error and "--runtime" in error and error.count("\n") == 1
