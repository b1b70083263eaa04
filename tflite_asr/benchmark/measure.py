"""One plan of one artifact, measured in the process that runs this: memory first, then time.

    python -m tflite_asr.benchmark.measure MODEL.tflite PLAN STEPS [--keep-memory]

Prints a JSON object. Imports no TensorFlow: what is measured is what a device would load.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tflite_asr.config import ModelConfig
from tflite_asr.runtime.artifact import read_artifact
from tflite_asr.runtime.batch import Example, collate
from tflite_asr.runtime.memory import MemoryProbe, give_back_freed_memory, process_memory_mb
from tflite_asr.runtime.plan import Plan, run_step
from tflite_asr.runtime.interpreter import SignatureModel

PROBED_STEPS = 2  # the first allocates; a second shows whether anything is added to it


def measure(path: Path, plan_name: str, steps: int, keep_memory: bool) -> dict:
    """Memory of two steps, then seconds of `steps` more, on a full batch of the longest utterances.

    Returns:
        base_private_mb, base_rss_mb: the interpreter with its variables initialised; peak_private_mb, peak_rss_mb;
        added_private_mb, the difference that training makes; step_seconds: a list; losses: of all steps.
    """
    if not keep_memory:
        give_back_freed_memory()
    artifact = read_artifact(path)
    plan = Plan.of(plan_name, artifact.plans, artifact.signatures)
    model = SignatureModel(artifact.path)
    groups = len(model.run("parameters")["parameters"])
    inputs = {
        **longest_batch(artifact.config),
        "learning_rate": np.float32(1e-4),
        "clip_norm": np.float32(1.0),
        "pull": np.float32(0.0),
        "group_rates": np.ones([groups], np.float32),
    }
    return measure_steps(lambda: run_step(model, plan.calls, inputs).loss, steps)


def measure_steps(step: Callable[[], float], steps: int) -> dict:
    """What `measure` returns, of any function that takes a training step and returns its loss."""
    base_rss_mb, base_private_mb = process_memory_mb()
    with MemoryProbe(interval_seconds=0.005) as probe:
        losses = [step() for _ in range(PROBED_STEPS)]
    seconds = []
    for _ in range(steps):
        start = time.perf_counter()
        losses.append(step())
        seconds.append(time.perf_counter() - start)
    return {
        "base_rss_mb": base_rss_mb,
        "base_private_mb": base_private_mb,
        "peak_rss_mb": probe.peak_rss_mb,
        "peak_private_mb": probe.peak_private_mb,
        "added_private_mb": probe.peak_private_mb - base_private_mb,
        "step_seconds": seconds,
        "losses": losses,
    }


def longest_batch(config: ModelConfig) -> dict[str, np.ndarray]:
    """A batch of noise, every row as long as the fixed sizes allow: the shapes decide what a step costs."""
    random, sizes = np.random.default_rng(0), config.sizes
    frames = random.standard_normal([sizes.batch, sizes.max_frames, config.features.mel_bands], np.float32)
    tokens = random.integers(1, config.vocabulary_size, [sizes.batch, sizes.max_tokens], np.int32)
    return collate([Example(*row, "noise") for row in zip(frames, tokens)], config)


if __name__ == "__main__":
    model_path, plan_to_run, step_count, *rest = sys.argv[1:]
    print(json.dumps(measure(Path(model_path), plan_to_run, int(step_count), "--keep-memory" in rest)))
