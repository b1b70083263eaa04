import subprocess
import sys
import time

import numpy as np
import pytest

from tflite_asr.data.espeak import Espeak, _load
from tflite_asr.errors import InputError

pytest.importorskip("espeakng_loader")


def pitch_hertz(samples, rate):
    """Of the strongest autocorrelation between 60 and 400 Hz, in the middle of the samples."""
    middle = samples[len(samples) // 2 - rate // 20 : len(samples) // 2 + rate // 20]
    correlation = np.correlate(middle, middle, "full")[len(middle) - 1 :]
    lags = np.arange(rate // 400, rate // 60)
    return rate / lags[np.argmax(correlation[lags])]


def test_speech_has_a_length_and_a_level():
    samples, rate = Espeak().speak("seven zero two")
    assert rate == 22050 and samples.dtype == np.float32
    assert 0.6 < len(samples) / rate < 2
    assert 0.1 < np.max(np.abs(samples)) <= 1


def test_more_words_and_a_slower_rate_last_longer():
    espeak = Espeak()
    one, many = (len(espeak.speak(text)[0]) for text in ("two", "two three four"))
    slow = len(espeak.speak("two three four", rate_wpm=90)[0])
    assert one < 0.7 * many and many < 0.8 * slow


def test_pitch_and_variant_change_the_voice():
    espeak = Espeak()
    low, high = (pitch_hertz(*espeak.speak("no", pitch=pitch, pitch_range=0)) for pitch in (20, 80))
    woman = pitch_hertz(*espeak.speak("no", variant="f3", pitch_range=0))
    man = pitch_hertz(*espeak.speak("no", pitch_range=0))
    assert low * 1.2 < high and man * 1.3 < woman


def test_every_accent_speaks_and_accents_differ():
    espeak = Espeak()
    assert {"en-us", "en-gb", "en-gb-scotland", "en-029"} <= set(espeak.accents())
    assert "en-shaw" not in espeak.accents()
    lengths = {len(espeak.speak("bath tomato water", voice=accent)[0]) for accent in espeak.accents()}
    assert len(lengths) > len(espeak.accents()) // 2
    assert {"f3", "croak", "Mr serious"} <= set(espeak.variants())
    espeak.speak("one", variant="Mr serious")


def test_the_library_is_initialised_once():
    assert Espeak()._library is Espeak()._library


def test_a_run_repeats_bit_by_bit():
    # f3 has the flutter that goes on from text to text, Alicia the random draws that the clock would seed.
    program = (
        "import zlib\nfrom tflite_asr.data.espeak import Espeak\n"
        "for variant in ('f3', 'Alicia', 'f3'):\n"
        "    print(zlib.crc32(Espeak().speak('seven zero two', variant=variant)[0].tobytes()))"
    )

    def run():
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
        return done.stdout.split()

    first = run()
    time.sleep(1.1)  # the clock's seconds are the seed
    assert len(first) == 3 and run() == first


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"text": ""}, "got ''"),
        ({"text": " ... "}, "spell it with words"),
        ({"text": "a\0b"}, "zero byte"),
        ({"text": "one", "voice": "en-xx"}, "got 'en-xx'; there are en-029"),
        ({"text": "one", "variant": "nobody"}, "got 'nobody'; there are .*f3"),
        ({"text": "one", "rate_wpm": 79}, "rate_wpm from 80 to 450, got 79"),
        ({"text": "one", "pitch": 101}, "pitch from 0 to 100, got 101"),
        ({"text": "one", "pitch_range": -1}, "pitch_range from 0 to 100, got -1"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(InputError, match=message):
        Espeak().speak(**arguments)


def test_without_the_package_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(InputError, match=r"pip install tflite_asr\[voices\]"):
        _load.__wrapped__()
