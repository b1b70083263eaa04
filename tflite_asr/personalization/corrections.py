"""Corrections in a manifest: rows with the intended text (`text`) and, if known, the recognised one (`heard`)."""

from collections.abc import Sequence
from dataclasses import dataclass

from tflite_asr.data.corpus import Corpus
from tflite_asr.data.manifest import Utterance
from tflite_asr.errors import InputError
from tflite_asr.runtime.recognizer import Recognizer


@dataclass(frozen=True)
class Corrections:
    """Corrections that a recogniser can learn from."""

    utterances: tuple[Utterance, ...] = ()  # with what was meant
    phrases: tuple[str, ...] = ()  # the names in them, which the recogniser is to expect
    refused: tuple[str, ...] = ()  # a line about each row that cannot be learned from

    def to_json(self) -> dict:
        """For result.json."""
        return {"utterances": len(self.utterances), "phrases": list(self.phrases), "refused": list(self.refused)}


def check_corrections(recognizer: Recognizer, corpus: Corpus, utterances: Sequence[Utterance]) -> Corrections:
    """The corrections of a manifest that can be learned from; the recogniser is not changed.

    Args:
        recognizer: hears the rows without `heard`.
        corpus: holds the utterances' audio.
        utterances: the rows; those that cannot be learned from are left out.
    """
    taken, refused, before = [], [], recognizer.learned_phrases
    # all of them before any teaches a name, which would be heard right in the next row
    all_heard = [u.extra.get("heard") for u in utterances]
    all_heard = [
        recognizer.transcribe(corpus.samples(u)) if heard is None else heard for u, heard in zip(utterances, all_heard)
    ]
    try:
        for utterance, heard in zip(utterances, all_heard):
            try:
                if not isinstance(heard, str):
                    raise InputError(f"{utterance.where}: expected a text as 'heard', got {heard!r}")
                recognizer.correct(corpus.samples(utterance), utterance.text, heard=heard, where=utterance.where)
                taken.append(utterance)
            except InputError as error:
                refused.append(str(error))
        phrases = tuple(phrase for phrase in recognizer.learned_phrases if phrase not in before)
    finally:
        recognizer.learned_phrases = before
    return Corrections(tuple(taken), phrases, tuple(refused))
