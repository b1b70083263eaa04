"""What imports what: the device side loads no TensorFlow, help loads nothing heavy, layers look one way."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import signatures
import tflite_asr

ROOT = Path(tflite_asr.__file__).parent
SIGNATURES = Path(signatures.__file__).parent
TRAINING_LIBRARIES = {"tensorflow", "tf_keras", "keras", "tensorflow_model_optimization", "tensorboard"}
HEAVY = TRAINING_LIBRARIES | {
    "librosa",
    "matplotlib",
    "ai_edge_litert",
    "jiwer",
    "num2words",
    "soundfile",
    "scipy",
    "ray",
    "sounddevice",
}


def modules_of(package):
    return sorted(
        f"tflite_asr.{package}.{path.stem}" for path in (ROOT / package).glob("*.py") if path.stem != "__init__"
    )


def loaded_by(code):
    """Top-level names of the modules that a fresh interpreter has loaded after `code`."""
    code += "\nimport sys; print('loaded', *sorted({name.split('.')[0] for name in sys.modules}))"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert output.returncode == 0, output.stderr
    return output.stdout, set(output.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("package", ["runtime", "personalization", "study", "cli"])
def test_the_device_side_loads_no_tensorflow(package):
    modules = modules_of(package)
    assert len(modules) > 3
    _, loaded = loaded_by(f"import {', '.join(modules)}")
    assert "numpy" in loaded or package == "cli"
    assert not loaded & TRAINING_LIBRARIES


def test_running_a_model_loads_no_tensorflow(tiny_tflite):
    code = f"""
import numpy as np
from tflite_asr.runtime.recognizer import Recognizer
recognizer = Recognizer.load({str(tiny_tflite)!r})
example = recognizer.example(np.sin(np.arange(8000)), "HI")
recognizer.train_step([example])
recognizer.transcribe_frames(example.frames, beam=True)
"""
    _, loaded = loaded_by(code)
    assert "ai_edge_litert" in loaded and not loaded & TRAINING_LIBRARIES


def commands():
    from tflite_asr.cli.main import COMMANDS

    return COMMANDS


@pytest.mark.parametrize("command", ["", *commands()])
def test_help_loads_nothing_heavy(command):
    arguments = [command, "--help"] if command else ["--help"]
    code = f"""
from tflite_asr.cli.main import main
try:
    main({arguments!r})
except SystemExit as end:
    assert end.code == 0
"""
    text, loaded = loaded_by(code)
    assert f"usage: tflite-asr {command}".rstrip() in text
    assert not loaded & HEAVY


def imports(path):
    """Every module that a file imports, at its top or inside a function, `from x import y` as x.y."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


TRAINING_SIDE = (
    "ops",
    "layers",
    "models",
    "losses",
    "importing",
    "training",
    "export",
)
# who must not import whom, in tflite_asr
LAYERING = {
    "runtime": (*TRAINING_SIDE, "personalization", "study", "cli"),
    "personalization": (*TRAINING_SIDE, "study", "cli"),
    "ops": ("layers", "losses", "models", "training", "export", "runtime", "personalization", "cli"),
    "losses": ("layers", "models", "training", "export", "runtime", "personalization", "cli"),
    "layers": ("models", "training", "export", "runtime", "personalization", "cli"),
    "models": ("training", "export", "runtime", "personalization", "cli"),
    "importing": ("training", "export", "runtime", "personalization", "study", "cli"),
    "training": ("export", "personalization", "study", "cli"),
    "export": ("training", "importing", "personalization", "study", "cli"),
    "study": ("cli",),
    "text": (*TRAINING_SIDE, "runtime", "personalization", "cli"),
    "audio": (*TRAINING_SIDE, "runtime", "personalization", "cli"),
}


@pytest.mark.parametrize("package", LAYERING)
def test_imports_point_one_way(package):
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    for path in files:
        for name in imports(path):
            for forbidden in LAYERING[package]:
                module = f"tflite_asr.{forbidden}"
                assert name != module and not name.startswith(f"{module}."), f"{path.name} imports {name}"
            if package in ("runtime", "personalization"):
                assert name.split(".")[0] not in TRAINING_LIBRARIES | {"signatures"}, f"{path.name} imports {name}"


def test_signatures_know_nothing_of_speech():
    files = sorted(SIGNATURES.glob("*.py"))
    assert len(files) > 5
    for path in files:
        for name in imports(path):
            assert name.split(".")[0] != "tflite_asr", f"signatures/{path.name} imports {name}"


def test_the_scan_sees_imports_inside_functions():
    assert "tensorflow" in imports(ROOT / "export" / "converter.py")
    assert "ai_edge_litert.schema_py_generated" in imports(ROOT / "runtime" / "flatbuffer.py")
