"""A small subword vocabulary, texts with their ids, ids with their texts, and texts as error rates compare them."""

import numpy as np

from tflite_asr.text.normalization import normalized
from tflite_asr.text.subwords import BYTES, SPACE, SPECIAL, SubwordTokenizer

LINES = 200
WORDS = (
    "the quick brown fox jumps over a lazy dog; please turn on kitchen lights. What's the weather in New York? Call "
    "Ann, "
    "then set an alarm for seven thirty! I'd like two coffees and one tea - well-known caf\u00e9s, na\u00efve "
    "fa\u00e7ade \u00fcber"
).split()
ODD = [*"\u6f22\u5b57\U0001f642e\u0301\t\u00a0\u2581<>\x00\U0010ffff", "<s>", "<unk>", "<0x41>", "  ", "    "]
SPOKEN = [
    *("21 101st 1,012th 1st 2nd 3rd 12th 20th 30th 45th 100th 121st 1,000th 1000000th 5 0 007 1100 1905 1910 1995 2000 2009 2010 2021 2100".split()),
    *("1,995 101 110 1,001 12,345 999,999 1,000,000 123456789012 1234567890123 3.14 .5 0.05 1,234.5 -5 3-4 B2B 10:30 5pm 5%".split()),
    *("$5 $1 $5.50 $0.01 $0.50 $0 $3.125 \u20ac1,200 \u00a31.01 U.S. a.m. AT&T well-known it\u2019s 'no' dogs' wait...what? \u2014 \u201cHi\u201d".split()),
    *("per cent;$2.5 million;$3 thousand;One hundred and one;the two hundred and twentieth;a hundred and more;two thousand and nine;Cafe\u0301 \u00c9T\u00c9;snake_case;"
      "\u0939\u093f\u0928\u094d\u0926\u0940 \u65e5\u672c;\u0660\u0661;\u00bd \u00b2;\U0001f642 ok;\u0130stanbul;STRASSE \u00df;a  b\tc;tea-time".split(";")),
    *("Mr.;Mrs. Jones;Dr. No;tea, etc.;Mr Smith and Mrs. Smith;MRS.;etc. etc.;the mr's dr".split(";")),
    *("drs. mrx etcetera;x.mr.y".split(";")),
]  # fmt: skip


def subwords() -> dict:
    """Both orders of merging, the ids of each line in the first one's, and what random ids say."""
    random = np.random.default_rng(11)
    pieces = (*SPECIAL, *BYTES, *vocabulary())
    # scores in another order than the ids, some of them equal
    scores = tuple(np.round(random.normal(0, 2, len(pieces)), 1).tolist())
    by_order, by_score = SubwordTokenizer(pieces), SubwordTokenizer(pieces, scores, offset=1)
    ids = [random.integers(0, by_order.vocabulary_size, 12).tolist() for _ in range(60)]
    ids += [[*random.integers(3, 259, 6).tolist(), *random.integers(259, len(pieces), 2).tolist()] for _ in range(60)]
    texts = lines(random)
    numbers = [str(value) for value in random.integers(0, 10 ** random.integers(1, 13, 100))]
    spoken = [*SPOKEN, *(f"The {item}, again." for item in SPOKEN), *numbers, *(f"{number}th" for number in numbers)]
    return {
        "tokenizer": by_order.to_json(),
        "scored": by_score.to_json(),
        "lines": [
            {"text": text, "ids": by_order.encode(text).tolist(), "scored_ids": by_score.encode(text).tolist()}
            for text in texts
        ],
        "decoded": [{"ids": row, "text": by_order.decode(row)} for row in ids],
        "normalized": [{"text": text, "as": normalized(text)} for text in spoken],
    }


def vocabulary() -> list[str]:
    """Characters, the beginnings of words behind a space and inside, and runs of spaces."""
    beginnings = [f"{SPACE}{word[:end]}" for word in WORDS for end in range(1, len(word) + 1)]
    endings = [word[start:] for word in WORDS for start in range(len(word) - 1)]
    kept = [character for character in sorted({*"".join(WORDS)}) if character != "z"]
    return list(
        dict.fromkeys(
            [*endings[::3], *beginnings[::2], "th", "he", "in", "an", "er", SPACE * 2, SPACE * 4, SPACE, *kept]
        )
    )


def lines(random: np.random.Generator) -> list[str]:
    """Words, some in capitals, some with characters that are no pieces and runs of spaces between."""
    texts = []
    for index in range(LINES):
        text = " ".join(random.choice(WORDS, random.integers(1, 9)))
        text = (text, text.upper(), text.lower(), text)[index % 4]
        characters = list(text)
        for _ in range(random.integers(1, 5) if index % 4 == 3 else 0):
            characters.insert(random.integers(0, len(characters) + 1), ODD[random.integers(len(ODD))])
        texts.append("".join(characters))
    return texts
