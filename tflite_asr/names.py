"""File names for C libraries."""

import os
from pathlib import Path

from tflite_asr.errors import InputError


def for_library(path: str | Path) -> str | bytes:
    """The path; as bytes where they are not UTF-8 (POSIX has such names), which bindings refuse as text."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return os.fsencode(path)
    return str(path)


def check_utf8(path: str | Path) -> None:
    """InputError for a path that TensorFlow, which writes there, cannot take."""
    if isinstance(for_library(path), bytes):
        raise InputError(f"{path}: expected a name in UTF-8, TensorFlow takes no other; rename it")
