"""Files of any length, block by block: the same samples as of the whole file."""

import tracemalloc

import numpy as np
import pytest
import soundfile

from tflite_asr.audio import decoding
from tflite_asr.audio.reading import Notices, audio_blocks, read_audio
from tflite_asr.errors import InputError

RATE = 16000


def speech(seconds, rate=RATE, channels=1):
    random = np.random.default_rng(0)
    tones = np.sin(np.outer(np.arange(round(seconds * rate)) * 2 * np.pi / rate, [440.0, 1000.0][:channels]))
    return (0.4 * tones + 0.01 * random.standard_normal(tones.shape)).astype(np.float32)


@pytest.mark.parametrize("rate", [8000, RATE, 44100])
@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg"])
@pytest.mark.parametrize("channels", [1, 2])
def test_blocks_are_the_whole_file(tmp_path, monkeypatch, name, rate, channels):
    monkeypatch.setattr(decoding, "BLOCK_FRAMES", 5000)
    soundfile.write(tmp_path / name, speech(2.3, rate, channels), rate)
    told_whole, told_blocks = Notices(), Notices()
    whole = read_audio(tmp_path / name, RATE, notify=told_whole)
    blocks = list(audio_blocks(tmp_path / name, RATE, notify=told_blocks))
    assert len(blocks) >= 5 and all(block.dtype == np.float32 for block in blocks)
    # a resampler that sees it all at once begins and ends a little differently
    np.testing.assert_allclose(np.concatenate(blocks), whole, atol=1e-6 if rate == RATE else 1e-3)
    assert told_blocks.places.keys() == told_whole.places.keys()


def test_how_channels_are_mixed_is_a_matter_of_the_whole_recording(tmp_path, monkeypatch):
    """The second channel begins with nothing and is louder later: no block takes one and the next both."""
    monkeypatch.setattr(decoding, "BLOCK_FRAMES", 4000)
    channels = speech(2.0, channels=2)
    channels[:16000, 1] = 0
    soundfile.write(tmp_path / "a.wav", channels, RATE)
    blocks = np.concatenate(list(audio_blocks(tmp_path / "a.wav", RATE)))
    np.testing.assert_allclose(blocks, channels.mean(axis=1), atol=2 / 32768)


def test_memory_does_not_grow_with_the_file(tmp_path):
    peaks = []
    for seconds in (60, 240):
        path = tmp_path / f"{seconds}.wav"
        soundfile.write(path, np.tile(speech(10, 22050), (seconds // 10, 1)), 22050)
        tracemalloc.start()
        assert abs(sum(map(len, audio_blocks(path, RATE))) - seconds * RATE) <= 1
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0] < 10e6


def test_a_silent_or_damaged_file_is_refused_in_one_line(tmp_path):
    soundfile.write(tmp_path / "silent.wav", np.zeros(200000, np.float32), RATE)
    with pytest.raises(InputError, match="silent.wav: expected speech, got silence"):
        list(audio_blocks(tmp_path / "silent.wav", RATE))
    soundfile.write(tmp_path / "empty.wav", np.zeros(0, np.float32), RATE)
    with pytest.raises(InputError, match="empty.wav: expected speech, got a file without samples"):
        list(audio_blocks(tmp_path / "empty.wav", RATE))
    with pytest.raises(InputError, match="none.wav: expected an audio file, there is none"):
        list(audio_blocks(tmp_path / "none.wav", RATE))
    soundfile.write(tmp_path / "bad.wav", np.full(200000, np.nan, np.float32), RATE, subtype="FLOAT")
    with pytest.raises(InputError, match="bad.wav: expected finite samples"):
        list(audio_blocks(tmp_path / "bad.wav", RATE))


def test_standard_error_is_the_callers_between_blocks(tmp_path, capfd):
    import os

    soundfile.write(tmp_path / "a.mp3", speech(10.0), RATE)
    for _ in audio_blocks(tmp_path / "a.mp3", RATE):
        os.write(2, b"heard\n")
    assert "heard" in capfd.readouterr().err
