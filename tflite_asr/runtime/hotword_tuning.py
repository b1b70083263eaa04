"""Tunes the weight of hotwords on development speech."""

from collections.abc import Sequence
from dataclasses import dataclass

from tflite_asr.metrics import ErrorRates, SplitRates, split_error_rates
from tflite_asr.runtime.batch import Example
from tflite_asr.runtime.evaluation import evaluate
from tflite_asr.runtime.recognizer import Recognizer
from tflite_asr.runtime.second_pass import Rescoring
from tflite_asr.text.phrases import Phrase

WEIGHTS = tuple(step / 4 for step in range(13))  # nats a letter


@dataclass(frozen=True)
class TriedWeight:
    """A weight of hotwords and its error rates: over all words, over listed words, and over other words."""

    weight: float
    rates: ErrorRates
    split: SplitRates

    def to_json(self) -> dict:
        """The weight and its rates, for JSON."""
        return {
            "weight": self.weight,
            "wer": self.rates.wer,
            "hotword_wer": self.split.listed_wer,
            "other_wer": self.split.other_wer,
        }


def try_weights(
    recognizer: Recognizer,
    examples: Sequence[Example],
    phrases: Sequence[Phrase],
    rescoring: Rescoring | None = None,
    weights: Sequence[float] = WEIGHTS,
) -> list[TriedWeight]:
    """Each weight in turn, by beam search; with rescoring by both passes."""
    tried = []
    for weight in weights:
        hotwords, title = recognizer.hotwords(phrases, weight), f"weight {weight:g}"
        heard = evaluate(recognizer, examples, beam=True, rescoring=rescoring, hotwords=hotwords, title=title)
        texts = [phrase.text for phrase in phrases]
        split = split_error_rates(heard.references, heard.hypotheses, texts, normalize=recognizer.normalize)
        tried.append(TriedWeight(weight, heard.rates, split))
    return tried


def best_weight(tried: Sequence[TriedWeight]) -> TriedWeight:
    """The lowest mean of the word error rate with those of the weights on both sides, then the weight nearest to 0.

    Just above the weight that is best for a list the decoder may begin to write its phrases where nobody says them; for
    another list that weight may be lower.

    Args:
        tried: in the order of their weights.
    """

    def with_neighbours(index: int) -> float:
        around = (max(0, index - 1), index, min(len(tried) - 1, index + 1))
        return sum(tried[place].rates.wer for place in around) / len(around)

    return tried[min(range(len(tried)), key=lambda index: (with_neighbours(index), tried[index].weight))]
