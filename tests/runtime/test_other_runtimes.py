import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

import tflite_asr
from tflite_asr.config import preset
from tflite_asr.runtime.artifact import read_artifact
from tflite_asr.runtime.batch import collate
from tflite_asr.runtime.interpreter import SignatureModel
from tflite_asr.runtime.plan import Plan, run_step

STEPS = 10
OLD_PYTHON = os.environ.get("TFLITE_2_14_PYTHON")


@pytest.fixture(scope="module")
def inputs(utterances):
    """Inputs of `train`, [STEPS, ...] each."""
    batches = [collate(utterances(2, 40 + step), preset("tiny")) for step in range(STEPS)]
    return {
        **{name: np.stack([batch[name] for batch in batches]) for name in batches[0]},
        "learning_rate": np.full([STEPS], 1e-2, np.float32),
        "clip_norm": np.full([STEPS], 20.0, np.float32),
        "pull": np.full([STEPS], 0.01, np.float32),
        "group_rates": np.tile(np.asarray([0.0, 1.0, 1.0, 0.5, 1.0], np.float32), [STEPS, 1]),
    }


def train(path, inputs, plan="train", **runtime):
    artifact, model = read_artifact(path), SignatureModel(path, **runtime)
    calls = Plan.of(plan, artifact.plans, artifact.signatures).calls
    steps = ({name: np.asarray(values[step]) for name, values in inputs.items()} for step in range(STEPS))
    return [run_step(model, calls, step).loss for step in steps]


@pytest.fixture(scope="module")
def expected(tiny_tflite, inputs):
    losses = train(tiny_tflite, inputs)
    assert min(losses) > 1 and losses[-1] < 0.9 * losses[0]
    return losses


# kernels of different releases sum float32 products in different orders; ten steps add it up
ROUNDING = 1e-4


def test_tensorflows_interpreter_trains_alike(tiny_tflite, inputs, expected):
    import tensorflow as tf

    losses = train(tiny_tflite, inputs, interpreter=tf.lite.Interpreter)
    np.testing.assert_allclose(losses, expected, rtol=ROUNDING)


@pytest.mark.parametrize("threads", [2, 4])
def test_threads_do_not_matter(threads, tiny_tflite, inputs, expected):
    np.testing.assert_allclose(train(tiny_tflite, inputs, threads=threads), expected, rtol=ROUNDING)


@pytest.mark.skipif(not OLD_PYTHON, reason="TFLITE_2_14_PYTHON is not set; `make test` sets it")
@pytest.mark.parametrize("plan", ["train", "split"])
def test_the_oldest_runtime_trains_alike(plan, tiny_tflite, inputs, tmp_path):
    expected = train(tiny_tflite, inputs, plan)
    np.savez(tmp_path / "inputs.npz", **inputs)
    script, root = Path(__file__).with_name("train_on_old_runtime.py"), Path(tflite_asr.__file__).parents[1]
    command = [OLD_PYTHON, script, tiny_tflite, plan, tmp_path / "inputs.npz", tmp_path / "losses.npy"]
    environment = os.environ | {"PYTHONPATH": str(root)}
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    assert result.returncode == 0, result.stderr
    np.testing.assert_allclose(np.load(tmp_path / "losses.npy"), expected, rtol=ROUNDING)


@pytest.mark.skipif(not OLD_PYTHON, reason="TFLITE_2_14_PYTHON is not set; `make test` sets it")
def test_that_runtime_is_the_one_that_is_promised():
    code = "import tflite_runtime; print(tflite_runtime.__version__)"
    assert subprocess.run([OLD_PYTHON, "-c", code], capture_output=True, text=True).stdout.strip() == "2.14.0"
