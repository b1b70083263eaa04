"""The Kotlin side does what the Python side does: its tests run here, on the JVM, by `make android`.

What Python computes and Kotlin has to find stands in android_demo/vectors/; both sides check it.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from tflite_asr.personalization.replay import read_replay
from tflite_asr.runtime.checkpoint import load_checkpoint
from tflite_asr.runtime.recognizer import OWNER_MEANS, OWNER_THRESHOLD, Recognizer
from tflite_asr.runtime.voice import learn_owner

DEMO = Path(__file__).parents[2] / "android_demo"
MAKE_VECTORS = DEMO / "vectors" / "make_vectors.py"
TARGET = DEMO / "jvm" / "target"
MAVEN, JAVAC = shutil.which("mvn"), shutil.which("javac")
UNREACHABLE = ("Could not transfer artifact", "Could not resolve dependencies", "PluginResolutionException")


@pytest.fixture(scope="module")
def make_vectors():
    spec = importlib.util.spec_from_file_location("make_vectors", MAKE_VECTORS)
    module = importlib.util.module_from_spec(spec)
    before = list(sys.path)
    spec.loader.exec_module(module)
    sys.path[:] = before
    return module


@pytest.fixture(scope="module")
def python_checkpoint(make_vectors, tmp_path_factory):
    """What `commands` learned in three steps, with an owner's voice: for Kotlin to restore and save again."""
    path = tmp_path_factory.mktemp("python") / "checkpoint.safetensors"
    recognizer = Recognizer.load("commands")
    replay = read_replay(recognizer.artifact)
    make_vectors.of_steps.trained(recognizer, replay, "split", 3)
    recognizer.owner = learn_owner(recognizer.background, [example.frames for example in replay[20:40]])
    recognizer.save(path)
    assert OWNER_MEANS in safetensors.numpy.load_file(path)
    return path


@pytest.fixture(scope="module")
def maven_tests(python_checkpoint):
    """Run the JVM tests once; what they wrote lies in android_demo/jvm/target."""
    if not MAVEN or not JAVAC:
        pytest.skip("the JVM tests of android_demo need a JDK (javac) and Maven (mvn); not both are on this machine")
    command = [MAVEN, "--batch-mode", "--quiet", "--file", str(DEMO / "pom.xml"), "--projects", "core,jvm", "test"]
    if not os.environ.get("ALL_JVM_TESTS"):  # make android has the time
        command.append("-DexcludedGroups=slow")
    environment = {"MAVEN_OPTS": "-Xmx640m", **os.environ, "PYTHON_CHECKPOINT": str(python_checkpoint)}
    run = subprocess.run(command, capture_output=True, text=True, env=environment)
    if any(sign in run.stdout + run.stderr for sign in UNREACHABLE):
        pytest.skip("the JVM tests of android_demo need Maven Central, from which Maven could not download")
    return run


QUICK = (
    "draws",
    "description",
    "selector",
    "cached",
    "corrections",
    "exits",
    "hotwords",
    "low_rank",
    "parts",
    "second_pass",
    "second_pass_training",
    "self_training",
    "streaming",
    "subwords",
    "words",
)
SLOW = ("parity", "runs")


def test_all_vectors_are_checked(make_vectors):
    assert set(make_vectors.VECTORS) == {*QUICK, *SLOW}


@pytest.mark.parametrize("name", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_the_vectors_are_what_python_computes(make_vectors, name):
    stored = json.loads((DEMO / "vectors" / f"{name}.json").read_text(encoding="utf-8"))
    computed = json.loads(json.dumps(make_vectors.VECTORS[name]()))
    different = list(differences(stored, computed, name))
    assert not different, f"{len(different)} differ, first {different[0]}: run {MAKE_VECTORS}"


def differences(stored, computed, place):
    """Places of what is not the same; numbers may be a thousandth apart, as those of two machines are."""
    if isinstance(stored, dict) and isinstance(computed, dict) and stored.keys() == computed.keys():
        for key, value in stored.items():
            yield from differences(value, computed[key], f"{place}.{key}")
    elif isinstance(stored, list) and isinstance(computed, list) and len(stored) == len(computed):
        for index, value in enumerate(stored):
            yield from differences(value, computed[index], f"{place}[{index}]")
    elif isinstance(stored, float) and isinstance(computed, float):
        if abs(stored - computed) > 1e-3 * max(abs(stored), 1e-3):
            yield f"{place}: {stored} and {computed}"
    elif stored != computed:
        yield f"{place}: {stored} and {computed}"


def test_a_difference_between_vectors_is_found():
    stored = {"a": [1.0, {"b": "x"}], "c": None}
    assert not list(differences(stored, {"a": [1.0005, {"b": "x"}], "c": None}, "v"))
    for changed in (
        {"a": [1.01, {"b": "x"}], "c": None},
        {"a": [1.0, {"b": "y"}], "c": None},
        {"a": [1.0], "c": None},
        {"a": 1.0},
    ):
        assert list(differences(stored, changed, "v"))


def test_the_checkpoint_among_the_vectors_is_one(make_vectors, tmp_path):
    expected = {
        "kernel": ((5, 7), "float32"),
        "bias": ((7,), "float32"),
        "Zero/edge": ((4,), "float32"),
        "step": ((), "int32"),
        "frozen": ((3, 2, 2), "int8"),
    }
    voice = {OWNER_MEANS: ((4, 3), "float32"), OWNER_THRESHOLD: ((), "float32")}
    tensors, step = load_checkpoint(
        make_vectors.CHECKPOINT, artifact_sha256="ab" * 32, expected=expected, optional=voice
    )
    assert step == 41 and tensors["step"] == 41 and tensors[OWNER_THRESHOLD] == 0.0625
    make_vectors.write_checkpoint(tmp_path / "again")
    assert same_bits(tmp_path / "again", make_vectors.CHECKPOINT)


def same_bits(one, other):
    """Whether two safetensors files hold the same tensors, every bit of them, and say the same of themselves."""
    tensors = [safetensors.numpy.load_file(path) for path in (one, other)]
    metadata = [safetensors.safe_open(path, framework="np").metadata() for path in (one, other)]
    kinds = [{name: (t.shape, t.dtype, t.tobytes()) for name, t in found.items()} for found in tensors]
    return kinds[0] == kinds[1] and metadata[0] == metadata[1]


@pytest.mark.slow
def test_the_jvm_tests_pass(maven_tests):
    assert maven_tests.returncode == 0, maven_tests.stdout[-4000:] + maven_tests.stderr[-2000:]


@pytest.mark.slow
def test_a_checkpoint_that_kotlin_saved_restores_here_bit_for_bit(maven_tests, make_vectors, tmp_path):
    assert maven_tests.returncode == 0, "see test_the_jvm_tests_pass"
    of_steps, kotlin = make_vectors.of_steps, TARGET / "kotlin.checkpoint.safetensors"
    vectors = json.loads((DEMO / "vectors" / "parity.json").read_text(encoding="utf-8"))
    recognizer = Recognizer.load("commands")
    assert recognizer.restore(kotlin) == of_steps.STEPS["split"]
    assert recognizer.owner.threshold == pytest.approx(vectors["voice"]["threshold"], abs=1e-4)
    examples = of_steps.with_others_words(read_replay(recognizer.artifact))[: of_steps.TRANSCRIBED]
    np.testing.assert_allclose(recognizer.loss(examples), vectors["steps"]["split"]["losses_after"], rtol=1e-4)
    recognizer.save(tmp_path / "again")
    assert same_bits(tmp_path / "again", kotlin)


@pytest.mark.slow
def test_a_checkpoint_of_python_went_through_kotlin_bit_for_bit(maven_tests, python_checkpoint):
    assert maven_tests.returncode == 0, "see test_the_jvm_tests_pass"
    assert same_bits(TARGET / "python.checkpoint.safetensors", python_checkpoint)
