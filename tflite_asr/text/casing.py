"""Case and punctuation for a transcript that has none, from what a recogniser wrote for the same speech."""

import re

from tflite_asr.text.normalization import normalized

SENTENCE_END = re.compile("[.!?]?$")
ALWAYS_CAPITAL = re.compile(r"i(?='|$)")  # I, I'm, I'll


def in_one_case(text: str) -> bool:
    """Whether a text is in capitals alone or in lower case alone, and so tells nothing about its case."""
    return text in (text.upper(), text.lower())


def with_case_of(text: str, written: str) -> str:
    """A transcript with the case, the punctuation and the spelling of numbers of `written` where the two have the same
    words.

    Words that differ are those of the transcript, in lower case and without punctuation. The first letter is a capital,
    and the sentence ends as `written` does.

    Args:
        text: what was said, in any case, such as `TURN LEFT MISTER SMITH`.
        written: what a recogniser with cased output heard, such as `Turn left, Mr. Smith.`.
    """
    import jiwer

    reference = normalized(text).split()
    tokens = written.split()
    spelled = [normalized(token).split() for token in tokens]
    token_of = [index for index, words in enumerate(spelled) for _ in words]  # of each word that was heard
    if not reference or not token_of:
        return _capitalized(" ".join(map(_plain, reference)))
    heard = [word for words in spelled for word in words]
    aligned: list[int | None] = [None] * len(reference)  # the heard word at the place of each word of the transcript
    equal = set()
    for chunk in jiwer.process_words(" ".join(reference), " ".join(heard)).alignments[0]:
        for offset in range(chunk.ref_end_idx - chunk.ref_start_idx if chunk.type in ("equal", "substitute") else 0):
            aligned[chunk.ref_start_idx + offset] = chunk.hyp_start_idx + offset
            if chunk.type == "equal":
                equal.add(chunk.hyp_start_idx + offset)
    whole = {
        index for index in set(token_of) if all(word in equal for word, token in enumerate(token_of) if token == index)
    }
    found: list[str] = []
    for position, word in enumerate(reference):
        place = aligned[position]
        token = None if place is None else token_of[place]
        if token not in whole:
            found.append(_plain(word))
        elif place == token_of.index(token):  # once for a token of several words
            found.append(tokens[token])
    end = "" if _sentence_end(found[-1]) else _sentence_end(written)
    return _capitalized(" ".join(found).rstrip(",;:")) + end


def _sentence_end(text: str) -> str:
    """The mark that ends a text, if one does."""
    found = SENTENCE_END.search(text)
    return found[0] if found else ""


def _plain(word: str) -> str:
    return ALWAYS_CAPITAL.sub("I", word) if ALWAYS_CAPITAL.match(word) else word


def _capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]
