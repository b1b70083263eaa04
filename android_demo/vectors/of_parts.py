"""A file with two lengths in parts: the signatures of each, and its bytes."""

import hashlib
from pathlib import Path

from tflite_asr.runtime.artifact import read_artifact
from tflite_asr.runtime.file_part import keep_signatures
from tflite_asr.runtime.parted_model import parts_of

MODEL = Path(__file__).parent / "second.tflite"


def parts() -> dict:
    """What Kotlin has to find too."""
    found = sorted(parts_of(read_artifact(MODEL)), key=sorted)
    return {"parts": [{"signatures": sorted(part), "sha256": _digest(part)} for part in found]}


def _digest(part: frozenset[str]) -> str:
    content = bytearray(MODEL.read_bytes())
    keep_signatures(content, part)
    return hashlib.sha256(content).hexdigest()
