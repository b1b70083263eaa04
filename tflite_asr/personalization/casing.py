"""Case of transcripts for a second pass that trains."""

import dataclasses
from collections.abc import Sequence

from tflite_asr.data.corpus import Corpus
from tflite_asr.data.manifest import Utterance
from tflite_asr.runtime.recognizer import Recognizer
from tflite_asr.text.casing import in_one_case


def with_heard_case(recognizer: Recognizer, corpus: Corpus, utterances: Sequence[Utterance]) -> Sequence[Utterance]:
    """The utterances; transcripts without case get it from the recogniser's output, once for all epochs. If the first
    pass trains, they stay as they are.

    Args:
        recognizer: hears them.
        corpus: holds the utterances' audio.
        utterances: some of the corpus.
    """
    if not recognizer.config.trains_second_pass:
        return utterances
    return [
        dataclasses.replace(u, text=recognizer.cased(u.text, recognizer.features(corpus.samples(u))))
        if in_one_case(u.text)
        else u
        for u in utterances
    ]
