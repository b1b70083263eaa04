"""The library's one call, and what it takes for recordings."""

import subprocess
import sys

import numpy as np
import pytest
import soundfile

import tflite_asr
from tflite_asr import InputError, Recognizer, Settings, personalize
from tflite_asr.personalization.library import utterances_of

RATE = 16_000
WORDS = ["ONE", "TWO", "ONE TWO", "TWO ONE"] * 2


def tone(number):
    samples = 0.3 * np.sin(np.arange(9_000 + 500 * number) * (0.1 + 0.02 * number))
    return samples.astype(np.float32)


def test_every_exported_name_is_there_and_the_import_loads_nothing():
    assert all(getattr(tflite_asr, name) is not None for name in tflite_asr.__all__)
    assert set(tflite_asr.__all__) <= set(dir(tflite_asr))
    with pytest.raises(AttributeError, match="no attribute 'Recogniser'"):
        tflite_asr.Recogniser  # noqa: B018
    code = "import tflite_asr, sys; print('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


@pytest.mark.parametrize("how", ["samples", "files", "folder"])
def test_recordings_are_learned_from_and_measured_on(tiny_tflite, tmp_path, how):
    pairs = [(tone(number), text) for number, text in enumerate(WORDS)]
    (tmp_path / "in").mkdir()
    for number, (samples, text) in enumerate(pairs):
        soundfile.write(tmp_path / "in" / f"{number}.wav", samples, RATE)
        (tmp_path / "in" / f"{number}.txt").write_text(text)
    files = [(tmp_path / "in" / f"{number}.wav", text) for number, (_, text) in enumerate(pairs)]
    recordings = {"samples": pairs, "files": files, "folder": tmp_path / "in"}[how]
    recognizer = Recognizer.load(tiny_tflite)
    before = recognizer.state()
    result = personalize(recognizer, recordings, tmp_path / "out", settings=Settings(epochs=2, epoch_steps=2))
    assert result["test_utterances"] == 2 and result["adapt_utterances"] + result["validation_utterances"] == 6
    assert result["wer_before"] >= 0 and (tmp_path / "out" / "report.html").exists()
    assert any(not np.array_equal(value, before[name]) for name, value in recognizer.state().items())
    again = Recognizer.load(tiny_tflite)
    again.restore(result["checkpoint"])
    np.testing.assert_array_equal(again.state()["joint_bias"], recognizer.state()["joint_bias"])


def test_a_files_name_is_its_text_where_no_text_stands_beside_it(tmp_path):
    for name in ("turn_left.wav", "stop.wav", "notes.md"):
        (tmp_path / name).write_bytes(b"")
    assert [(u.audio.name, u.text) for u in utterances_of(tmp_path)] == [
        ("stop.wav", "stop"),
        ("turn_left.wav", "turn left"),
    ]


@pytest.mark.parametrize(
    "recordings, message",
    [
        ([(tone(1), "ONE")], "expected 4 recordings or more"),
        ([tone(1)] * 4, "recording 1: expected a pair of audio and text, got ndarray"),
        ([(tone(1), " ")] * 4, "recording 1: expected what is said in it"),
        ([((tone(1) * 1000).astype(np.int16), "ONE")] * 4, "recording 1: expected .*float"),
        ([(np.zeros([2, 9_000], np.float32), "ONE")] * 4, "recording 1: expected samples of one channel"),
        ([(np.tile(tone(1), 5), "ONE")] * 4, "recording 1: expected at most 1.215 s"),
    ],
)
def test_what_is_no_recording_is_refused(tiny_tflite, tmp_path, recordings, message):
    with pytest.raises(InputError, match=message):
        personalize(Recognizer.load(tiny_tflite), recordings, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_without_audio_is_refused(tmp_path):
    with pytest.raises(InputError, match="expected audio files"):
        utterances_of(tmp_path)
