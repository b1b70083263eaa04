"""`benchmark recognition`: time and memory of real files, in a process of their own."""

import json

import numpy as np
import pytest
import soundfile

from tflite_asr.cli.main import main

RATE = 16000


@pytest.fixture
def manifest(tmp_path):
    random = np.random.default_rng(3)
    rows = []
    for index, seconds in enumerate((0.6, 0.3, 0.5, 0.4)):
        soundfile.write(tmp_path / f"{index}.wav", random.uniform(-0.1, 0.1, round(seconds * RATE)), RATE)
        rows.append({"audio": f"{index}.wav", "text": "ONE"})
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path / "m.jsonl"


@pytest.mark.parametrize(
    ("model", "passes"), [("tiny_tflite", ["first_pass"]), ("two_pass_tflite", ["first_pass", "both_passes"])]
)
def test_each_pass_is_timed_from_the_shortest_to_the_longest(manifest, capsys, request, model, passes):
    path = str(request.getfixturevalue(model))
    command = ["benchmark", "recognition", path, "--manifest", str(manifest), "--utterances", "3"]
    assert main([*command, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert [round(row["speech_seconds"], 1) for row in result["rows"]] == [0.3, 0.5, 0.6]
    for name in ("first_pass", "both_passes"):
        assert (f"{name}_seconds_per_second" in result) == (name in passes)
    for name in passes:
        seconds = sum(row[f"{name}_seconds"] for row in result["rows"])
        speech = sum(row["speech_seconds"] for row in result["rows"])
        assert result[f"{name}_seconds_per_second"] == pytest.approx(seconds / speech) and seconds > 0
    assert 0 < result["base_private_mb"] <= result["loaded_private_mb"] <= result["peak_private_mb"]
    assert result["added_private_mb"] == pytest.approx(result["peak_private_mb"] - result["base_private_mb"])
    assert main(command) == 0
    said = capsys.readouterr().out
    assert ("both passes" in said) == ("both_passes" in passes) and "MB at most" in said


def test_what_cannot_be_measured_is_refused_in_one_line(manifest, capsys, tiny_tflite):
    for arguments in ([str(tiny_tflite), "--utterances", "0"], ["nothing.tflite"]):
        assert main(["benchmark", "recognition", *arguments, "--manifest", str(manifest)]) == 2
        out, problem = capsys.readouterr()
        assert out == "" and problem.count("\n") == 1
