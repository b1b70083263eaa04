"""The voice of `tflite-asr demo`: synthetic, and unlike all that the shipped recogniser was trained on."""

import shutil
from pathlib import Path

import numpy as np

from tflite_asr.data.manifest import read_manifest
from tflite_asr.data.synthetic import SyntheticSpeaker, write_corpus

DESCRIPTION = "a whispering synthetic voice"
VOICE = SyntheticSpeaker(
    id="whisper",
    accent="en-gb-scotland",
    variant="whisper",  # not among `synthetic.VARIANTS`, which training speech is spoken with
    rate_wpm=150,
    pitch=50,
    semitones=0.0,
    tempo=1.0,
    noise_db=-30.0,
    level_db=-26.0,
)
WORDS = ("ZERO", "ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE")
STRINGS = 72
LONGEST_STRING = 5  # words


def speak_demo(folder: Path, sample_rate: int, seed: int) -> Path:
    """Speak strings of digits into `folder`, anew each time; returns the manifest."""
    earlier = folder / "manifest.jsonl"
    if earlier.exists() and {utterance.speaker for utterance in read_manifest(earlier)} == {VOICE.id}:
        shutil.rmtree(folder)  # an earlier demo's; anything else `write_corpus` refuses to touch
    random = np.random.default_rng([seed, 11])
    texts = [" ".join(random.choice(WORDS, random.integers(1, LONGEST_STRING + 1))) for _ in range(STRINGS)]
    folder.parent.mkdir(parents=True, exist_ok=True)
    write_corpus(folder, [VOICE], lambda speaker: texts, sample_rate, seed)
    return folder / "manifest.jsonl"
