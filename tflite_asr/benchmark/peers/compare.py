"""The same training steps in every runtime, each in fresh processes with one thread, alternating."""

import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

from tflite_asr.benchmark.peers.prepare import prepare
from tflite_asr.config import ModelConfig
from tflite_asr.errors import InputError
from tflite_asr.processes import SAFE_PATH, leave_interrupts_to_the_parent, python_module, safe_path
from tflite_asr.runtime.memory import HUGE_PAGES

ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), "1"
) | {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
SAME_LOSS = 1e-3  # greatest relative difference of the first step's loss between two runtimes
NOTES = {
    "ours_split": "one call, each group in an arena of its own; clipped group by group",
    "stock_tflite": "recurrences and the transducer's lattice unrolled; ops outside TFLite's by TensorFlow",
    "pytorch_eager": "torchaudio's transducer loss; disk_mb without CUDA's files and packages, memory as installed",
}
FIGURES = ("added_private_mb", "peak_private_mb", "start_private_mb", "start_rss_mb", "disk_mb")
CONVERSION_SECONDS = 1800  # after so long the stock way's conversion is given up


class NotMeasured(Exception):
    """The last message of a process that failed to measure."""


def compare(
    works: dict[str, ModelConfig],
    runtimes: Sequence[str],
    *,
    steps: int,
    runs: int,
    stock_python: str,
    progress: Callable[[str], None],
) -> dict:
    """Measure every runtime on every work.

    Args:
        works: what is trained, by name.
        runtimes: of `RUNTIMES`.
        steps: timed ones of each process, after two that memory is measured in.
        runs: processes for each work and runtime; each run measures every runtime once.
        stock_python: the Python that runs the stock way's file.
        progress: called with a line about each measurement.

    Returns:
        works: for each, parameters, sizes and how frozen weights are stored. rows: for each work and runtime the
        medians over the runs, of step_seconds over all steps of all processes; memory that training adds over the
        interpreter, or the library and its model, that stood ready at `start`; disk_mb of the packages that a step
        needs; the first step's loss; and, with PyTorch among the runtimes, the ratios to it. Where the stock way fails,
        its row has no figures and a note of why.
        summary: for each work our whole step's time and our split step's time and added memory, to PyTorch's.
    """
    if "pytorch_eager" in runtimes and not (find_spec("torch") and find_spec("torchaudio")):
        raise InputError(
            "pytorch_eager: needs PyTorch, which is not installed: pip install 'tflite_asr[peers]', or choose others "
            "with "
            "--runtime"
        )
    sizes, rows = {}, []
    for work, config in works.items():
        sizes[work], work_rows = _compare_on(work, config, runtimes, steps, runs, stock_python, progress)
        _check_losses([row for row in work_rows if row["loss"] is not None])
        rows += work_rows
    result = {"steps": steps, "runs": runs, "works": sizes, "rows": rows}
    if "pytorch_eager" in runtimes:
        _add_ratios(rows)
        result["summary"] = {work: _summary([row for row in rows if row["work"] == work]) for work in works}
    return result


def _compare_on(
    work: str,
    config: ModelConfig,
    runtimes: Sequence[str],
    steps: int,
    runs: int,
    stock_python: str,
    progress: Callable[[str], None],
) -> tuple[dict, list[dict]]:
    """Sizes of one work, and a row for each runtime; see `compare`."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        progress(f"{work}: exporting")
        sizes = _alone(prepare, config, folder)
        failed = {}
        if "stock_tflite" in runtimes:
            progress(f"{work}: converting the stock way")
            try:
                _run(python_module("tflite_asr.benchmark.peers.stock", str(folder)), CONVERSION_SECONDS)
            except NotMeasured as error:
                failed["stock_tflite"] = f"not converted: {error}"
        measured: dict[str, list[dict]] = {runtime: [] for runtime in runtimes}
        for run in range(runs):
            for runtime in runtimes:
                if runtime not in failed:
                    progress(f"{work}, run {run + 1} of {runs}: {runtime}")
                    try:
                        python = stock_python if runtime == "stock_tflite" else sys.executable
                        measured[runtime].append(_child(runtime, folder, steps, python))
                    except NotMeasured as error:
                        if runtime != "stock_tflite":
                            raise InputError(f"{runtime} on {work}: {error}") from None
                        failed[runtime] = f"not run: {error}"
    return sizes, [_row(work, runtime, results, failed.get(runtime)) for runtime, results in measured.items()]


def _alone(function: Callable, *arguments):
    """Call it in a process of its own, so that TensorFlow's memory is gone when the measuring starts."""
    with safe_path(), multiprocessing.get_context("spawn").Pool(1, leave_interrupts_to_the_parent) as pool:
        return pool.apply(function, arguments)


def _child(runtime: str, folder: Path, steps: int, python: str) -> dict:
    command = python_module("tflite_asr.benchmark.peers.child", runtime, str(folder), str(steps), python=python)
    output = _run(command, None, ONE_THREAD | (HUGE_PAGES if runtime.startswith("ours") else {}))
    return json.loads(output.splitlines()[-1])


def _run(command: Sequence[str], timeout: float | None, environment: dict[str, str] = ONE_THREAD) -> str:
    """The output of a command; NotMeasured if it fails or takes longer than `timeout` seconds."""
    try:
        result = subprocess.run(
            command, capture_output=True, text=True, env=os.environ | SAFE_PATH | environment, timeout=timeout
        )
    except subprocess.TimeoutExpired:
        raise NotMeasured(f"given up after {timeout} seconds") from None
    if result.returncode:
        last = (result.stderr.strip().splitlines() or [""])[-1]
        raise NotMeasured(f"exit code {result.returncode}: {last}")
    return result.stdout


def _row(work: str, runtime: str, results: Sequence[dict], failed: str | None) -> dict:
    """Medians of the children's figures; the reason instead if one failed."""
    if failed:
        missing = ("version", "step_seconds", "step_seconds_lowest", "step_seconds_highest", *FIGURES, "loss")
        return {"work": work, "runtime": runtime, **dict.fromkeys(missing), "note": failed}
    seconds = [second for one in results for second in one["step_seconds"]]
    renamed = [{name.replace("base_", "start_"): value for name, value in one.items()} for one in results]
    return {
        "work": work,
        "runtime": runtime,
        "version": results[0]["version"],
        "step_seconds": statistics.median(seconds),
        "step_seconds_lowest": min(seconds),
        "step_seconds_highest": max(seconds),
        **{name: statistics.median(one[name] for one in renamed) for name in FIGURES},
        "loss": results[0]["losses"][0],
        "note": NOTES.get(runtime, ""),
    }


def _check_losses(rows: Sequence[dict]) -> None:
    for row in rows:
        if abs(row["loss"] / rows[0]["loss"] - 1) > SAME_LOSS:
            raise InputError(
                f"{row['work']}: expected the same first loss of every runtime, got {rows[0]['loss']:.6g} of "
                f"{rows[0]['runtime']} and {row['loss']:.6g} of {row['runtime']}: they do not do the same work"
            )


def _add_ratios(rows: Sequence[dict]) -> None:
    pytorch = {row["work"]: row for row in rows if row["runtime"] == "pytorch_eager"}
    for row in rows:
        peer = pytorch[row["work"]]
        for ratio, figure in (("time_to_pytorch", "step_seconds"), ("memory_to_pytorch", "added_private_mb")):
            row[ratio] = None if row[figure] is None else row[figure] / peer[figure]


def _summary(rows: Sequence[dict]) -> dict:
    by_runtime = {row["runtime"]: row for row in rows}
    summary = {}
    if "ours_whole" in by_runtime:
        summary["whole_time_to_pytorch"] = by_runtime["ours_whole"]["time_to_pytorch"]
    if "ours_split" in by_runtime:
        summary["split_time_to_pytorch"] = by_runtime["ours_split"]["time_to_pytorch"]
        summary["split_memory_to_pytorch"] = by_runtime["ours_split"]["memory_to_pytorch"]
    return summary
