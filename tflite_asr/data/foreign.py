"""English as spoken by people with another first language: English phonemes replaced by the nearest of theirs.

eSpeak says the phonemes with the voice of the first language, so rhythm, r, l and the vowels are that language's.
The replacements are those that teachers of English list first (Swan and Smith 2001, Learner English): no lax vowels,
no dental fricatives, voiceless final consonants where the language has no others.
"""

import re

# eSpeak's names of English phonemes -> what every voice below has a sound for; longest names first
_SHARED = {
    "aI": "aj", "aU": "aw", "eI": "ej", "oU": "o", "OI": "oj",
    "A@": "ar", "O@": "or", "o@": "or", "e@": "er", "i@": "ir", "U@": "ur", "@L": "ol",
    "3:": "er", "A:": "a:", "O:": "o", "O2": "o", "t2": "t", "I2": "i", "a#": "a", "I#": "i",
    "3": "er", "0": "o", "V": "a", "I": "i", "U": "u", "L": "l",
}  # fmt: skip
_NAMES = re.compile("|".join(map(re.escape, sorted([*_SHARED, "tS", "dZ", "i:", "u:"], key=len, reverse=True))) + "|.")
_DEVOICED = {"b": "p", "d": "t", "g": "k", "v": "f", "z": "s", "Z": "S"}

# first language -> what its speakers make of these, and whether a word's last consonant loses its voice
LANGUAGES: dict[str, tuple[dict[str, str], bool]] = {
    "de": ({"T": "s", "D": "z", "w": "v"}, True),
    "fr": ({"T": "s", "D": "z", "h": ""}, False),
    "es": ({"D": "d", "z": "s", "v": "b", "h": "x"}, False),
    "it": ({"T": "t", "D": "d", "h": ""}, False),
    "nl": ({"T": "t", "D": "d"}, True),
    "pt": ({"T": "t", "D": "d"}, False),
    "hi": ({"T": "t", "D": "d", "w": "v"}, False),
    "ru": ({"T": "s", "D": "z", "w": "v", "h": "x"}, True),
    "pl": ({"T": "f", "D": "d", "h": "x"}, True),
    "cmn": ({"T": "s", "D": "d", "v": "w", "z": "s"}, True),
    "sv": ({"T": "t", "D": "d", "z": "s", "w": "v"}, False),
    "tr": ({"T": "t", "D": "d", "w": "v"}, True),
}


def accent_of(language: str) -> str:
    """The accent's name, a private BCP 47 tag: `en-x-fr`."""
    return f"en-x-{language}"


def accented(phonemes: str, language: str) -> str:
    """English phonemes in eSpeak's notation -> those that a speaker of `language` says; words stay apart."""
    replacements, devoices = LANGUAGES[language]
    words = []
    for word in phonemes.split():
        names: list[str] = _NAMES.findall(word)
        sounds = [replacements.get(name, _SHARED.get(name, name)) for name in names]
        if devoices and sounds and sounds[-1] in _DEVOICED:
            sounds[-1] = _DEVOICED[sounds[-1]]
        words.append("".join(sounds).replace("rr", "r"))
    return " ".join(words)
