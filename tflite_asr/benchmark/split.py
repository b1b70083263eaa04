"""Memory and time of the whole and the split step, in fresh alternating processes."""

import statistics
from pathlib import Path

from tflite_asr.config.plans import SPLIT, WHOLE
from tflite_asr.processes import json_of, python_module
from tflite_asr.runtime.artifact import Artifact, read_artifact
from tflite_asr.runtime.memory import HUGE_PAGES
from tflite_asr.runtime.plan import Plan

PLANS = {"whole": WHOLE, "split": SPLIT}
FIGURES = (
    "added_private_mb",
    "settled_added_mb",
    "arena_mb",
    "peak_private_mb",
    "peak_rss_mb",
    "base_private_mb",
    "step_seconds",
)


def compare(path: Path, *, steps: int, runs: int, keep_memory: bool = False, seconds: float | None = None) -> dict:
    """Run both plans of an artifact `runs` times, alternating, each time in a process of its own.

    Args:
        path: an artifact with the plans `train` and `split`.
        steps: timed ones of each process, after two that memory is measured in.
        runs: processes for each plan.
        keep_memory: leave the C allocator as it is, in both; otherwise both give back what they free, in huge pages.
        seconds: of each utterance of the batch; None: the longest that there are.

    Returns:
        memory_reduction, of what training adds to the interpreter with its variables initialised;
        total_memory_reduction; settled_memory_reduction, the same after the first step; time_increase; all fractions of
        the whole step's. whole
        and split: medians over the runs of what `measure` returns, and the lowest and highest step_seconds. Without
        `seconds`, floor_mb: weights, optimizer state, and the largest part's activations; split_to_floor: the split's
        peak to it.
    """
    artifact = read_artifact(path)
    results: dict[str, list[dict]] = {name: [] for name in PLANS}
    options = () if seconds is None else ("--seconds", str(seconds))
    for _ in range(runs):
        for name, plan in PLANS.items():
            results[name].append(measured(path, plan, steps, keep_memory, *options))
    medians = {name: _medians(found) for name, found in results.items()}
    whole, split = medians["whole"], medians["split"]
    result = {
        "model": str(path),
        "parts": Plan.of(SPLIT, artifact.plans, artifact.signatures).parts,
        "calls": len(artifact.plans[SPLIT]),
        "steps": steps,
        "runs": runs,
        "memory_reduction": 1 - split["added_private_mb"] / whole["added_private_mb"],
        "settled_memory_reduction": 1 - split["settled_added_mb"] / whole["settled_added_mb"],
        "time_increase": split["step_seconds"] / whole["step_seconds"] - 1,
        "total_memory_reduction": 1 - split["peak_private_mb"] / whole["peak_private_mb"],
        "whole": whole,
        "split": split,
        "loss_difference": max(
            abs(one / other - 1) for one, other in zip(results["whole"][0]["losses"], results["split"][0]["losses"])
        ),
    }
    if seconds is None:  # the activations of NAME.json are those of the longest utterances
        floor = floor_mb(artifact)
        result |= {"floor_mb": floor, "split_to_floor": split["peak_private_mb"] / floor}
    return result


def floor_mb(artifact: Artifact) -> float:
    """The least memory of any training in parts, MB: weights, optimizer state, the largest part's activations."""
    state = sum(_elements(tensor["shape"]) for tensor in artifact.state) * 4
    activations = {group["name"]: group["activation_bytes"] for group in artifact.groups}
    parts = [call["updates"] for call in artifact.plans[SPLIT] if call["updates"]]
    return (state + max(sum(activations[name] for name in part) for part in parts)) / 1e6


def _elements(shape: list[int]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count


def measured(path: Path, plan: str, steps: int, keep_memory: bool, *options: str) -> dict:
    """The figures that `benchmark.measure` prints in a process of its own."""
    command = python_module("tflite_asr.benchmark.measure", str(path), plan, str(steps))
    command += ["--keep-memory"] * keep_memory + list(options)
    return json_of(command, f"{path}, plan {plan}", {} if keep_memory else HUGE_PAGES)


def _medians(runs: list[dict]) -> dict:
    """Medians of each figure over processes; of seconds over all steps of all processes."""
    seconds = [second for one in runs for second in one["step_seconds"]]
    medians = {name: statistics.median(one[name] for one in runs) for name in FIGURES if name != "step_seconds"}
    return {
        **medians,
        "step_seconds": statistics.median(seconds),
        "step_seconds_lowest": min(seconds),
        "step_seconds_highest": max(seconds),
    }
