"""The synthetic voices of `tflite-asr demo`, unlike any voice of the training data."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tflite_asr.data.foreign import accent_of
from tflite_asr.data.manifest import read_manifest
from tflite_asr.data.synthetic import SyntheticSpeaker, write_corpus

DIGITS = ("ZERO", "ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE")
UTTERANCES = 72
LONGEST_STRING = 5  # words
# a sentence is one of each
PARTS = (
    ("MY MOTHER", "THE DOCTOR", "OUR NEIGHBOR", "A YOUNG WOMAN", "THE TEACHER", "HIS BROTHER", "THE OLD MAN",
     "EVERYBODY"),
    ("FORGOT", "THREW AWAY", "BOUGHT", "REPAIRED", "WAS LOOKING FOR", "BROUGHT BACK", "WILL NEED", "HAS HIDDEN"),
    ("THE WEATHER REPORT", "THREE HEAVY BOXES", "A VERY GOOD BREAKFAST", "THE YELLOW UMBRELLA", "HER WINTER CLOTHES",
     "THIS LITTLE MACHINE", "THE OTHER PICTURES", "ALL THE VEGETABLES"),
    ("THIS MORNING", "WITHOUT A WORD", "BEFORE THE WEEKEND", "IN THE LIVING ROOM", "FOR THE CHILDREN", "LAST THURSDAY"),
)  # fmt: skip


@dataclass(frozen=True)
class DemoVoice:
    """A speaker, and what it says."""

    description: str
    speaker: SyntheticSpeaker
    text: Callable[[np.random.Generator], str]


def _digits(random: np.random.Generator) -> str:
    return " ".join(random.choice(DIGITS, random.integers(1, LONGEST_STRING + 1)))


def _sentence(random: np.random.Generator) -> str:
    return " ".join(str(random.choice(part)) for part in PARTS)


def _speaker(id: str, accent: str, variant: str, pitch: int) -> SyntheticSpeaker:
    return SyntheticSpeaker(
        id, accent, variant, rate_wpm=150, pitch=pitch, semitones=0.0, tempo=1.0, noise_db=-30.0, level_db=-26.0
    )


# "whisper" is not among `synthetic.VARIANTS`, which training speech is spoken with
WHISPER = DemoVoice("a whispering synthetic voice", _speaker("whisper", "en-gb-scotland", "whisper", 50), _digits)
ACCENT = DemoVoice("a synthetic voice with a French accent", _speaker("accent", accent_of("fr"), "f2", 45), _sentence)


def speak_demo(voice: DemoVoice, folder: Path, sample_rate: int, seed: int) -> Path:
    """Speak into `folder`, anew each time; returns the manifest."""
    earlier = folder / "manifest.jsonl"
    if earlier.exists() and {utterance.speaker for utterance in read_manifest(earlier)} <= {
        WHISPER.speaker.id,
        ACCENT.speaker.id,
    }:
        shutil.rmtree(folder)  # an earlier demo's; anything else `write_corpus` refuses to touch
    random = np.random.default_rng([seed, 11])
    texts = [voice.text(random) for _ in range(UTTERANCES)]
    folder.parent.mkdir(parents=True, exist_ok=True)
    write_corpus(folder, [voice.speaker], lambda speaker: texts, sample_rate, seed)
    return folder / "manifest.jsonl"
