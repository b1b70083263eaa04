import pytest

from tflite_asr.metrics import aligned_words, error_rates
from tflite_asr.text.normalization import normalized


@pytest.mark.parametrize(
    "text, expected",
    [
        ("  Hello,\tWORLD!  ", "hello world"),
        ("a well-known \u2014 \u201cfact\u201d\u2026 (so they say)", "a well known fact so they say"),
        ("Don\u2019t say 'no', it's the dogs' day", "don't say no it's the dogs day"),
        ("At 5 p.m. in the U.S. ...what?", "at five pm in the us what"),
        (
            "Caf\u00e9 Cafe\u0301 \u65e5\u672c \u0939\u093f\u0928\u094d\u0926\u0940",
            "caf\u00e9 caf\u00e9 \u65e5\u672c \u0939\u093f\u0928\u094d\u0926\u0940",
        ),
        ("AT&T, rock & roll", "at and t rock and roll"),
        ("snake_case a/b #1 \U0001f642", "snake case a b one"),
        ("21", "twenty one"),
        ("Twenty-one", "twenty one"),
        ("1st 2nd 3RD 11th 21st 100th", "first second third eleventh twenty first one hundredth"),
        ("$5, $1, $5.50, $0.01 \u20ac1,200 \u00a33.1", "five dollars one dollar five dollars and fifty cents one cent "
         "one thousand two hundred euros three point one pounds"),
        ("$2.5 million", "two point five million dollars"),
        ("5% or five per cent", "five percent or five percent"),
        ("3.14 .5 1,234.05", "three point one four point five one thousand two hundred thirty four point zero five"),
        ("101 and 1,001", "one hundred one and one thousand one"),
        ("One hundred and one, two thousand and nine", "one hundred one two thousand nine"),
        (
            "101st, 1,012th, the two hundred and twentieth",
            "one hundred first one thousand twelfth the two hundred twentieth",
        ),
        ("a hundred and more", "a hundred and more"),
        ("1995 2021 1905 2009", "nineteen ninety five twenty twenty one nineteen oh five two thousand nine"),
        ("1,995", "one thousand nine hundred ninety five"),
        ("007 0 00", "zero zero seven zero zero zero"),
        ("-5 degrees, 3-4", "minus five degrees three four"),
        ("B2B 10:30 5pm", "b two b ten thirty five pm"),
        ("12345678901234567890"[:13], "one two three four five six seven eight nine zero one two three"),
        (
            "Mr. Smith, MRS Jones and dr. Who etc.; mrs, Mrx",
            "mister smith missus jones and doctor who et cetera missus mrx",
        ),
        ("?!", ""),
    ],
)  # fmt: skip
def test_what_is_said_alike_is_spelled_alike(text, expected):
    assert normalized(text) == expected
    assert normalized(expected) == expected


def test_rates_of_normalized_texts():
    said, heard = ["IT'S THE TWENTY FIRST", "ONE TWO"], ["It's the 21st.", "1, three"]
    assert error_rates(said, heard).wer == 1
    rates = error_rates(said, heard, normalize=True)
    assert (rates.substitutions, rates.words, rates.utterances) == (1, 6, 2)
    assert [kind for kind, *_ in aligned_words(said[1], heard[1], normalize=True)] == ["equal", "substitute"]


def test_a_reference_without_words_is_compared_as_it_is():
    rates = error_rates(["?", "A"], ["?", "a."], normalize=True)
    assert (rates.wer, rates.words) == (0.0, 2)
    assert error_rates(["A"], ["..."], normalize=True).deletions == 1


def test_only_models_whose_texts_have_case_are_normalized():
    from tflite_asr.config import PRESETS

    assert [name for name, config in PRESETS.items() if config.cased] == ["tiny_english", "english"]
