import numpy as np
import pytest

from tflite_asr.data.espeak import Espeak
from tflite_asr.data.foreign import LANGUAGES, accent_of, accented


@pytest.mark.parametrize(
    "phonemes, language, expected",
    [
        ("Tr'i:", "de", "sr'i:"),
        ("Tr'i:", "it", "tr'i:"),
        ("f'aIv s'Ev@n", "ru", "f'ajf s'Ev@n"),  # the last consonant loses its voice, one within does not
        ("f'aIv", "fr", "f'ajv"),
        ("h'aUs", "fr", "'aws"),
        ("b'3:d", "nl", "b'ert"),
        ("z'i@roU", "es", "s'iro"),  # one r
        ("v'IZu:@L", "pl", "v'iZu:ol"),
        ("s'Iks", "sv", "s'iks"),
    ],
)
def test_replacements(phonemes, language, expected):
    assert accented(phonemes, language) == expected


def test_longest_phoneme_names_are_read_first():
    assert accented("tS'A@dZ", "fr") == "tS'ardZ"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_accent_says_every_sound(language):
    pytest.importorskip("espeakng_loader")
    espeak = Espeak()
    assert accent_of(language) in espeak.accents()
    native, rate = espeak.speak("right")
    foreign, _ = espeak.speak("right", voice=accent_of(language))
    assert 0.5 < len(foreign) / len(native) < 2 and not np.array_equal(native, foreign)
    # a phoneme that a voice lacks would be left out: words with each doubtful sound last longer than their frame
    for word in ("bird", "learn", "six", "up", "off", "marvin", "visual", "down", "eight", "oh"):
        assert len(espeak.speak(word, voice=accent_of(language))[0]) > 0.35 * len(espeak.speak(word)[0]), word


def test_several_clauses_are_all_said():
    pytest.importorskip("espeakng_loader")
    espeak = Espeak()
    one, two = (len(espeak.speak(text, voice="en-x-fr")[0]) for text in ("no", "no. yes, go"))
    assert two > 2 * one
