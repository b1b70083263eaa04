"""Text to subword ids and back by byte-pair encoding, as sentencepiece does it (Kudo and Richardson 2018, arXiv
1808.06226)."""

import functools
import heapq
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from tflite_asr.config import ModelConfig
from tflite_asr.errors import InputError
from tflite_asr.text.token_ids import checked_ids

SPACE = "\u2581"  # stands for a space inside pieces
SPECIAL = ("<unk>", "<s>", "</s>")  # never part of a text
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
_BYTE_OF = {piece: byte for byte, piece in enumerate(BYTES)}
_INVALID = {0xDC80 + byte: "\ufffd" for byte in range(128)}  # as "surrogateescape" decodes what is no UTF-8


@dataclass(frozen=True)
class SubwordTokenizer:
    """Byte-pair encoding over the pieces of a vocabulary, case and punctuation as the pieces have them.

    A text gets a space in front, and its characters are merged pair by pair: always the pair first that makes the piece
    with the best score, the leftmost of equals. A character that is no piece becomes its UTF-8 bytes, if the vocabulary
    has the pieces `<0x00>` to `<0xFF>`. Nothing else is normalized: two spaces remain two.

    Args:
        pieces: in the order of their ids; U+2581 stands for a space. An empty one is never part of a text.
        scores: of the pieces, the highest is merged first; without them the lowest id is.
        offset: id of the first piece; 1 leaves the id 0 to the blank of CTC or a transducer.
    """

    pieces: tuple[str, ...]
    scores: tuple[float, ...] | None = None
    offset: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "pieces", tuple(self.pieces))
        if self.scores is not None:
            object.__setattr__(self, "scores", tuple(self.scores))
            if len(self.scores) != len(self.pieces):
                raise InputError(
                    f"tokenizer: expected a score for each of {len(self.pieces)} pieces, got {len(self.scores)} scores"
                )
        if not self.pieces:
            raise InputError("tokenizer: expected at least one piece, got none")
        if len(self._ids) != len(self.pieces):
            repeated = next(piece for index, piece in enumerate(self.pieces) if self._ids[piece] != index)
            raise InputError(f"tokenizer: expected each piece once, {repeated!r} came more than once")
        missing = [piece for piece in BYTES if piece not in self._ids]
        if 0 < len(missing) < len(BYTES):
            raise InputError(
                f"tokenizer: expected all of the byte pieces {BYTES[0]} to {BYTES[-1]} or none, {missing[0]} is missing"
            )
        if self.offset not in (0, 1):
            raise InputError(
                f"tokenizer: expected the first piece to have the id 0, or 1 behind a blank, got {self.offset!r}"
            )

    @property
    def vocabulary_size(self) -> int:
        """How many token ids there are, the blank included if there is one."""
        return self.offset + len(self.pieces)

    def encode(self, text: str, *, where: str = "") -> np.ndarray:
        """Token ids of a text.

        Args:
            text: what was said.
            where: what an error names as the place of the text, such as `train.tsv:12`.

        Returns:
            [tokens] int32 from `offset` to `vocabulary_size - 1`; special pieces are not among them.
        """
        place = f"{where}: " if where else ""
        if not text.strip():
            raise InputError(f"{place}expected a text, got an empty one; leave the utterance out")
        ids, unknown = [], set()
        for symbol in self._merged((" " + text).replace(" ", SPACE)):
            if symbol in self._ranks:
                ids.append(self._ids[symbol])
                continue
            try:  # a character of its own: only pieces are merged
                ids += [self._ids[BYTES[byte]] for byte in symbol.encode()]
            except (KeyError, UnicodeEncodeError):  # no byte pieces, half a surrogate pair
                unknown.add(symbol.replace(SPACE, " "))
        if unknown:
            raise InputError(
                f"{place}{', '.join(map(repr, sorted(unknown)))} not among the model's {len(self.pieces)} subwords, "
                "nor their bytes; spell the text without"
            )
        return np.array(ids, np.int32) + np.int32(self.offset)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of token ids ([tokens] integers); blanks, special pieces and the space in front are left out.

        Bytes that make no character become U+FFFD.
        """
        ids = checked_ids(ids, self.vocabulary_size, "subwords")
        pieces = [self.pieces[token - self.offset] for token in ids if token >= self.offset]
        pieces = [piece for piece in pieces if piece and piece not in SPECIAL]
        if pieces:
            pieces[0] = pieces[0].removeprefix(SPACE)
        text, run = "", bytearray()
        for piece in pieces:
            if piece in _BYTE_OF:
                run.append(_BYTE_OF[piece])
            else:
                text += _characters(run) + piece.replace(SPACE, " ")
                run.clear()
        return text + _characters(run)

    def spellings(self) -> list[str]:
        """What each token id stands for in a text, with the space in front of a word; "" of blanks and special pieces,
        U+FFFD of a byte.
        """
        texts = ["\ufffd" if piece in _BYTE_OF else piece.replace(SPACE, " ") for piece in self.pieces]
        return [""] * self.offset + ["" if text in SPECIAL else text for text in texts]

    def to_json(self) -> dict:
        """The tokenizer as the artifact's JSON holds it."""
        scores = None if self.scores is None else list(self.scores)
        return {"type": "subwords", "pieces": list(self.pieces), "scores": scores, "offset": self.offset}

    @classmethod
    def from_json(cls, value: dict) -> "SubwordTokenizer":
        """The tokenizer that `to_json` wrote."""
        if not isinstance(value, dict) or value.get("type") != "subwords":
            kind = value.get("type") if isinstance(value, dict) else value
            raise InputError(f"tokenizer: expected the type 'subwords', got {kind!r}")
        pieces, scores = value.get("pieces"), value.get("scores")
        if not isinstance(pieces, list) or not all(isinstance(piece, str) for piece in pieces):
            raise InputError(f"tokenizer: expected a list of strings as 'pieces', got {_shortened(pieces)}")
        if scores is not None and not (
            isinstance(scores, list) and all(type(score) in (int, float) for score in scores)
        ):
            raise InputError(f"tokenizer: expected a list of numbers or null as 'scores', got {_shortened(scores)}")
        return cls(tuple(pieces), None if scores is None else tuple(scores), value.get("offset", 0))

    def _merged(self, text: str) -> list[str]:
        """The pieces of a text, and its characters that are none."""
        ranks = self._ranks
        symbols: list[str] = list(text)  # the right one of a merged pair becomes ""
        after = list(range(1, len(symbols) + 1))  # index of the next symbol
        before = list(range(-1, len(symbols) - 1))
        heap = []
        for left in range(len(symbols) - 1):
            rank = ranks.get(symbols[left] + symbols[left + 1])
            if rank is not None:
                heap.append((rank, left, left + 1, 2))
        heapq.heapify(heap)
        while heap:
            _, left, right, length = heapq.heappop(heap)
            pair = symbols[left] + symbols[right]
            if not symbols[left] or not symbols[right] or len(pair) != length:
                continue  # one of them has been merged with another since
            symbols[left], symbols[right] = pair, ""
            after[left] = following = after[right]
            if following < len(symbols):
                before[following] = left
                rank = ranks.get(pair + symbols[following])
                if rank is not None:
                    heapq.heappush(heap, (rank, left, following, length + len(symbols[following])))
            previous = before[left]
            if previous >= 0:
                rank = ranks.get(symbols[previous] + pair)
                if rank is not None:
                    heapq.heappush(heap, (rank, previous, left, len(symbols[previous]) + length))
        return [symbol for symbol in symbols if symbol]

    @functools.cached_property
    def _ids(self) -> dict[str, int]:
        return {piece: index for index, piece in enumerate(self.pieces)}

    @functools.cached_property
    def _ranks(self) -> dict[str, float]:
        """The rank of each piece that can be part of a text: the lowest is merged first."""
        apart = {"", *SPECIAL, *BYTES}
        return {
            piece: index if self.scores is None else -self.scores[index]
            for index, piece in enumerate(self.pieces)
            if piece not in apart
        }


def decoder_tokenizer(config: ModelConfig) -> SubwordTokenizer | None:
    """The tokenizer of a decoder; None without a decoder or without subwords."""
    if not config.decoder or not config.decoder.subwords:
        return None
    return SubwordTokenizer(config.decoder.subwords.pieces, config.decoder.subwords.scores)


def _characters(run: bytearray) -> str:
    """UTF-8 text of bytes, U+FFFD for each byte that is not part of a character."""
    return run.decode("utf-8", "surrogateescape").translate(_INVALID)


def _shortened(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
