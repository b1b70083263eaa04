"""Corrections: an utterance that was recognised wrongly, and the intended text.

The words that were not heard weigh more in two ways: an utterance that was corrected is trained on more often than
others (`CORRECTION_WEIGHT`), and names among its words are expected from now on, as hotwords are, before any training.
Sim et al. 2019 (arXiv 1912.09251) learn names from corrections by training alone, with enough of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tflite_asr.errors import InputError
from tflite_asr.metrics import aligned_words
from tflite_asr.runtime.batch import Example
from tflite_asr.text.subwords import SubwordTokenizer

CORRECTION_WEIGHT = 4  # as often as this a corrected utterance is trained on, others once
MOST_LETTERS = 3.0  # so many times the letters that were heard is another utterance; and a third of them
LEAST_LETTERS = 12  # of a text for that: a word may be heard as one letter


@dataclass(frozen=True)
class Correction:
    """An utterance that was recognised wrongly."""

    example: Example  # with what was meant
    heard: str
    missed: tuple[str, ...]  # runs of words that were meant and not heard
    learned: tuple[str, ...]  # phrases that it taught the recogniser, which `Recognizer.forget` takes back


def missed_words(meant: str, heard: str, *, normalize: bool) -> tuple[str, ...]:
    """The runs of words of `meant` that `heard` does not have in their place.

    Args:
        meant: what was said; not empty.
        heard: what was written for it.
        normalize: punctuation and the spelling of numbers make no difference; case never does.

    Returns:
        in lower case.
    """
    runs: list[list[str]] = [[]]
    for kind, said, _ in _aligned(meant, heard, normalize):
        if kind in ("substitute", "delete"):
            runs[-1].append(said)
        elif kind == "equal" and runs[-1]:
            runs.append([])
    return tuple(" ".join(run) for run in runs if run)


def check_correction(meant: str, heard: str, missed: Sequence[str], *, normalize: bool, where: str = "") -> None:
    """InputError for a text that corrects nothing, or that is of another utterance than was heard."""
    place = f"{where}: " if where else ""
    if not missed and not _has_more(meant, heard, normalize=normalize):
        raise InputError(f"{place}expected another text than what was heard, {heard!r}; there is nothing to correct")
    counts = [sum(map(str.isalnum, text)) for text in (meant, heard)]
    if counts[1] and max(counts) > LEAST_LETTERS and max(counts) > MOST_LETTERS * min(counts):
        raise InputError(
            f"{place}expected a text for what was heard, {heard!r}, got one of {counts[0]} letters for {counts[1]}: it "
            f"is of another utterance; leave it out"
        )


def _has_more(meant: str, heard: str, *, normalize: bool) -> bool:
    """Whether words were heard that were not meant."""
    return any(kind == "insert" for kind, _, _ in _aligned(meant, heard, normalize))


def names_in(meant: str, heard: str, subwords: SubwordTokenizer | None, *, normalize: bool) -> list[str]:
    """The names in which a word was not heard, and each such word by itself.

    A name is a run of rare words, for which the second pass has no subword of its own: "Aoife Rasmussen" where "Ifa
    Rasmussen" was heard. None where there are no subwords that tell rare words from others.

    Args:
        meant, heard, normalize: as in `missed_words`.
        subwords: of the second pass.
    """
    if subwords is None:
        return []
    found: list[str] = []
    run: list[tuple[str, bool]] = []  # rare words side by side, and whether each was heard
    words = [(said, kind == "equal") for kind, said, _ in _aligned(meant, heard, normalize) if said]
    for word, was_heard in [*words, ("", True)]:
        if word and _is_rare(word, subwords):
            run.append((word, was_heard))
            continue
        missed = [rare for rare, heard_right in run if not heard_right]
        if missed:
            found += [" ".join(rare for rare, _ in run), *missed]
        run = []
    return list(dict.fromkeys(found))


def _aligned(meant: str, heard: str, normalize: bool) -> list[tuple[str, str, str]]:
    """`aligned_words` in lower case: a keyboard gives its own."""
    return aligned_words(meant.lower(), heard.lower(), normalize=normalize)


def _is_rare(word: str, subwords: SubwordTokenizer) -> bool:
    """Whether a word in lower case takes several subwords in each case that they can spell; False where in none."""
    counts = []
    for spelled in (word, word.capitalize(), word.upper()):
        try:
            counts.append(len(subwords.encode(spelled)))
        except InputError:  # letters that they do not have
            continue
    return word.replace("'", "").isalpha() and bool(counts) and min(counts) > 1


def as_bytes(phrases: Sequence[str]) -> np.ndarray:
    """Phrases as a checkpoint holds them, [n] int8: UTF-8, a line feed behind each."""
    return np.frombuffer("".join(f"{phrase}\n" for phrase in phrases).encode(), np.int8)


def of_bytes(values: np.ndarray, where: str) -> list[str]:
    """The phrases that `as_bytes` wrote; InputError for other bytes."""
    try:
        return values.tobytes().decode().split("\n")[:-1]
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: expected phrases in UTF-8, got other bytes ({error.reason})") from None
