"""What a CTC first pass says of the decoder's hypotheses."""

from collections.abc import Iterable, Sequence

import numpy as np

from tflite_asr.errors import InputError
from tflite_asr.runtime.ctc_prefix import CTCPrefixes
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
        self._prefixes = CTCPrefixes(log_probabilities)
        self._tokenizer = tokenizer
        self._subwords = subwords

    def begun(self, tokens: Sequence[int]) -> float:
        """log P(the utterance begins with these subwords), in nats."""
        labels = self._labels(tokens)
        return UNLIKELY if labels is None else max(UNLIKELY, self._prefixes.prefix(labels))

    def whole(self, tokens: Sequence[int]) -> float:
        """log P(these subwords | utterance), in nats; that nothing is said counts as what cannot be spelled."""
        labels = self._labels(tokens)
        return max(UNLIKELY, self._prefixes.whole(labels)) if labels else UNLIKELY

    def keep(self, sequences: Iterable[Sequence[int]]) -> None:
        """Drop what was computed of other subword sequences than these and their continuations."""
        self._prefixes.keep(labels for labels in map(self._labels, sequences) if labels is not None)

    def _labels(self, tokens: Sequence[int]) -> tuple[int, ...] | None:
        """The labels that spell subwords; none of nothing but punctuation, None of what they do not have."""
        text = self._subwords.decode(tokens)
        if not any(map(str.isalnum, text)):
            return ()
        try:
            return tuple(self._tokenizer.encode(text).tolist())
        except InputError:
            return None
