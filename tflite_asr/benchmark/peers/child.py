"""Measures one runtime on one workload in this process.

    python -m tflite_asr.benchmark.peers.child RUNTIME FOLDER STEPS

FOLDER is one that `prepare` made. Prints a JSON object. What is not measured is not imported.
"""

import ctypes
import gc
import json
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from tflite_asr.benchmark.measure import measure, measure_steps
from tflite_asr.benchmark.peers.work import read_work
from tflite_asr.config.plans import SPLIT, WHOLE

PLANS = {"ours_whole": WHOLE, "ours_split": SPLIT}


def _pytorch_eager(folder: Path) -> Callable[[], float]:
    import torch

    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    from tflite_asr.benchmark.peers.torch_step import TorchStep

    config, weights, batch = read_work(folder)
    step = TorchStep(config, weights)
    frames, tokens = (torch.from_numpy(batch[name]) for name in ("frames", "tokens"))
    return lambda: float(step(frames, tokens))


def _tensorflow(graph: bool) -> Callable[[Path], Callable[[], float]]:
    def make(folder: Path) -> Callable[[], float]:
        import tensorflow as tf

        from tflite_asr.benchmark.peers.keras_step import KerasStep

        config, weights, batch = read_work(folder)
        step = KerasStep(config, weights)
        run = tf.function(step) if graph else step
        frames, tokens = (tf.constant(batch[name]) for name in ("frames", "tokens"))
        return lambda: float(run(frames, tokens))

    return make


def _stock_tflite(folder: Path) -> Callable[[], float]:
    from tflite_asr.benchmark.peers.stock import StockStep

    _, _, batch = read_work(folder)
    step = StockStep(folder)
    return lambda: step(batch["frames"], batch["tokens"])


PEERS = {
    "stock_tflite": _stock_tflite,
    "tensorflow_eager": _tensorflow(graph=False),
    "tensorflow_graph": _tensorflow(graph=True),
    "pytorch_eager": _pytorch_eager,
}


def run(runtime: str, folder: Path, steps: int) -> dict:
    """Measure a runtime; returns the figures of `measure_steps`."""
    if runtime in PLANS:
        return measure(folder / "ours.tflite", PLANS[runtime], steps, keep_memory=False)
    step = PEERS[runtime](folder)
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what making the model left behind is no memory of the runtime's
    return measure_steps(step, steps)


if __name__ == "__main__":
    name, work, count = sys.argv[1:]
    figures = run(name, Path(work), int(count))
    from tflite_asr.benchmark.peers.disk import PACKAGES, installed_mb

    packages = PACKAGES[name]
    print(json.dumps(figures | {"version": version(packages[0]), "disk_mb": installed_mb(*packages)}))
