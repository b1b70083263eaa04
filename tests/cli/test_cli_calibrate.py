"""`calibrate` and what `evaluate` and `transcribe` make of it, on synthetic digits and a copy of the shipped model."""

import json
import shutil

import numpy as np
import pytest
import soundfile

from tflite_asr.cli.main import main
from tflite_asr.runtime.artifact import ASSETS, read_artifact

RATE = 16000
DIGITS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "zero")


@pytest.fixture(scope="module")
def digits(tmp_path_factory, say):
    """Digits in noise by voices that the model knows well and less well: manifest.jsonl."""
    folder, random, rows = tmp_path_factory.mktemp("digits"), np.random.default_rng(0), []
    for take, rate in enumerate((120, 150, 200, 280)):
        for digit, samples in zip(DIGITS, say(DIGITS, rate), strict=True):
            samples = samples + 0.01 * (1 + 6 * (take % 2)) * random.standard_normal(len(samples))
            name = f"{digit}_{take}.wav"
            soundfile.write(folder / name, samples.astype(np.float32), RATE)
            rows.append({"audio": name, "text": digit.upper(), "speaker": f"s{take}"})
    (folder / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def run(capsys, *line):
    assert main([*map(str, line), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_calibration_is_written_and_used(digits, tmp_path, capsys):
    for suffix in (".tflite", ".json"):
        shutil.copy(ASSETS / f"commands{suffix}", tmp_path / f"mine{suffix}")
    model, speech = tmp_path / "mine.tflite", ("--manifest", digits / "m.jsonl", "--connect", "4")
    found = run(capsys, "calibrate", model, *speech)
    kept = read_artifact(model).calibration  # the description's digest is right
    assert kept.keys() <= found.keys() and all(found[name] == value for name, value in kept.items())
    kinds = [(row["measure"], row["over"]) for row in found["tried"]]
    assert len(set(kinds)) == len(kinds) == 9 and found["measure"] == kinds[0][0]
    losses = [row["cross_entropy"] for row in found["tried"]]
    assert losses == sorted(losses)

    # on the speech that it was calibrated by, delays are medians: half of the words come earlier, half later
    evaluated = run(capsys, "evaluate", model, *speech, "--times", "--confidence")
    assert (evaluated["judged_words"], evaluated["right_words"]) == (found["judged_words"], found["right_words"])
    assert evaluated["auroc"] == pytest.approx(found["auroc"], abs=0.01) and evaluated["ece"] == pytest.approx(
        found["ece"], abs=0.01
    )
    assert 0 <= evaluated["start_error_ms_median"] < 100 and 0 <= evaluated["end_error_ms_median"] < 100

    (row,) = run(capsys, "transcribe", model, digits / "seven_1.wav")["transcripts"]
    assert [word["text"] for word in row["words"]] == row["text"].split()
    seconds = soundfile.info(digits / "seven_1.wav").duration
    for word in row["words"]:
        assert 0 <= word["start_seconds"] <= word["end_seconds"] <= seconds and 0 <= word["confidence"] <= 1


def test_too_little_speech_calibrates_nothing(digits, tmp_path, capsys):
    for suffix in (".tflite", ".json"):
        shutil.copy(ASSETS / f"commands{suffix}", tmp_path / f"mine{suffix}")
    before = (tmp_path / "mine.json").read_bytes()
    line = ["calibrate", tmp_path / "mine.tflite", "--manifest", digits / "m.jsonl", "--where", "text=ONE"]
    assert main([*map(str, line)]) == 2
    assert "5 words or more are right and as many wrong" in capsys.readouterr().err
    assert (tmp_path / "mine.json").read_bytes() == before
