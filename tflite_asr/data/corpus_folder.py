"""Writes a folder of speech with its manifest, whole or not at all."""

import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tflite_asr.data.manifest import write_manifest
from tflite_asr.errors import InputError
from tflite_asr.files import remove_leftovers, temporary_path


def write_folder(folder: str | Path, record: Callable[[Path], Iterable[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Write audio and `manifest.jsonl`.

    Args:
        folder: what to write; it must be absent or empty.
        record: writes audio into the folder that it is given and yields the manifest's rows.

    Returns:
        The rows.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: expected a new or empty folder, it holds something; give another or remove it")
    remove_leftovers(folder)
    partial = temporary_path(folder)
    try:
        rows = list(record(partial))
        write_manifest(partial / "manifest.jsonl", rows)
        os.replace(partial, folder)
    except OSError as error:
        raise InputError(f"{folder}: cannot write the corpus: {error.strerror}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return rows
