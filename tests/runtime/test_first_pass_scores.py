import pytest

from tests.runtime.test_prefix_beam import normalised
from tflite_asr.runtime.ctc_prefix import CTCPrefixScores
from tflite_asr.runtime.first_pass_scores import UNLIKELY, FirstPassScores
from tflite_asr.text.subwords import SubwordTokenizer
from tflite_asr.text.tokenizer import CharacterTokenizer

LETTERS = CharacterTokenizer(" ENOPRTW", normalizes=True)
SUBWORDS = SubwordTokenizer(("<unk>", "<s>", "</s>", "\u2581one", ",", "\u2581two", "2", "%", "\u2581\u00e9", "\u00b2"))
ROWS = normalised(30, LETTERS.vocabulary_size, 1)


@pytest.mark.parametrize(
    "pieces, spelled", [([3], "ONE"), ([3, 4, 5], "ONE TWO"), ([4, 3], "ONE"), ([3, 6], "ONETWO"), ([6], "TWO")]
)
def test_case_and_punctuation_do_not_count_and_numbers_are_spelled(pieces, spelled):
    scores, expected = FirstPassScores(ROWS, LETTERS, SUBWORDS), CTCPrefixScores(ROWS)
    text = SUBWORDS.decode(pieces)
    labels = tuple(LETTERS.encode(text).tolist())
    assert LETTERS.decode(labels).replace(" ", "") == spelled.replace(" ", "")
    assert scores.prefix(pieces) == pytest.approx(expected.prefix(labels))
    assert scores.whole(pieces) == pytest.approx(expected.whole(labels))


def test_punctuation_alone_may_go_on_and_is_no_text():
    scores = FirstPassScores(ROWS, LETTERS, SUBWORDS)
    assert scores.prefix([]) == scores.prefix([4]) == 0.0
    assert scores.whole([]) == scores.whole([4]) == UNLIKELY


@pytest.mark.parametrize(
    "piece", [8, 9, 7]
)  # the first pass has no E with an accent, no two as a power, no C of percent
def test_what_has_no_labels_is_unlikely(piece):
    scores = FirstPassScores(ROWS, LETTERS, SUBWORDS)
    assert scores.prefix([3, piece]) == scores.whole([3, piece]) == scores.prefix([piece]) == UNLIKELY
    scores.keep([[3, piece], [3]])
    assert scores.prefix([3]) < 0
