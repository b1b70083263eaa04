"""Measures what recognition costs, in this process: time of the first pass and of both, memory after each.

    python -m tflite_asr.benchmark.recognition_cost MODEL.tflite FILE.npz [THREADS]

FILE.npz holds utterances, [n] float32 samples each. Prints a JSON object. Imports no TensorFlow: what is measured is
what a device would load.
"""

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tflite_asr.processes import json_of, python_module
from tflite_asr.runtime.memory import MemoryProbe, process_memory_mb
from tflite_asr.runtime.recognizer import Recognizer


def recognition_cost(path: Path, utterances: Sequence[np.ndarray], threads: int) -> dict:
    """Measure in a process of its own.

    Args:
        path: of the artifact.
        utterances: [n] float32 samples each.
        threads: of the interpreter.

    Returns:
        see `measure`.
    """
    with tempfile.TemporaryDirectory() as folder:
        speech = Path(folder) / "speech.npz"
        np.savez(speech, *utterances)
        command = python_module("tflite_asr.benchmark.recognition_cost", str(path), str(speech), str(threads))
        return json_of(command, str(path))


def measure(path: Path, utterances: Sequence[np.ndarray], threads: int) -> dict:
    """Recognise each utterance twice by each pass; the first time lays out arenas, the second is timed.

    Returns:
        base_private_mb: private memory of Python and this package; load_seconds; loaded_private_mb: with the file
        loaded; peak_private_mb, the highest of all; added_private_mb, that less base_private_mb; rows, one for each
        utterance: speech_seconds, first_pass_seconds and, where the model has a second one, both_passes_seconds, from
        samples to text; first_pass_seconds_per_second and both_passes_seconds_per_second, over all utterances.
    """
    _, base_mb = process_memory_mb()
    with MemoryProbe(interval_seconds=0.01, most_share=1.0) as probe:
        start = time.perf_counter()
        recognizer = Recognizer.load(path, threads=threads)
        load_seconds, (_, loaded_mb) = time.perf_counter() - start, process_memory_mb()
        rows = [_row(recognizer, samples) for samples in utterances]
    speech_seconds = sum(row["speech_seconds"] for row in rows)
    passes = [name for name in rows[0] if name != "speech_seconds"]
    return {
        "base_private_mb": base_mb,
        "load_seconds": load_seconds,
        "loaded_private_mb": loaded_mb,
        "peak_private_mb": probe.peak_private_mb,
        "added_private_mb": probe.peak_private_mb - base_mb,
        **{f"{name}_per_second": sum(row[name] for row in rows) / speech_seconds for name in passes},
        "rows": rows,
    }


def _row(recognizer: Recognizer, samples: np.ndarray) -> dict[str, float]:
    """The seconds of one utterance."""
    passes = {"first_pass": lambda: recognizer.transcribe_frames(recognizer.features(samples), beam=True)}
    if recognizer.config.rescorer or recognizer.config.decoder:
        passes["both_passes"] = lambda: recognizer.transcribe_two_pass(recognizer.features(samples))
    row = {"speech_seconds": len(samples) / recognizer.config.features.sample_rate}
    for name, recognise in passes.items():
        recognise()
        start = time.perf_counter()
        recognise()
        row[f"{name}_seconds"] = time.perf_counter() - start
    return row


if __name__ == "__main__":
    model_path, speech_path, *counts = sys.argv[1:]
    with np.load(speech_path) as speech:
        read = [speech[name] for name in speech.files]
    print(json.dumps(measure(Path(model_path), read, *map(int, counts or ["1"]))))
