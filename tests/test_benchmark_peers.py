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
from tflite_asr.benchmark.peers.work import WORKS, Weights, position_bias, read_work, second_pass
from tflite_asr.cli.main import main
from tflite_asr.config import preset
from tflite_asr.errors import InputError
from tflite_asr.processes import python_code, python_module
from tflite_asr.runtime.artifact import read_artifact
from tflite_asr.runtime.interpreter import SignatureModel


@pytest.fixture(scope="module", params=["tiny", "tiny_conformer", "tiny_english"])
def folder(request, tmp_path_factory):
    """A small work of two encoder groups, prepared."""
    path, config = tmp_path_factory.mktemp(request.param), preset(request.param)
    if config.decoder:
        config = second_pass(config, 1.0)
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


NEEDS_PYTORCH = pytest.mark.skipif(
    not (find_spec("torch") and find_spec("torchaudio")), reason="needs the extra `peers`"
)


@NEEDS_PYTORCH
def test_pytorch_takes_the_same_steps(folder, our_losses):
    # alone: it does not share a process with TensorFlow
    figures = comparing._child("pytorch_eager", folder, 2, sys.executable)
    assert figures["losses"] == pytest.approx(our_losses, rel=1e-5)
    assert figures["disk_mb"] > installed_mb("numpy") > 0


def changes(before, after):
    """How much each trained value changed, in rising order: names and layouts differ between runtimes."""
    return np.sort(np.concatenate([np.ravel(new - old) for old, new in zip(before, after)]))


@pytest.fixture(scope="module")
def our_changes(folder):
    """By one whole step at a rate of 1."""
    _, _, batch = read_work(folder)
    artifact = read_artifact(folder / "ours.tflite")
    model = SignatureModel(artifact.path)
    one = np.ones([1], np.float32)
    rates = {"learning_rate": one, "clip_norm": one, "group_rates": np.ones([len(artifact.groups)], np.float32)}
    before = model.run("get_weights")
    model.run("train", batch | rates)
    after = model.run("get_weights")
    trained = [row["tensor"] for row in artifact.trainable]
    return changes([before[name] for name in trained], [after[name] for name in trained])


def test_keras_changes_the_weights_alike(folder, our_changes, monkeypatch):
    from tflite_asr.benchmark.peers import keras_step

    monkeypatch.setattr(keras_step, "LEARNING_RATE", 1.0)
    config, weights, batch = read_work(folder)
    step = keras_step.KerasStep(config, weights)
    before = [variable.numpy() for variable in step.variables]
    step(tf.constant(batch["frames"]), tf.constant(batch["tokens"]))
    found = changes(before, [variable.numpy() for variable in step.variables])
    # directions: Keras takes the norm of an embedding's gradient before it sums the rows of the same label
    found, ours = (values / np.linalg.norm(values) for values in (found, our_changes))
    np.testing.assert_allclose(found, ours, atol=1e-6)


PYTORCH_CHANGES = """
from pathlib import Path
import numpy as np
import torch
from tflite_asr.benchmark.peers import work
work.LEARNING_RATE = 1.0
from tflite_asr.benchmark.peers.torch_step import TorchStep
folder = Path(sys.argv[1])
config, weights, batch = work.read_work(folder)
step = TorchStep(config, weights)
values = [[value.detach().numpy().copy() for value in step.parameters]]
step(torch.from_numpy(batch["frames"]), torch.from_numpy(batch["tokens"]))
values.append([value.detach().numpy() for value in step.parameters])
np.savez(folder / "changes.npz", *(new - old for old, new in zip(*values)))
"""


@NEEDS_PYTORCH
def test_pytorch_changes_the_weights_alike(folder, our_changes):
    comparing._run([*python_code(PYTORCH_CHANGES), str(folder)], None)
    with np.load(folder / "changes.npz") as arrays:
        found = np.sort(np.concatenate([np.ravel(array) for array in arrays.values()]))
    np.testing.assert_allclose(found, our_changes, atol=1e-6)


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


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["tiny_english"], indirect=True)
def test_what_the_stock_way_lacks_is_told(folder):
    with pytest.raises(comparing.NotMeasured, match="neither TFLite nor its delegate for TensorFlow's ops has Erfc$"):
        comparing._run(python_module("tflite_asr.benchmark.peers.stock", str(folder)), None)


@pytest.mark.parametrize("folder", ["tiny_english"], indirect=True)
def test_gains_and_biases_of_the_second_pass_train(folder):
    trained = {row["name"] for row in read_artifact(folder / "ours.tflite").trainable}
    assert {name.split("/")[0] for name in trained} == {"decoder_encoder_0", "decoder"}
    assert {name.rpartition("_")[2].rpartition("/")[2] for name in trained} == {"gain", "bias"}


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


def test_what_is_frozen_is_taken_but_does_not_count():
    weights = Weights({"a/kernel": np.zeros([2, 3]), "a/bias": np.zeros([3])}, {"a/kernel"})
    weights.at("a")["bias"]
    with pytest.raises(ValueError, match=r"expected 3 trained parameters, got 3; not taken: \['a/kernel'\]"):
        weights.check(3)
    weights.at("a")["kernel"]
    weights.check(3)


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
        (
            ["peers", "--work", "sim"],
            "--work: nothing is named 'sim'; there are: conformer, lstm_transducer, sim2019, english",
        ),
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
