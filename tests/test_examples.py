"""The scripts of examples/, run as a reader would."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile

import tflite_asr

ROOT = Path(tflite_asr.__file__).parents[1]
RATE = 16_000


def run(name, *arguments, cwd):
    command = [sys.executable, str(ROOT / "examples" / name), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env={"PYTHONPATH": str(ROOT)}, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def tone(number):
    return (0.3 * np.sin(np.arange(9_000 + 500 * number) * (0.1 + 0.02 * number))).astype(np.float32)


def test_a_folder_is_learned_from(tiny_tflite, tmp_path):
    for number, text in enumerate(["one", "two", "one_two", "two_one", "one_one", "two_two"]):
        soundfile.write(tmp_path / f"{text}.wav", tone(number), RATE)
    message = run(
        "personalize_folder.py", tmp_path, "--model", tiny_tflite, "--epochs", 1, "--out", "out", cwd=tmp_path
    )
    assert "said    one" in message and "word error rate" in message and (tmp_path / "out" / "report.html").exists()


def test_the_bare_interpreter_hears_and_trains(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(3), RATE, subtype="PCM_16")
    model = ROOT / "tflite_asr" / "assets" / "commands.tflite"
    lines = run("bare_interpreter.py", model, tmp_path / "a.wav", "TURN LEFT", cwd=tmp_path).splitlines()
    before, after = (float(line.split()[-1]) for line in lines[-2:])
    assert lines[0].startswith("heard '") and after < before
    assert "tflite_asr" not in (ROOT / "examples" / "bare_interpreter.py").read_text().split('"""')[2]


def test_a_sub_model_is_chosen(tiny_tflite, tmp_path):
    message = run(
        "choose_by_budget.py", tiny_tflite, "--ram-mb", 4000, "--calibration", tmp_path / "c.json", cwd=tmp_path
    )
    assert "plan " in message and "loss " in message and (tmp_path / "c.json").exists()


def test_they_are_short():
    scripts = sorted((ROOT / "examples").glob("*.py"))
    assert len(scripts) == 3 and all(len(path.read_text().splitlines()) < 60 for path in scripts)
