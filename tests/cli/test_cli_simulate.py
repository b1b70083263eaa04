"""The command `simulate`: files and options, what it prints, what it refuses."""

import json

import numpy as np
import pytest
import soundfile

from tflite_asr.cli.main import main

STUDY = """
[[speech]]
manifest = "m.jsonl"
[mobile]
window = 6
window_bytes = 14000
stride = 4
steps = 5
learning_rate = 0.01
"""


@pytest.fixture
def speech(tmp_path):
    """Two speakers without splits; a study of both in study.toml."""
    random = np.random.default_rng(0)
    rows = []
    for take in range(20):
        soundfile.write(tmp_path / f"{take}.wav", random.normal(0, 0.1, 6400).astype(np.float32), 16000)
        rows.append({"audio": f"{take}.wav", "text": ("ONE", "TWO")[take % 2], "speaker": f"s{take // 10}"})
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "study.toml").write_text(STUDY)
    return tmp_path


@pytest.mark.slow  # a process for each run
def test_simulate(speech, tiny_tflite, capsys):
    line = ["simulate", str(tiny_tflite), "--config", str(speech / "study.toml"), "--environment", "mobile"]
    assert main([*line, "--out", str(speech / "out"), "--json"]) == 0
    out = capsys.readouterr().out
    result = json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert out.count("\n") == 1 and {"mobile", "kept", "peak_private_mb", "disk_bytes_max"} <= result.keys()
    assert result["mobile"]["speakers"] == 2 and len(result["mobile"]["interval"]) == 2 and result["kept"] is None
    assert 0 < result["disk_bytes_max"] <= 14000
    assert main([*line, "--out", str(speech / "out")]) == 0
    text, message = capsys.readouterr()
    assert "mobile" in text and "2 of 2 runs are done already" in message


@pytest.mark.parametrize(
    "options, message",
    [
        ((), "expected the speakers' speech: give --manifest"),
        (("--where", "a=b"), "--where: expected --manifest with it"),
        (("--config", "no.toml"), "no.toml: expected the description of a study"),
        (("--config", "{study}", "--others-where", "a=b"), "--others-where: expected --others"),
        (("--config", "{study}", "--trace", "no.jsonl"), "no.jsonl: expected a resource trace"),
        (("--config", "{study}", "--workers", "0"), "--workers: expected 1 or more, got 0"),
        (("--manifest", "{manifest}", "--where", "a", "--where", "b"), "expected no --where, one, or one for each"),
        (("--config", "{study}", "--others", "{manifest}"), "expected speech of others"),
        (("--manifest", "{manifest}", "--where", "speaker=s7"), "no row has speaker=s7"),
    ],
)
def test_refusals(speech, tiny_tflite, capsys, options, message):
    places = {"study": speech / "study.toml", "manifest": speech / "m.jsonl"}
    options = [option.format(**places) for option in options]
    assert main(["simulate", str(tiny_tflite), *options, "--out", str(speech / "out")]) == 2
    out, problem = capsys.readouterr()
    assert out == "" and problem.count("\n") == 1 and message in problem
    assert not (speech / "out").exists()


def test_a_cluster_that_is_not_there(speech, tiny_tflite, capsys, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "nowhere")
    line = ["simulate", str(tiny_tflite), "--config", str(speech / "study.toml"), "--environment", "mobile"]
    assert main([*line, "--engine", "ray", "--out", str(speech / "out")]) == 2
    assert "RAY_ADDRESS nowhere: no Ray there" in capsys.readouterr().err.splitlines()[-1]
