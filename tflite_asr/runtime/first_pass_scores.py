"""What a CTC first pass says of the decoder's hypotheses."""

from collections.abc import Callable, Sequence

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
        text = self._subwords.decode(tokens)
        if not any(map(str.isalnum, text)):  # nothing but punctuation so far
            return 0.0
        return self._score(self._prefixes.prefix, text)

    def whole(self, tokens: Sequence[int]) -> float:
        """log P(these subwords | utterance), in nats; that nothing is said counts as what cannot be spelled."""
        return self._score(self._prefixes.whole, self._subwords.decode(tokens))

    def _score(self, of: Callable[[tuple[int, ...]], float], text: str) -> float:
        try:
            return max(UNLIKELY, of(tuple(self._tokenizer.encode(text).tolist())))
        except InputError:  # nothing, or characters that the first pass does not have
            return UNLIKELY
