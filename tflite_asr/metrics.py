"""Word and character error rates of transcripts, and the errors of each."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tflite_asr.errors import InputError
from tflite_asr.text.normalization import normalized


@dataclass(frozen=True)
class ErrorRates:
    """Errors pooled over utterances: all errors by all reference words, not the mean of the utterances' rates."""

    wer: float  # word error rate as a fraction; over 1 if there are more errors than reference words
    cer: float  # character error rate as a fraction; the space between words is a character
    substitutions: int  # words
    deletions: int  # words
    insertions: int  # words
    words: int  # in the references
    utterances: int


def error_rates(references: list[str], hypotheses: list[str], *, normalize: bool = False) -> ErrorRates:
    """Error rates of transcripts, compared as they are but for white space, or as `text.normalization` spells them.

    Args:
        references: [utterances] what was said; none may be empty.
        hypotheses: [utterances] what was recognised; may be empty, then every reference word is deleted.
        normalize: case, punctuation and the spelling of numbers are no errors.
    """
    import jiwer

    if len(references) != len(hypotheses):
        raise InputError(
            f"expected one hypothesis for each reference, got {len(references)} references "
            f"and {len(hypotheses)} hypotheses"
        )
    if not references:
        raise InputError("expected at least one reference to count errors against, got none")
    references = [_folded(text) for text in references]
    hypotheses = [_folded(text) for text in hypotheses]
    if "" in references:
        raise InputError(
            f"reference {references.index('') + 1} of {len(references)} is empty; "
            "an error rate needs words to count against, so leave the utterance out"
        )
    if normalize:
        pairs = zip(*map(_normalized_pair, references, hypotheses))
        references, hypotheses = map(list, pairs)
    words = jiwer.process_words(references, hypotheses)
    return ErrorRates(
        wer=words.wer,
        cer=jiwer.process_characters(references, hypotheses).cer,
        substitutions=words.substitutions,
        deletions=words.deletions,
        insertions=words.insertions,
        words=words.hits + words.substitutions + words.deletions,
        utterances=len(references),
    )


@dataclass(frozen=True)
class SplitRates:
    """Word error rates over the words of a list and over all others (Le et al. 2021, arXiv 2104.02194, section 4.2).

    An inserted word counts where it belongs, the other errors where the reference word does. A rate without reference
    words is None.
    """

    listed_errors: int
    listed_words: int  # in the references
    other_errors: int
    other_words: int  # in the references

    @property
    def listed_wer(self) -> float | None:
        """Word error rate over the words of the list."""
        return self.listed_errors / self.listed_words if self.listed_words else None

    @property
    def other_wer(self) -> float | None:
        """Word error rate over all other words."""
        return self.other_errors / self.other_words if self.other_words else None


def split_error_rates(
    references: list[str], hypotheses: list[str], phrases: Iterable[str], *, normalize: bool = False
) -> SplitRates:
    """Word error rates of transcripts apart for the words of phrases, `normalize` as in `error_rates`.

    Args:
        references: [utterances] what was said; none may be empty.
        hypotheses: [utterances] what was recognised.
        phrases: whose words, each for itself, make the list; in any case.
        normalize: case, punctuation and the spelling of numbers are no errors.
    """
    spelled = (normalized(phrase) for phrase in phrases) if normalize else phrases
    listed = {word.casefold() for phrase in spelled for word in phrase.split()}
    errors, words = {True: 0, False: 0}, {True: 0, False: 0}
    for reference, hypothesis in zip(references, hypotheses, strict=True):
        for kind, said, heard in aligned_words(reference, hypothesis, normalize=normalize):
            is_listed = (said or heard).casefold() in listed
            words[is_listed] += said != ""
            errors[is_listed] += kind != "equal"
    return SplitRates(errors[True], words[True], errors[False], words[False])


def relative_reduction(before: float, after: float) -> float:
    """By which fraction of `before` the error rate fell; negative if it rose.

    Where there was no error before, the fraction is not defined and JSON has no infinity: 0.0 if there is
    none after either, -1.0 if there is.
    """
    if before == 0:
        return 0.0 if after == 0 else -1.0
    return (before - after) / before


def aligned_words(reference: str, hypothesis: str, *, normalize: bool = False) -> list[tuple[str, str, str]]:
    """Words of an utterance beside each other with the fewest errors, `normalize` as in `error_rates`.

    Returns:
        (kind, reference word, hypothesis word) in the order of speaking; kind is "equal", "substitute",
        "delete" (the hypothesis word is "") or "insert" (the reference word is "").
    """
    import jiwer

    reference, hypothesis = _folded(reference), _folded(hypothesis)
    if not reference:
        raise InputError("expected a reference to align with, got an empty one")
    if normalize:
        reference, hypothesis = _normalized_pair(reference, hypothesis)
    output = jiwer.process_words([reference], [hypothesis])
    said, heard = output.references[0], output.hypotheses[0]
    aligned = []
    for chunk in output.alignments[0]:
        left = said[chunk.ref_start_idx : chunk.ref_end_idx]
        right = heard[chunk.hyp_start_idx : chunk.hyp_end_idx]
        # A chunk of deletions has no hypothesis words and one of insertions no reference words.
        for index in range(max(len(left), len(right))):
            aligned.append((chunk.type, left[index] if left else "", right[index] if right else ""))
    return aligned


def matched_words(reference: Sequence[str], hypothesis: Sequence[str]) -> dict[int, int]:
    """Which words of a hypothesis are right: the place of a word in the reference -> that in the hypothesis, of the
    alignment with the fewest errors.
    """
    import jiwer

    if not reference or not hypothesis:
        return {}
    output = jiwer.process_words([" ".join(reference)], [" ".join(hypothesis)])
    return {
        chunk.ref_start_idx + index: chunk.hyp_start_idx + index
        for chunk in output.alignments[0]
        if chunk.type == "equal"
        for index in range(chunk.ref_end_idx - chunk.ref_start_idx)
    }


def roc_area(scores: ArrayLike, right: ArrayLike) -> float | None:
    """The area under the receiver operating characteristic: how often a right word has a higher score than a wrong one,
    ties counting half. None unless there are both.
    """
    score, is_right = np.asarray(scores, np.float64), np.asarray(right, bool)
    if is_right.all() or not is_right.any():
        return None
    wrong = np.sort(score[~is_right])
    below = np.searchsorted(wrong, score[is_right], "left")
    ties = np.searchsorted(wrong, score[is_right], "right") - below
    return float(np.mean((below + ties / 2) / len(wrong)))


def expected_calibration_error(scores: ArrayLike, right: ArrayLike, bins: int = 10) -> float:
    """How far scores from 0 to 1 are from the share of right words, the mean over bins of equal width (Guo et al. 2017,
    arXiv 1706.04599, equation 3); 0 without any.
    """
    score, is_right = np.asarray(scores, np.float64), np.asarray(right, np.float64)
    bin_of = np.minimum((score * bins).astype(int), bins - 1)
    apart = np.bincount(bin_of, score - is_right, bins)
    return float(np.sum(np.abs(apart)) / max(len(score), 1))


def _normalized_pair(reference: str, hypothesis: str) -> tuple[str, str]:
    """Both normalized, unless the reference is punctuation alone: then they are compared as they are."""
    words = normalized(reference)
    return (words, normalized(hypothesis)) if words else (reference, hypothesis)


def _folded(text: str) -> str:
    return " ".join(text.split())
