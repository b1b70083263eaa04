"""Tunes the weight of the second pass on development speech."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tflite_asr.metrics import ErrorRates, error_rates
from tflite_asr.runtime.batch import Example
from tflite_asr.runtime.recognizer import Recognizer
from tflite_asr.runtime.second_pass import Rescoring

WEIGHTS = tuple(step / 20 for step in range(21))
# for a decoder, which searches anew with each
SEARCH_WEIGHTS = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 1.0)


@dataclass(frozen=True)
class Tried:
    """A way to combine the scores of both passes, and its error rate."""

    rescoring: Rescoring
    rates: ErrorRates


def try_rescorings(
    recognizer: Recognizer, examples: Sequence[Example], nbest: int | None = None, per_label: bool = False
) -> list[Tried]:
    """The first pass alone, then weights of the second pass's scores up to 1.

    An n-best of the first pass is rescored by every weight, with scores divided by the length if `per_label`. A second
    pass that decodes searches with each weight, and alone also with its scores divided by the length.
    """
    from tqdm import tqdm

    references = [example.text for example in examples]

    def tried(rescoring: Rescoring, texts: list[str]) -> Tried:
        return Tried(rescoring, error_rates(references, texts, normalize=recognizer.normalize))

    def shown(what: str) -> Iterable[Example]:
        return tqdm(examples, desc=what, unit="utterance", disable=None, leave=False)

    if recognizer.config.decoder:
        first = [recognizer.transcribe_frames(example.frames, beam=True) for example in shown("first pass")]
        found = [tried(Rescoring(0.0), first)]
        for rescoring in (*map(Rescoring, SEARCH_WEIGHTS), Rescoring(1.0, per_label=True)):
            examples_shown = shown(f"weight {rescoring.weight:.2f}")
            texts = [recognizer.transcribe_two_pass(example.frames, rescoring) for example in examples_shown]
            found.append(tried(rescoring, texts))
        return found
    candidates = [recognizer.candidates(example.frames) for example in shown("recognising")]
    rescorings = [Rescoring(0.0, False, nbest), *(Rescoring(weight, per_label, nbest) for weight in WEIGHTS[1:])]
    return [tried(one, [recognizer.text_of(each, one) for each in candidates]) for one in rescorings]


def best_of(tried: Sequence[Tried]) -> Tried:
    """The lowest word error rate, then the lowest character error rate, then the weight nearest to 0."""
    return min(tried, key=lambda one: (one.rates.wer, one.rates.cer, one.rescoring.weight))
