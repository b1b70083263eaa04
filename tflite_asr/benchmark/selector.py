"""Compares the selector's predictions of memory and time with measurements in fresh processes."""

import dataclasses
import statistics
from collections.abc import Sequence
from pathlib import Path

from tflite_asr.benchmark.split import measured
from tflite_asr.personalization.calibration import calibrate
from tflite_asr.personalization.selector import Candidate, candidates
from tflite_asr.runtime.artifact import read_artifact


def compare_predictions(paths: Sequence[Path], *, steps: int, runs: int, threads: int) -> dict:
    """Calibrate anew, then run every candidate of every artifact `runs` times, each time in a process of its own.

    Args:
        paths: of the artifacts.
        steps: timed ones of each process, after two that memory is measured in.
        runs: processes for each candidate, alternating, so that a busy moment does not affect one candidate alone.
        threads: of the interpreter.

    Returns:
        worst_memory_error, worst_time_error: of any candidate, |predicted / measured - 1|; models: of each the
        candidates with measured_peak_mb, measured_step_seconds, memory_error and time_error, all medians over the runs.
    """
    models = [_model(path, steps, runs, threads) for path in paths]
    rows = [row for model in models for row in model["candidates"]]
    return {
        "worst_memory_error": max(row["memory_error"] for row in rows),
        "worst_time_error": max(row["time_error"] for row in rows),
        "steps": steps,
        "runs": runs,
        "threads": threads,
        "models": models,
    }


def _model(path: Path, steps: int, runs: int, threads: int) -> dict:
    artifact = read_artifact(path)
    found = candidates(artifact, calibrate(artifact, threads))
    results: list[list[dict]] = [[] for _ in found]
    for _ in range(runs):
        for candidate, result in zip(found, results):
            groups = ("--groups", ",".join(candidate.trainable_groups), "--threads", str(threads))
            result.append(measured(path, candidate.plan, steps, False, *groups))
    return {"model": str(path), "candidates": [_row(*pair) for pair in zip(found, results)]}


def _row(candidate: Candidate, results: Sequence[dict]) -> dict:
    peak_mb = statistics.median(result["peak_private_mb"] for result in results)
    seconds = statistics.median(second for result in results for second in result["step_seconds"])
    return {
        **dataclasses.asdict(candidate),
        "measured_peak_mb": peak_mb,
        "measured_step_seconds": seconds,
        "memory_error": abs(candidate.predicted_peak_mb / peak_mb - 1),
        "time_error": abs(candidate.predicted_step_seconds / seconds - 1),
    }
