"""Names that are not UTF-8, consoles that lack characters, streams that are closed: no traceback, nothing lost."""

import io
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from tflite_asr.cli.main import main

pytestmark = pytest.mark.skipif(os.name != "posix", reason="names of other bytes than UTF-8 are of POSIX")
RATE = 16000


@pytest.fixture
def oddly_named(tmp_path, tiny_tflite):
    """A folder, model, manifest and audio with a byte in their names that UTF-8 does not have."""
    folder = tmp_path / "odd\udcff"
    folder.mkdir()
    for suffix in (".tflite", ".json"):
        shutil.copy(tiny_tflite.with_suffix(suffix), folder / f"model\udce9{suffix}")
    rows = []
    for index in range(6):
        random = np.random.default_rng(index)
        samples = 0.1 * random.standard_normal(RATE // 2).astype(np.float32)
        with open(folder / f"{index}\udcff.wav", "wb") as file:
            soundfile.write(file, samples, RATE, format="WAV")
        rows.append({"audio": f"{index}\udcff.wav", "text": "ONE", "speaker": "ann"})
    (folder / "m\udcff.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def lines_of(folder):
    model, manifest, audio = (str(folder / name) for name in ("model\udce9.tflite", "m\udcff.jsonl", "0\udcff.wav"))
    speech = ("--adapt", manifest, "--test", manifest, "--epochs", "1", "--no-augment")
    return {
        "transcribe": ("transcribe", model, audio),
        "evaluate": ("evaluate", model, "--manifest", manifest),
        "personalize": ("personalize", model, *speech, "--out", str(folder / "out\udcff")),
        "listen": ("listen", model, "--file", audio),
        "inspect": ("inspect", model),
        "exits": ("exits", model, "--manifest", manifest, "--out", str(folder / "exits\udcff")),
        "synthesize": ("synthesize", "--atypical", "--manifest", manifest, "--out", str(folder / "made\udcff")),
    }


@pytest.mark.parametrize(
    "command", ["transcribe", "evaluate", "personalize", "listen", "inspect", "exits", "synthesize"]
)
def test_names_that_are_not_utf8(oddly_named, monkeypatch, command):
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="strict")
    monkeypatch.setattr("sys.stdout", out)
    assert main([*lines_of(oddly_named)[command], "--json"]) == 0
    result = json.loads(out.buffer.getvalue())
    if command == "transcribe":
        assert result["transcripts"][0]["audio"] == str(oddly_named / "0\udcff.wav"), "JSON gives back the very name"
    if command == "personalize":
        written = json.loads((oddly_named / "out\udcff" / "result.json").read_text())
        assert written == result and "odd\\udcff" in (oddly_named / "out\udcff" / "report.html").read_text()
    if command == "synthesize":
        rows = (oddly_named / "made\udcff" / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
        assert len(rows) == 6 and all(isinstance(json.loads(row), dict) for row in rows)


@pytest.mark.parametrize("command", ["train", "export"])
def test_what_tensorflow_cannot_name_is_refused(oddly_named, capsys, command):
    out = str(oddly_named / "out\udcff.tflite")
    more = {"train": ["tiny", "--manifest", str(oddly_named / "m\udcff.jsonl")], "export": ["--preset", "tiny"]}[
        command
    ]
    assert main([command, *more, "--out", out]) == 2
    problem = capsys.readouterr().err
    assert "expected a name in UTF-8" in problem and problem.count("\n") == 1


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_transcripts_that_the_console_lacks(monkeypatch, encoding):
    from tflite_asr.cli import inspect

    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict")
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setattr(inspect, "run", lambda args: {})
    monkeypatch.setattr(inspect, "describe", lambda result: "ŽIVJO, 你好")
    assert main(["inspect", "x"]) == 0
    assert out.buffer.getvalue().decode(encoding).strip().endswith("IVJO, \\u4f60\\u597d")


@pytest.mark.parametrize("closed", ["2>&-", "1>&-", "1>&- 2>&-", "0<&- 2>&-"])
def test_closed_streams(oddly_named, closed):
    """Neither a traceback's exit code, nor what is printed in a file that was opened in the stream's place."""
    folder = oddly_named
    model, wav = folder / "model\udce9.tflite", folder / "0\udcff.wav"
    before = model.read_bytes(), wav.read_bytes()
    command = [sys.executable, "-m", "tflite_asr", "transcribe", str(model), str(wav)]
    done = subprocess.run(["sh", "-c", f'"$@" {closed}', "sh", *command], capture_output=True, errors="surrogateescape")
    assert done.returncode == 0
    assert ("0\\udcff.wav: " in done.stdout) == ("1>&-" not in closed)
    assert (model.read_bytes(), wav.read_bytes()) == before
    assert "Traceback" not in done.stderr


def test_a_process_without_console(tiny_tflite, oddly_named, monkeypatch):
    """pythonw has no streams at all."""
    monkeypatch.setattr("sys.stderr", None)
    monkeypatch.setattr("sys.stdout", None)
    assert main([*lines_of(oddly_named)["evaluate"]]) == 0
    assert main(["inspect", "nowhere"]) == 2
