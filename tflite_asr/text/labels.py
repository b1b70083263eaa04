"""The labels that a model learns to write on the device: those of its first pass, or of a second pass that trains."""

import numpy as np

from tflite_asr.config import ModelConfig, required
from tflite_asr.text.casing import in_one_case, with_case_of
from tflite_asr.text.subwords import SubwordTokenizer
from tflite_asr.text.tokenizer import Tokenizer, first_pass_tokenizer


class SentenceTokenizer(SubwordTokenizer):
    """Subwords of cased text: a transcript in capitals or in lower case alone is encoded as a sentence."""

    def encode(self, text: str, *, where: str = "") -> np.ndarray:
        """Token ids of a text, [tokens] int32; see `SubwordTokenizer.encode`."""
        return super().encode(with_case_of(text, "") if in_one_case(text) else text, where=where)


def label_tokenizer(config: ModelConfig) -> Tokenizer:
    """The tokenizer of the pass that trains on the device."""
    if not config.trains_second_pass:
        return first_pass_tokenizer(config)
    subwords = required(required(config.decoder, "decoder").subwords, "decoder with subwords")
    return SentenceTokenizer(subwords.pieces, subwords.scores)
