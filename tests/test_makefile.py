"""make works in a folder with a space in its name."""

import shutil
import subprocess
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).parent.parent / "Makefile"
PYTHON = """#!/bin/sh
if [ "$2" = venv ]; then mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && exit; fi
for argument in "$@"; do printf '<%s>' "$argument" >> calls; done
echo " $TFLITE_2_14_PYTHON" >> calls
"""


@pytest.mark.skipif(not shutil.which("make"), reason="needs make")
@pytest.mark.parametrize(
    ("target", "call"),
    [
        ("test", "<-m><pytest><-q><-rs>"),
        ("test-fast", "<-m><pytest>"),
        ("demo", "<-m><tflite_asr><demo>"),
        ("commands", "<--manifest><{data}/speech/manifest.jsonl>"),
        ("exits", "<--manifest><{data}/commands/manifest.jsonl>"),
        ("exits-english", "<--initial><runs/english/moonshine>"),
        ("teacher", "<--development><{data}/speech/manifest.jsonl>"),
        ("study", "<-m><tflite_asr><simulate>"),
    ],
)
def test_in_a_folder_with_a_space(tmp_path, target, call):
    folder, data = tmp_path / "my copy", tmp_path / "my data"
    for name in ("speech", "speech_extra", "commands"):
        (data / name).mkdir(parents=True)
        (data / name / "manifest.jsonl").write_text('{"text": "A", "split": "base_train"}\n')
    (folder / "docs").mkdir(parents=True)
    shutil.copy(MAKEFILE, folder)
    for name in ("setup.cfg", "pyproject.toml"):
        (folder / name).touch()
    (folder / "docs" / "study.toml").write_text('manifest = "DATA/m"\nother = "VOICES/m"\ntrace = "TRACE"\n')
    (folder / "python").write_text(PYTHON)
    (folder / "python").chmod(0o755)
    command = ["make", target, "PYTHON=./python", "OLD_PYTHON=./python", f"DATA={data}", "SOURCE=wheel"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    calls = (folder / "calls").read_text()
    assert call.format(data=data) in calls
    if target == "test":
        assert f" {folder}/.venv-tflite-2.14/bin/python\n" in calls
    if target == "study":
        table = (folder / "runs" / "study" / "study.toml").read_text()
        assert (
            f'"{data}/m"' in table
            and f'"{folder}/runs/voices/m"' in table
            and f'"{folder}/docs/phone.trace.jsonl"' in table
        )
