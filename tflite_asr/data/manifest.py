"""Manifests: JSON Lines files that say which audio file holds which words.

A row is `{"audio": "clips/1.flac", "text": "TWO FIVE", "duration": 1.2, "speaker": "ann", ...}`; `audio_filepath`,
as NeMo writes it, does as well as `audio`. Paths are relative to the manifest's folder.
"""

import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tflite_asr.errors import InputError

AUDIO_FIELDS = ("audio", "audio_filepath")
OWN_FIELDS = (*AUDIO_FIELDS, "text", "duration", "speaker")
MOST_VALUES_LISTED = 20


@dataclass(frozen=True)
class Utterance:
    """One row of a manifest."""

    audio: Path
    text: str  # as it stands in the manifest
    duration_seconds: float | None  # what the manifest says, if it does
    speaker: str | None
    extra: dict[str, Any]  # the fields that have no place above
    where: str  # "manifest.jsonl:17"


def read_manifest(path: str | Path, where: str | None = None) -> list[Utterance]:
    """The utterances of a manifest, in its order; no audio file is opened.

    Args:
        path: the manifest.
        where: keeps the rows whose fields have these values, such as `speaker=ann|bob,split=test`: the comma
            means and, the bar or. Values are compared as strings. None keeps all.
    """
    path = Path(path)
    rows = _read_rows(path)
    if where is not None:
        rows = _filtered(rows, where, path)
    return [_utterance(row, path.parent, place) for place, row in rows]


def write_manifest(path: str | Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as JSON Lines; the file is complete or it is not there."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        # bytes of a name that are not UTF-8 become escapes as JSON has them
        with temporary.open("w", encoding="utf-8", errors="backslashreplace") as file:
            for row in rows:
                file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(f"{path}: cannot write the manifest: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _read_rows(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """(place, row) of every line that is not blank."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: expected a manifest, cannot read it: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: expected a manifest in UTF-8, byte {error.start} is not; convert it") from error
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        place = f"{path}:{number}"
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(
                f"{place}: expected a JSON object, got {_shortened(line)} ({error.msg}, column {error.colno}); "
                "write one object a line"
            ) from error
        if not isinstance(row, dict):
            raise InputError(f"{place}: expected a JSON object, got {_shortened(line)}; write one object a line")
        rows.append((place, row))
    if not rows:
        raise InputError(f"{path}: expected a manifest with one JSON object a line, got an empty file")
    return rows


def _utterance(row: dict[str, Any], folder: Path, place: str) -> Utterance:
    audio = next((row[field] for field in AUDIO_FIELDS if field in row), None)
    if not isinstance(audio, str) or not audio:
        raise _wrong(place, "a path as 'audio'", audio, "give the audio file, relative to the manifest")
    text = row.get("text")
    if not isinstance(text, str):
        raise _wrong(place, "a string as 'text'", text, "give what was said")
    if not text.strip():
        raise _wrong(place, "a transcript as 'text'", text, "give what was said or leave the row out")
    duration = row.get("duration")
    if duration is not None and not _is_duration(duration):
        raise _wrong(place, "seconds above 0 as 'duration'", duration, "correct it or leave the field out")
    speaker = row.get("speaker")
    if speaker is not None and (isinstance(speaker, bool) or not isinstance(speaker, str | int) or speaker == ""):
        raise _wrong(place, "a name or number as 'speaker'", speaker, "correct it or leave the field out")
    if row.get("offset"):
        raise _wrong(place, "a file that is one utterance", {"offset": row["offset"]}, "cut the audio into files")
    return Utterance(
        audio=folder / audio,
        text=text,
        duration_seconds=None if duration is None else float(duration),
        speaker=None if speaker is None else str(speaker),
        extra={field: value for field, value in row.items() if field not in OWN_FIELDS},
        where=place,
    )


def _is_duration(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0


def _filtered(rows: list[tuple[str, dict]], where: str, path: Path) -> list[tuple[str, dict]]:
    """The rows that pass a filter; every value it names must be there, so that a slip of the pen does not go unseen."""
    kept = rows
    for term in where.split(","):
        field, equals, alternatives = (part.strip() for part in term.partition("="))
        if not field or not equals:
            raise InputError(f"filter {where!r}: expected field=value or field=value|value, got {term!r}")
        present = {_as_text(row[field]) for _, row in rows if field in row}
        if not present:
            fields = _listed({field for _, row in rows for field in row})
            raise InputError(f"{path}: filter {where!r}: no row has the field {field!r}; there are {fields}")
        wanted = {value.strip() for value in alternatives.split("|")}
        absent = sorted(wanted - present)
        if absent:
            raise InputError(
                f"{path}: filter {where!r}: no row has {field}={absent[0]}; the values are {_listed(present)}"
            )
        remaining = [(place, row) for place, row in kept if field in row and _as_text(row[field]) in wanted]
        if not remaining:
            left = {_as_text(row[field]) for _, row in kept if field in row}
            raise InputError(
                f"{path}: filter {where!r}: no row is left at {term.strip()!r}; after what stands before it the "
                f"values of {field!r} are {_listed(left) if left else 'none'}"
            )
        kept = remaining
    return kept


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _listed(values: set[str]) -> str:
    ordered = sorted(values)
    more = len(ordered) - MOST_VALUES_LISTED
    return ", ".join(ordered[:MOST_VALUES_LISTED]) + (f" and {more} more" if more > 0 else "")


def _wrong(place: str, expected: str, got: Any, remedy: str) -> InputError:
    return InputError(f"{place}: expected {expected}, got {_shortened(json.dumps(got))}; {remedy}")


def _shortened(text: str) -> str:
    text = text.strip()
    return text if len(text) <= 60 else text[:57] + "..."
