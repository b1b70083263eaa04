"""Corrections: which words were missed, which names are learned, what is refused, and what is heard afterwards."""

import of_second_pass

from tflite_asr.errors import InputError
from tflite_asr.runtime.corrections import check_correction, missed_words, names_in
from tflite_asr.runtime.recognizer import Recognizer
from tflite_asr.text.subwords import BYTES, SPACE, SPECIAL, SubwordTokenizer

WORDS = ("call", "ask", "about", "lunch", "mail")
GROWING = dict.fromkeys(SPACE + word[:end] for word in WORDS for end in range(1, len(word) + 1))  # merges need them
PIECES = (*SPECIAL, *BYTES, *GROWING, *f"{SPACE}abcdefghijklmnopqrstuvwxyz'.")
PAIRS = (  # what was meant, what was heard
    ("call aoife rasmussen", "call ifa rasmussen"),
    ("Call Aoife Rasmussen about lunch.", "Call about lunch"),
    ("ask aoife about niamh", "ask eva about neve"),
    ("call aoife about lunch", "mail aoife about lunch"),
    ("ASK DOCTOR O'NEIL", "Ask Dr. O'Neal."),
    ("call aoife", ""),
    ("call aoife", "call the aoife"),
    ("call aoife", "Call Aoife!"),
    ("no", "call ann about the lunch on friday"),
)
TAKEN = (("OXY HI", "OX HI"), ("OXO BYX", "OXO"))  # by the model, for its first recording
REFUSED = (("OX", "ox"), ("3 \u00e9", "OX"))


def corrections() -> dict:
    """What Kotlin has to find too."""
    recognizer, samples = Recognizer.load(of_second_pass.MODEL), of_second_pass.tone(of_second_pass.LENGTHS[0])
    taken = []
    for meant, heard in TAKEN:
        correction = recognizer.correct(samples, meant, heard=heard)
        taken.append(
            {
                "meant": meant,
                "heard": heard,
                "missed": correction.missed,
                "learned": correction.learned,
                "text": correction.example.text,
                "phrases": recognizer.learned_phrases,
                "transcripts": _transcripts(recognizer),
            }
        )
    recognizer.forget(correction)
    return {
        "pieces": PIECES,
        "pairs": [_pair(meant, heard, normalize) for meant, heard in PAIRS for normalize in (False, True)],
        "taken": taken,
        "forgotten": recognizer.learned_phrases,
        "refused": [{"meant": meant, "heard": heard} for meant, heard in REFUSED],
    }


def _transcripts(recognizer: Recognizer) -> list[str]:
    return [recognizer.transcribe(of_second_pass.tone(length)) for length in of_second_pass.LENGTHS]


def _pair(meant: str, heard: str, normalize: bool) -> dict:
    missed = missed_words(meant, heard, normalize=normalize)
    try:
        check_correction(meant, heard, missed, normalize=normalize)
        refused = None
    except InputError as error:
        refused = str(error)
    names = names_in(meant, heard, SubwordTokenizer(PIECES), normalize=normalize)
    told = {"meant": meant, "heard": heard, "normalize": normalize, "missed": missed, "names": names}
    return {**told, "refused": refused}
