import contextlib
import ctypes
import gc
import importlib.util
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import psutil
import pytest
import soundfile
from filelock import FileLock

from tflite_asr.config import preset
from tflite_asr.runtime.batch import Example
from tflite_asr.runtime.recognizer import Recognizer

RATE = 16000
TRAINING_PACKAGES = ("tensorflow", "tf_keras", "tensorflow_model_optimization", "sentencepiece")
# at the top of a file: TensorFlow, or a part of this project that imports it
TRAINING_IMPORT = re.compile(
    r"^(?:import|from) (?:tensorflow|tf_keras|sentencepiece|flatbuffers|signatures"
    r"|tflite_asr\.(?:ops|layers|models|losses|training|importing|export|freeze|compact)\b)",
    re.MULTILINE,
)
EXPORT_GRADIENTS = 200  # custom gradients that the smallest exports trace; tests of a layer trace a few
TESTED_BY = "TFLITE_ASR_TESTED_BY"  # in the environment of every process that the tests start: which session's it is


def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        os.environ[TESTED_BY] = str(os.getpid())


def without_training() -> bool:
    """Whether the extra `train` is missing: the tests of the device side run without it, the others are skipped."""
    return importlib.util.find_spec("tensorflow") is None


def pytest_ignore_collect(collection_path):
    """Leave out files of tests that cannot be imported without TensorFlow."""
    if collection_path.suffix == ".py" and without_training():
        return bool(TRAINING_IMPORT.search(collection_path.read_text(encoding="utf-8"))) or None
    return None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item):
    """Skip a test whose fixtures need TensorFlow where it is not installed."""
    with skipping_training():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """Skip a test that needs TensorFlow where it is not installed."""
    with skipping_training():
        return (yield)


@contextlib.contextmanager
def skipping_training():
    try:
        yield
    except ModuleNotFoundError as error:
        if not without_training() or error.name not in TRAINING_PACKAGES:
            raise
        pytest.skip(f"needs {error.name}")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    """Fail a session that leaves processes behind, such as a compiler's daemon."""
    if hasattr(session.config, "workerinput"):
        return
    left = processes_left(os.environ[TESTED_BY], seconds=10)
    if left:
        found = ", ".join(f"{process.name()} ({process.pid})" for process in left)
        print(f"\nstill running after the tests: {found}", file=sys.stderr)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def processes_left(tested_by: str, seconds: float) -> list[psutil.Process]:
    """Processes of a session that are not below this one, and are still there after some seconds."""
    end = time.monotonic() + seconds
    while True:
        below = {process.pid for process in psutil.Process().children(recursive=True)}
        left = [process for process in psutil.process_iter() if process.pid not in below and _is_of(process, tested_by)]
        if not left or time.monotonic() > end:
            return left
        time.sleep(0.2)


def _is_of(process: psutil.Process, tested_by: str) -> bool:
    try:
        return process.pid != os.getpid() and process.environ().get(TESTED_BY) == tested_by
    except psutil.Error:  # ended meanwhile, or another user's
        return False


@pytest.fixture(scope="module", autouse=True)
def give_memory_back():
    """Free the models and graphs of a test file when it ends."""
    yield
    if "tf_keras" in sys.modules:
        sys.modules["tf_keras"].backend.clear_session()
    give_graphs_back(least=0)


@pytest.fixture(autouse=True)
def give_graphs_of_exports_back():
    """Free the graphs of a test that traced as many as an export does."""
    yield
    give_graphs_back(least=EXPORT_GRADIENTS)


def give_graphs_back(least: int) -> None:
    """Free graphs that nothing but TensorFlow's registry of gradients holds.

    `tf.custom_gradient` registers a gradient function each time it is traced, and TensorFlow never removes it. Each
    holds the graph it was traced in: 0.5 GB for an exported file, 9 GB for all tests.

    Args:
        least: do nothing when fewer gradient functions are registered.
    """
    if "tensorflow" in sys.modules:
        from tensorflow.python.framework import ops

        registered = ops.gradient_registry._registry
        names = [name for name in registered if name.startswith("CustomGradient-")]
        if len(names) < least:
            return
        for name in names:
            del registered[name]
    gc.unfreeze()
    gc.collect()
    gc.freeze()  # millions of objects stay, of TensorFlow too: later collections need not go through them
    ctypes.CDLL(None).malloc_trim(0)


@pytest.fixture(scope="session", autouse=True)
def allocator_as_it_is():
    """Commands that train would tell the allocator, for good, to keep what other tests want to see freed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tflite_asr.runtime.memory.keep_freed_memory", lambda: False)
        yield


@pytest.fixture(scope="session")
def new_tiny_model() -> Callable:
    """A function that builds the tiny model, with the weights that every tiny file of the tests is shipped with."""
    import tf_keras as keras  # TensorFlow takes seconds to import, and many tests do without

    from tflite_asr.models.transducer import Transducer

    def build():
        keras.utils.set_random_seed(0)
        return Transducer(preset("tiny"))

    return build


@pytest.fixture(scope="session")
def made_once(tmp_path_factory, worker_id) -> Callable[[str, Callable[[Path], None]], Path]:
    """A function (name, make) -> the path of that name, which `make` has written, in one of all the test processes."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "made_once"
    folder.mkdir(exist_ok=True)

    def path_of(name: str, make: Callable[[Path], None]) -> Path:
        path, done = folder / name, folder / f"{name}.done"
        with FileLock(folder / f"{name}.lock"):
            if not done.exists():
                make(path)
                done.touch()
        return path

    return path_of


@pytest.fixture(scope="session")
def tiny_tflite(new_tiny_model, made_once) -> Path:
    """The tiny model exported with Adam, its split step in two parts: tiny.tflite, and tiny.json beside it. Not to be
    written to."""
    from tflite_asr.export import SplitOptions, export

    return made_once(
        "tiny.tflite", lambda path: export(new_tiny_model(), path, optimizer="adam", split=SplitOptions(parts=2))
    )


@pytest.fixture(scope="session")
def lengths_tflite(made_once) -> Path:
    """The tiny model exported with SGD for utterances of up to 0.5 and 1.2 seconds, its split step in two parts. Not to
    be written to."""
    import tf_keras as keras

    from tflite_asr.export import SplitOptions, export
    from tflite_asr.models.build import build_model, with_lengths

    def make(path: Path) -> None:
        keras.utils.set_random_seed(1)
        model = with_lengths(build_model(preset("tiny")), (0.5, 1.2))
        export(model, path, optimizer="sgd", split=SplitOptions(parts=2))

    return made_once("lengths.tflite", make)


@pytest.fixture
def recognizer(tiny_tflite) -> Recognizer:
    """The tiny file in an interpreter of its own, so with the shipped weights."""
    return Recognizer.load(tiny_tflite)


@pytest.fixture(scope="session")
def utterances() -> Callable[[int, int], list[Example]]:
    """A function (count, seed) -> that many utterances of noise, of different lengths, that fit the tiny model."""
    config = preset("tiny")

    def make(count: int, seed: int) -> list[Example]:
        random = np.random.default_rng(seed)
        examples = []
        for _ in range(count):
            frames = random.standard_normal([random.integers(60, config.sizes.max_frames + 1), 40])
            tokens = random.integers(1, config.vocabulary_size, [random.integers(2, config.sizes.max_tokens + 1)])
            examples.append(Example(frames.astype(np.float32), tokens.astype(np.int32), "noise", f"seed {seed}"))
        return examples

    return make


@pytest.fixture(scope="session")
def talkative(new_tiny_model) -> Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]:
    """A function state -> the state with weights that emit labels and blanks in turn, as a trained model does."""
    names = {name.replace("/", "_"): name for name in new_tiny_model().named_weights()}

    def change(state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        random = np.random.default_rng(1)
        changed = dict(state)
        for tensor in sorted(names):
            if not tensor.endswith(("kernel", "embedding")):
                noise = 0.1 * random.standard_normal(state[tensor].shape)
                changed[tensor] = (state[tensor] + noise).astype(np.float32)
        changed["joint_encoder_kernel"] = 3 * state["joint_encoder_kernel"]
        changed["joint_output_kernel"] = 6 * state["joint_output_kernel"]
        changed["joint_output_bias"] = np.eye(1, len(state["joint_output_bias"]), dtype=np.float32)[0] * 13
        return changed

    return change


@pytest.fixture(scope="session")
def two_pass_model():
    """A two-pass model of two layers with weights that emit labels and blanks in turn. Its weights are not to be
    changed.
    """
    import dataclasses

    import tf_keras as keras

    from tflite_asr.models.build import build_model

    keras.utils.set_random_seed(2)
    config = preset("tiny_two_pass")
    # two layers: conversion takes seconds a layer
    encoder = dataclasses.replace(config.encoder, layers=2)
    sizes = dataclasses.replace(config.sizes, max_tokens=80)  # room for all that it emits
    model = build_model(dataclasses.replace(config, encoder=encoder, sizes=sizes))
    random = np.random.default_rng(2)
    for name, weight in model.named_weights().items():
        if name.startswith("rescorer") or not name.endswith(("kernel", "embedding")):
            weight.assign_add((0.3 if name.startswith("rescorer") else 0.1) * random.standard_normal(weight.shape))
    model.joint.encoder_kernel.assign(3 * model.joint.encoder_kernel)
    model.joint.output_kernel.assign(6 * model.joint.output_kernel)
    model.joint.output_bias.assign(9.0 * np.eye(1, model.config.vocabulary_size, dtype=np.float32)[0])
    return model


@pytest.fixture(scope="session")
def two_pass_tflite(two_pass_model, made_once) -> Path:
    """The same exported with SGD, its split step in one part. Not to be written to."""
    from tflite_asr.export import SplitOptions, export

    return made_once(
        "two.tflite", lambda path: export(two_pass_model, path, optimizer="sgd", split=SplitOptions(parts=1))
    )


@pytest.fixture(scope="session")
def speakers(tmp_path_factory) -> Callable[[int], Path]:
    """A function: number of speakers -> manifest. Each says two words, a tone of the speaker's in noise,
    twelve times.
    """

    def make(count: int) -> Path:
        folder = tmp_path_factory.mktemp("speech")
        rows = []
        for speaker in range(count):
            random = np.random.default_rng(speaker)
            for take in range(12):
                word, hertz = (("ONE", 300), ("TWO", 1200))[take % 2]
                time = np.arange(int(0.4 * RATE)) / RATE
                samples = 0.3 * np.sin(2 * np.pi * hertz * (1 + 0.05 * speaker) * time)
                samples += 0.01 * random.standard_normal(len(time))
                audio = f"{speaker}_{take}.wav"
                soundfile.write(folder / audio, samples.astype(np.float32), RATE)
                split = "pers_adapt" if take < 8 else "pers_test"
                rows.append({"audio": audio, "text": word, "speaker": f"s{speaker}", "split": split})
        (folder / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return folder / "m.jsonl"

    return make


SAY = """
import sys
import numpy as np, soxr
from tflite_asr.data.espeak import Espeak
path, rate_wpm, *texts = sys.argv[1:]
voice = Espeak()
np.savez(path, *(soxr.resample(*voice.speak(text, rate_wpm=int(rate_wpm)), 16_000) for text in texts))
"""


@pytest.fixture(scope="session")
def say(tmp_path_factory) -> Callable[..., list[np.ndarray]]:
    """A function: texts and words a minute -> samples [n] float32 of each at 16 kHz, by eSpeak. It speaks in a process
    of its own, for what it says depends on what it said before.
    """
    pytest.importorskip("espeakng_loader")

    def said(texts: Sequence[str], rate_wpm: int = 150) -> list[np.ndarray]:
        path = tmp_path_factory.mktemp("said") / "said.npz"
        subprocess.run([sys.executable, "-c", SAY, str(path), str(rate_wpm), *texts], check=True)
        with np.load(path) as arrays:
            return [arrays[f"arr_{index}"] for index in range(len(texts))]

    return said
