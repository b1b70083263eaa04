"""Manifests: JSON Lines files that say which audio file holds which words.

A row is `{"audio": "clips/1.flac", "text": "TWO FIVE", "duration": 1.2, "speaker": "ann", ...}`; `audio_filepath`,
as NeMo writes it, does as well as `audio`. Paths are relative to the manifest's folder. With `offset` (seconds) the row
is a segment of its file, `duration` long or to the end; without it `duration` is the file's.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tflite_asr.audio.reading import Notify, read_audio
from tflite_asr.errors import InputError
from tflite_asr.files import read_text, write_whole

AUDIO_FIELDS = ("audio", "audio_filepath")
OWN_FIELDS = (*AUDIO_FIELDS, "text", "offset", "duration", "speaker")
MOST_VALUES_LISTED = 20
MOST_SECONDS = 1e9  # thirty years: beyond it a number is no time in a recording


@dataclass(frozen=True)
class Utterance:
    """One row of a manifest.

    Attributes:
        audio: the file.
        text: as it stands in the manifest.
        duration_seconds: what the manifest says, if it does.
        speaker: as the manifest names them, if it does.
        extra: the fields that have no place above.
        where: how error messages name it, such as "manifest.jsonl:17".
        offset_seconds: where the utterance begins in its file. None: it is the whole file.
    """

    audio: Path
    text: str
    duration_seconds: float | None
    speaker: str | None
    extra: dict[str, Any]
    where: str
    offset_seconds: float | None = None

    def read(self, sample_rate: int, max_seconds: float | None = None, notify: Notify | None = None) -> np.ndarray:
        """Samples [n] float32 from -1 to 1, of the segment if it is one; see `read_audio` for the arguments."""
        return read_audio(
            self.audio,
            sample_rate,
            where=self.where,
            max_seconds=max_seconds,
            notify=notify,
            offset_seconds=self.offset_seconds,
            duration_seconds=self.duration_seconds,
        )


def read_manifest(path: str | Path, where: str | None = None, *, transcribed: bool = True) -> list[Utterance]:
    """The utterances of a manifest, in its order; no audio file is opened.

    Args:
        path: the manifest.
        where: keeps the rows whose fields have these values, such as `speaker=ann|bob,split=test`: the comma
            means and, the bar or. Values are compared as strings; one that holds a comma or a bar stands in double
            quotes, `speaker="Smith, John"`, or has a backslash before them. None keeps all.
        transcribed: every row has a text; otherwise the utterances' texts are empty, and one that a row has is in
            `extra`.
    """
    path = Path(path)
    rows = _read_rows(path)
    if where is not None:
        rows = _filtered(rows, where, path)
    if not transcribed:
        return [_utterance(row, path.parent, place, None) for place, row in rows]
    return [_utterance(row, path.parent, place, _transcript(row, place)) for place, row in rows]


def row_of(utterance: Utterance) -> dict[str, Any]:
    """The manifest's row of an utterance, with the audio's path as `read_manifest` made it."""
    own = {
        "audio": str(utterance.audio),
        "text": utterance.text,
        "speaker": utterance.speaker,
        "offset": utterance.offset_seconds,
        "duration": utterance.duration_seconds,
    }
    return {name: value for name, value in own.items() if value is not None} | utterance.extra


def write_manifest(path: str | Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as JSON Lines; the file is complete or it is not there."""
    path = Path(path)

    def write(file: BinaryIO) -> None:
        for row in rows:
            # bytes of a name that are not UTF-8 become escapes as JSON has them
            line = json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n"
            file.write(line.encode(errors="backslashreplace"))

    try:
        write_whole(path, write)
    except OSError as error:
        raise InputError(f"{path}: cannot write the manifest: {error.strerror}") from error


def _read_rows(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """(place, row) of every line that is not blank."""
    text = read_text(path, "a manifest")
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        place = f"{path}:{number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:  # ValueError: no JSON, or a number of thousands of digits
            why = f"{error.msg}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else str(error)
            raise InputError(
                f"{place}: expected a JSON object, got {_shortened(line)} ({why}); write one object a line"
            ) from error
        if not isinstance(row, dict):
            raise InputError(f"{place}: expected a JSON object, got {_shortened(line)}; write one object a line")
        rows.append((place, row))
    if not rows:
        raise InputError(f"{path}: expected a manifest with one JSON object a line, got an empty file")
    return rows


def _transcript(row: dict[str, Any], place: str) -> str:
    text = row.get("text")
    if not isinstance(text, str):
        raise _wrong(place, "a string as 'text'", text, "give what was said")
    if not text.strip():
        raise _wrong(place, "a transcript as 'text'", text, "give what was said or leave the row out")
    return text


def _utterance(row: dict[str, Any], folder: Path, place: str, text: str | None) -> Utterance:
    audio = next((row[field] for field in AUDIO_FIELDS if field in row), None)
    if not isinstance(audio, str) or not audio:
        raise _wrong(place, "a path as 'audio'", audio, "give the audio file, relative to the manifest")
    duration = row.get("duration")
    if duration is not None and not _is_duration(duration):
        raise _wrong(place, "seconds above 0 as 'duration'", duration, "correct it or leave the field out")
    speaker = row.get("speaker")
    if speaker is not None and (isinstance(speaker, bool) or not isinstance(speaker, str | int) or speaker == ""):
        raise _wrong(place, "a name or number as 'speaker'", speaker, "correct it or leave the field out")
    offset = row.get("offset")
    if offset is not None and not (_is_duration(offset) or (offset == 0 and not isinstance(offset, bool))):
        raise _wrong(place, "seconds of 0 or more as 'offset'", offset, "correct it or leave the field out")
    return Utterance(
        audio=folder / audio,
        text=text or "",
        duration_seconds=None if duration is None else float(duration),
        speaker=None if speaker is None else str(speaker),
        extra={field: row[field] for field in row if field not in OWN_FIELDS or (field == "text" and text is None)},
        where=place,
        offset_seconds=None if offset is None else float(offset),
    )


def _is_duration(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= MOST_SECONDS


def _filtered(rows: list[tuple[str, dict]], where: str, path: Path) -> list[tuple[str, dict]]:
    """The rows that pass a filter; every value it names must be there, so that a slip of the pen does not go unseen."""
    kept = rows
    for term in _split(where, ","):
        field, equals, alternatives = (part.strip() for part in term.partition("="))
        if not field or not equals:
            raise InputError(f"filter {where!r}: expected field=value or field=value|value, got {term!r}")
        present = {_as_text(row[field]) for _, row in rows if field in row}
        if not present:
            fields = _listed({field for _, row in rows for field in row})
            raise InputError(f"{path}: filter {where!r}: no row has the field {field!r}; there are {fields}")
        wanted = {_unquoted(value.strip()) for value in _split(alternatives, "|")}
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


# an escape, a quoted text, a character
_PIECE = re.compile(r'\\[\\",|=]|"(?:\\[\\"]|[^"\\]|\\(?![\\"]))*"|.', re.DOTALL)


def _split(text: str, separator: str) -> list[str]:
    """The parts between separators that are neither quoted nor escaped."""
    parts = [""]
    for piece in _PIECE.findall(text):
        if piece == separator:
            parts.append("")
        else:
            parts[-1] += piece
    return parts


def _unquoted(value: str) -> str:
    """A value without its double quotes and the backslashes of its escapes."""
    pieces = (piece[1:-1] if len(piece) > 1 and piece[0] == '"' else piece for piece in _PIECE.findall(value))
    return "".join(re.sub(r'\\([\\",|=])', r"\1", piece) for piece in pieces)


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
