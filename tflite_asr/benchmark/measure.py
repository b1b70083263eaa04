"""Measures one plan of one artifact in this process: memory first, then time.

    python -m tflite_asr.benchmark.measure MODEL.tflite PLAN STEPS [--keep-memory] [--groups G,G,...] [--threads N]
        [--seconds S]

Prints a JSON object. Imports no TensorFlow: what is measured is what a device would load.
"""

import argparse
import dataclasses
import json
import math
import time
from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np

from tflite_asr.config import ModelConfig
from tflite_asr.errors import InputError
from tflite_asr.runtime.artifact import read_artifact
from tflite_asr.runtime.batch import Example, collate, longest_examples
from tflite_asr.runtime.interpreter import SignatureModel
from tflite_asr.runtime.memory import MemoryProbe, give_back_freed_memory, process_memory_mb
from tflite_asr.runtime.parted_model import part_with
from tflite_asr.runtime.plan import Plan, run_forward, run_step

PROBED_STEPS = 2  # the first allocates; a second shows whether anything is added to it


def measure(
    path: Path,
    plan_name: str,
    steps: int,
    keep_memory: bool,
    trained: Collection[str] | None = None,
    threads: int = 1,
    seconds: float | None = None,
) -> dict:
    """Memory of two steps, then seconds of `steps` more, on a full batch of utterances. With the plan `cached` the
    outputs below the trained groups are computed before.

    Args:
        path, plan_name: of the artifact.
        steps: timed ones.
        keep_memory: leave the C allocator as it is.
        trained: the layer groups that learn, no call below them is made; None: all.
        threads: of the interpreter.
        seconds: of each utterance, whose plan is the one of the shortest length that holds it; None: the longest.

    Returns:
        base_private_mb, base_rss_mb: the interpreter of the signatures that train, its variables initialised;
        peak_private_mb, peak_rss_mb; added_private_mb, the difference that training makes; settled_added_mb, the same
        in a later step alone: in the first one arenas grow, the old beside the new; arena_mb: what stays allocated
        between steps; step_seconds: a list; losses: of all steps.
    """
    if not keep_memory:
        give_back_freed_memory()
    artifact = read_artifact(path)
    config, examples = _utterances(artifact.config, seconds)
    plans = artifact.plans | artifact.shorter_plans
    plan = Plan.of(plan_name + config.sizes.suffix, plans, artifact.signatures)
    part = part_with(artifact, plan.calls[0].signature)
    model = SignatureModel(artifact.path, threads=threads, signatures=part)
    model.run("parameters")
    groups = [group["name"] for group in artifact.groups]
    trained = groups if trained is None else trained
    calls, stored = plan.needed(set(trained)), {}
    inputs = {
        **collate(examples, config),
        "learning_rate": np.array([1e-4], np.float32),
        "clip_norm": np.array([0], np.float32),  # the norm is computed anyway, and the plans clip by different ones
        "pull": np.array([0], np.float32),
        "group_rates": np.asarray([group in trained for group in groups], np.float32),
    }
    if plan.cached:
        below, above = plan.at_first_update()
        stored = run_forward(model, below, inputs, list(above.takes.values()))
        calls = tuple(call for call in calls if call.updates)
    return measure_steps(lambda: run_step(model, calls, inputs, stored=stored).loss, steps)


def _utterances(config: ModelConfig, seconds: float | None) -> tuple[ModelConfig, list[Example]]:
    """The configuration at the length that holds utterances of so many seconds, and a batch of them, with as many
    labels for their length as the longest have."""
    if seconds is None:
        return config, longest_examples(config)
    frames = config.features.frames_of(round(seconds * config.features.sample_rate))
    if not 0 < frames <= config.sizes.max_frames:
        raise InputError(f"expected utterances of up to {config.max_seconds:.3g} s, got {seconds:g}")
    sized = config.shortest(frames)
    labels = math.ceil(sized.max_labels * frames / sized.sizes.max_frames)
    rows = longest_examples(sized)
    return sized, [dataclasses.replace(row, frames=row.frames[:frames], tokens=row.tokens[:labels]) for row in rows]


def measure_steps(step: Callable[[], float], steps: int) -> dict:
    """Measure any function that takes a training step and returns its loss, as `measure` does."""
    base_rss_mb, base_private_mb = process_memory_mb()
    losses, probes = [], []
    for _ in range(PROBED_STEPS):
        with MemoryProbe(interval_seconds=0.005, most_share=1.0) as probe:
            losses.append(step())
        probes.append(probe)
    arena_mb = process_memory_mb()[1] - base_private_mb
    seconds = []
    for _ in range(steps):
        start = time.perf_counter()
        losses.append(step())
        seconds.append(time.perf_counter() - start)
    peak_private_mb = max(probe.peak_private_mb for probe in probes)
    return {
        "base_rss_mb": base_rss_mb,
        "base_private_mb": base_private_mb,
        "peak_rss_mb": max(probe.peak_rss_mb for probe in probes),
        "peak_private_mb": peak_private_mb,
        "added_private_mb": peak_private_mb - base_private_mb,
        "settled_added_mb": probes[-1].peak_private_mb - base_private_mb,
        "arena_mb": arena_mb,
        "step_seconds": seconds,
        "losses": losses,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("plan")
    parser.add_argument("steps", type=int)
    parser.add_argument("--keep-memory", action="store_true")
    parser.add_argument("--groups", type=lambda names: names.split(","))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float)
    args = vars(parser.parse_args())
    print(json.dumps(measure(args.pop("model"), args.pop("plan"), trained=args.pop("groups"), **args)))
