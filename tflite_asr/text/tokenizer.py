"""Text to token ids and back: the tokenizer's interface, and a tokenizer of characters.

Token 0 is the blank of the transducer and of CTC, and the padding of a batch; the characters follow from 1
in the order in which they were given.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from tflite_asr.config import ModelConfig
from tflite_asr.errors import InputError
from tflite_asr.text.subwords import SubwordTokenizer
from tflite_asr.text.token_ids import checked_ids

BLANK = 0


class Tokenizer(Protocol):
    """Text to token ids and back."""

    @property
    def vocabulary_size(self) -> int:
        """How many token ids there are, the blank included if there is one."""
        ...

    def encode(self, text: str, *, where: str = "") -> np.ndarray:
        """Token ids of a text, [tokens] int32; InputError, which names `where`, if it cannot be spelled."""
        ...

    def decode(self, ids: Iterable[int]) -> str:
        """The text of token ids ([tokens] integers); blanks are left out."""
        ...

    def spellings(self) -> list[str]:
        """What each token id stands for in a text, spaces included; "" of one that is no part of a text."""
        ...

    def to_json(self) -> dict:
        """The tokenizer as the artifact's JSON holds it."""
        ...


def tokenizer_from_json(value: dict) -> Tokenizer:
    """The tokenizer that `to_json` wrote, of the type that it names."""
    kinds = {"characters": CharacterTokenizer, "subwords": SubwordTokenizer}
    kind = value.get("type") if isinstance(value, dict) else value
    if not isinstance(kind, str) or kind not in kinds:
        raise InputError(f"tokenizer: expected the type {' or '.join(map(repr, kinds))}, got {kind!r}")
    return kinds[kind].from_json(value)


def first_pass_tokenizer(config: ModelConfig) -> Tokenizer:
    """The tokenizer of a model's first pass, whose id 0 is the blank."""
    if config.subwords:
        return SubwordTokenizer(config.subwords.pieces, config.subwords.scores, offset=BLANK + 1)
    return CharacterTokenizer(config.characters, normalizes=config.cased)


@dataclass(frozen=True)
class CharacterTokenizer:
    """Characters of the vocabulary in the order of their ids, the space included, the blank not.

    Args:
        characters: in the order of their ids.
        normalizes: whether punctuation is left out and numbers are spelled before a text is encoded, see
            `text.normalization`: of a first pass in letters whose second pass writes cased text.
    """

    characters: str
    normalizes: bool = False

    def __post_init__(self) -> None:
        if not self.characters:
            raise InputError("tokenizer: expected at least one character, got none")
        repeated = sorted({c for c in self.characters if self.characters.count(c) > 1})
        if repeated:
            raise InputError(f"tokenizer: expected each character once, {_quoted(repeated)} came more than once")
        unreachable = [c for c in self.characters if c != _normalized(c) and c != " "]
        if unreachable:
            raise InputError(
                f"tokenizer: {_quoted(unreachable)} can never occur in a text, which is upper-cased and has "
                "the space as its only white space; give upper-case characters"
            )

    @property
    def vocabulary_size(self) -> int:
        """How many token ids there are, the blank included."""
        return len(self.characters) + 1

    def encode(self, text: str, *, where: str = "") -> np.ndarray:
        """Token ids of a text, upper-cased and with its runs of white space folded to one space.

        Args:
            text: what was said.
            where: what an error names as the place of the text, such as `train.tsv:12`.

        Returns:
            [characters] int32, all of them from 1 to `vocabulary_size - 1`.
        """
        place = f"{where}: " if where else ""
        normalized = _normalized(self._spelled(text))
        if not normalized:
            raise InputError(f"{place}expected a text, got an empty one; leave the utterance out")
        ids = {character: index for index, character in enumerate(self.characters, start=BLANK + 1)}
        unknown = sorted(set(normalized) - ids.keys())
        if unknown:
            raise InputError(
                f"{place}{_quoted(unknown)} not among the model's characters {self.characters!r}; "
                "spell the text with these"
            )
        return np.array([ids[character] for character in normalized], np.int32)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of token ids ([tokens] integers); blanks and padding (0) are left out, the ends stripped."""
        ids = checked_ids(ids, self.vocabulary_size, "characters")
        return "".join(self.characters[token - 1] for token in ids if token != BLANK).strip()

    def spellings(self) -> list[str]:
        """What each token id stands for in a text; "" of the blank."""
        return ["", *self.characters]

    def _spelled(self, text: str) -> str:
        """The text as it is said; unchanged where it holds nothing but the vocabulary's characters."""
        if not self.normalizes or set(text.upper()) <= set(self.characters):
            return text
        from tflite_asr.text.normalization import normalized

        return normalized(text)

    def to_json(self) -> dict[str, str | bool]:
        """The tokenizer as the artifact's JSON holds it."""
        normalizes = {"normalizes": True} if self.normalizes else {}
        return {"type": "characters", "characters": self.characters, **normalizes}

    @classmethod
    def from_json(cls, value: dict) -> "CharacterTokenizer":
        """The tokenizer that `to_json` wrote."""
        if not isinstance(value, dict) or value.get("type") != "characters":
            kind = value.get("type") if isinstance(value, dict) else value
            raise InputError(f"tokenizer: expected the type 'characters', got {kind!r}")
        if not isinstance(value.get("characters"), str):
            raise InputError(f"tokenizer: expected a string as 'characters', got {value.get('characters')!r}")
        if not isinstance(value.get("normalizes", False), bool):
            raise InputError(f"tokenizer: expected true or false as 'normalizes', got {value['normalizes']!r}")
        return cls(value["characters"], value.get("normalizes", False))


def _normalized(text: str) -> str:
    return " ".join(text.upper().split())


def _quoted(characters: Iterable[str]) -> str:
    return ", ".join(map(repr, characters))
