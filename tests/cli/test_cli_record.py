"""`record` without a microphone, and `listen` on a file."""

import json
import sys

import numpy as np
import pytest
import soundfile

from tflite_asr.audio import microphone
from tflite_asr.audio.recordings import files_in_order, problem_of
from tflite_asr.cli.main import main
from tflite_asr.data.manifest import read_manifest
from tflite_asr.data.time_order import check_time_order
from tflite_asr.errors import InputError


@pytest.fixture
def prompts(tmp_path):
    (tmp_path / "prompts.txt").write_text("TURN LEFT\n\nGO\nSTOP\n")
    (tmp_path / "takes").mkdir()
    random = np.random.default_rng(0)
    for name in ("b.wav", "a.WAV", "c.flac"):
        soundfile.write(tmp_path / "takes" / name, random.normal(0, 0.1, 8000).astype(np.float32), 16000)
    return tmp_path


def line(folder, *options):
    return ["record", "--prompts", str(folder / "prompts.txt"), "--out", str(folder / "out"), *options]


def from_folder(folder):
    return line(folder, "--from-folder", str(folder / "takes"))


def refused(capsys, arguments):
    assert main(arguments) == 2
    out, problem = capsys.readouterr()
    assert out == "" and problem.count("\n") == 1
    return problem


def test_files_in_place_of_a_microphone(prompts, capsys):
    assert main([*from_folder(prompts), "--speaker", "ann", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["utterances"], result["left"], result["seconds"]) == (3, 0, 1.5)
    rows = read_manifest(result["manifest"])
    assert [(row.text, row.speaker) for row in rows] == [("TURN LEFT", "ann"), ("GO", "ann"), ("STOP", "ann")]
    check_time_order(rows)
    assert all("time" in row.extra for row in rows), "the order of time is not known"
    for row, take in zip(rows, ("a.WAV", "b.wav", "c.flac")):
        np.testing.assert_array_equal(soundfile.read(row.audio)[0], soundfile.read(prompts / "takes" / take)[0])


def test_it_goes_on_with_the_next_prompt(prompts, capsys):
    (prompts / "prompts.txt").write_text("TURN LEFT\nGO\n")
    (prompts / "takes" / "c.flac").rename(prompts / "c.flac")
    assert main(from_folder(prompts)) == 0
    first = (prompts / "out" / "manifest.jsonl").read_text()
    (prompts / "prompts.txt").write_text("TURN LEFT\nGO\nSTOP\n")
    (prompts / "c.flac").rename(prompts / "takes" / "c.flac")
    assert main(from_folder(prompts)) == 0
    assert (prompts / "out" / "manifest.jsonl").read_text().startswith(first)
    assert len(read_manifest(prompts / "out" / "manifest.jsonl")) == 3
    (prompts / "prompts.txt").write_text("TURN RIGHT\nGO\nSTOP\n")
    capsys.readouterr()
    assert "expected the prompt 'TURN RIGHT', got 'TURN LEFT'" in refused(capsys, from_folder(prompts))


def test_refusals(prompts, capsys):
    assert "no.txt: expected a text file" in refused(capsys, ["record", "--prompts", "no.txt", "--out", "x"])
    (prompts / "takes" / "c.flac").unlink()
    assert "expected 3 audio files, one a prompt, got 2" in refused(capsys, from_folder(prompts))
    soundfile.write(prompts / "takes" / "c.wav", np.ones(8000, np.float32), 16000)
    assert "c.wav: too loud" in refused(capsys, from_folder(prompts))
    assert "expected a terminal" in refused(capsys, line(prompts))
    assert not (prompts / "out").exists()


@pytest.mark.parametrize(
    "level, seconds, message", [(0.1, 1, None), (0.1, 0.1, "shorter"), (0, 1, "silent"), (9, 1, "clipped")]
)
def test_what_is_wrong_with_a_recording(level, seconds, message):
    noise = np.clip(np.random.default_rng(0).normal(0, 1, int(16000 * seconds)) * level, -1, 1)
    problem = problem_of(noise.astype(np.float32), 16000)
    assert problem is None if message is None else message in problem


def test_prompts_are_shown_heard_again_and_kept(prompts, capsys, monkeypatch):
    """Keys: record and keep; record, play, again, record, keep; stop at the third."""
    played = []

    class Microphone:
        def __init__(self, sample_rate):
            self.sample_rate = sample_rate

        def blocks(self):
            random = np.random.default_rng(1)
            while True:
                yield random.normal(0, 0.1, 8000).astype(np.float32)

        def play(self, samples):
            played.append(samples)

    keys = iter(["\n", "\n", "\n", "\n", "\n", "p\n", "a\n", "x\n", "\n", "\n", "\n", "q\n"])
    monkeypatch.setattr(microphone, "Microphone", Microphone)
    monkeypatch.setattr(
        sys, "stdin", type("Terminal", (), {"isatty": lambda self: True, "readline": lambda self: next(keys)})()
    )
    assert main(line(prompts)) == 0
    out, message = capsys.readouterr()
    assert "2 recordings" in out and "1 prompts left" in out and len(played) == 1
    assert [message.count(text) for text in ("1/3   TURN LEFT", "2/3   GO", "3/3   STOP")] == [1, 2, 1]
    assert "dB" in message


def test_without_sounddevice(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(InputError, match=r"tflite_asr\[record\]"):
        microphone.Microphone(16000)


def test_listen_to_a_file(prompts, tiny_tflite, capsys):
    samples = np.random.default_rng(0).normal(0, 0.1, 40000).astype(np.float32)
    soundfile.write(prompts / "long.wav", samples, 16000)  # longer than the model's longest utterance
    assert main(["listen", str(tiny_tflite), "--file", str(prompts / "long.wav"), "--json"]) == 0
    assert isinstance(json.loads(capsys.readouterr().out)["transcripts"], list)
    assert "no.wav: expected an audio file" in refused(capsys, ["listen", str(tiny_tflite), "--file", "no.wav"])


def test_numbers_in_names_count_as_numbers(tmp_path):
    ordered = [
        "Take.wav",
        "take 1 (2).WAV",
        "Take 2.flac",
        "take 10 a.wav",
        "TAKE 10 b.wav",
        "take 010 b 3.wav",
        "zulu.mp3",
    ]
    for name in (*reversed(ordered), "notes.txt", ".take 3.wav"):
        (tmp_path / name).touch()
    assert [path.name for path in files_in_order(tmp_path, (".wav", ".flac", ".mp3"))] == ordered


@pytest.mark.parametrize(
    "names", [("take 1.wav", "take 01.wav"), ("a.wav", "a.flac"), ("Go.wav", "go.wav"), ("t1.wav", "t 1.wav")]
)
def test_names_that_do_not_tell_the_order(tmp_path, names):
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(InputError, match="have the same place"):
        files_in_order(tmp_path, (".wav", ".flac"))


def test_takes_are_of_the_prompts_in_the_order_of_their_numbers(tmp_path, capsys):
    (tmp_path / "prompts.txt").write_text("".join(f"WORD {'ABCDEFGHIJKL'[n]}\n" for n in range(12)))
    (tmp_path / "takes").mkdir()
    for number in range(12):
        samples = np.random.default_rng(number).normal(0, 0.1, 5000 + 100 * number).astype(np.float32)
        soundfile.write(tmp_path / "takes" / f"Recording {number + 1}.wav", samples, 16000)
    assert main(from_folder(tmp_path)) == 0
    rows = read_manifest(tmp_path / "out" / "manifest.jsonl")
    assert [row.text for row in rows] == (tmp_path / "prompts.txt").read_text().split("\n")[:-1]
    assert [soundfile.info(row.audio).frames for row in rows] == [5000 + 100 * number for number in range(12)]
