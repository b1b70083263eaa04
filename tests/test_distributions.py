"""What the wheels hold: the package without the large model, and the distribution of that model."""

import configparser
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import tflite_asr
from tflite_asr.errors import InputError
from tflite_asr.runtime import artifact

ROOT = Path(tflite_asr.__file__).parents[1]
MOST_BYTES = 25_000_000  # of the package's wheel


def wheel_of(folder: Path, out: Path) -> Path:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", out, folder]
    done = subprocess.run([*command, "--no-build-isolation"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = out.glob("*.whl")
    return wheel


@pytest.mark.slow  # packs some ten MB
def test_the_wheel_leaves_the_large_model_out(tmp_path):
    copied = shutil.ignore_patterns("__pycache__", "sentences_teacher")
    for name in ("tflite_asr", "signatures"):
        shutil.copytree(ROOT / name, tmp_path / "sources" / name, ignore=copied)
    for name in ("setup.cfg", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path / "sources" / name)
    wheel = wheel_of(tmp_path / "sources", tmp_path / "out")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert wheel.stat().st_size < MOST_BYTES
    assert {"tflite_asr/py.typed", "signatures/py.typed", "tflite_asr/importing/LICENSE.moonshine"} <= names
    assets = {Path(name).name for name in names if name.startswith("tflite_asr/assets/")}
    assert assets == {
        "commands.json",
        "commands.replay.safetensors",
        "commands.tflite",
        "sentences.json",
        "sentences.tflite",
    }
    modules = [path for name in ("tflite_asr", "signatures") for path in (ROOT / name).rglob("*.py")]
    assert {path.relative_to(ROOT).as_posix() for path in modules} <= names


def test_a_model_that_is_not_installed_is_named_with_its_distribution(monkeypatch, tmp_path):
    monkeypatch.setattr(artifact, "ASSETS", tmp_path)
    with pytest.raises(InputError, match="pip install tflite-asr-english"):
        artifact.find("english")
    with pytest.raises(InputError, match="no such .tflite file"):
        artifact.find("french")


def test_the_distribution_of_the_large_model_is_of_the_same_release():
    own, other = configparser.ConfigParser(), configparser.ConfigParser()
    own.read(ROOT / "setup.cfg")
    other.read(ROOT / "distributions" / "english" / "setup.cfg")
    assert other["metadata"]["version"] == own["metadata"]["version"] == tflite_asr.__version__
    assert other["options"]["python_requires"] == own["options"]["python_requires"]
    assert other["metadata"]["name"].replace("_", "-") == artifact.DISTRIBUTIONS["english"]
    left_out = set(own["options.exclude_package_data"]["tflite_asr"].replace("assets/", "").split(", "))
    assert left_out == {"english.*", "LICENSE.moonshine"}
    assert set(other["options.package_data"]["tflite_asr.assets"].split(", ")) == {
        "english.tflite",
        "english.json",
        "LICENSE.moonshine",
    }
