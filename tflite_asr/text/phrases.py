"""Hotwords: lists of phrases, such as names, that recognition prefers without training."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tflite_asr.errors import InputError
from tflite_asr.files import read_text
from tflite_asr.text.phrase_automaton import continues_word, lower

MOST_PHRASES = 10_000
LONGEST_PHRASE = 200  # characters


@dataclass(frozen=True)
class Phrase:
    """Words that recognition prefers.

    Args:
        text: any case; one space between words.
        weight: how much more than others of the list; a factor on the list's weight.
        where: what an error names as its place, such as `names.txt:3`.
    """

    text: str
    weight: float = 1.0
    where: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", " ".join(self.text.split()))
        place = f"{self.where}: " if self.where else ""
        if not any(map(continues_word, self.text)):
            raise InputError(f"{place}expected a phrase, got {self.text!r}, which has no letters; leave it out")
        if len(self.text) > LONGEST_PHRASE:
            raise InputError(
                f"{place}expected a phrase of at most {LONGEST_PHRASE} characters, got {len(self.text)}; give its "
                f"words as phrases of their own"
            )
        if not 0 <= self.weight < math.inf:
            raise InputError(f"{place}expected a weight of 0 or more for {self.text!r}, got {self.weight}")


def read_phrases(path: str | Path) -> list[Phrase]:
    """The phrases of a file: one a line, behind a tab its weight where it has one; empty lines count nothing."""
    lines = read_text(path, "a list of phrases, one a line").splitlines()
    filled = [(f"{path}:{number}", line) for number, line in enumerate(lines, start=1) if line.strip()]
    _check_count(len(filled), str(path))
    return _each_once(_of_line(line, where) for where, line in filled)


def as_phrases(values: Iterable[str | tuple[str, float] | Phrase], where: str = "hotwords") -> list[Phrase]:
    """The phrases that a caller gave: strings, or pairs of a string and its weight."""
    if isinstance(values, str):
        raise InputError(f"{where}: expected a list of phrases, got the string {values!r}; put it into a list")
    values = list(values)
    _check_count(len(values), where)
    return _each_once(_of_value(value, f"{where}[{index}]") for index, value in enumerate(values))


def _check_count(count: int, where: str) -> None:
    if count == 0:
        raise InputError(f"{where}: expected at least one phrase, got none")
    if count > MOST_PHRASES:
        raise InputError(
            f"{where}: expected at most {MOST_PHRASES:,} phrases, got {count:,}; keep those that are likely today"
        )


def _each_once(phrases: Iterable[Phrase]) -> list[Phrase]:
    """InputError if one comes twice, in whatever case."""
    found: dict[str, Phrase] = {}
    for phrase in phrases:
        first = found.setdefault(lower(phrase.text), phrase)
        if first is not phrase:
            raise InputError(
                f"{phrase.where}: expected each phrase once, {phrase.text!r} stands at {first.where} too; leave one out"
            )
    return list(found.values())


def _of_line(line: str, where: str) -> Phrase:
    text, tab, weight = line.partition("\t")
    return Phrase(text, _number(weight, text, where) if tab else 1.0, where)


def _of_value(value: object, where: str) -> Phrase:
    if isinstance(value, Phrase):
        return value
    if isinstance(value, str):
        return Phrase(value, where=where)
    if isinstance(value, tuple | list) and len(value) == 2 and isinstance(value[0], str):
        return Phrase(value[0], _number(value[1], value[0], where), where)
    raise InputError(f"{where}: expected a phrase or a pair of a phrase and its weight, got {value!r}")


def _number(value: Any, text: str, where: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise InputError(f"{where}: expected a number as the weight of {text.strip()!r}, got {value!r}") from None
