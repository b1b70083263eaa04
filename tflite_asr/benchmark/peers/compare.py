"""The same training steps in every runtime, each in fresh processes with one thread, by turns."""

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

from tflite_asr.benchmark.peers.disk import installed_mb
from tflite_asr.benchmark.peers.prepare import prepare, prepare_stock
from tflite_asr.config import ModelConfig
from tflite_asr.errors import InputError
from tflite_asr.runtime.memory import HUGE_PAGES

LITERT, TENSORFLOW, PYTORCH = ("ai-edge-litert",), ("tensorflow", "tf_keras"), ("torch", "torchaudio", "numpy")
RUNTIMES = {  # and what has to be installed to run a step
    "ours_whole": LITERT,
    "ours_split": LITERT,
    "stock_tflite": ("tensorflow",),
    "tensorflow_eager": TENSORFLOW,
    "tensorflow_graph": TENSORFLOW,
    "pytorch_eager": PYTORCH,
}
ONE_THREAD = {
    name: "1"
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
} | {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
SAME_LOSS = 1e-3  # greatest relative difference of the first step's loss between two runtimes
NOTES = {
    "ours_split": "one call, each group in an arena of its own",
    "stock_tflite": "recurrences and the transducer's lattice unrolled; ops outside TFLite's by TensorFlow",
    "pytorch_eager": "torchaudio's transducer loss; on the disk without CUDA's files and packages",
}
FIGURES = ("added_private_mb", "peak_private_mb", "start_private_mb", "start_rss_mb")


def compare(
    works: dict[str, ModelConfig], runtimes: Sequence[str], *, steps: int, runs: int, progress: Callable[[str], None]
) -> dict:
    """Measure every runtime on every work.

    Args:
        works: what is trained, by name.
        runtimes: of `RUNTIMES`.
        steps: timed ones of each process, after two that memory is measured in.
        runs: processes for each work and runtime; within one run every runtime has its turn.
        progress: is told what is being done, in one line.

    Returns:
        works: for each, parameters and sizes. rows: for each work and runtime the medians over the runs, of
        step_seconds over all steps of all processes; memory that training adds over the interpreter, or the library and
        its model, that stood ready at `start`; disk_mb of the packages that a step needs; the first step's loss; and, with
        PyTorch among the runtimes, the ratios to it. summary: for each work our whole step's time and our split step's
        added memory, to PyTorch's.
    """
    if "pytorch_eager" in runtimes and not (find_spec("torch") and find_spec("torchaudio")):
        raise InputError(
            "pytorch_eager: needs PyTorch, which is not installed: pip install 'tflite_asr[peers]', or choose others with "
            "--runtime"
        )
    disk = {runtime: installed_mb(*RUNTIMES[runtime]) for runtime in runtimes}
    sizes, rows = {}, []
    for work, config in works.items():
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            progress(f"{work}: exporting")
            sizes[work] = _alone(prepare, config, folder)
            if "stock_tflite" in runtimes:
                _alone(prepare_stock, folder)
            measured: dict[str, list[dict]] = {runtime: [] for runtime in runtimes}
            for run in range(runs):
                for runtime in runtimes:
                    progress(f"{work}, run {run + 1} of {runs}: {runtime}")
                    measured[runtime].append(_child(runtime, folder, steps))
        work_rows = [_row(work, runtime, results, disk[runtime]) for runtime, results in measured.items()]
        _check_losses(work_rows)
        rows += work_rows
    result = {"steps": steps, "runs": runs, "works": sizes, "rows": rows}
    if "pytorch_eager" in runtimes:
        _add_ratios(rows)
        result["summary"] = {work: _summary([row for row in rows if row["work"] == work]) for work in works}
    return result


def _alone(function: Callable, *arguments):
    """Call it in a process of its own, so that TensorFlow's memory is gone when the measuring starts."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def _child(runtime: str, folder: Path, steps: int) -> dict:
    command = [sys.executable, "-m", "tflite_asr.benchmark.peers.child", runtime, str(folder), str(steps)]
    environment = os.environ | ONE_THREAD | (HUGE_PAGES if runtime.startswith("ours") else {})
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    if result.returncode:
        last = (result.stderr.strip().splitlines() or [f"ended with {result.returncode}"])[-1]
        raise InputError(f"{runtime} on {folder.name}: {last}")
    return json.loads(result.stdout.splitlines()[-1])


def _row(work: str, runtime: str, results: Sequence[dict], disk_mb: float) -> dict:
    seconds = [second for one in results for second in one["step_seconds"]]
    renamed = [{name.replace("base_", "start_"): value for name, value in one.items()} for one in results]
    return {
        "work": work,
        "runtime": runtime,
        "step_seconds": statistics.median(seconds),
        "step_seconds_lowest": min(seconds),
        "step_seconds_highest": max(seconds),
        **{name: statistics.median(one[name] for one in renamed) for name in FIGURES},
        "disk_mb": disk_mb,
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
        row["time_to_pytorch"] = row["step_seconds"] / peer["step_seconds"]
        row["memory_to_pytorch"] = row["added_private_mb"] / peer["added_private_mb"]


def _summary(rows: Sequence[dict]) -> dict:
    by_runtime = {row["runtime"]: row for row in rows}
    summary = {}
    if "ours_whole" in by_runtime:
        summary["whole_time_to_pytorch"] = by_runtime["ours_whole"]["time_to_pytorch"]
    if "ours_split" in by_runtime:
        summary["split_time_to_pytorch"] = by_runtime["ours_split"]["time_to_pytorch"]
        summary["split_memory_to_pytorch"] = by_runtime["ours_split"]["memory_to_pytorch"]
    return summary
