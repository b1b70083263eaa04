"""Damaged audio files and manifests, read through the public functions: a result or an InputError, no other
exception.
"""

import contextlib
import io
import json
import time

import numpy as np
import pytest
import soundfile

from tflite_asr.audio.reading import audio_seconds, read_audio
from tflite_asr.data.manifest import read_manifest
from tflite_asr.errors import InputError

RATE = 16000
SECONDS = 0.6  # of fuzzing, a kind
SLOWEST_SECONDS = 10.0  # of one file, on a machine that does other things as well
KINDS = {
    "wav": ("WAV", "PCM_16"),
    "float": ("WAV", "FLOAT"),
    "gsm": ("WAV", "GSM610"),
    "rf64": ("RF64", "PCM_16"),
    "aiff": ("AIFF", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "vorbis": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
}
NASTY = (
    b"",
    b"\0",
    b"\xff\xff\xff\xff",
    b"\0\0\0\0",
    b"\xff\xff\xff\x7f",
    b"data",
    b"RIFF",
    b"fLaC",
    b"OggS",
    b"\xff\xfb",
    b"ID3",
)


def sound(kind):
    file = io.BytesIO()
    samples = np.random.default_rng(0).normal(0, 0.1, 4000).astype(np.float32)
    soundfile.write(file, samples, RATE, format=KINDS[kind][0], subtype=KINDS[kind][1])
    return file.getvalue()


def damaged(content, random):
    """One to four changes: bytes flipped, mostly in the header, a part left out, doubled or overwritten, the end cut or
    joined.
    """
    content = bytearray(content)
    for _ in range(random.integers(1, 5)):
        size = max(1, len(content))
        at = int(random.integers(min(size, 100) if random.random() < 0.7 else size))
        length = int(random.integers(1, 40))
        match random.integers(6):
            case 0:
                content[at : at + 1] = bytes([random.integers(256)])
            case 1:
                del content[at : size if random.random() < 0.3 else at + length]
            case 2:
                nasty = NASTY[random.integers(len(NASTY))]
                content[at : at + len(nasty)] = nasty
            case 3:
                content[at:at] = content[at : at + length]
            case 4:
                content += bytes(random.integers(0, 256, length, np.uint8)) if random.random() < 0.5 else bytes(content)
            case 5:
                content[at : at + length] = bytes(random.integers(0, 256, length, np.uint8))
    return bytes(content)


def attempts(seed):
    """Generators of random numbers, each of a seed of its own, until the time is over."""
    end = time.monotonic() + SECONDS
    number = 0
    while time.monotonic() < end:
        yield np.random.default_rng([seed, number])
        number += 1
    assert number > 3


@pytest.mark.parametrize("kind", KINDS)
def test_audio(tmp_path, kind):
    content, path = sound(kind), tmp_path / "a.audio"
    for random in attempts(1):
        path.write_bytes(damaged(content, random))
        start = time.monotonic()
        segment = {"offset_seconds": 0.05, "duration_seconds": 0.1} if random.random() < 0.3 else {}
        with contextlib.suppress(InputError):
            samples = read_audio(path, RATE, max_seconds=20.0, **segment)
            assert samples.dtype == np.float32 and samples.ndim == 1 and 0 < len(samples) <= 20 * RATE + 1
            assert np.all(np.abs(samples) <= 1)
        with contextlib.suppress(InputError):
            assert 0 <= audio_seconds(path, "m.jsonl:1") < 1e6
        assert time.monotonic() - start < SLOWEST_SECONDS


def test_manifests(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.random.default_rng(0).normal(0, 0.1, 4000), RATE)
    rows = [
        {"audio": "a.wav", "text": "TURN LEFT", "speaker": "ann", "duration": 0.25},
        {"audio_filepath": "a.wav", "text": "GO", "speaker": 3, "offset": 0.1, "duration": 0.1, "split": "test"},
    ]
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    values = (
        "null",
        "-1",
        "1e999",
        "NaN",
        "true",
        "[]",
        "{}",
        '""',
        '"\\ud800"',
        '"a\\u0000b"',
        "9" * 5000,
        "[" * 2000,
        "1e-320",
    )
    path = tmp_path / "m.jsonl"
    for random in attempts(2):
        if random.random() < 0.5:
            row = dict.fromkeys(rows[1]) | rows[int(random.integers(2))]
            field = sorted(row)[random.integers(len(row))]
            pairs = [f'"{key}": {json.dumps(value)}' for key, value in row.items() if key != field]
            path.write_text("{" + ", ".join([*pairs, f'"{field}": {values[random.integers(len(values))]}']) + "}\n")
        else:
            path.write_bytes(damaged(content, random))
        with contextlib.suppress(InputError):
            for utterance in read_manifest(path, "speaker=ann" if random.random() < 0.2 else None):
                with contextlib.suppress(InputError):
                    assert len(utterance.read(RATE, 20.0))
