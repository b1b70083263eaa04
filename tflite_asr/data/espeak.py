"""Speech from text by eSpeak NG, through its C interface (espeak-ng/speak_lib.h) and ctypes.

The library and its data come with the package `espeakng_loader`. eSpeak holds one state for the whole process,
so it is initialised once and one text is spoken at a time. The flutter of a voice's pitch goes on from one text
to the next: equal samples take equal calls from the start of the process, not an equal call alone.
"""

import ctypes
import threading
from functools import cache

import numpy as np

from tflite_asr.data.foreign import LANGUAGES, accent_of, accented
from tflite_asr.errors import InputError

# Values of speak_lib.h.
_OUTPUT_RETRIEVAL_SYNCHRONOUS = 2
_DONT_EXIT_ON_ERROR = 0x8000
_TEXT_IS_UTF8 = 1
_PHONEMES = 0x100  # the text has phonemes between [[ and ]]
_ENGLISH = "en-us"  # whose phonemes a foreign accent starts from
_RATE, _PITCH, _PITCH_RANGE = 1, 3, 4
_OK = 0

RATES_WPM = (80, 450)  # what eSpeak takes
SHAVIAN = "gmw/en-Shaw"

_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int16), ctypes.c_int, ctypes.c_void_p)


class _Voice(ctypes.Structure):
    """espeak_VOICE."""

    _fields_ = [
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_char_p),  # of one priority byte and a name each, ended by a zero byte
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("reserved", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    ]


class Espeak:
    """The synthesiser; every instance drives the one library of the process."""

    def __init__(self) -> None:
        self._library, self._sample_rate, self._lock = _load()
        english = _list_voices(self._library, "en")
        # The Shavian voice reads an alphabet of its own; it is not an accent.
        self._accents = {code: path for code, path in english if path.startswith("gmw/en") and path != SHAVIAN}
        self._foreign = {accent_of(language): language for language in LANGUAGES}
        self._variants = {path.removeprefix("!v/") for _, path in _list_voices(self._library, "variant")}

    def speak(
        self,
        text: str,
        voice: str = "en-us",
        variant: str | None = None,
        rate_wpm: int = 175,
        pitch: int = 50,
        pitch_range: int = 50,
    ) -> tuple[np.ndarray, int]:
        """Say a text.

        Args:
            text: what to say.
            voice: a language with an accent, one of `accents()`.
            variant: a timbre, one of `variants()`; None is the voice's own.
            rate_wpm: words a minute, 80 to 450.
            pitch: 0 to 100, 50 is the voice's own.
            pitch_range: 0 to 100, 0 is monotonous, 50 is the voice's own.

        Returns:
            ([samples] float32 from -1 to 1, samples a second).
        """
        _check_range("rate_wpm", rate_wpm, *RATES_WPM)
        _check_range("pitch", pitch, 0, 100)
        _check_range("pitch_range", pitch_range, 0, 100)
        if "\0" in text:
            raise InputError(f"expected a text to speak, got {text!r} with a zero byte")
        pieces: list[np.ndarray] = []

        @_CALLBACK
        def collect(samples, count, _events) -> int:
            if samples and count > 0:
                pieces.append(np.ctypeslib.as_array(samples, (count,)).copy())
            return 0

        with self._lock:
            if voice in self._foreign:
                text = f"[[{accented(self._phonemes(text), self._foreign[voice])}]]"
            encoded = text.encode()
            self._choose_voice(voice, variant)
            for parameter, value in ((_RATE, rate_wpm), (_PITCH, pitch), (_PITCH_RANGE, pitch_range)):
                self._library.espeak_SetParameter(parameter, value, 0)
            self._library.espeak_SetSynthCallback(collect)
            status = self._library.espeak_Synth(
                encoded, len(encoded) + 1, 0, 0, 0, _TEXT_IS_UTF8 | _PHONEMES, None, None
            )
        samples = np.concatenate([np.zeros(1, np.int16), *pieces]).astype(np.float32) / 32768
        if status != _OK or not samples.any():
            raise InputError(f"expected a text that eSpeak can say, got {text!r}; spell it with words")
        return samples, self._sample_rate

    def accents(self) -> list[str]:
        """The English voices, such as `en-us` and `en-gb-scotland`, and English with a foreign accent, such as
        `en-x-fr`.
        """
        return sorted([*self._accents, *self._foreign])

    def variants(self) -> list[str]:
        """The timbres that go with any voice, such as `f3` and `croak`."""
        return sorted(self._variants)

    def _phonemes(self, text: str) -> str:
        """The text's English phonemes, clauses joined; the lock is held."""
        self._choose_voice(_ENGLISH, None)
        rest = ctypes.c_char_p(text.encode())
        clauses = []
        while rest.value is not None:
            clauses.append(self._library.espeak_TextToPhonemes(ctypes.byref(rest), _TEXT_IS_UTF8, 0).decode())
        return " ".join(clauses)

    def _choose_voice(self, voice: str, variant: str | None) -> None:
        # eSpeak itself overlooks a variant that it does not know, and does not know every voice by its language.
        if voice not in self._accents and voice not in self._foreign:
            raise InputError(f"expected an accent of eSpeak, got {voice!r}; there are {', '.join(self.accents())}")
        if variant is not None and variant not in self._variants:
            raise InputError(f"expected a variant of eSpeak, got {variant!r}; there are {', '.join(self.variants())}")
        path = self._foreign.get(voice) or self._accents[voice]
        name = f"{path}+{variant}" if variant else path
        if self._library.espeak_SetVoiceByName(name.encode()) != _OK:
            raise InputError(f"eSpeak cannot load its voice {name!r}; install espeakng_loader again")


@cache
def _load() -> tuple[ctypes.CDLL, int, threading.Lock]:
    """(the initialised library, its samples per second, its lock), once per process."""
    try:
        import espeakng_loader
    except ImportError as error:
        raise InputError("synthetic voices need eSpeak NG: pip install tflite_asr[voices]") from error
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    library.espeak_SetSynthCallback.argtypes = [_CALLBACK]
    library.espeak_SetVoiceByName.argtypes = [ctypes.c_char_p]
    library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
    library.espeak_TextToPhonemes.restype = ctypes.c_char_p
    library.espeak_TextToPhonemes.argtypes = [ctypes.POINTER(ctypes.c_char_p), ctypes.c_int, ctypes.c_int]
    library.espeak_Synth.argtypes = [
        ctypes.c_char_p,  # text
        ctypes.c_size_t,  # its bytes, the final zero included
        ctypes.c_uint,  # where to start
        ctypes.c_int,  # in which unit that is
        ctypes.c_uint,  # where to end, 0: at the end
        ctypes.c_uint,  # flags
        ctypes.c_void_p,  # id of the call, not wanted
        ctypes.c_void_p,  # user data, none
    ]
    data = espeakng_loader.get_data_path().encode()
    sample_rate = library.espeak_Initialize(_OUTPUT_RETRIEVAL_SYNCHRONOUS, 0, data, _DONT_EXIT_ON_ERROR)
    if sample_rate <= 0:
        raise InputError("eSpeak NG did not start; install it again: pip install --force-reinstall espeakng_loader")
    library.espeak_ng_SetRandSeed(ctypes.c_long(1))  # the clock seeds it otherwise, and some variants draw from it
    return library, sample_rate, threading.Lock()


def _list_voices(library: ctypes.CDLL, language: str) -> list[tuple[str, str]]:
    """(language code, path in eSpeak's data) of its voices for a language; variants count as the language `variant`."""
    wanted = _Voice(languages=language.encode())
    voices = []
    for pointer in library.espeak_ListVoices(ctypes.byref(wanted)):
        if not pointer:
            break
        voices.append((pointer.contents.languages[1:].decode(), pointer.contents.identifier.decode()))
    return voices


def _check_range(name: str, value: int, lowest: int, highest: int) -> None:
    if not lowest <= value <= highest:
        raise InputError(f"expected {name} from {lowest} to {highest}, got {value}")
