"""Synthetic speakers: eSpeak voices, each with a rate, pitch, vocal tract, noise and level of its own.

They stand in for recorded speakers where none are at hand. They are easier to tell apart and more even than
people, so a word error rate measured on them says that a pipeline works, not how well it will serve anyone.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tflite_asr.audio.resampling import resample
from tflite_asr.data.atypical import NAME as ATYPICAL
from tflite_asr.data.atypical import draw_atypical, make_atypical
from tflite_asr.data.corpus_folder import write_folder
from tflite_asr.data.espeak import RATES_WPM, Espeak
from tflite_asr.data.foreign import LANGUAGES, accent_of
from tflite_asr.errors import InputError
from tflite_asr.libraries import load_librosa
from tflite_asr.names import for_library

NATIVE_ACCENTS = (
    "en-us",
    "en-gb",
    "en-gb-scotland",
    "en-gb-x-rp",
    "en-gb-x-gbclan",
    "en-gb-x-gbcwmd",
    "en-029",
    "en-us-nyc",
)
ACCENTS = (*NATIVE_ACCENTS, *(accent_of(language) for language in LANGUAGES))
# The variants that could pass for a person: no robots, whispers or overdriven voices.
VARIANTS = (
    *("f1", "f2", "f3", "f4", "f5", "Alicia", "Andrea", "Annie", "aunty", "belinda", "grandma", "linda", "shelby"),
    *("m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "Alex", "Lee", "Mario", "Michael", "adam", "benjamin"),
    *("boris", "grandpa", "kaukovalta", "max", "norbert", "quincy", "rob", "robert", "steph", "travis", "victor"),
)
MARGIN_SECONDS = 0.1  # silence kept before and after the speech
SPEECH_DB = -40.0  # what is this far below the peak counts as silence
PEAK = 0.98  # a louder take is turned down to this
WORDS_PER_MINUTE = (120, 200)  # of speakers who read at ease; about 15 letters a second


@dataclass(frozen=True)
class SyntheticSpeaker:
    """The properties of a speaker, the same in all takes."""

    id: str
    accent: str
    variant: str
    rate_wpm: int
    pitch: int  # 0 to 100, 50 is the variant's own
    semitones: float  # the whole spectrum is moved by this much, as by a longer or shorter vocal tract
    tempo: float  # above 1 is faster than `rate_wpm`, without a change of pitch
    noise_db: float  # white noise, relative to the speech
    level_db: float  # root mean square of the speech, relative to full scale


def draw_speakers(
    count: int, seed: int, words_per_minute: tuple[int, int] = WORDS_PER_MINUTE
) -> list[SyntheticSpeaker]:
    """Speakers of all accents and variants; asking for more leaves the first ones as they were.

    The pair of accent and variant repeats only when every pair was used. Each speaks at a rate of its own, from the
    lower to the higher of `words_per_minute`.
    """
    if count < 1:
        raise InputError(f"expected 1 or more synthetic speakers, got {count}")
    slowest, fastest = words_per_minute
    if not RATES_WPM[0] <= slowest < fastest <= RATES_WPM[1]:
        raise InputError(
            f"words a minute: expected two rates from {RATES_WPM[0]} to {RATES_WPM[1]}, got {slowest}-{fastest}"
        )
    pairs = [(accent, variant) for accent in ACCENTS for variant in VARIANTS]
    order = np.random.default_rng([seed, 0]).permutation(len(pairs))
    speakers = []
    for index in range(count):
        random = np.random.default_rng([seed, 1, index])
        accent, variant = pairs[order[index % len(pairs)]]
        speakers.append(
            SyntheticSpeaker(
                id=f"synthetic{index:04d}",
                accent=accent,
                variant=variant,
                rate_wpm=int(random.integers(slowest, fastest)),
                pitch=int(random.integers(35, 66)),
                semitones=float(random.uniform(-1.5, 1.5)),
                tempo=float(random.uniform(0.9, 1.1)),
                noise_db=float(random.uniform(-45, -20)),
                level_db=float(random.uniform(-32, -20)),
            )
        )
    return speakers


def speak(speaker: SyntheticSpeaker, text: str, sample_rate: int, seed: int) -> np.ndarray:
    """One take of a text by a speaker; other seeds are other takes, in rate, pitch, tempo, level and noise.

    A program that is run again speaks the same samples; a call that is made again need not, see `espeak`.

    Returns:
        [samples] float32 from -1 to 1, the speech with about 0.1 s before and after it.
    """
    librosa = load_librosa()
    random = np.random.default_rng(seed)
    samples, espeak_rate = _espeak().speak(
        text.lower(),  # in capitals some words are spelled out
        voice=speaker.accent,
        variant=speaker.variant,
        rate_wpm=int(np.clip(speaker.rate_wpm * random.uniform(0.9, 1.1), *RATES_WPM)),
        pitch=int(np.clip(speaker.pitch + random.integers(-8, 9), 0, 100)),
        pitch_range=int(random.integers(30, 71)),
    )
    # One stretch does for tempo and pitch: played faster by `shift`, the stretched speech is higher by the semitones.
    shift = 2 ** ((speaker.semitones + random.uniform(-0.2, 0.2)) / 12)
    tempo = speaker.tempo * random.uniform(0.96, 1.04)
    samples = librosa.effects.time_stretch(_trimmed(samples, espeak_rate), rate=tempo / shift)
    samples = resample(samples, espeak_rate * shift, sample_rate)
    level = 10 ** ((speaker.level_db + random.uniform(-2, 2)) / 20)
    samples *= level / np.sqrt(np.mean(samples**2))
    margin = np.zeros(round(MARGIN_SECONDS * sample_rate), np.float32)
    samples = np.concatenate([margin, samples, margin])
    samples += level * 10 ** (speaker.noise_db / 20) * random.standard_normal(len(samples))
    return (samples * min(1.0, PEAK / np.max(np.abs(samples)))).astype(np.float32)


def write_corpus(
    folder: str | Path,
    speakers: Sequence[SyntheticSpeaker],
    texts: Callable[[SyntheticSpeaker], Iterable[str]],
    sample_rate: int,
    seed: int,
    progress: Callable[[Sequence[SyntheticSpeaker]], Iterable[SyntheticSpeaker]] = iter,
    atypical: bool = False,
) -> list[dict[str, Any]]:
    """Speak every speaker's texts into FLAC files with a manifest; the folder is complete or it is not there.

    Args:
        folder: what to write; it must be absent or empty.
        speakers: who speaks.
        texts: what a speaker says, one take each time a text comes.
        sample_rate: samples a second of the files.
        seed: of all takes.
        progress: wraps the speakers to show how far it is.
        atypical: each speaks in a simulated atypical manner, see `atypical`.

    Returns:
        The rows of `folder/manifest.jsonl`.
    """
    return write_folder(
        folder,
        lambda partial: (
            row
            for speaker in progress(speakers)
            for row in _record(partial, speaker, texts, sample_rate, seed, atypical)
        ),
    )


def _record(
    folder: Path, speaker: SyntheticSpeaker, texts: Callable, sample_rate: int, seed: int, atypical: bool
) -> Iterator[dict[str, Any]]:
    """Record the texts of one speaker; yields the manifest's row of each file."""
    import soundfile

    name = f"{speaker.id}-{ATYPICAL}" if atypical else speaker.id
    voice = Path("audio") / name
    (folder / voice).mkdir(parents=True)
    for number, text in enumerate(texts(speaker)):
        take_seed = int(np.random.SeedSequence([seed, *speaker.id.encode(), number]).generate_state(1)[0])
        samples = speak(speaker, text, sample_rate, take_seed)
        if atypical:
            random = np.random.default_rng([take_seed, 1])
            samples = make_atypical(samples, sample_rate, draw_atypical(speaker.id, seed), random)
        audio = voice / f"{number:04d}.flac"
        path = for_library(folder / audio)
        # soundfile takes bytes as a path
        soundfile.write(path, samples, sample_rate, subtype="PCM_16")  # pyright: ignore[reportArgumentType]
        yield {
            "audio": audio.as_posix(),
            "text": text,
            "speaker": name,
            "duration": round(len(samples) / sample_rate, 4),
            "sample_rate": sample_rate,
            "accent": speaker.accent,
            "synthetic": True,
            **({"simulated": ATYPICAL} if atypical else {}),
        }


def _trimmed(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """[samples] without the silence at both ends."""
    loud = np.flatnonzero(np.abs(samples) > np.max(np.abs(samples)) * 10 ** (SPEECH_DB / 20))
    return samples[loud[0] : loud[-1] + 1]


@cache
def _espeak() -> Espeak:
    return Espeak()
