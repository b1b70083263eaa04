"""Transcripts with the case of what was heard."""

import pytest

from tflite_asr.text.casing import with_case_of
from tflite_asr.text.normalization import normalized


@pytest.mark.parametrize(
    "text, written, expected",
    [
        ("TURN LEFT MISTER SMITH", "Turn left, Mr. Smith.", "Turn left, Mr. Smith."),
        ("TURN LEFT MISTER SMITH", "Turn lift, Mr. Smyth!", "Turn left Mr. smith!"),
        ("I AM TWENTY ONE", "I am 21.", "I am 21."),
        ("I AM TWENTY TWO", "I am 21.", "I am twenty two."),
        ("AND I SAID I'M FINE", "said fine", "And I said I'm fine"),
        ("YES NO", "Yes, no, and so on.", "Yes, no."),
        ("WELL KNOWN", "A well-known,", "Well-known"),
        ("HELLO THERE", "", "Hello there"),
        ("HELLO THERE", "...", "Hello there"),
        ("WHAT IS IT", "What is it?", "What is it?"),
    ],
)
def test_words_are_the_transcripts_and_case_is_what_was_heard(text, written, expected):
    assert with_case_of(text, written) == expected
    assert normalized(expected) == normalized(text)
