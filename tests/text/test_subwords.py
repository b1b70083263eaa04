import io
import random
import time

import numpy as np
import pytest

from tflite_asr.config import PRESETS, ModelConfig, SubwordConfig
from tflite_asr.errors import InputError
from tflite_asr.text.subwords import BYTES, SPECIAL, SubwordTokenizer
from tflite_asr.text.tokenizer import CharacterTokenizer, first_pass_tokenizer, tokenizer_from_json

LETTERS = [*SPECIAL, *BYTES, "▁", "a", "b", "c", "▁▁"]
BASE = len(SPECIAL) + len(BYTES)  # id of "▁"


def of(*merged, **arguments):
    return SubwordTokenizer((*LETTERS, *merged), **arguments)


def pieces(tokenizer, text):
    return [tokenizer.pieces[token - tokenizer.offset] for token in tokenizer.encode(text)]


def test_the_lowest_id_is_merged_first_and_the_leftmost_of_equals():
    assert pieces(of("ab", "bc"), "abc") == ["▁", "ab", "c"]
    assert pieces(of("bc", "ab"), "abc") == ["▁", "a", "bc"]
    assert pieces(of("aa"), "aaa") == ["▁", "aa", "a"]
    assert pieces(of("aa", "▁a", "aaa"), "aaa") == ["▁", "aaa"]
    assert pieces(of("abc"), "abc") == ["▁", "a", "b", "c"]  # no pair leads there


def test_scores_go_before_the_order():
    scores = [0.0] * len(LETTERS)
    assert pieces(of("ab", "bc", scores=(*scores, -2.0, -1.0)), "abc") == ["▁", "a", "bc"]
    assert pieces(of("ab", "bc", scores=(*scores, -1.0, -1.0)), "abc") == ["▁", "ab", "c"]  # equals: the leftmost


def test_white_space_and_case_are_kept_and_a_space_is_put_in_front():
    tokenizer = of("▁a")
    assert pieces(tokenizer, "a  a ") == ["▁a", "▁▁", "a", "▁"]
    assert pieces(tokenizer, " a") == ["▁▁", "a"]
    for text in ("a  a ", " a", "A\ta", "a\u00a0b", "▁"):
        assert tokenizer.decode(tokenizer.encode(text)) == text.replace("▁", " ")


def test_a_character_that_is_no_piece_becomes_its_bytes():
    tokenizer = of()
    assert pieces(tokenizer, "aé🙂") == ["▁", "a", "<0xC3>", "<0xA9>", "<0xF0>", "<0x9F>", "<0x99>", "<0x82>"]
    assert tokenizer.decode(tokenizer.encode("aé🙂")) == "aé🙂"
    cut = tokenizer.encode("é🙂b").tolist()
    assert tokenizer.decode(cut[:4] + cut[-1:]) == "é\ufffdb"


@pytest.mark.parametrize("text", [*SPECIAL, "<0x41>"])
def test_names_of_special_and_byte_pieces_are_text_like_any_other(text):
    tokenizer = of("<s", "</", "s>", "<0", "0x")
    ids = tokenizer.encode(text)
    assert len(ids) > 2 and ids.min() > 2
    assert tokenizer.decode(ids) == text


def test_special_pieces_and_blanks_are_left_out_of_a_text():
    assert of().decode([1, BASE, BASE + 1, 0, BASE + 2, 2]) == "ab"
    assert of(offset=1).decode([0, BASE + 1, 0, BASE + 2, 0]) == "a"
    assert of().decode([]) == ""


def test_an_empty_piece_keeps_its_id_and_says_nothing():
    tokenizer = of("", "ab")
    assert tokenizer.encode("ab").tolist() == [BASE, len(LETTERS) + 1]
    assert tokenizer.decode([len(LETTERS), len(LETTERS) + 1]) == "ab"


def test_behind_a_blank_ids_are_one_higher():
    decoder, first_pass = of("ab"), of("ab", offset=1)
    ids = decoder.encode("ab c")
    assert ids.dtype == np.int32 and first_pass.encode("ab c").dtype == np.int32
    np.testing.assert_array_equal(first_pass.encode("ab c"), ids + 1)
    assert (decoder.vocabulary_size, first_pass.vocabulary_size) == (len(LETTERS) + 1, len(LETTERS) + 2)
    assert first_pass.decode(ids + 1) == "ab c"
    assert first_pass.decode([first_pass.vocabulary_size - 1]) == "ab"


@pytest.mark.parametrize("token, offset", [(-1, 0), (len(LETTERS), 0), (len(LETTERS) + 1, 1)])
def test_decode_refuses_ids_outside_the_vocabulary(token, offset):
    with pytest.raises(InputError, match=f"from 0 to {len(LETTERS) - 1 + offset}, got {token}"):
        of(offset=offset).decode([1, token])


@pytest.mark.parametrize("text", ["", " \n\t"])
def test_an_empty_text_is_refused(text):
    with pytest.raises(InputError, match="^a.wav: expected a text"):
        of().encode(text, where="a.wav")


def test_without_byte_pieces_unknown_characters_are_named_with_their_place():
    tokenizer = SubwordTokenizer(("▁", "a"))
    assert tokenizer.encode("a a").tolist() == [0, 1, 0, 1]
    with pytest.raises(InputError, match=r"^train\.tsv:12: 'b', 'é' not among the model's 2 subwords"):
        tokenizer.encode("abéb", where="train.tsv:12")
    with pytest.raises(InputError, match=r"^a: '\\ud83d' not among"):
        of().encode("a \ud83d", where="a")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(pieces=()), "at least one piece"),
        (dict(pieces=("a", "b", "a")), "'a' came more than once"),
        (dict(pieces=("", "b", "")), "'' came more than once"),
        (dict(pieces=("a", "b"), scores=(1.0,)), "a score for each of 2 pieces, got 1"),
        (dict(pieces=("a", *BYTES[:-1])), "<0xFF> is missing"),
        (dict(pieces=("a",), offset=2), "got 2"),
    ],
)
def test_pieces_that_make_no_vocabulary_are_refused(arguments, message):
    with pytest.raises(InputError, match=f"^tokenizer: expected .*{message}"):
        SubwordTokenizer(**arguments)


@pytest.mark.parametrize(
    "tokenizer", [of("ab"), of(offset=1), of(scores=tuple(range(len(LETTERS)))), CharacterTokenizer("AB")]
)
def test_json_round_trip_by_type(tokenizer):
    value = tokenizer.to_json()
    assert tokenizer_from_json(value) == tokenizer
    assert type(tokenizer_from_json(value)) is type(tokenizer)


def test_json_without_scores_says_null():
    assert SubwordTokenizer(("a", "b")).to_json() == {
        "type": "subwords",
        "pieces": ["a", "b"],
        "scores": None,
        "offset": 0,
    }
    assert tokenizer_from_json({"type": "subwords", "pieces": ["a", "b"]}) == SubwordTokenizer(("a", "b"))


@pytest.mark.parametrize(
    "value",
    [
        {"type": "words", "pieces": ["a"]},
        {"type": ["subwords"]},
        {"type": "subwords"},
        {"type": "subwords", "pieces": "ab"},
        {"type": "subwords", "pieces": ["a", 3]},
        {"type": "subwords", "pieces": ["a"], "scores": ["b"]},
        {"type": "subwords", "pieces": ["a"], "scores": [True]},
        {"type": "subwords", "pieces": ["a"], "offset": "1"},
        {},
        [],
    ],
)
def test_json_of_something_else_is_refused(value):
    with pytest.raises(InputError, match="^tokenizer: expected"):
        tokenizer_from_json(value)


def test_a_first_pass_over_subwords_counts_its_labels_behind_the_blank():
    values = PRESETS["tiny"].to_json() | {"subwords": {"pieces": ["▁", "a", "b"], "scores": [0, -1, -2]}}
    config = ModelConfig.from_json(values)
    assert config.subwords == SubwordConfig(("▁", "a", "b"), (0, -1, -2))
    assert config.vocabulary_size == first_pass_tokenizer(config).vocabulary_size == 4
    assert first_pass_tokenizer(config).encode("ab").tolist() == [1, 2, 3]
    assert hash(config) and ModelConfig.from_json(config.to_json()) == config
    assert first_pass_tokenizer(PRESETS["tiny"]) == CharacterTokenizer(PRESETS["tiny"].characters)


def test_two_hundred_characters_take_a_millisecond():
    source = random.Random(0)
    words = ["".join(source.choices("abcdefghij", k=source.randint(1, 7))) for _ in range(40)]
    merged = sorted({word[:end] for word in words for end in range(1, len(word) + 1)} | {f"▁{w}" for w in words})
    fill = [f"{number:05d}" for number in range(32_768 - len(merged) - len(LETTERS))]
    tokenizer = SubwordTokenizer((*dict.fromkeys([*LETTERS, *merged]), *fill))
    text = " ".join(words)[:200]
    tokenizer.encode(text)

    def seconds():
        begin = time.perf_counter()
        tokenizer.encode(text)
        return time.perf_counter() - begin

    assert min(seconds() for _ in range(50)) < 5e-3  # 0.2 ms where nothing else runs


def test_ids_and_texts_are_those_of_sentencepiece():
    sentencepiece = pytest.importorskip("sentencepiece", reason="sentencepiece of the train extra is not installed")
    source = random.Random(0)
    words = ["".join(source.choices("ABcdefé,.'", k=source.randint(1, 8))) for _ in range(300)]
    lines = [" ".join(source.choices(words, k=source.randint(1, 8))) for _ in range(500)]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, model_type="bpe", vocab_size=500, byte_fallback=True,
        character_coverage=1.0, normalization_rule_name="identity", remove_extra_whitespaces=False, minloglevel=2,
    )  # fmt: skip
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    size = range(processor.get_piece_size())
    vocabulary = tuple(map(processor.id_to_piece, size))
    odd = [*"漢字🙂é\u0301\t\u00a0▁<>\x00", "<s>", "<unk>", "<0x41>", "  ", "    "]
    for line in [*lines]:
        characters = list(line)
        for _ in range(source.randint(1, 5)):
            characters.insert(source.randint(0, len(characters)), source.choice(odd))
        lines.append("".join(characters))
    for tokenizer in (
        SubwordTokenizer(vocabulary),
        SubwordTokenizer(vocabulary, tuple(map(processor.get_score, size))),
    ):
        for line in lines:
            expected = processor.encode(line)
            assert tokenizer.encode(line).tolist() == expected, line
            assert tokenizer.decode(expected) == processor.decode(expected), line
    for _ in range(500):
        ids = [source.choice([source.randint(1, size[-1]), source.randint(3, 258)]) for _ in range(8)]
        assert tokenizer.decode(ids) == processor.decode(ids), ids
