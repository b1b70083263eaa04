import os

import numpy as np
import pytest
import soundfile

from tflite_asr.audio.reading import Notices, read_audio
from tflite_asr.errors import InputError

RATE = 16000


def tone(seconds=0.5, rate=RATE, hertz=440.0, amplitude=0.5):
    return (amplitude * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
def test_lossless_files_come_back_as_they_were(tmp_path, name):
    soundfile.write(tmp_path / name, tone(), RATE)
    samples = read_audio(tmp_path / name, RATE)
    assert samples.dtype == np.float32 and samples.shape == (8000,)
    np.testing.assert_allclose(samples, tone(), atol=2 / 32768)


@pytest.mark.parametrize("subtype", ["OPUS", "VORBIS"])
def test_ogg_keeps_length_pitch_and_level(tmp_path, subtype):
    path = tmp_path / "a.ogg"
    soundfile.write(path, tone(1.0), RATE, format="OGG", subtype=subtype)
    samples = read_audio(path, RATE)
    assert len(samples) == RATE
    assert np.argmax(np.abs(np.fft.rfft(samples))) == 440
    assert np.std(samples) == pytest.approx(np.std(tone()), rel=0.05)


def test_channels_are_averaged_and_the_caller_is_told(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.stack([tone(), 0.5 * tone()], axis=1), RATE)
    notices = []
    samples = read_audio(tmp_path / "a.wav", RATE, notify=notices.append)
    np.testing.assert_allclose(samples, 0.75 * tone(), atol=2 / 32768)
    assert notices == ["mixed 2 channels down to one"]


def noise(seed, seconds=0.5):
    return np.random.default_rng(seed).normal(0, 0.1, round(seconds * RATE)).astype(np.float32)


@pytest.mark.parametrize(
    "channels, expected, stated",
    [
        ([tone(), -tone()], tone(), "took the loudest of 2 channels, mixed they cancel each other"),
        ([0.4 * tone(), -0.5 * tone()], -0.5 * tone(), "took the loudest of 2 channels, mixed they cancel each other"),
        (
            [tone(), -0.5 * tone() + 0.01 * noise(1)],
            tone(),
            "took the loudest of 2 channels, mixed they cancel each other",
        ),
        (
            [tone(), -tone(), noise(1), -noise(1)],
            tone(),
            "took the loudest of 4 channels, mixed they cancel each other",
        ),
        ([tone(), np.zeros(8000)], tone(), "took one of 2 channels, there is no sound in the others"),
        (
            [0 * tone(), tone(), 0 * tone(), 0.3 + 0 * tone()],
            tone(),
            "took one of 4 channels, there is no sound in the others",
        ),
        ([tone(), tone(), 0 * tone()], tone(), "mixed 3 channels down to one, 1 without sound left out"),
        ([noise(1), noise(2)], (noise(1) + noise(2)) / 2, "mixed 2 channels down to one"),
        ([noise(n) for n in range(8)], sum(noise(n) for n in range(8)) / 8, "mixed 8 channels down to one"),
    ],
)
def test_no_speech_is_lost_when_channels_are_mixed(tmp_path, channels, expected, stated):
    soundfile.write(tmp_path / "a.wav", np.stack(channels, axis=1), RATE, subtype="FLOAT")
    notices = []
    samples = read_audio(tmp_path / "a.wav", RATE, notify=notices.append)
    np.testing.assert_allclose(samples, expected, atol=1e-5)
    assert notices == [stated]


def test_another_rate_is_resampled_and_the_caller_is_told(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(1.0, 8000), 8000)
    notices = []
    samples = read_audio(tmp_path / "a.wav", RATE, notify=notices.append)
    assert samples.dtype == np.float32 and samples.shape == (RATE,)
    np.testing.assert_allclose(samples[2000:-2000], tone(1.0)[2000:-2000], atol=0.01)
    assert notices == ["resampled from 8000 Hz to 16000 Hz"]


def test_float_samples_a_little_over_full_scale_are_clipped(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(amplitude=1.5), RATE, subtype="FLOAT")
    notices = []
    samples = read_audio(tmp_path / "a.wav", RATE, notify=notices.append)
    assert samples.max() == 1 and samples.min() == -1
    assert notices == ["clipped samples beyond full scale"]


def test_notices_are_said_once_with_their_count(capsys):
    with Notices() as notices:
        for notice in ("resampled", "mixed", "resampled"):
            notices(notice)
        assert capsys.readouterr().err == ""
    assert capsys.readouterr().err.splitlines() == ["notice: resampled (2 files)", "notice: mixed (1 file)"]
    notices.report()
    assert capsys.readouterr().err == ""


def refused(path, **arguments):
    with pytest.raises(InputError) as caught:
        read_audio(path, RATE, where="manifest.jsonl:17", **arguments)
    message = str(caught.value)
    assert message.startswith(f"manifest.jsonl:17: {path}: ") and "\n" not in message
    return message


def test_a_notice_names_the_first_files(capsys):
    with Notices() as notices:
        for number in range(7):
            notices("left out", f"{number}.wav")
    stated = capsys.readouterr().err
    assert stated == "notice: left out (7 files): 0.wav, 1.wav, 2.wav, 3.wav, 4.wav, ...\n"


def test_a_missing_file(tmp_path):
    assert "there is none" in refused(tmp_path / "none.wav")
    assert "there is none" in refused(tmp_path / "\ud800.wav")
    assert "cannot read it" in refused(tmp_path / ("n" * 300 + ".wav"))


def test_what_is_no_regular_file(tmp_path):
    assert "got a folder" in refused(tmp_path)
    os.mkfifo(tmp_path / "pipe.wav")
    assert "got a pipe or device" in refused(tmp_path / "pipe.wav")


@pytest.mark.parametrize("rate, channels", [(1, 1), (4_000_000, 1), (16000, 100)])
def test_a_header_out_of_all_bounds(tmp_path, rate, channels):
    soundfile.write(tmp_path / "a.wav", np.tile(tone()[:, np.newaxis], channels), RATE)
    content = bytearray((tmp_path / "a.wav").read_bytes())
    content[24:28] = rate.to_bytes(4, "little")
    (tmp_path / "a.wav").write_bytes(content)
    assert "1000 to 1000000 Hz" in refused(tmp_path / "a.wav")


@pytest.mark.parametrize("name", ["a.wav", "a.raw"])
def test_a_file_that_is_no_audio(tmp_path, name):
    (tmp_path / name).write_text("not audio")
    assert "cannot read it" in refused(tmp_path / name)


def test_an_empty_file(tmp_path):
    (tmp_path / "a.wav").touch()
    assert "cannot read it" in refused(tmp_path / "a.wav")


def test_a_file_without_samples(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(0), RATE)
    assert "without samples" in refused(tmp_path / "a.wav")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.wav", {}),
        ("b.wav", {"subtype": "FLOAT"}),
        ("a.flac", {}),
        ("a.mp3", {}),
        ("v.ogg", {"format": "OGG", "subtype": "VORBIS"}),
        ("o.ogg", {"format": "OGG", "subtype": "OPUS"}),
    ],
)
def test_a_file_cut_short(tmp_path, name, options):
    path = tmp_path / name
    soundfile.write(path, tone(3.0), RATE, **options)
    assert len(read_audio(path, RATE)) == 3 * RATE
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    message = refused(path)
    assert "cut short" in message or "cannot read it" in message


def test_a_wav_of_unknown_length_is_not_cut_short(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(), RATE)
    content = bytearray(path.read_bytes())
    assert content[36:40] == b"data"
    content[4:8] = content[40:44] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    assert len(read_audio(path, RATE)) == 8000


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_that_are_not_finite(tmp_path, value):
    samples = tone()
    samples[[5, 7]] = value
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    assert "2 are NaN or infinite" in refused(tmp_path / "a.wav")


def test_silence(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(amplitude=5e-5), RATE, subtype="FLOAT")
    assert "silence" in refused(tmp_path / "a.wav")
    soundfile.write(tmp_path / "b.wav", tone(amplitude=5e-4), RATE, subtype="FLOAT")
    assert len(read_audio(tmp_path / "b.wav", RATE)) == 8000


def test_float_samples_that_were_never_scaled(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(amplitude=20000.0), RATE, subtype="FLOAT")
    assert "from -1 to 1" in refused(tmp_path / "a.wav")


def test_a_file_that_is_too_long_says_limit_and_duration(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(0.5), RATE)
    assert len(read_audio(tmp_path / "a.wav", RATE, max_seconds=0.5)) == 8000
    message = refused(tmp_path / "a.wav", max_seconds=0.4)
    assert "at most 0.4 s" in message and "0.50 s" in message
