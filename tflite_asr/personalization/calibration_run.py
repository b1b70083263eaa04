"""Measures one plan of one artifact, call by call, in this process: memory first, then time.

    python -m tflite_asr.personalization.calibration_run MODEL.tflite PLAN THREADS

Prints a JSON object, see `calibration.PlanCost`.
"""

import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np

from tflite_asr.personalization.settings import Settings
from tflite_asr.runtime.artifact import read_artifact
from tflite_asr.runtime.batch import longest_examples
from tflite_asr.runtime.interpreter import SignatureModel, Signatures
from tflite_asr.runtime.memory import MemoryProbe, give_back_freed_memory, process_memory_mb
from tflite_asr.runtime.parted_model import model_of
from tflite_asr.runtime.recognizer import Recognizer

TIMED_STEPS = 3
PROBE_SECONDS = 0.002


class WatchedModel:
    """Records the time and memory of each call of a model's signatures."""

    def __init__(self, model: Signatures):
        self._model = model
        self.lock = model.lock
        self.anew, self.input_names = model.anew, model.input_names
        self.base_private_mb: float | None = None  # set: memory is noted, else time
        self.noted: list[tuple[str, float, float]] = []

    def run(self, name: str, inputs: dict[str, np.ndarray] | None = None) -> dict[str, np.ndarray]:
        """Call a signature, and record its time and memory."""
        if self.base_private_mb is None:
            seconds, cpu_seconds = time.perf_counter(), time.process_time()
            result = self._model.run(name, inputs)
            self.noted.append((name, time.perf_counter() - seconds, time.process_time() - cpu_seconds))
        else:
            with MemoryProbe(PROBE_SECONDS, most_share=1.0) as probe:
                result = self._model.run(name, inputs)
            base, after = self.base_private_mb, process_memory_mb()[1]
            self.noted.append((name, probe.peak_private_mb - base, after - base))
        return result


def measure_calls(path: Path, plan: str, threads: int) -> dict:
    """Memory of each call of a first step, then median seconds of each call over further steps, on a full batch of the
    longest utterances. The first steps, which allocate, are not timed.
    """
    give_back_freed_memory()
    artifact = read_artifact(path)
    loaded = model_of(artifact, lambda some: SignatureModel(artifact.path, threads=threads, signatures=some))
    model = WatchedModel(loaded)
    recognizer = Recognizer(artifact, model)
    examples = longest_examples(artifact.config)

    stores = recognizer.plan(plan).cached

    def step() -> list[tuple[str, float, float]]:
        model.noted = []
        rows = recognizer.cache(examples) if stores else examples
        recognizer.train_step(rows, learning_rate=1e-4, clip_norm=1.0, plan=plan)
        return model.noted

    model.run("parameters")
    model.base_private_mb = base = process_memory_mb()[1]
    memory = step()
    model.base_private_mb = None
    times = [step() for _ in range(1 + TIMED_STEPS)][1:]
    # of calls whose outputs are stored, a step takes a share
    below = {call.signature for call in recognizer.plan(plan).at_first_update()[0]} if stores else set()
    shares = [1 / Settings().cached_uses if name in below else 1.0 for name, _, _ in memory]
    calls = [
        {
            "signature": name,
            "seconds": shares[index] * statistics.median(timed[index][1] for timed in times),
            "cpu_seconds": shares[index] * statistics.median(timed[index][2] for timed in times),
            "peak_mb": peak,
            "kept_mb": kept,
        }
        for index, (name, peak, kept) in enumerate(memory)
    ]
    return {"base_private_mb": base, "calls": calls}


if __name__ == "__main__":
    model_path, plan_to_run, thread_count = sys.argv[1:]
    print(json.dumps(measure_calls(Path(model_path), plan_to_run, int(thread_count))))
