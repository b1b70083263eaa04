"""The recognition of the test utterances before and after a personalisation."""

from collections.abc import Sequence
from dataclasses import dataclass

from tflite_asr.metrics import relative_reduction
from tflite_asr.runtime.batch import Example
from tflite_asr.runtime.evaluation import Evaluation, evaluate_transcripts
from tflite_asr.runtime.exits import ExitPolicy
from tflite_asr.runtime.recognizer import Recognizer


@dataclass(frozen=True)
class Measurement:
    """The measurement of one set of weights."""

    heard: Evaluation
    words: list[list[dict]]  # of each utterance, as the report shows them: text, times and confidence


def measure(
    recognizer: Recognizer, examples: Sequence[Example], title: str, policy: ExitPolicy | None = None
) -> Measurement:
    """Recognise the examples.

    Args:
        recognizer: with the weights to measure.
        examples: the test utterances.
        title: of the progress bar.
        policy: where the encoder is left; None: at its end.
    """
    heard = evaluate_transcripts(recognizer, examples, policy=policy, title=title)
    return Measurement(heard, [_words(recognizer, *row) for row in zip(examples, heard.hypotheses)])


def rates(before: Measurement, after: Measurement) -> dict:
    """Error rates, for result.json."""
    old, new = before.heard.rates, after.heard.rates
    return {
        "wer_before": old.wer,
        "wer_after": new.wer,
        "cer_before": old.cer,
        "cer_after": new.cer,
        "relative_wer_reduction": relative_reduction(old.wer, new.wer),
        "test_utterances": len(after.heard.references),
        "test_utterances_of_owner": after.heard.owner_utterances,
    }


def pairs(before: Measurement, after: Measurement) -> list[dict]:
    """Each test utterance, for result.json."""
    rows = zip(before.heard.references, before.heard.hypotheses, after.heard.hypotheses, before.words, after.words)
    names = ("reference", "before", "after", "before_words", "after_words")
    return [dict(zip(names, row)) for row in rows]


def _words(recognizer: Recognizer, example: Example, text: str) -> list[dict]:
    """The words of a transcript; times and confidences in thousandths."""
    return [
        {name: value if isinstance(value, str) else round(value, 3) for name, value in vars(word).items()}
        for word in recognizer.timed_words(example.frames, text)
    ]
