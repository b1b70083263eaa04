"""Subwords by id, from both kinds of files."""

import json

import pytest

from tflite_asr.errors import InputError
from tflite_asr.importing.pieces import read_binary, read_tokenizer_json

REST = ["\u2581the", "A", "\u2581" + "x" * 300, "\u00e9"]  # "A" is also a byte


def binary(entries):
    content = b""
    for entry in entries:
        more, length = divmod(len(entry), 128)
        content += bytes([length + 128, more] if more else [length]) + entry
    return content


def entries():
    return [b"<unk>", b"<s>", b"</s>", *(bytes([byte]) for byte in range(256)), *(piece.encode() for piece in REST)]


def test_a_binary_tokenizer_gives_pieces_by_id():
    pieces = read_binary(binary(entries()), "t")
    assert pieces[:3] == ("<unk>", "<s>", "</s>") and pieces[3 + 0x41] == "<0x41>" and pieces[258] == "<0xFF>"
    assert pieces[259:] == tuple(REST)


def test_a_cut_binary_tokenizer_is_refused():
    content = binary(entries())
    last = len(REST[3].encode())
    for length in (0, 1, 10, 700, len(content) - 1, len(content) - 1 - last - 5, len(content) - 1 - last - 303):
        with pytest.raises(InputError):
            read_binary(content[:length], "t")


@pytest.mark.parametrize("index, entry", [(0, b"<pad>"), (2, b"<s>"), (3 + 65, b"B"), (261, b"\xff\xfe")])
def test_another_tokenizer_is_refused(index, entry):
    changed = entries()
    changed[index] = entry
    with pytest.raises(InputError, match="^t: "):
        read_binary(binary(changed), "t")


def tokenizer_json(pieces, added=()):
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    tokens = [{"id": len(pieces) + index, "content": piece} for index, piece in enumerate(added)]
    return json.dumps({"model": {"type": "BPE", "vocab": vocabulary, "merges": []}, "added_tokens": tokens})


def test_a_tokenizer_of_transformers_gives_the_same(tmp_path):
    pieces = read_binary(binary([*entries(), b"<<ST_0>>"]), "t")
    path = tmp_path / "tokenizer.json"
    path.write_text(tokenizer_json(pieces[:-1], added=["<<ST_0>>"]), encoding="utf-8")
    assert read_tokenizer_json(path) == pieces


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", '{"model": {}}', '{"model": {"vocab": ["a"]}}', '{"model": {"vocab": {"a": "x"}}}',
        '{"model": {"vocab": {"a": 0, "b": 2}}}', '{"model": {"vocab": {"a": 0}}}', "[" * 100_000,
    ],
)  # fmt: skip
def test_a_damaged_tokenizer_of_transformers_is_refused(text, tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_text(text)
    with pytest.raises(InputError, match="tokenizer.json: "):
        read_tokenizer_json(path)
