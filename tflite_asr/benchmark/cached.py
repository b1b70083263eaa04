"""What storing the outputs of the lower groups saves: the upper groups trained with the plans `split` and `cached`."""

import statistics
from pathlib import Path

import numpy as np

from tflite_asr.benchmark.split import measured
from tflite_asr.config.plans import CACHED
from tflite_asr.runtime.artifact import Artifact, read_artifact
from tflite_asr.runtime.batch import longest_examples
from tflite_asr.runtime.cached_activations import BITS
from tflite_asr.runtime.plan import Plan
from tflite_asr.runtime.recognizer import Recognizer

COMPARED_STEPS = 5  # whose losses are compared


def compare_cached(path: Path, *, steps: int, runs: int) -> dict:
    """Train the groups of the plan `cached` with it and without, by turns, each time in a process of its own.

    Args:
        path: an artifact with the plans `split` and `cached`.
        steps: timed ones of each process, on a full batch of the longest utterances.
        runs: processes for each plan.

    Returns:
        trained_groups; uncached and cached: step_seconds, the median over all steps, and peak_private_mb;
        time_ratio, cached to uncached; stored, for each number of bits: bytes_per_second of speech and
        loss_difference, the largest relative one of a step from uncached training.
    """
    artifact = read_artifact(path)
    plan = Plan.of(CACHED, artifact.plans, artifact.signatures)
    groups = [name for name in _names(artifact) if name in plan.trained]
    results: dict[str, list[dict]] = {"split": [], CACHED: []}
    for _ in range(runs):
        for name, found in results.items():
            found.append(measured(path, name, steps, False, "--groups", ",".join(groups)))
    uncached, cached = (_medians(found) for found in results.values())
    return {
        "model": str(path),
        "trained_groups": groups,
        "steps": steps,
        "runs": runs,
        "uncached": uncached,
        "cached": cached,
        "time_ratio": cached["step_seconds"] / uncached["step_seconds"],
        "stored": _stored(artifact, groups),
    }


def _names(artifact: Artifact) -> list[str]:
    return [group["name"] for group in artifact.groups]


def _medians(runs: list[dict]) -> dict:
    return {
        "step_seconds": statistics.median(second for one in runs for second in one["step_seconds"]),
        "peak_private_mb": statistics.median(one["peak_private_mb"] for one in runs),
    }


def _stored(artifact: Artifact, groups: list[str]) -> dict:
    """Size and losses by bits."""
    examples = longest_examples(artifact.config)
    config = artifact.config
    seconds = len(examples) * config.features.samples_of(config.sizes.max_frames) / config.features.sample_rate
    rates = {name: float(name in groups) for name in _names(artifact)}
    reference = _losses(Recognizer.load(artifact.path), examples, plan="split", group_rates=rates)
    stored = {}
    for bits in sorted(BITS, reverse=True):
        recognizer = Recognizer.load(artifact.path)
        cached = recognizer.cache(examples, bits=bits)
        losses = _losses(recognizer, cached, plan=CACHED)
        stored[str(bits)] = {
            "bytes_per_second": sum(example.bytes for example in cached) / seconds,
            "loss_difference": float(np.max(np.abs(losses / reference - 1))),
        }
    return stored


def _losses(recognizer: Recognizer, examples, **how) -> np.ndarray:
    return np.asarray([recognizer.train_step(examples, learning_rate=1e-4, **how).loss for _ in range(COMPARED_STEPS)])
