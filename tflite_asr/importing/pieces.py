"""Subword pieces by id, from Moonshine's tokenizer.bin or from a Hugging Face tokenizer.json.

A piece is text in which U+2581 is a space; "<0x41>" is a byte, "<unk>", "<s>" and "</s>" are the ids 0, 1 and 2.
"""

import json
from pathlib import Path

from tflite_asr.errors import InputError

SPECIALS = ("<unk>", "<s>", "</s>")
BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))  # the ids after them
START = SPECIALS + BYTES


def read_binary(content: bytes, where: str) -> tuple[str, ...]:
    """The pieces of a tokenizer.bin: each a length and as many bytes.

    A length n of 128 or more goes on in the next byte m: 128 m + n - 128.
    """
    entries, position = [], 0
    try:
        while position < len(content):
            length = content[position]
            position += 1
            if length >= 128:
                length += 128 * content[position] - 128
                position += 1
            if position + length > len(content):
                raise IndexError
            entries.append(content[position : position + length])
            position += length
        rest = [entry.decode() for entry in entries[len(START) :]]
    except (IndexError, UnicodeDecodeError):
        raise InputError(f"{where}: damaged tokenizer near byte {position}; copy or download it again") from None
    if entries[: len(START)] != [special.encode() for special in SPECIALS] + [bytes([byte]) for byte in range(256)]:
        raise InputError(f"{where}: expected {', '.join(SPECIALS)} and then 256 bytes as its first tokens, got others")
    return (*START, *rest)


def read_tokenizer_json(path: Path) -> tuple[str, ...]:
    """The pieces of a tokenizer.json: those of its model, and added tokens."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        ids = {int(number): str(piece) for piece, number in values["model"]["vocab"].items()}
        ids |= {int(token["id"]): str(token["content"]) for token in values.get("added_tokens", [])}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{path}: expected a tokenizer with model.vocab, piece to id: {error!r}") from None
    if sorted(ids) != list(range(len(ids))):
        raise InputError(f"{path}: expected ids from 0 on without a gap, got {len(ids)} up to {max(ids, default=0)}")
    pieces = tuple(ids[number] for number in range(len(ids)))
    if pieces[: len(START)] != START:
        first = f"{', '.join(SPECIALS)} and then 256 bytes such as <0x41>"
        raise InputError(f"{path}: expected {first} as its first tokens")
    return pieces
