"""How much the second pass should count: what is tried on development speech."""

from collections.abc import Sequence
from dataclasses import dataclass

from tflite_asr.metrics import ErrorRates, error_rates
from tflite_asr.runtime.batch import Example
from tflite_asr.runtime.recognizer import Recognizer
from tflite_asr.runtime.second_pass import Rescoring

WEIGHTS = tuple(step / 20 for step in range(21))


@dataclass(frozen=True)
class Tried:
    """A way to make one score of both passes', and what it comes to."""

    rescoring: Rescoring
    rates: ErrorRates


def try_rescorings(recognizer: Recognizer, examples: Sequence[Example], nbest: int | None = None) -> list[Tried]:
    """Every weight from 0 to 1, with and without dividing scores by the length, on the n-best that the first pass finds; the
    first is the first pass alone."""
    from tqdm import tqdm

    shown = tqdm(examples, desc="recognising", unit="utterance", disable=None, leave=False)
    found = [recognizer.candidates(example.frames) for example in shown]
    references = [example.text for example in examples]

    def tried(rescoring: Rescoring) -> Tried:
        texts = [recognizer.tokenizer.decode(rescoring.best(candidates).tokens) for candidates in found]
        return Tried(rescoring, error_rates(references, texts))

    return [tried(Rescoring(weight, per_label, nbest)) for weight in WEIGHTS for per_label in (False, True)]


def best_of(tried: Sequence[Tried]) -> Tried:
    """The lowest word error rate, then the lowest character error rate, then the weight nearest to 0."""
    return min(tried, key=lambda one: (one.rates.wer, one.rates.cer, one.rescoring.weight, one.rescoring.per_label))
