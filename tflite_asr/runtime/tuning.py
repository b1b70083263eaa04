"""Tunes the weight of the second pass on development speech."""

from collections.abc import Sequence
from dataclasses import dataclass

from tflite_asr.metrics import ErrorRates, error_rates
from tflite_asr.runtime.batch import Example
from tflite_asr.runtime.recognizer import Recognizer
from tflite_asr.runtime.second_pass import Rescoring

WEIGHTS = tuple(step / 20 for step in range(21))


@dataclass(frozen=True)
class Tried:
    """A way to combine the scores of both passes, and its error rate."""

    rescoring: Rescoring
    rates: ErrorRates


def try_rescorings(
    recognizer: Recognizer, examples: Sequence[Example], nbest: int | None = None, per_label: bool = False
) -> list[Tried]:
    """The first pass's scores alone, then every weight of the second pass's up to 1, on the n-best.

    Scores are divided by the length with `per_label`; for a second pass that decodes, every weight is tried with and
    without.
    """
    from tqdm import tqdm

    shown = tqdm(examples, desc="recognising", unit="utterance", disable=None, leave=False)
    found = [recognizer.candidates(example.frames) for example in shown]
    references = [example.text for example in examples]

    def tried(rescoring: Rescoring) -> Tried:
        texts = [recognizer.text_of(candidates, rescoring) for candidates in found]
        return Tried(rescoring, error_rates(references, texts, normalize=recognizer.normalize))

    ways = (False, True) if recognizer.config.decoder else (per_label,)
    both = [tried(Rescoring(weight, way, nbest)) for way in ways for weight in WEIGHTS[1:]]
    return [tried(Rescoring(WEIGHTS[0], False, nbest)), *both]


def best_of(tried: Sequence[Tried]) -> Tried:
    """The lowest word error rate, then the lowest character error rate, then the weight nearest to 0."""
    return min(tried, key=lambda one: (one.rates.wer, one.rates.cer, one.rescoring.weight))
