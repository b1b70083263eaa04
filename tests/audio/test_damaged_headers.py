"""Headers that give another length than the file holds, and several recordings in one file."""

import io
import struct

import numpy as np
import pytest
import soundfile

from tflite_asr.audio.layout import JOINED, LESS, MORE
from tflite_asr.audio.reading import audio_seconds, read_audio
from tflite_asr.errors import InputError

RATE = 16000
LIST = b"LIST" + struct.pack("<I", 26) + b"INFOISFT" + struct.pack("<I", 14) + b"Lavf58.29.100\0"
ID3V1 = b"TAG" + b"x" * 125
ID3V2 = b"ID3\x04\0\0\0\0\0\x10" + bytes(16)


def speech(seconds=3.0, rate=RATE):
    """Noise: no two parts of it are alike."""
    return np.random.default_rng(0).normal(0, 0.1, round(seconds * rate)).astype(np.float32)


def encoded(kind, subtype=None, samples=None, rate=RATE):
    file = io.BytesIO()
    soundfile.write(file, speech() if samples is None else samples, rate, format=kind, subtype=subtype)
    return file.getvalue()


WAV = encoded("WAV")
DATA = WAV.index(b"data") + 4  # where the length of the samples stands
FLAC = encoded("FLAC")
MP3 = encoded("MP3")
FRAMES = MP3.index(b"Xing") + 8  # where the MP3's header counts frames


def with_length(content, length):
    return content[:DATA] + struct.pack("<I", length) + content[DATA + 4 :]


def with_total(content, total):
    info = int.from_bytes(content[18:26], "big")
    return content[:18] + (info >> 36 << 36 | total).to_bytes(8, "big") + content[26:]


def with_frames(content, frames):
    return content[:FRAMES] + struct.pack(">I", frames) + content[FRAMES + 4 :]


def read(tmp_path, content, name="a.audio", **segment):
    path = tmp_path / name
    path.write_bytes(content)
    message = []
    samples = read_audio(path, RATE, notify=lambda notice, place="": message.append(notice), **segment)
    return samples, message


def replaced(content, at, value):
    return content[:at] + value + content[at + len(value) :]


AIFF, W64, RF64 = encoded("AIFF"), encoded("W64"), encoded("RF64")
LESS_THAN_HELD = {
    "half": with_length(WAV, 48000),
    "none": with_length(WAV, 0),
    "half, text behind": with_length(WAV, 48000) + LIST,
    "none, tag behind": with_length(WAV, 0) + ID3V1,
    "aiff": replaced(AIFF, AIFF.index(b"SSND") + 4, struct.pack(">I", 48008)),
    "aiff, frames too": replaced(replaced(AIFF, AIFF.index(b"SSND") + 4, struct.pack(">I", 8)), 22, bytes(4)),
    "w64": replaced(W64, W64.index(b"data") + 16, struct.pack("<Q", 24)),
    "rf64": replaced(RF64, RF64.index(b"ds64") + 16, bytes(8)),
    "flac": with_total(FLAC, 24000),
}


@pytest.mark.parametrize("name", LESS_THAN_HELD)
def test_all_that_is_held_is_read(tmp_path, name):
    samples, message = read(tmp_path, LESS_THAN_HELD[name])
    np.testing.assert_allclose(samples, speech(), atol=2 / 32768)
    assert message == [LESS] and audio_seconds(tmp_path / "a.audio", "") == 3


def test_an_mp3_header_with_too_few_frames(tmp_path):
    whole, message = read(tmp_path, MP3)
    assert message == []
    for content in (with_frames(MP3, 30), ID3V2 + with_frames(MP3, 30), with_frames(MP3, 30) + ID3V1):
        samples, message = read(tmp_path, content)
        np.testing.assert_array_equal(samples, whole)
        assert message == [LESS]


def test_an_mp3_of_variable_bit_rate_without_header(tmp_path):
    first_frame = 288  # at 32 kbit/s and 16 kHz holds the header
    assert MP3[first_frame : first_frame + 2] == MP3[:2]
    samples, _ = read(tmp_path, MP3[first_frame:])
    assert len(samples) == pytest.approx(3 * RATE, abs=2000)  # what the encoder adds at both ends is no longer known


WHOLE = {
    "text behind": WAV + LIST,
    "odd length, text behind": with_length(WAV[:-1], 95999) + LIST,
    "ID3v1 behind": WAV + ID3V1,
    "ID3v2 behind": WAV + ID3V2,
    "padded to a block": WAV + bytes(4096),
    "unknown length": with_length(WAV, 0xFFFFFFFF),
    "unknown length, text behind": with_length(WAV, 0xFFFFFFFF) + LIST,
    "flac": FLAC,
    "flac of unknown length": with_total(FLAC, 0),
    "flac of unknown length, tag behind": with_total(FLAC, 0) + ID3V1,
    "flac, tag behind": FLAC + ID3V1,
    "flac, tag before": ID3V2 + FLAC,
}


@pytest.mark.parametrize("name", WHOLE)
def test_what_is_not_speech_is_not_read(tmp_path, name):
    samples, message = read(tmp_path, WHOLE[name])
    np.testing.assert_allclose(samples, speech()[: len(samples)], atol=2 / 32768)
    assert len(samples) in (3 * RATE, 3 * RATE - 1) and message == []


@pytest.mark.parametrize(
    "content", [with_length(WAV, 96004), with_total(FLAC, 48010), MP3[:-5]], ids=["wav", "flac", "mp3"]
)
def test_a_header_that_gives_a_little_more(tmp_path, content):
    samples, message = read(tmp_path, content)
    assert message == [MORE] and 3 * RATE - 1152 <= len(samples) <= 3 * RATE


@pytest.mark.parametrize(
    "content",
    [
        with_length(WAV, 96400),
        WAV[:50000],
        with_total(FLAC, 49000),
        FLAC[:50000],
        MP3[: len(MP3) // 2],
        AIFF[:50000],
        W64[:50000],
    ],
)
def test_a_header_that_gives_much_more_is_that_of_a_file_cut_short(tmp_path, content):
    with pytest.raises(InputError, match="cut short"):
        read(tmp_path, content)


OTHER = encoded("WAV", samples=np.stack([speech(1.0, 44100)] * 2, axis=1), rate=44100)
JOINED_FILES = {
    "wav": (WAV + WAV, [3, 3]),
    "wav, text between": (WAV + LIST + WAV + LIST, [3, 3]),
    "wav of unknown length": (with_length(WAV, 0xFFFFFFFF) + with_length(WAV, 0) + WAV, [3, 3, 3]),
    "wav of another rate": (WAV + OTHER, [3, 1]),
    "flac": (FLAC + FLAC, [3, 3]),
    "flac of unknown length": (with_total(FLAC, 0) * 2, [3, 3]),
    "mp3": (MP3 + MP3, [3, 3]),
    "mp3, tags between": (MP3 + ID3V1 + ID3V2 + MP3 + ID3V1, [3, 3]),
    "vorbis": (encoded("OGG", "VORBIS") * 3, [3, 3, 3]),
    "opus": (encoded("OGG", "OPUS") * 2, [3, 3]),
}


@pytest.mark.parametrize("name", JOINED_FILES)
def test_joined_recordings_are_all_read(tmp_path, name):
    content, seconds = JOINED_FILES[name]
    samples, message = read(tmp_path, content)
    assert len(samples) == sum(seconds) * RATE and JOINED in message
    assert audio_seconds(tmp_path / "a.audio", "") == pytest.approx(sum(seconds))
    lossy = name.startswith(("mp3", "vorbis", "opus"))
    second = samples[3 * RATE : 4 * RATE]
    assert np.corrcoef(second, speech()[:RATE])[0, 1] > (0.5 if lossy else 0.999) or "rate" in name
    with pytest.raises(InputError, match="at most 3.5 s"):
        read_audio(tmp_path / "a.audio", RATE, max_seconds=3.5)


def test_a_file_without_samples_is_told_so(tmp_path):
    empty = with_length(WAV, 0)[: DATA + 4]
    for content in (empty, empty + LIST, empty + bytes(600)):
        with pytest.raises(InputError, match="without samples"):
            read(tmp_path, content)


KINDS = {
    "wav": WAV,
    "flac": FLAC,
    "mp3": MP3,
    "ogg": encoded("OGG"),
    "gsm": encoded("WAV", "GSM610"),
    "joined": WAV + WAV,
}


@pytest.mark.parametrize("kind", KINDS)
def test_segments(tmp_path, kind):
    whole, _ = read(tmp_path, KINDS[kind])
    for offset, duration in ((0.0, 0.5), (1.0, 0.25), (2.5, None), (2.9, 0.1), (0.0, None)):
        segment, _ = read(tmp_path, KINDS[kind], offset_seconds=offset, duration_seconds=duration)
        first = round(offset * RATE)
        last = len(whole) if duration is None else first + round(duration * RATE)
        np.testing.assert_array_equal(segment, whole[first:last])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("offset, duration", [(5.9, 0.5), (2.9, 9.0), (7.0, None), (7.0, 0.1)])
def test_segments_past_the_end(tmp_path, kind, offset, duration):
    path = tmp_path / "a"
    path.write_bytes(KINDS[kind])
    with pytest.raises(InputError, match=r"^m.jsonl:3: .*expected a segment within the [0-9.]+ s of the file"):
        read_audio(path, RATE, where="m.jsonl:3", offset_seconds=offset, duration_seconds=duration)


def test_a_segment_may_end_a_rounding_past_the_end(tmp_path):
    samples, _ = read(tmp_path, WAV, offset_seconds=2.0, duration_seconds=1.05)
    assert len(samples) == RATE
    with pytest.raises(InputError, match="at most 0.5 s, got a segment of 0.60 s"):
        read_audio(tmp_path / "a.audio", RATE, max_seconds=0.5, offset_seconds=0, duration_seconds=0.6)


@pytest.mark.parametrize("subtype", ["GSM610", "IMA_ADPCM", "ULAW", "G721_32"])
def test_telephone_codecs(tmp_path, subtype):
    time = np.arange(2 * 8000) / 8000
    samples, _ = read(
        tmp_path, encoded("WAV", subtype, (0.5 * np.sin(2 * np.pi * 440 * time)).astype(np.float32), 8000)
    )
    assert len(samples) == pytest.approx(2 * RATE, abs=1200)
    assert np.argmax(np.abs(np.fft.rfft(samples[:RATE]))) == 440


@pytest.mark.parametrize("position", [4200, 5000, 7900])
def test_bytes_that_look_like_a_frame_do_not_end_a_flac_file(tmp_path, position):
    """Noise is stored as it is, so what stands in a frame can be chosen: the two bytes that begin each frame, then any
    others.
    """
    sync = int.from_bytes(b"\xff\xf8", "big", signed=True)
    for following in (0x0000, 0x0918, 0x1918, 0xC918):
        samples = np.random.default_rng(position).integers(-32768, 32768, 8000).astype(np.int16)
        samples[position : position + 2] = sync, int.from_bytes(following.to_bytes(2, "big"), "big", signed=True)
        soundfile.write(tmp_path / "noise.flac", samples, 16000, subtype="PCM_16")
        notices = []
        found = read_audio(tmp_path / "noise.flac", 16000, notify=lambda notice, place="": notices.append(notice))
        np.testing.assert_array_equal(np.round(found * 32768), samples)
        assert notices == []
