"""The same command given again into the same folder, and others: what is told is what is there."""

import json

import numpy as np
import pytest
import soundfile

from tflite_asr.cli.main import main

RATE = 16000


@pytest.fixture
def speech(tmp_path):
    rows = []
    for index in range(10):
        samples = 0.1 * np.random.default_rng(index).standard_normal(RATE // 2)
        soundfile.write(tmp_path / f"{index}.wav", samples, RATE)
        rows.append({"audio": f"{index}.wav", "text": "ONE", "speaker": "ann"})
    for name, kept in (("m", rows), ("less", rows[:8]), ("other", [{**row, "text": "TWO"} for row in rows])):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in kept))
    return tmp_path


@pytest.fixture
def trained(monkeypatch):
    """Training is to write its history; how often it was begun."""
    begun = []

    def fit(config, training, development, folder, settings, **options):
        epochs = settings.epochs
        begun.append(epochs)
        rows = [{"epoch": epoch, "of": epochs, "loss_per_token": 1.0} for epoch in range(1, epochs + 1)]
        (folder / "history.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return rows[-1]

    monkeypatch.setattr("tflite_asr.training.fit.fit", fit)
    return begun


def train(speech, manifest, *options):
    line = ["train", "tiny", "--manifest", speech / f"{manifest}.jsonl", "--epochs", "2", "--out", speech / "model"]
    return main([*map(str, (*line, *options)), "--json"])


def test_train(speech, trained, capsys):
    assert train(speech, "m") == 0
    first = json.loads(capsys.readouterr().out)
    assert train(speech, "m") == 0
    assert json.loads(capsys.readouterr().out) == {**first, "already_trained": True}
    assert len(trained) == 1
    history = speech / "model" / "history.jsonl"
    for interrupted in (False, True):
        if interrupted:
            history.write_text(history.read_text().splitlines()[0] + "\n")
        for manifest, options, message in (
            ("less", (), "--manifest, --where and --words 10 utterances"),
            ("other", (), "--manifest, --where and --words 10 utterances"),
            ("m", ("--learning-rate", 0.01), "--learning-rate 0.002, now it is 0.01"),
            ("m", ("--seed", 3), "--seed 0, now it is 3"),
            ("m", ("--development", speech / "m.jsonl"), "the speech of --development none, now it is 10 utterances"),
        ):
            assert train(speech, manifest, *options) == 2
            problem = capsys.readouterr().err
            assert message in problem and str(speech / "model") in problem and problem.count("\n") == 1
    assert len(trained) == 1
    assert train(speech, "m") == 0 and len(trained) == 2, "an interrupted training goes on"
    assert train(speech, "m", "--epochs", 3) == 0 and len(trained) == 3, "with more epochs it goes on"
    (speech / "model" / "settings.json").unlink()
    assert train(speech, "m") == 2 and "expected settings.json beside it" in capsys.readouterr().err


def test_another_recording_under_the_same_name_is_other_speech(speech, trained, capsys):
    assert train(speech, "m") == 0
    soundfile.write(speech / "4.wav", 0.2 * np.random.default_rng(50).standard_normal(RATE // 2), RATE)
    capsys.readouterr()
    assert train(speech, "m") == 2 and "--manifest" in capsys.readouterr().err


PACES = {"window": ["--window", "4", "--stride", "5", "--steps", "2"], "rounds": ["--rounds", "2", "--epochs", "1"]}


@pytest.mark.parametrize("pace", PACES)
def test_personalize(speech, tiny_tflite, tmp_path_factory, monkeypatch, capsys, pace):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))

    def personalize(manifest, *options):
        adapt = ("--adapt", speech / f"{manifest}.jsonl", "--test", speech / "m.jsonl", "--out", speech / "out")
        more = ("--ram-floor-mb", 0) if pace == "rounds" else ()
        return main([*map(str, ("personalize", tiny_tflite, *adapt, *PACES[pace], *more, *options)), "--json"])

    assert personalize("m") == 0
    first = json.loads(capsys.readouterr().out)
    checkpoint = (speech / "out" / "checkpoint.safetensors").read_bytes()
    for manifest, options, message in (
        ("less", (), "the speech of --adapt 10 utterances"),
        ("m", ("--learning-rate", 0.01), "--learning-rate 0.001, now it is 0.01"),
        ("m", ("--seed", 3), "--seed 0, now it is 3"),
    ):
        assert personalize(manifest, *options) == 2
        assert message in capsys.readouterr().err
    assert personalize("m") == 0
    out, message = capsys.readouterr()
    assert json.loads(out) == first and "finished already" in message
    assert (speech / "out" / "checkpoint.safetensors").read_bytes() == checkpoint


def test_transcribe_goes_on_after_a_bad_file(speech, tiny_tflite, capsys):
    (speech / "bad.wav").write_bytes(b"no audio" * 9)
    line = ["transcribe", tiny_tflite, *(speech / name for name in ("0.wav", "bad.wav", "1.wav"))]
    assert main([*map(str, line)]) == 2
    out, message = capsys.readouterr()
    assert [row.split(": ")[0] for row in out.splitlines()] == [str(speech / "0.wav"), str(speech / "1.wav")]
    problem = next(row for row in message.splitlines() if row.startswith("tflite-asr"))
    assert "bad.wav: expected a WAV" in problem and "the other 2 of 3 files are transcribed" in problem
    assert main([*map(str, line), "--json"]) == 2
    result = json.loads(capsys.readouterr().out)
    assert len(result["transcripts"]) == 2 and result["failed"][0]["audio"] == str(speech / "bad.wav")
    assert main([str(part) for part in (*line[:2], speech / "bad.wav")]) == 2
    assert capsys.readouterr().out == ""


def test_results_are_written_before_the_report(speech, tiny_tflite, capsys, monkeypatch):
    from tflite_asr.errors import InputError
    from tflite_asr.personalization import resumption, session

    def failing(*args):
        raise InputError("the report cannot be written")

    monkeypatch.setattr(session, "write_report", failing)
    manifest = str(speech / "m.jsonl")
    line = ["personalize", str(tiny_tflite), "--adapt", manifest, "--test", manifest, "--epochs", "1"]
    assert main([*line, "--out", str(speech / "out")]) == 2
    assert json.loads((speech / "out" / "result.json").read_text())["steps"] > 0
    monkeypatch.setattr(resumption, "check_drawing", failing)
    assert main([*line, "--out", str(speech / "out2")]) == 2
    assert not (speech / "out2" / "result.json").exists() and not (speech / "out2" / "checkpoint.safetensors").exists()
