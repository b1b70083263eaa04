"""Where speech is and where utterances end in fourteen recordings with pauses; paths through small lattices; confidences;
and the words of those recordings by the shipped model, those of tones by the small one with a decoder.
"""

from collections.abc import Sequence

import numpy as np
from of_runs import SPEECH
from of_second_pass import LENGTHS, MODEL, tone

from tflite_asr.audio.endpoints import Endpointer, EndpointRules
from tflite_asr.audio.voice_activity import EnergyDetector
from tflite_asr.data.manifest import read_manifest
from tflite_asr.runtime.confidence import AGGREGATIONS, MEASURES, ConfidenceMeasure
from tflite_asr.runtime.forced_alignment import ctc_alignment, transducer_alignment
from tflite_asr.runtime.recognizer import Recognizer
from tflite_asr.runtime.words import Word

RATE = 16_000
PAUSES = (0.3, 1.2, 0.5, 2.5)  # seconds behind each recording, by turns
RULES = (EndpointRules(), EndpointRules(1.0, 0.4, 20.0), EndpointRules(5.0, 2.0, 3.0))
TEXTS = ("Yes, no 21", "- what")  # that the small model's first tone is aligned with


def words() -> dict:
    """What Kotlin has to find too."""
    samples, random = stream(), np.random.default_rng(0)
    small, shipped = Recognizer.load(MODEL), Recognizer.load("commands")
    return {
        "pauses": PAUSES,
        "scores": EnergyDetector(RATE).process(samples)[::10].tolist(),
        "endpoints": [_endpoints(samples, rules) for rules in RULES],
        "ctc": [_ctc(random, tokens) for tokens in ((1, 2), (2, 2, 1), (), (1, 1, 1, 1, 1))],
        "transducer": [_transducer(random, *shape) for shape in ((6, 4), (3, 5), (2, 0))],
        "confidences": _confidences(random),
        "small": [
            numbers_of(small.timed_words(small.features(tone(LENGTHS[0])), t, samples=tone(LENGTHS[0]))) for t in TEXTS
        ],
        "texts": TEXTS,
        "lengths": LENGTHS,
        "tones": [numbers_of(small.words(tone(length))) for length in LENGTHS],
        "shipped": [numbers_of(shipped.words(row.read(RATE))) for row in read_manifest(SPEECH / "manifest.jsonl")],
    }


def stream() -> np.ndarray:
    """[n] samples: the recordings, each with a pause behind it."""
    pieces = []
    for index, row in enumerate(read_manifest(SPEECH / "manifest.jsonl")):
        pause = np.zeros(round(PAUSES[index % len(PAUSES)] * RATE), np.float32)
        pieces += [row.read(RATE), pause]
    return np.concatenate(pieces)


def _endpoints(samples: np.ndarray, rules: EndpointRules) -> dict:
    endpointer = Endpointer(RATE, rules)
    found = [*endpointer.process(samples), *filter(None, [endpointer.finish()])]
    return {"rules": vars(rules), "found": [vars(endpoint) for endpoint in found]}


def _distributions(random: np.random.Generator, *shape: int) -> np.ndarray:
    logits = 2 * random.standard_normal(shape)
    return (logits - np.log(np.sum(np.exp(logits), axis=-1, keepdims=True))).astype(np.float32)


def _ctc(random: np.random.Generator, tokens: tuple[int, ...]) -> dict:
    steps = _distributions(random, 8, 3)
    found = ctc_alignment(steps, tokens)
    spans = {} if found is None else {"first": found[0].tolist(), "last": found[1].tolist()}
    return {"log_probabilities": steps.tolist(), "tokens": tokens, **spans}


def _transducer(random: np.random.Generator, steps: int, tokens: int) -> dict:
    blank, label = (np.log(random.uniform(0.01, 1, [steps, count])) for count in (tokens + 1, tokens))
    emitted = transducer_alignment(blank, label).tolist()
    return {"blank": blank.tolist(), "label": label.tolist(), "emitted": emitted}


def _confidences(random: np.random.Generator) -> dict:
    rows = _distributions(random, 3, 5)
    kinds = [
        (measure, over, temperature) for measure in MEASURES for over in AGGREGATIONS for temperature in (0.7, 2.0)
    ]
    found = [ConfidenceMeasure(*kind).of(rows, [4, 0, 2]) for kind in kinds]
    return {
        "log_probabilities": rows.tolist(),
        "tokens": [4, 0, 2],
        "kinds": [_kind(*k) for k in kinds],
        "found": found,
    }


def _kind(measure: str, over: str, temperature: float) -> dict:
    return {"measure": measure, "over": over, "temperature": temperature}


def numbers_of(words: Sequence[Word]) -> dict:
    """Texts, and the numbers of each."""
    return {
        "texts": [word.text for word in words],
        "spans": [[word.start_seconds, word.end_seconds] for word in words],
        "confidences": [word.confidence for word in words],
    }
