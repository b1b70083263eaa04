"""Gain and cost of hotwords: without a list, with a list, and with a list that also has invented names."""

import time
from collections.abc import Sequence

import numpy as np

from tflite_asr.metrics import error_rates, split_error_rates
from tflite_asr.runtime.batch import Example
from tflite_asr.runtime.hotwords import Hotwords
from tflite_asr.runtime.recognizer import Recognizer
from tflite_asr.text.phrases import Phrase

SYLLABLES = (
    "AN", "BA", "BER", "CAL", "DAN", "DU", "EL", "GOR", "KO", "LO", "LI", "MAR",
    "MI", "NI", "NO", "PA", "RI", "SAN", "SHI", "TEN", "TY", "VE", "WES",
)  # fmt: skip


def compare(
    recognizer: Recognizer, examples: Sequence[Example], phrases: Sequence[Phrase], distractors: int, seed: int
) -> dict:
    """Transcribe each utterance in every way, one way after the other, by both passes where the second one decodes.

    Returns:
        ways: of each its name, phrases, wer, hotword_wer and other_wer (over the words of the given list),
        setup_seconds (making the list ready) and cpu_seconds_per_second (of this process, for a second of speech, from
        frames to text).
    """
    listed = [phrase.text for phrase in phrases]
    lists = {
        "without": [],
        "with the list": list(phrases),
        "with invented names": [*phrases, *map(Phrase, invented_names(distractors, seed, listed))],
    }
    ways, setup = {}, {}
    for name, found in lists.items():
        start = time.process_time()
        ways[name] = recognizer.hotwords(found) if found else None
        setup[name] = time.process_time() - start
    features = recognizer.config.features
    speech = sum(features.samples_of(len(example.frames)) for example in examples) / features.sample_rate
    texts, seconds = _transcribed(recognizer, examples, ways)
    references = [example.text for example in examples]
    rows = []
    for name, heard in texts.items():
        split = split_error_rates(references, heard, listed, normalize=recognizer.normalize)
        rows.append(
            {
                "way": name,
                "phrases": len(lists[name]),
                "wer": error_rates(references, heard, normalize=recognizer.normalize).wer,
                "hotword_wer": split.listed_wer,
                "other_wer": split.other_wer,
                "setup_seconds": setup[name],
                "cpu_seconds_per_second": seconds[name] / speech,
            }
        )
    return {"utterances": len(examples), "speech_seconds": speech, "weight": recognizer.hotword_weight, "ways": rows}


def _transcribed(
    recognizer: Recognizer, examples: Sequence[Example], ways: dict[str, Hotwords | None]
) -> tuple[dict[str, list[str]], dict[str, float]]:
    """Texts by way, and processor seconds. The way that comes first changes from utterance to utterance."""
    from tqdm import tqdm

    transcribe = recognizer.transcribe_two_pass if recognizer.subwords else _first_pass(recognizer)
    texts: dict[str, list[str]] = {name: [] for name in ways}
    seconds = dict.fromkeys(ways, 0.0)
    names = list(ways)
    transcribe(examples[0].frames)  # arenas are laid out by the first call
    for index, example in enumerate(tqdm(examples, desc="recognising", unit="utterance", disable=None, leave=False)):
        for name in np.roll(names, index).tolist():
            start = time.process_time()
            texts[name].append(transcribe(example.frames, hotwords=ways[name]))
            seconds[name] += time.process_time() - start
    return texts, seconds


def _first_pass(recognizer: Recognizer):
    return lambda frames, hotwords=None: recognizer.transcribe_frames(frames, beam=True, hotwords=hotwords)


def invented_names(count: int, seed: int, but: Sequence[str] = ()) -> list[str]:
    """First and last names made of syllables, each once, drawn by seed, none of them among others."""
    random = np.random.default_rng(seed)
    taken = {name.upper() for name in but}
    names: dict[str, None] = {}
    while len(names) < count:
        first, last = ("".join(random.choice(SYLLABLES, random.integers(2, most))) for most in (4, 5))
        if f"{first} {last}" not in taken:
            names[f"{first} {last}"] = None
    return list(names)
