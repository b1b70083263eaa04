"""Lists of phrases: what a file and a caller may give, and what is refused in one line."""

import pytest

from tflite_asr.errors import InputError
from tflite_asr.text.phrases import LONGEST_PHRASE, MOST_PHRASES, Phrase, as_phrases, read_phrases


def test_a_file_has_a_phrase_a_line_and_weights_behind_tabs(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("CALL  NGUYEN\n\nZo\u00eb\t2.5\r\n  Ann \t 0\n", encoding="utf-8")
    assert read_phrases(path) == [
        Phrase("CALL NGUYEN", 1.0, f"{path}:1"),
        Phrase("Zo\u00eb", 2.5, f"{path}:3"),
        Phrase("Ann", 0.0, f"{path}:4"),
    ]


def test_a_caller_gives_strings_or_pairs():
    found = as_phrases(["Ann", ("Bob", 2), Phrase("Cid", 3.0)])
    assert [(phrase.text, phrase.weight) for phrase in found] == [("Ann", 1.0), ("Bob", 2.0), ("Cid", 3.0)]


@pytest.mark.parametrize(
    "content, message",
    [
        ("\n\n", r"names.txt: expected at least one phrase, got none"),
        ("ann\nbob\nANN\n", r"names.txt:3: expected each phrase once, 'ANN' stands at .*names.txt:1 too"),
        ("ann\tmuch\n", r"names.txt:1: expected a number as the weight of 'ann', got 'much'"),
        ("ann\t\n", r"names.txt:1: expected a number as the weight of 'ann', got ''"),
        ("ann\tnan\n", r"names.txt:1: expected a weight of 0 or more for 'ann', got nan"),
        ("ann\t-1\n", r"names.txt:1: expected a weight of 0 or more for 'ann', got -1"),
        ("\t2\n", r"names.txt:1: expected a phrase, got ''"),
        ("ann\n...\n", r"names.txt:2: expected a phrase, got '...', which has no letters"),
        ("a" * (LONGEST_PHRASE + 1), r"names.txt:1: expected a phrase of at most 200 characters, got 201"),
        ("\n".join(map(str, range(100_000))), r"names.txt: expected at most 10,000 phrases, got 100,000"),
    ],
)
def test_a_bad_list_is_refused_in_one_line(tmp_path, content, message):
    path = tmp_path / "names.txt"
    path.write_text(content)
    with pytest.raises(InputError, match=message) as refusal:
        read_phrases(path)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "values, message",
    [
        ([], "hotwords: expected at least one phrase, got none"),
        ("ann", "hotwords: expected a list of phrases, got the string 'ann'"),
        (["ann", 3], r"hotwords\[1\]: expected a phrase or a pair of a phrase and its weight, got 3"),
        ([("ann", "x")], r"hotwords\[0\]: expected a number as the weight of 'ann', got 'x'"),
        ([("ann", None)], r"hotwords\[0\]: expected a number"),
        (["ann", "Ann "], r"hotwords\[1\]: expected each phrase once, 'Ann' stands at hotwords\[0\] too"),
        (["a"] * 20_000, "hotwords: expected at most 10,000 phrases, got 20,000"),
    ],
)
def test_a_bad_list_of_a_caller_is_refused_in_one_line(values, message):
    with pytest.raises(InputError, match=message):
        as_phrases(values)


def test_as_many_as_the_limit_are_taken(tmp_path):
    (tmp_path / "n").write_text("\n".join(f"name{index}" for index in range(MOST_PHRASES)))
    assert len(read_phrases(tmp_path / "n")) == MOST_PHRASES
