"""Measures accuracy and speed of a two-pass artifact in this process.

    python -m tflite_asr.benchmark.recognition MODEL.tflite MANIFEST [WHERE]

Prints a JSON object. Imports no TensorFlow: what is measured is what a device would load.
"""

import json
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tflite_asr.audio.reading import Notices
from tflite_asr.data.clips import fitting_clips
from tflite_asr.data.corpus import Corpus
from tflite_asr.data.manifest import read_manifest
from tflite_asr.metrics import ErrorRates, error_rates
from tflite_asr.runtime.memory import MemoryProbe, process_memory_mb
from tflite_asr.runtime.recognizer import Recognizer
from tflite_asr.runtime.second_pass import Candidate


@dataclass(frozen=True)
class Recognised:
    """Test speech, recognised by both passes."""

    first: ErrorRates
    rescored: ErrorRates
    seconds: float  # to make features, search and rescore
    speech_seconds: float
    added_private_mb: float  # beside what the process held with the speech read
    peak_private_mb: float
    too_long: int  # recordings longer than the model takes, left out
    too_short: int  # recordings too short for a word, left out


def recognise(recognizer: Recognizer, manifest: str, where: str | None) -> Recognised:
    """Transcribe the speech of a manifest's rows, one utterance after another."""
    config, tokenizer = recognizer.config, recognizer.tokenizer
    with Notices() as notices:
        corpus = Corpus(read_manifest(manifest, where), config, notices, measuring=True)
    clips = fitting_clips(corpus, corpus.utterances, 1, 0, config.max_seconds)
    samples = [corpus.assemble(clip) for clip in clips]
    _, before_mb = process_memory_mb()
    with MemoryProbe(interval_seconds=0.01, most_share=1.0) as probe:
        start = time.perf_counter()
        found = [recognizer.candidates(recognizer.features(waveform)) for waveform in samples]
        seconds = time.perf_counter() - start
    references = [tokenizer.decode(tokenizer.encode(clip.text)) for clip in clips]

    def rates(chosen: Iterable[Candidate]) -> ErrorRates:
        texts = [tokenizer.decode(candidate.tokens) for candidate in chosen]
        return error_rates(references, texts, normalize=recognizer.normalize)

    return Recognised(
        first=rates(candidates[0] for candidates in found),
        rescored=rates(map(recognizer.rescoring.best, found)),
        seconds=seconds,
        speech_seconds=sum(map(len, samples)) / config.features.sample_rate,
        added_private_mb=probe.peak_private_mb - before_mb,
        peak_private_mb=probe.peak_private_mb,
        too_long=len(corpus.too_long),
        too_short=len(corpus.too_short),
    )


def measure(path: Path, manifest: str, where: str | None) -> dict:
    """Transcribe speech by both passes, on one thread.

    Returns:
        parameters, bytes of the file; utterances, too_long and too_short (left out), words; first_pass_wer,
        rescored_wer, rescored_cer;
        seconds_per_second: for a second of speech; peak_private_mb, added_private_mb: see `Recognised`.
    """
    recognizer = Recognizer.load(path, threads=1)
    found = recognise(recognizer, manifest, where)
    return {
        "parameters": sum(group["parameters"] for group in recognizer.artifact.groups),
        "bytes": recognizer.artifact.bytes,
        "utterances": found.first.utterances,
        "too_long": found.too_long,
        "too_short": found.too_short,
        "words": found.first.words,
        "first_pass_wer": found.first.wer,
        "rescored_wer": found.rescored.wer,
        "rescored_cer": found.rescored.cer,
        "seconds_per_second": found.seconds / found.speech_seconds,
        "peak_private_mb": found.peak_private_mb,
        "added_private_mb": found.added_private_mb,
    }


if __name__ == "__main__":
    model_path, manifest_path, *filters = sys.argv[1:]
    print(json.dumps(measure(Path(model_path), manifest_path, *(filters or [None]))))
