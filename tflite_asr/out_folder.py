"""The output folder of a command: it is writable, and its content was made with the same settings.

`settings.json` holds the settings of a run. The same command resumes the run, or finds it finished; another is
refused, since its results would be mixed with those that are there.
"""

import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tflite_asr.errors import InputError
from tflite_asr.files import read_text, write_whole

if TYPE_CHECKING:
    from tflite_asr.data.manifest import Utterance

SETTINGS = "settings.json"


def check_writable(folder: Path) -> None:
    """Make the folder; InputError, before any work is done, when nothing can be written into it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(f"{folder}: expected a folder to write into: {error.strerror}") from None


def check_settings(folder: Path, settings: dict, results: Sequence[str]) -> bool:
    """Whether the folder holds a run with these settings; InputError, which names one that differs, if of others.

    Args:
        folder: perhaps not there yet.
        settings: by what a user calls them, such as `--seed`; values that JSON holds.
        results: names of what a run writes. A folder without any of it may be begun anew; one without `settings.json`
            beside it is refused, nobody knows what it was made with.
    """
    path = folder / SETTINGS
    found = next((name for name in results if (folder / name).exists()), None)
    if found is None:
        return False
    if not path.exists():
        raise InputError(
            f"{folder / found}: expected {SETTINGS} beside it, which tells what it was made with; give another --out "
            f"or remove it"
        )
    text = read_text(path, "the settings of a run")
    try:
        begun = json.loads(text)
        differing = [name for name in {**begun, **settings} if begun.get(name) != _as_json(settings.get(name))]
    except (ValueError, AttributeError, TypeError) as error:
        raise InputError(f"{path}: not the settings of a run ({error}); give another --out or remove it") from None
    if differing:
        name = differing[0]
        raise InputError(
            f"{folder}: was begun with {name} {_summary(begun.get(name))}, now it is {_summary(settings.get(name))}; "
            "give the same settings or another --out"
        )
    return True


def write_settings(folder: Path, settings: dict) -> None:
    """Store the settings of a run; the folder is created if needed."""
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / SETTINGS, (json.dumps(settings, indent=1) + "\n").encode())


def speech_of(utterances: Sequence["Utterance"]) -> dict:
    """Speech as a setting: how much, and a digest of the rows and of their audio, wherever the files are."""
    digest, of_files = hashlib.sha256(), {}  # many rows may be segments of one file
    for utterance in utterances:
        row = {key: value for key, value in vars(utterance).items() if key not in ("audio", "where")}
        digest.update(json.dumps(row, sort_keys=True, default=str).encode())
        if utterance.audio not in of_files:
            of_files[utterance.audio] = _digest_of(utterance.audio)
        digest.update(of_files[utterance.audio])
    return {"utterances": len(utterances), "sha256": digest.hexdigest()}


def _digest_of(path: Path) -> bytes:
    """The digest of a file; empty if it cannot be read, which its reader reports."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError:
        return b""


def weights_of(weights: Mapping[str, np.ndarray]) -> str:
    """Weights as a setting: the start of their digest."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(f"{name} {weights[name].shape}".encode())
        digest.update(np.ascontiguousarray(weights[name]).tobytes())
    return f"sha256 {digest.hexdigest()[:12]}"


def _as_json(value):
    """As JSON gives it back."""
    return json.loads(json.dumps(value))


def _summary(value) -> str:
    if isinstance(value, dict) and "sha256" in value:
        return f"{value['utterances']} utterances (sha256 {value['sha256'][:8]})"
    return "none" if value is None else str(value)
