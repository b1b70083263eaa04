import random

import pytest

from tflite_asr.errors import InputError
from tflite_asr.metrics import aligned_words, error_rates, relative_reduction, split_error_rates


def edit_distance(left, right):
    """Levenshtein by its definition, a row at a time."""
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, start=1):
        previous, row = row, [i]
        for j, b in enumerate(right, start=1):
            row.append(min(previous[j] + 1, row[j - 1] + 1, previous[j - 1] + (a != b)))
    return row[-1]


def random_sentence(source, shortest):
    return " ".join(source.choices(["A", "AB", "BA", "B", "ABBA"], k=source.randint(shortest, 9)))


@pytest.mark.parametrize("seed", range(20))
def test_rates_are_the_pooled_edit_distance(seed):
    source = random.Random(seed)
    count = source.randint(1, 8)
    references = [random_sentence(source, 1) for _ in range(count)]
    hypotheses = [random_sentence(source, 0) for _ in range(count)]
    rates = error_rates(references, hypotheses)

    pairs = list(zip(references, hypotheses))
    word_errors = sum(edit_distance(a.split(), b.split()) for a, b in pairs)
    words = sum(len(a.split()) for a in references)
    assert rates.words == words
    assert rates.utterances == count
    assert rates.substitutions + rates.deletions + rates.insertions == word_errors
    assert rates.insertions - rates.deletions == sum(len(b.split()) for b in hypotheses) - words
    assert rates.wer == pytest.approx(word_errors / words)
    assert rates.cer == pytest.approx(sum(edit_distance(a, b) for a, b in pairs) / sum(map(len, references)))


@pytest.mark.parametrize("seed", range(20))
def test_alignment_spells_both_sides_with_the_fewest_errors(seed):
    source = random.Random(seed)
    reference, hypothesis = random_sentence(source, 1), random_sentence(source, 0)
    aligned = aligned_words(reference, hypothesis)

    assert [left for _, left, _ in aligned if left] == reference.split()
    assert [right for _, _, right in aligned if right] == hypothesis.split()
    assert sum(kind != "equal" for kind, _, _ in aligned) == edit_distance(reference.split(), hypothesis.split())
    for kind, left, right in aligned:
        expected = "insert" if not left else "delete" if not right else "equal" if left == right else "substitute"
        assert kind == expected


def test_an_empty_hypothesis_deletes_every_word():
    rates = error_rates(["A B C", "D"], ["", "D"])
    assert (rates.deletions, rates.words, rates.wer) == (3, 4, 0.75)
    assert aligned_words("A B", "") == [("delete", "A", ""), ("delete", "B", "")]


def test_white_space_is_no_error():
    rates = error_rates([" A  B\n"], ["A B"])
    assert (rates.wer, rates.cer) == (0.0, 0.0)


def test_unequal_lengths_give_both_counts():
    with pytest.raises(InputError, match="2 references and 1 hypotheses"):
        error_rates(["A", "B"], ["A"])


def test_empty_references_are_refused():
    with pytest.raises(InputError, match="reference 2 of 2 is empty"):
        error_rates(["A", "  "], ["A", "B"])
    with pytest.raises(InputError, match="at least one reference"):
        error_rates([], [])
    with pytest.raises(InputError, match="empty"):
        aligned_words(" ", "A")


@pytest.mark.parametrize(
    "before, after, reduction", [(0.4, 0.1, 0.75), (0.2, 0.3, -0.5), (0.3, 0.3, 0), (0, 0, 0), (0, 0.2, -1)]
)
def test_relative_reduction(before, after, reduction):
    assert relative_reduction(before, after) == pytest.approx(reduction)


def test_errors_are_told_apart_by_whose_words_they_are():
    references = ["CALL ANN NOW", "CALL BOB"]
    rates = split_error_rates(references, ["CALL AN NOW", "CALL BOB BOB OH"], ["ann", "Bob Lee"])
    assert (rates.listed_wer, rates.other_wer, rates.listed_words) == (2 / 2, 1 / 3, 2)  # ANN, one BOB too many; OH
    none = split_error_rates(references, references, ["CID"])
    assert (none.listed_wer, none.other_wer, none.listed_words) == (None, 0.0, 0)
    cased = split_error_rates(["CALL DOCTOR NO"], ["Call Dr. Know."], ["Dr. No"], normalize=True)
    assert (cased.listed_wer, cased.other_wer) == (1 / 2, 0.0)


@pytest.mark.parametrize("seed", range(10))
def test_both_parts_together_are_all_errors(seed):
    source = random.Random(seed)
    references = [random_sentence(source, 1) for _ in range(5)]
    hypotheses = [random_sentence(source, 0) for _ in range(5)]
    rates, split = error_rates(references, hypotheses), split_error_rates(references, hypotheses, ["AB", "BA"])
    others = rates.words - split.listed_words
    assert (split.listed_wer or 0) * split.listed_words + (split.other_wer or 0) * others == pytest.approx(
        rates.wer * rates.words
    )
