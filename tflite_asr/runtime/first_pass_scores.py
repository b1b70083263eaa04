"""Scores of a decoder's hypotheses by a CTC first pass."""

from collections.abc import Iterable, Sequence

import numpy as np

from tflite_asr.errors import InputError
from tflite_asr.runtime.ctc_prefix import CTCPrefixScores
from tflite_asr.text.normalization import normalized
from tflite_asr.text.subwords import SubwordTokenizer
from tflite_asr.text.tokenizer import Tokenizer

UNLIKELY = -1e4  # nats: the log probability of a text that a pass cannot spell


class FirstPassScores:
    """Log probabilities of subword sequences by the labels that spell them: of letters, if the first pass has letters,
    without case and punctuation.

    Args:
        log_probabilities: of the first pass, [steps, vocabulary], label 0 being blank.
        tokenizer: of the first pass.
        subwords: of the decoder.
    """

    def __init__(self, log_probabilities: np.ndarray, tokenizer: Tokenizer, subwords: SubwordTokenizer):
        self._scores = CTCPrefixScores(log_probabilities)
        self._tokenizer = tokenizer
        self._subwords = subwords

    def prefix(self, tokens: Sequence[int]) -> float:
        """log P(the utterance begins with these subwords), in nats."""
        labels = self._labels(tokens)
        return UNLIKELY if labels is None else max(UNLIKELY, self._scores.prefix(labels))

    def whole(self, tokens: Sequence[int]) -> float:
        """log P(these subwords | utterance), in nats; `UNLIKELY` if they have no letters."""
        labels = self._labels(tokens)
        return max(UNLIKELY, self._scores.whole(labels)) if labels else UNLIKELY

    def keep(self, sequences: Iterable[Sequence[int]]) -> None:
        """Keep the scores that continuations of these subword sequences need, and drop the others."""
        self._scores.keep(labels for labels in map(self._labels, sequences) if labels is not None)

    def _labels(self, tokens: Sequence[int]) -> tuple[int, ...] | None:
        """The labels that spell subwords: none for punctuation alone; None if a character has no label."""
        text = self._subwords.decode(tokens)
        try:
            return tuple(self._tokenizer.encode(text).tolist())
        except InputError:
            return None if normalized(text) else ()
