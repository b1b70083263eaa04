"""Normalisation of English texts for comparison: one spelling for `21st` and `twenty-first`."""

import functools
import re
import unicodedata
from collections.abc import Callable
from typing import Any

NUMBER = "[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+"
MOST_DIGITS = 12  # of a number; a longer one is read digit by digit
MONEY = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "\u20ac": ("euro", "euros", "cent", "cents"),
    "\u00a3": ("pound", "pounds", "penny", "pence"),
}
SHORTENED = {"mr": "mister", "mrs": "missus", "dr": "doctor", "etc": "et cetera"}
SCALE = "hundred|thousand|million|billion|trillion"
BELOW_HUNDRED = (
    "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|(?:thir|four|fif|six|seven|eigh|nine)teen|"
    "(?:twen|thir|for|fif|six|seven|eigh|nine)ty|first|second|third|"
    "(?:four|fif|six|seven|eigh|nin|ten|eleven|twelf|(?:thir|four|fif|six|seven|eigh|nine)teen|"
    "(?:twen|thir|for|fif|six|seven|eigh|nine)tie)th"
)


def normalized(text: str) -> str:
    """A text in lower case and without punctuation but apostrophes in words, white space folded, numbers in words.

    Hyphens become spaces. `1,200`, `21st`, `3.5`, `5%`, `-5` and `$5.50` are spelled as they are said, without "and"
    behind hundreds; `Mr.`, `Mrs.`, `Dr.` and `etc.` are written out; whole numbers from 1100 to 1999 and from 2010 to
    2099 as years, those with a leading zero digit by digit.
    """
    for step in _steps():
        text = step(text)
    return text


@functools.cache
def _steps() -> list[Callable[[str], Any]]:
    """The steps of `normalized`, each from text to text."""
    import jiwer

    return [
        functools.partial(unicodedata.normalize, "NFC"),
        jiwer.ToLowerCase(),
        jiwer.SubstituteRegexes({"[\u2018\u2019\u02bc]": "'", r"(?<!\S)[-\u2212](?=[0-9])": "minus "}),
        _with_numbers_spelled,
        jiwer.SubstituteRegexes({rf"\b{short}\b": word for short, word in SHORTENED.items()}),
        jiwer.SubstituteRegexes({r"\bper cent\b|%": " percent ", "&": " and ", r"(?<!\.)\.(?!\.)": ""}),
        _without_punctuation,
        jiwer.RemoveMultipleSpaces(),
        jiwer.SubstituteRegexes({rf"\b({SCALE}) and (?=(?:{BELOW_HUNDRED})\b)": r"\1 "}),
        jiwer.Strip(),
    ]


def _with_numbers_spelled(text: str) -> str:
    text = re.sub(rf"([{''.join(MONEY)}]) ?({NUMBER})(?:\.([0-9]+))?(?: ({SCALE})\b)?", _money, text)
    text = re.sub(rf"({NUMBER})(?:st|nd|rd|th)\b", lambda found: f" {_words(found[1], 'ordinal')} ", text)
    text = re.sub(rf"({NUMBER})?\.([0-9]+)", lambda found: f" {_decimal(found[1] or '', found[2])} ", text)
    return re.sub(NUMBER, lambda found: f" {_words(found[0], 'year')} ", text)


def _without_punctuation(text: str) -> str:
    """Letters, marks, digits and the apostrophes between them; spaces for all else."""
    kept = "".join(c if c == "'" or unicodedata.category(c)[0] in "LMN" else " " for c in text)
    return re.sub(r"(?<!\S)'+|'+(?!\S)", "", kept)


def _money(found: re.Match) -> str:
    sign, whole, fraction, scale = found.groups()
    one, many, small_one, small_many = MONEY[sign]
    if scale or (fraction and len(fraction) != 2):
        amount = _decimal(whole, fraction) if fraction else _words(whole)
        return f" {amount} {scale or ''} {many} "
    large, small = int(whole.replace(",", "")), int(fraction or 0)
    parts = [f"{_words(whole)} {one if large == 1 else many}"] if large or not small else []
    parts += [f"{_words(str(small))} {small_one if small == 1 else small_many}"] if small else []
    return f" {' and '.join(parts)} "


def _decimal(whole: str, fraction: str) -> str:
    return f"{_words(whole) if whole else ''} point {' '.join(map(_words, fraction))}"


def _words(number: str, kind: str = "cardinal") -> str:
    """A whole number, its thousands set off by commas or not, as it is said."""
    from num2words import num2words

    digits = number.replace(",", "")
    if len(digits) > MOST_DIGITS or (digits[0] == "0" and len(digits) > 1):
        return " ".join(map(num2words, map(int, digits)))
    value = int(digits)
    if kind == "year" and ("," in number or not (1100 <= value <= 1999 or 2010 <= value <= 2099)):
        kind = "cardinal"
    return num2words(value, to=kind)
