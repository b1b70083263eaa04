"""Rows that no CTC path spells, through a model with early exits: named, left out, in no figure."""

import json

import numpy as np
import pytest
import soundfile

from tflite_asr.cli.main import main
from tflite_asr.errors import InputError
from tflite_asr.runtime.batch import Example
from tflite_asr.runtime.recognizer import Recognizer

RATE = 16000
BAD = "AAABBBCCCDDD"  # twelve characters and eight repeats, in 0.2 s


@pytest.fixture
def speech(tmp_path):
    """bad.jsonl has rows 3 and 6 that cannot be aligned, without.jsonl has not; words of both last 0.8 s."""
    bad, without = [], []
    for index in range(9):
        random = np.random.default_rng(index)
        spoiled = index in (2, 5)
        samples = 0.1 * random.standard_normal(int(RATE * (0.2 if spoiled else 0.8))).astype(np.float32)
        soundfile.write(tmp_path / f"{index}.wav", samples, RATE)
        row = {"audio": f"{index}.wav", "text": BAD if spoiled else ("ONE", "TWO")[index % 2], "speaker": "ann"}
        bad.append(row)
        without += [] if spoiled else [row]
    for name, rows in (("bad", bad), ("without", without)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def personalized(model, speech, name, *options):
    out = speech / f"out_{name}"
    line = ["personalize", model, "--adapt", speech / f"{name}.jsonl", "--test", speech / "without.jsonl", "--out", out]
    assert main([*map(str, line), "--epochs", "2", "--seed", "1", "--learning-rate", "0.1", *options]) == 0
    recognizer = Recognizer.load(model)
    recognizer.restore(out / "checkpoint.safetensors")
    return recognizer.state(), json.loads((out / "result.json").read_text())


@pytest.mark.parametrize(
    "options", [["--no-augment"], ["--connect", "2"], ["--window", "4", "--stride", "3", "--steps", "2"]]
)
def test_personalize_is_as_without_them(speech, exits_tflite, capsys, options):
    state, result = personalized(exits_tflite, speech, "bad", *options)
    message = capsys.readouterr().err
    notice = next(line for line in message.splitlines() if line.startswith("notice: 2 of 9 utterances left out"))
    assert "bad.jsonl:3 (12 characters need 20 encoder steps" in notice and "bad.jsonl:6 (" in notice
    without, expected = personalized(exits_tflite, speech, "without", *options)
    assert "notice" not in capsys.readouterr().err
    assert all(np.array_equal(state[name], without[name]) for name in state)
    for row, other in zip(result["history"], expected["history"], strict=True):
        assert row["validation_loss"] == other["validation_loss"] < 1e4 and row["train_loss"] == other["train_loss"]
    assert (result["left_out_utterances"], expected["left_out_utterances"]) == (2, 0)


def test_their_loss_is_infinite_and_no_step_takes_them(exits_tflite):
    recognizer = Recognizer.load(exits_tflite)
    random = np.random.default_rng(0)
    good, bad = (
        Example(random.standard_normal([n, 40]).astype(np.float32), np.full(12, 1, np.int32), "A" * 12, "m.jsonl:7")
        for n in (120, 120)
    )
    good = Example(good.frames, np.asarray([1, 2], np.int32), "AB", "m.jsonl:1")
    assert np.isfinite(recognizer.loss([good])).all() and np.isposinf(recognizer.loss([good, bad])[1])
    # 40 steps before the time reduction, 20 after it: 23 are needed
    assert np.isfinite(recognizer.exit_losses([bad])).tolist() == [[True], [False], [False]]
    before = recognizer.state()
    with pytest.raises(
        InputError, match="m.jsonl:7: cannot be aligned: 12 characters need 23 encoder steps, the audio has 20"
    ):
        recognizer.train_step([good, bad])
    after = recognizer.state()
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_measuring_takes_them(speech, exits_tflite, capsys):
    assert main(["evaluate", str(exits_tflite), "--manifest", str(speech / "bad.jsonl"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["utterances"] == 9


def test_measuring_takes_long_transcripts_and_counts_long_recordings(speech, exits_tflite, capsys):
    rows = [json.loads(line) for line in (speech / "without.jsonl").read_text().splitlines()]
    rows[0]["text"] = " ".join(["ONE"] * 10)  # 39 characters, the model trains on 12
    soundfile.write(speech / "long.wav", 0.1 * np.ones(2 * RATE), RATE)
    rows[3]["audio"] = "long.wav"
    (speech / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for command, more in (("evaluate", []), ("exits", ["--out", str(speech / "exits")])):
        assert main([command, str(exits_tflite), "--manifest", str(speech / "m.jsonl"), *more, "--json"]) == 0
        out, message = capsys.readouterr()
        assert json.loads(out)["too_long"] == 1
        assert (
            "notice: 1 of 7 recordings left out, longer than 1.215 s: " in message and "m.jsonl:4 (2.00 s)" in message
        )
    assert main(["exits", str(exits_tflite), "--manifest", str(speech / "m.jsonl"), *more]) == 0
    assert "measured already" in capsys.readouterr().err
    assert main(["exits", str(exits_tflite), "--manifest", str(speech / "without.jsonl"), *more]) == 2
    assert "was begun with the speech of --manifest and --where 7 utterances" in capsys.readouterr().err
    (speech / "m.jsonl").write_text(json.dumps(rows[3]))
    assert main(["evaluate", str(exits_tflite), "--manifest", str(speech / "m.jsonl")]) == 2
    assert "all 1 are longer" in capsys.readouterr().err
