"""Recordings longer than the model takes: `transcribe` cuts them at pauses and says when what was said."""

import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from tflite_asr.cli.main import main

RATE = 16000
STEP = RATE // 100


def recording(seconds, starts, rate=RATE):
    """Tones of 0.4 s at some starts, in faint noise."""
    random = np.random.default_rng(0)
    samples = 1e-3 * random.standard_normal(round(seconds * rate))
    for start in starts:
        time = np.arange(round(0.4 * rate)) / rate
        samples[round(start * rate) :][: len(time)] += 0.3 * np.sin(2 * np.pi * 600 * time)
    return samples.astype(np.float32)


def transcribed(capsys, *line):
    assert main(["transcribe", *map(str, line), "--json"]) == 0
    return json.loads(capsys.readouterr().out)["transcripts"]


def test_utterances_come_with_their_times(tmp_path, tiny_tflite, capsys):
    starts = [0.8, 3.0, 4.6, 8.1]
    soundfile.write(tmp_path / "long.wav", recording(10, starts), RATE)
    (row,) = transcribed(capsys, tiny_tflite, tmp_path / "long.wav")
    segments = row["segments"]
    assert len(segments) == len(starts)
    for segment, start in zip(segments, starts):
        assert segment["start_seconds"] <= start and start + 0.4 <= segment["end_seconds"] <= start + 1.2
    assert row["text"] == " ".join(segment["text"] for segment in segments if segment["text"])


def test_utterances_are_transcribed_as_files_of_their_own(tmp_path, capsys, say):
    """The shipped digits, in one file and apart."""
    pieces = [piece for samples in say(("one two three", "seven", "four")) for piece in (samples, np.zeros(2 * RATE))]
    samples = np.concatenate(pieces).astype(np.float32)
    soundfile.write(tmp_path / "long.wav", samples, RATE, subtype="FLOAT")
    (row,) = transcribed(capsys, "commands", tmp_path / "long.wav")
    assert len(row["segments"]) == 3
    for segment in row["segments"]:
        part = samples[round(segment["start_seconds"] * RATE) : round(segment["end_seconds"] * RATE)]
        soundfile.write(tmp_path / "part.wav", part, RATE, subtype="FLOAT")
        (alone,) = transcribed(capsys, "commands", tmp_path / "part.wav")
        assert alone["text"] == segment["text"] != ""


def test_a_sample_rate_that_changes_within_a_file_shifts_no_times(tmp_path, tiny_tflite, capsys):
    """Two Ogg recordings, one behind the other in one file."""
    content = b""
    for rate in (RATE, 24000):
        soundfile.write(tmp_path / "part.ogg", recording(4, [1.5], rate), rate)
        content += (tmp_path / "part.ogg").read_bytes()
    (tmp_path / "both.ogg").write_bytes(content)
    (row,) = transcribed(capsys, tiny_tflite, tmp_path / "both.ogg")
    spans = [(segment["start_seconds"], segment["end_seconds"]) for segment in row["segments"]]
    assert [start <= said and said + 0.4 <= end for (start, end), said in zip(spans, [1.5, 5.5])] == [True, True]


def test_a_long_file_of_silence_is_refused_and_one_of_noise_is_empty(tmp_path, tiny_tflite, capsys):
    soundfile.write(tmp_path / "silent.wav", np.zeros(5 * RATE), RATE)
    assert main(["transcribe", str(tiny_tflite), str(tmp_path / "silent.wav")]) == 2
    assert "silent.wav: expected speech, got silence" in capsys.readouterr().err
    soundfile.write(tmp_path / "noise.wav", recording(5, []), RATE)
    (row,) = transcribed(capsys, tiny_tflite, tmp_path / "noise.wav")
    assert row["text"] == "" and row["segments"] == []


PEAK = """
import resource, sys
from tflite_asr.cli.main import main
code = main(["transcribe", *sys.argv[1:]])
print(code, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


@pytest.mark.slow
def test_ten_minutes_take_hardly_more_memory_than_one_utterance(tmp_path, tiny_tflite):
    def peak_mb(seconds):
        path = tmp_path / f"{seconds}.wav"
        soundfile.write(path, recording(seconds, np.arange(0.3, seconds - 0.5, 2.0)), RATE)
        run = subprocess.run(
            [sys.executable, "-c", PEAK, tiny_tflite, path], capture_output=True, text=True, check=True
        )
        code, peak = run.stdout.splitlines()[-1].split()
        assert code == "0"
        return float(peak)

    assert peak_mb(600) - peak_mb(1) < 50
