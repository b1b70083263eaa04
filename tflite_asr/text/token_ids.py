"""Token ids as the tokenizers take them."""

from collections.abc import Iterable

from tflite_asr.errors import InputError


def checked_ids(ids: Iterable[int], vocabulary_size: int, units: str) -> list[int]:
    """Token ids ([tokens] integers) as a list; InputError if one is not in the vocabulary, whose tokens are `units`."""
    ids = [int(token) for token in ids]
    outside = sorted({token for token in ids if not 0 <= token < vocabulary_size})
    if outside:
        raise InputError(
            f"tokenizer: expected ids from 0 to {vocabulary_size - 1}, got {', '.join(map(str, outside))}; "
            f"the ids come from a model with other {units}"
        )
    return ids
