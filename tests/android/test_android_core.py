"""The Kotlin side does what the Python side does: its tests run here, on the JVM, by `make android`.

What Python computes and Kotlin has to find stands in android_demo/vectors/; both sides check it.
"""

import importlib.util
import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tflite_asr.personalization.replay import read_replay
from tflite_asr.runtime.checkpoint import load_checkpoint
from tflite_asr.runtime.recognizer import Recognizer

DEMO = Path(__file__).parents[2] / "android_demo"
MAKE_VECTORS = DEMO / "vectors" / "make_vectors.py"
MAVEN, JAVAC = shutil.which("mvn"), shutil.which("javac")


@pytest.fixture(scope="module")
def make_vectors():
    spec = importlib.util.spec_from_file_location("make_vectors", MAKE_VECTORS)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def maven_tests():
    """Run the JVM tests once; what they wrote lies in android_demo/jvm/target."""
    if not os.environ.get("JVM_TESTS"):
        pytest.skip("the JVM tests of android_demo download and compile for minutes: make android runs them")
    if not MAVEN or not JAVAC:
        pytest.skip("the JVM tests of android_demo need a JDK (javac) and Maven (mvn); not both are on this machine")
    command = [MAVEN, "--batch-mode", "--quiet", "--file", str(DEMO / "pom.xml"), "--projects", "core,jvm", "test"]
    return subprocess.run(command, capture_output=True, text=True)


def test_the_vectors_are_what_python_computes(make_vectors):
    stored = json.loads((DEMO / "vectors" / "parity.json").read_text(encoding="utf-8"))
    computed = json.loads(json.dumps(make_vectors.parity()))
    assert stored.keys() == computed.keys(), f"run {MAKE_VECTORS}"
    for name, value in stored.items():
        numbers = isinstance(value, list) and isinstance(value[0], float)
        if numbers:
            np.testing.assert_allclose(computed[name], value, rtol=1e-4, err_msg=name)
        elif name == "distances":
            assert computed[name] == pytest.approx(value, rel=1e-4)
        else:
            assert computed[name] == value, f"{name}: run {MAKE_VECTORS}"


def test_the_checkpoint_among_the_vectors_is_one():
    expected = {
        "kernel": ((5, 7), "float32"),
        "bias": ((7,), "float32"),
        "Zero/edge": ((4,), "float32"),
        "step": ((), "int32"),
        "frozen": ((3, 2, 2), "int8"),
    }
    tensors, step = load_checkpoint(
        DEMO / "vectors" / "checkpoint.safetensors", artifact_sha256="ab" * 32, expected=expected
    )
    assert step == 41 and tensors["step"] == 41


@pytest.mark.slow
def test_the_jvm_tests_pass(maven_tests):
    assert maven_tests.returncode == 0, maven_tests.stdout[-4000:] + maven_tests.stderr[-2000:]


@pytest.mark.slow
def test_a_checkpoint_that_kotlin_saved_restores_here(maven_tests, make_vectors):
    assert maven_tests.returncode == 0, "see test_the_jvm_tests_pass"
    vectors = json.loads((DEMO / "vectors" / "parity.json").read_text(encoding="utf-8"))
    recognizer = Recognizer.load("commands")
    assert recognizer.restore(DEMO / "jvm" / "target" / "kotlin.checkpoint.safetensors") == make_vectors.STEPS
    examples = make_vectors.with_others_words(read_replay(recognizer.artifact))[: make_vectors.TRANSCRIBED]
    np.testing.assert_allclose(recognizer.loss(examples), vectors["losses_after"], rtol=1e-4)
