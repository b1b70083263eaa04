"""The shipped two-pass model: its size, its int8 weights, its training, on the oldest runtime too."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

import tflite_asr
from tflite_asr.cli.main import main
from tflite_asr.errors import InputError
from tflite_asr.runtime.batch import Example, collate
from tflite_asr.runtime.recognizer import Recognizer

OLD_PYTHON = os.environ.get("TFLITE_2_14_PYTHON")
STEPS = 3
TRAINS = "encoder_2"


@pytest.fixture(scope="module")
def recognizer():
    return Recognizer.load("sentences")


@pytest.fixture(scope="module")
def examples(recognizer):
    """Two utterances of noise, no speech: a step does not mind."""
    random, tokenizer = np.random.default_rng(2), recognizer.tokenizer
    return [
        Example(random.standard_normal([length, 40]).astype(np.float32), tokenizer.encode(text), text)
        for length, text in ((160, "TOM IS HERE"), (90, "FOUR"))
    ]


def test_it_is_small_and_what_is_frozen_is_int8(recognizer, capsys):
    artifact = recognizer.artifact
    assert artifact.bytes <= 12_000_000
    assert [int(number) for number in artifact.min_runtime.split(".")] <= [2, 14]
    assert {row["group"] for row in artifact.trainable} == {TRAINS}
    assert main(["inspect", "sentences", "--json"]) == 0
    stored = json.loads(capsys.readouterr().out)["parameter_bytes_by_dtype"]
    frozen = sum(int(np.prod(row["shape"])) for row in artifact.parameters if row["group"] != TRAINS)
    assert stored["int8"] > 0.98 * frozen  # vectors stay floats


@pytest.mark.slow
def test_both_plans_train_alike_and_the_loss_falls(examples):
    losses = {}
    for plan in ("train", "split"):
        fresh = Recognizer.load("sentences")
        losses[plan] = [fresh.train_step(examples, learning_rate=1e-3, plan=plan).loss for _ in range(STEPS)]
    np.testing.assert_allclose(losses["split"], losses["train"], rtol=1e-5)
    assert losses["train"][-1] < losses["train"][0]


def test_a_frozen_group_is_not_trained(recognizer, examples):
    with pytest.raises(InputError, match="encoder_0"):
        recognizer.train_step(examples, group_rates={"encoder_0": 1.0})


@pytest.mark.slow
def test_chunks_say_what_the_whole_says(recognizer, examples):
    for example in examples:
        chunks = np.split(example.frames, range(36, len(example.frames), 36))
        *_, streamed = recognizer.stream(chunks)
        assert streamed and streamed == recognizer.transcribe_frames(example.frames)


FEATURES = """
import sys
import numpy as np
from tflite_runtime.interpreter import Interpreter
from tflite_asr.runtime.interpreter import SignatureModel

path, samples, frames = sys.argv[1:]
(found,) = SignatureModel(path, Interpreter).run("features", {"samples": np.load(samples)}).values()
np.save(frames, found)
"""


def on_old_runtime(*arguments):
    environment = os.environ | {"PYTHONPATH": str(Path(tflite_asr.__file__).parents[1])}
    command = [OLD_PYTHON, *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    assert result.returncode == 0, result.stderr


@pytest.mark.skipif(not OLD_PYTHON, reason="TFLITE_2_14_PYTHON is not set; `make test` sets it")
def test_the_oldest_runtime_has_the_same_features(recognizer, tmp_path):
    count = recognizer.config.features.samples_of(recognizer.config.sizes.max_frames)
    samples = 0.1 * np.random.default_rng(4).standard_normal([1, count]).astype(np.float32)
    np.save(tmp_path / "samples.npy", samples)
    on_old_runtime("-c", FEATURES, recognizer.artifact.path, tmp_path / "samples.npy", tmp_path / "frames.npy")
    (expected,) = recognizer.model.run("features", {"samples": samples}).values()
    # sums of 200 float32 products in another order, then a logarithm
    np.testing.assert_allclose(np.load(tmp_path / "frames.npy"), expected, rtol=0, atol=1e-4)


@pytest.mark.slow
@pytest.mark.skipif(not OLD_PYTHON, reason="TFLITE_2_14_PYTHON is not set; `make test` sets it")
def test_the_oldest_runtime_trains_alike(recognizer, examples, tmp_path):
    batch = collate(examples, recognizer.config)
    rates = np.asarray([float(group == TRAINS) for group in recognizer.groups], np.float32)
    inputs = {name: np.stack([value] * STEPS) for name, value in batch.items()} | {
        "learning_rate": np.full([STEPS], 1e-3, np.float32),
        "clip_norm": np.full([STEPS], 5.0, np.float32),
        "pull": np.zeros([STEPS], np.float32),
        "group_rates": np.stack([rates] * STEPS),
    }
    np.savez(tmp_path / "inputs.npz", **inputs)
    script = Path(__file__).with_name("train_on_old_runtime.py")
    on_old_runtime(script, recognizer.artifact.path, "split", tmp_path / "inputs.npz", tmp_path / "losses.npy")
    fresh = Recognizer.load("sentences")
    expected = [fresh.train_step(examples, learning_rate=1e-3, clip_norm=5.0, plan="split").loss for _ in range(STEPS)]
    np.testing.assert_allclose(np.load(tmp_path / "losses.npy"), expected, rtol=1e-4)
