"""A subword vocabulary of the training texts."""

import io
import re
from collections.abc import Iterable

from tflite_asr.config import SubwordConfig
from tflite_asr.errors import InputError


def train_subwords(texts: Iterable[str], size: int) -> SubwordConfig:
    """Byte-pair encoding of texts by sentencepiece, the same for the same texts; case and punctuation are kept.

    Args:
        texts: their runs of white space are folded to one space.
        size: pieces, of which 3 are special and 256 are bytes.
    """
    try:
        import sentencepiece
    except ImportError:
        raise InputError("--subwords: expected sentencepiece; install the extra `train`") from None
    lines = [" ".join(text.split()) for text in texts]
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines),
            model_writer=model,
            model_type="bpe",
            vocab_size=size,
            byte_fallback=True,
            character_coverage=1.0,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            max_sentence_length=1 << 20,  # bytes; longer texts would be left out
            num_threads=1,
            minloglevel=2,
        )
    except (RuntimeError, OSError) as error:
        raise InputError(f"--subwords {size}: {_reason(str(error), len(lines))}") from None
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    return SubwordConfig(tuple(processor.id_to_piece(index) for index in range(processor.get_piece_size())))


def _reason(said: str, texts: int) -> str:
    """sentencepiece's message in terms of the option."""
    if least := re.search(r"required_chars\. \d+ vs (\d+)", said):
        return f"expected at least {least[1]}, special pieces, bytes and every character of the {texts} training texts"
    if most := re.search(r"value <= (\d+)", said):
        return f"expected at most {most[1]}, the {texts} training texts have no more pieces; give fewer or more texts"
    return f"sentencepiece makes no vocabulary of the {texts} training texts: {' '.join(said.split())}"
