"""Rows of a manifest from the layout in which a public corpus is distributed."""

import csv
import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tflite_asr.audio.reading import Notify, audio_seconds
from tflite_asr.errors import InputError
from tflite_asr.files import read_text

APOSTROPHES = str.maketrans({"\u2019": "'", "\u02bc": "'"})


def librispeech_rows(folder: str | Path, notify: Notify | None = None) -> Iterator[dict[str, Any]]:
    """Rows of LibriSpeech: `[SUBSET/]SPEAKER/CHAPTER/SPEAKER-CHAPTER.trans.txt` beside its FLAC files.

    Texts stay as they stand, which is upper case without punctuation. The gender comes from SPEAKERS.TXT, in the
    folder or one of the two above, and is null where there is none. `split` is the subset, such as `dev-clean`. Links
    to folders are followed. `notify` is called for clips that cannot be read, which get no row.
    """
    folder = Path(folder)
    transcripts = sorted(_files_below(folder, ".trans.txt"))
    if not transcripts:
        raise InputError(
            f"{folder}: expected LibriSpeech, SPEAKER/CHAPTER/*.trans.txt, found none; give the folder of the corpus "
            "or of a subset"
        )
    genders = _librispeech_genders(folder)
    for transcript in transcripts:
        speaker, subset = transcript.absolute().parts[-3], transcript.absolute().parts[-4]
        for number, line in enumerate(_lines(transcript), start=1):
            place = f"{transcript}:{number}"
            name, _, text = line.partition(" ")
            if not text.strip():
                raise InputError(f"{place}: expected an utterance and its text, got {line!r}; copy the file again")
            audio = transcript.parent / f"{name}.flac"
            duration = _duration_seconds(audio, place, notify)
            if duration is None:
                continue
            yield {
                "audio": str(audio),
                "text": text.strip(),
                "speaker": speaker,
                "duration": duration,
                "split": subset,
                "gender": genders.get(speaker),
            }


def common_voice_rows(
    folder: str | Path, split: str = "train", notify: Notify | None = None
) -> Iterator[dict[str, Any]]:
    """Rows of one split of Common Voice: `SPLIT.tsv` and `clips/*.mp3` in the folder of a language.

    Texts are put in upper case without punctuation, but for the apostrophe inside a word; dashes and slashes
    count as spaces. A sentence of which nothing is left keeps its row, with an empty text. `notify` is called for
    damaged rows and for clips that cannot be read; these get no row.
    """
    folder = Path(folder)
    table = folder / f"{split}.tsv"
    if not table.is_file():
        splits = ", ".join(sorted(path.stem for path in folder.glob("*.tsv"))) or "none"
        raise InputError(f"{table}: expected a split of Common Voice, there is none; the splits are: {splits}")
    rows = csv.DictReader(_lines(table), delimiter="\t", quoting=csv.QUOTE_NONE)
    columns = rows.fieldnames or ()
    missing = [column for column in ("client_id", "path", "sentence") if column not in columns]
    if missing:
        raise InputError(f"{table}:1: expected the columns client_id, path and sentence, got no {', '.join(missing)}")
    for number, row in enumerate(rows, start=2):
        place = f"{table}:{number}"
        if not row["client_id"] or not row["path"] or row["sentence"] is None:
            raise InputError(f"{place}: expected {len(columns)} fields, got fewer; copy the file again")
        if None in row:  # a tab inside a field moved the fields behind it
            _report(notify, f"left out rows with more than the {len(columns)} fields of the table", place)
            continue
        audio = folder / "clips" / row["path"]
        duration = _duration_seconds(audio, place, notify)
        if duration is None:
            continue
        yield {
            "audio": str(audio),
            "text": plain_text(row["sentence"]),
            "speaker": row["client_id"],
            "duration": duration,
            "split": split,
            "gender": row.get("gender") or None,
            "age": row.get("age") or None,
            "accent": row.get("accents") or row.get("accent") or None,  # the column's name before release 8
        }


def plain_text(sentence: str) -> str:
    """A sentence in upper case, its punctuation and symbols left out but for the apostrophe inside a word."""
    characters = []
    for character in sentence.translate(APOSTROPHES):
        category = unicodedata.category(character)
        if category == "Pd" or character in "/_":
            characters.append(" ")
        elif character == "'" or category[0] not in "PS":
            characters.append(character)
    words = (word.strip("'") for word in "".join(characters).upper().split())
    return " ".join(word for word in words if word)


def _librispeech_genders(folder: Path) -> dict[str, str]:
    """Speaker to m or f, from lines such as `84 | F | dev-clean | 8.02 | Christie Nowak`."""
    above = folder.absolute()
    for place in (above, *above.parents[:2]):
        table = place / "SPEAKERS.TXT"
        if table.is_file():
            fields = [line.split("|") for line in _lines(table) if not line.startswith(";")]
            return {row[0].strip(): row[1].strip().lower() for row in fields if len(row) > 1}
    return {}


def _lines(path: Path) -> list[str]:
    return read_text(path).rstrip("\n").split("\n")


def _files_below(folder: Path, suffix: str) -> Iterator[Path]:
    """Through links to folders too, each folder once: a link may lead back."""
    seen = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        yield from (Path(place) / name for name in names if name.endswith(suffix))


def _duration_seconds(audio: Path, place: str, notify: Notify | None) -> float | None:
    """How long a clip is; None, and a notice, when it holds nothing or cannot be read."""
    if not audio.is_file():
        raise InputError(f"{place}: expected the audio file {audio}, there is none; unpack the corpus again")
    try:
        seconds = round(audio_seconds(audio, place), 4)
    except InputError:
        _report(notify, "left out clips that are empty or damaged", str(audio))
        return None
    if seconds == 0:
        _report(notify, "left out clips without samples", str(audio))
        return None
    return seconds


def _report(notify: Notify | None, notice: str, place: str) -> None:
    if notify:
        notify(notice, place)
