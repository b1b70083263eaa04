"""Evaluates times and confidences of words, and finds the best calibration."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from tflite_asr.data.connect import Clip
from tflite_asr.data.corpus import Corpus
from tflite_asr.data.speech_extent import part_extents
from tflite_asr.errors import InputError
from tflite_asr.metrics import expected_calibration_error, matched_words, roc_area
from tflite_asr.runtime.batch import Example
from tflite_asr.runtime.confidence import AGGREGATIONS, MEASURES, ConfidenceMeasure, confidences
from tflite_asr.runtime.recognizer import Recognizer
from tflite_asr.runtime.word_extents import fitted_words
from tflite_asr.runtime.words import AlignedWord, Calibration, Word, timed
from tflite_asr.text.normalization import normalized

TEMPERATURES = tuple(2 ** (power / 4) for power in range(-4, 9))  # 0.5 to 4
CLOSE_SECONDS = 0.2
LEAST_WRONG = 5  # words, and as many right ones: fewer say nothing of a confidence


@dataclass(frozen=True)
class JudgedWords:
    """The recognised words of some utterances, with their true and estimated times and confidences."""

    right: list[bool] = field(default_factory=list)  # whether it was said
    confidences: list[list[float]] = field(default_factory=list)  # of each word, by each of the measures
    start_errors: list[float] = field(
        default_factory=list
    )  # seconds after the truth, of right words whose start is known
    end_errors: list[float] = field(default_factory=list)

    def times(self) -> dict[str, float | int | None]:
        """Errors of start and end; where the truth is known of no right word they are None."""
        figures: dict[str, float | int | None] = {
            "timed_starts": len(self.start_errors),
            "timed_ends": len(self.end_errors),
        }
        for name, errors in (("start", np.abs(self.start_errors)), ("end", np.abs(self.end_errors))):
            known = len(errors) > 0
            figures[f"{name}_error_ms_median"] = 1000 * float(np.median(errors)) if known else None
            figures[f"{name}_error_ms_p95"] = 1000 * float(np.quantile(errors, 0.95)) if known else None
            figures[f"{name}_within_200_ms"] = float(np.mean(errors <= CLOSE_SECONDS)) if known else None
        return figures

    def confidence(self, measure: int = 0) -> dict[str, float | int | None]:
        """`auroc` and `ece` of a measure; `auroc` is None unless there are right and wrong words."""
        scores = np.asarray([row[measure] for row in self.confidences])
        return {
            "judged_words": len(self.right),
            "right_words": sum(self.right),
            "auroc": roc_area(scores, self.right),
            "ece": expected_calibration_error(scores, self.right),
        }


def judge_words(
    recognizer: Recognizer,
    corpus: Corpus,
    clips: Sequence[Clip],
    examples: Sequence[Example],
    texts: Sequence[str],
    *,
    calibration: Calibration | None = None,
    measures: Sequence[ConfidenceMeasure] | None = None,
    second_pass: bool | None = None,
) -> JudgedWords:
    """Compare recognised words with the reference words and their times.

    The truth of a start is where the speech of a clip's part begins, of its first word; of an end likewise. An
    edge that `speech_extent` does not know is not compared.

    Args:
        recognizer: that recognised them.
        corpus: holds the clips' audio.
        clips: what was heard.
        examples: the same, as frames.
        texts: what was recognised in each.
        calibration: of times, which are then not held against the audio's level; None: as `Recognizer.timed_words`.
        measures: of confidence; the calibration's when None.
        second_pass: see `Recognizer.timed_words`.
    """
    from tqdm import tqdm

    measures = measures or [(calibration or recognizer.calibration).confidence]
    judged = JudgedWords()
    utterances = tqdm(zip(clips, examples, texts), total=len(clips), desc="aligning", disable=None, leave=False)
    for clip, example, text in utterances:
        samples = corpus.assemble(clip)
        aligned = recognizer.aligned_words(example.frames, text, samples=samples, second_pass=second_pass)
        words = _timed(recognizer, aligned, samples, calibration)
        spelled = _spelling(recognizer)
        parts = [spelled(part.text) for part in clip.parts]
        heard = [spelled(word.text) for word in words]
        matches = matched_words([word for part in parts for word in part], [word for row in heard for word in row])
        owner = [index for index, row in enumerate(heard) for _ in row]  # the word that each spelled one is of
        found = set(matches.values())
        for index, (word, row) in enumerate(zip(aligned, heard)):
            if row:  # punctuation alone is neither right nor wrong
                own = [place for place, of in enumerate(owner) if of == index]
                judged.right.append(all(place in found for place in own))
                judged.confidences.append(
                    confidences(word.log_probabilities, word.tokens, measures)
                    if word.spelled
                    else [0.0] * len(measures)
                )
        first = 0
        for part, (start, end) in zip(parts, part_extents(corpus, clip)):
            last = first + len(part) - 1
            if start is not None and first in matches:
                judged.start_errors.append(words[owner[matches[first]]].start_seconds - start)
            if end is not None and last in matches:
                judged.end_errors.append(words[owner[matches[last]]].end_seconds - end)
            first = last + 1
    return judged


def _timed(
    recognizer: Recognizer,
    aligned: Sequence[AlignedWord],
    samples: np.ndarray,
    calibration: Calibration | None,
) -> list[Word]:
    """Words as `Recognizer.timed_words` tells them; by another calibration their times are those of the steps."""
    rate = recognizer.config.features.sample_rate
    if calibration:
        return timed(aligned, calibration, len(samples) / rate)
    return fitted_words(timed(aligned, recognizer.calibration, len(samples) / rate), samples, rate)


def _spelling(recognizer: Recognizer):
    """A function text -> its words as they are compared."""
    return lambda text: (normalized(text) if recognizer.normalize else text.upper()).split()


@dataclass(frozen=True)
class TriedMeasure:
    """A measure of confidence at its best temperature, and its results."""

    measure: ConfidenceMeasure
    cross_entropy: float  # mean -log of what it gave to what was the case: low where it is sure and right
    auroc: float | None
    ece: float


def every_measure() -> list[ConfidenceMeasure]:
    """Each measure over each aggregation at each temperature that `calibrate` tries."""
    return [
        ConfidenceMeasure(measure, over, temperature)
        for measure in MEASURES
        for over in AGGREGATIONS
        for temperature in TEMPERATURES
    ]


def try_measures(judged: JudgedWords, measures: Sequence[ConfidenceMeasure]) -> list[TriedMeasure]:
    """Each kind of measure at the temperature of the lowest cross entropy, the best kind first.

    InputError where there are too few right or wrong words to tell.
    """
    wrong = len(judged.right) - sum(judged.right)
    if min(wrong, sum(judged.right)) < LEAST_WRONG:
        raise InputError(
            f"expected speech in which {LEAST_WRONG} words or more are right and as many wrong, got "
            f"{sum(judged.right)} right and {wrong} wrong; give more"
        )
    right = np.asarray(judged.right)
    kinds: dict[tuple[str, str], TriedMeasure] = {}
    for index, measure in enumerate(measures):
        scores = np.clip([row[index] for row in judged.confidences], 1e-3, 1 - 1e-3)
        cross_entropy = float(-np.mean(np.log(np.where(right, scores, 1 - scores))))
        confidences = [row[index] for row in judged.confidences]
        ece = expected_calibration_error(confidences, judged.right)
        tried = TriedMeasure(measure, cross_entropy, roc_area(confidences, judged.right), ece)
        kind = (measure.measure, measure.over)
        if kind not in kinds or cross_entropy < kinds[kind].cross_entropy:
            kinds[kind] = tried
    return sorted(kinds.values(), key=lambda tried: tried.cross_entropy)


def calibrated(judged: JudgedWords, tried: Iterable[TriedMeasure]) -> Calibration:
    """The calibration that suits words which were judged without one: the best measure, and the median delays."""
    best = next(iter(tried)).measure
    starts, ends = (
        round(float(np.median(errors)), 3) if errors else 0.0 for errors in (judged.start_errors, judged.end_errors)
    )
    return Calibration(best.measure, best.over, round(best.temperature, 3), starts, ends)
