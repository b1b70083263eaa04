"""How well and how fast a two-pass artifact recognises, measured in the process that runs this.

    python -m tflite_asr.benchmark.recognition MODEL.tflite MANIFEST [WHERE]

Prints a JSON object. Imports no TensorFlow: what is measured is what a device would load.
"""

import json
import sys
import time
from pathlib import Path

from tflite_asr.audio.reading import Notices
from tflite_asr.data.clips import fitting_clips
from tflite_asr.data.corpus import Corpus
from tflite_asr.data.manifest import read_manifest
from tflite_asr.metrics import error_rates
from tflite_asr.runtime.memory import MemoryProbe, process_memory_mb
from tflite_asr.runtime.recognizer import Recognizer


def measure(path: Path, manifest: str, where: str | None) -> dict:
    """Transcribe speech by both passes, on one thread.

    Returns:
        parameters, bytes of the file; utterances, words; first_pass_wer, rescored_wer, rescored_cer;
        seconds_per_second: to make features, search and rescore, for a second of speech; peak_private_mb, and
        added_private_mb, the part of it that recognising adds to a process that holds the speech.
    """
    with Notices() as notices:
        recognizer = Recognizer.load(path, threads=1)
        corpus = Corpus(read_manifest(manifest, where), recognizer.config, notices)
    clips = fitting_clips(corpus, corpus.utterances, 1, 0, recognizer.config.max_seconds)
    samples = [corpus.assemble(clip) for clip in clips]
    _, before_mb = process_memory_mb()
    with MemoryProbe(interval_seconds=0.01) as probe:
        start = time.perf_counter()
        candidates = [recognizer.candidates(recognizer.features(waveform)) for waveform in samples]
        seconds = time.perf_counter() - start
    references = [recognizer.tokenizer.decode(recognizer.tokenizer.encode(clip.text)) for clip in clips]
    first, second = (
        error_rates(references, [recognizer.tokenizer.decode(tokens) for tokens in chosen])
        for chosen in (
            [found[0].tokens for found in candidates],
            [recognizer.rescoring.best(found).tokens for found in candidates],
        )
    )
    speech_seconds = sum(map(len, samples)) / recognizer.config.features.sample_rate
    return {
        "parameters": sum(group["parameters"] for group in recognizer.artifact.groups),
        "bytes": recognizer.artifact.bytes,
        "utterances": len(samples),
        "words": first.words,
        "first_pass_wer": first.wer,
        "rescored_wer": second.wer,
        "rescored_cer": second.cer,
        "seconds_per_second": seconds / speech_seconds,
        "peak_private_mb": probe.peak_private_mb,
        "added_private_mb": probe.peak_private_mb - before_mb,
    }


if __name__ == "__main__":
    model_path, manifest_path, *filters = sys.argv[1:]
    print(json.dumps(measure(Path(model_path), manifest_path, *(filters or [None]))))
