import numpy as np
import pytest

from tflite_asr.config import preset
from tflite_asr.errors import InputError
from tflite_asr.text.tokenizer import CharacterTokenizer, first_pass_tokenizer, tokenizer_from_json

ENGLISH = CharacterTokenizer(" 'ABCDEFGHIJKLMNOPQRSTUVWXYZ")


def test_ids_start_after_the_blank_in_the_order_of_the_characters():
    tokenizer = CharacterTokenizer("BA ")
    ids = tokenizer.encode("AB B")
    assert ids.dtype == np.int32
    assert ids.tolist() == [2, 1, 3, 1]
    assert tokenizer.vocabulary_size == 4


def test_case_and_white_space_are_folded():
    np.testing.assert_array_equal(ENGLISH.encode("  it's\t\na  Test "), ENGLISH.encode("IT'S A TEST"))


def test_decode_undoes_encode():
    text = "DON'T PANIC"
    assert ENGLISH.decode(ENGLISH.encode(text)) == text


def test_decode_leaves_out_blanks_and_padding_and_strips():
    tokenizer = CharacterTokenizer(" AB")
    assert tokenizer.decode(np.array([1, 0, 2, 0, 0, 3, 1, 0, 0], np.int32)) == "AB"
    assert tokenizer.decode([]) == ""


@pytest.mark.parametrize("token", [-1, 4])
def test_decode_refuses_ids_outside_the_vocabulary(token):
    with pytest.raises(InputError, match=f"from 0 to 3, got {token}"):
        CharacterTokenizer(" AB").decode([1, token])


def test_unknown_characters_are_named_with_their_place():
    with pytest.raises(InputError, match=r"^train\.tsv:12: '7', 'É' not among"):
        ENGLISH.encode("café 7", where="train.tsv:12")


def test_a_space_needs_to_be_in_the_vocabulary():
    with pytest.raises(InputError, match="' ' not among"):
        CharacterTokenizer("AB").encode("A B")


@pytest.mark.parametrize("text", ["", " \n\t"])
def test_an_empty_text_is_refused(text):
    with pytest.raises(InputError, match="^a.wav: expected a text"):
        ENGLISH.encode(text, where="a.wav")


@pytest.mark.parametrize(
    "characters, message", [("", "at least one"), ("ABA", "'A' came more than once"), ("Ab\t", r"'b', '\\t' can never")]
)
def test_characters_that_make_no_vocabulary_are_refused(characters, message):
    with pytest.raises(InputError, match=message):
        CharacterTokenizer(characters)


def test_json_round_trip():
    value = ENGLISH.to_json()
    assert value == {"type": "characters", "characters": ENGLISH.characters}
    assert CharacterTokenizer.from_json(value) == ENGLISH


@pytest.mark.parametrize(
    "value",
    [
        {"type": "subwords", "characters": "AB"},
        {"type": "characters"},
        {"type": "characters", "characters": 3},
        {},
        [],
    ],
)
def test_json_of_something_else_is_refused(value):
    with pytest.raises(InputError, match="^tokenizer: expected"):
        CharacterTokenizer.from_json(value)


def test_a_first_pass_in_letters_spells_cased_texts_as_they_are_said():
    letters = first_pass_tokenizer(preset("tiny_english"))
    assert letters.decode(letters.encode("Call Mr. O'Brien at 5, please!")) == "CALL MISTER O'BRIEN AT FIVE PLEASE"
    assert letters.encode("TURN  left").tolist() == letters.encode("TURN LEFT").tolist()
    assert tokenizer_from_json(letters.to_json()) == letters
    with pytest.raises(InputError, match="empty one"):
        letters.encode("?!")
    with pytest.raises(InputError, match="'\u00c9' not among"):
        letters.encode("Caf\u00e9")
    with pytest.raises(InputError, match="'5' not among"):
        ENGLISH.encode("AT 5")


def test_a_description_says_whether_texts_are_normalized():
    assert ENGLISH.to_json().keys() == {"type", "characters"}
    with pytest.raises(InputError, match="true or false as 'normalizes', got 'yes'"):
        tokenizer_from_json({"type": "characters", "characters": "AB", "normalizes": "yes"})
