"""Models with random weights, exported for measurements."""

import multiprocessing
import os
from pathlib import Path
from typing import TYPE_CHECKING

from tflite_asr.config import ModelConfig
from tflite_asr.processes import leave_interrupts_to_the_parent, safe_path

if TYPE_CHECKING:
    from tflite_asr.export import SplitOptions


def export_apart(config: ModelConfig, split: "SplitOptions", optimizer: str, folder: Path) -> Path:
    """Export in a process of its own, so that TensorFlow's memory is gone when the measuring starts; the .tflite.

    Args:
        config: of the model.
        split: `export.SplitOptions`.
        optimizer: sgd, momentum or adam.
        folder: where the file goes, named as the configuration.
    """
    path = folder / f"{config.name}.tflite"
    with safe_path(), multiprocessing.get_context("spawn").Pool(1, leave_interrupts_to_the_parent) as pool:
        pool.apply(export_untrained, (config, split, optimizer, path))
    return path


def export_untrained(config: ModelConfig, split: "SplitOptions", optimizer: str, path: Path) -> None:
    """Export a model with random weights and its training step, and wait until it is written to disk."""
    import tf_keras as keras

    from tflite_asr.export import export
    from tflite_asr.models.build import build_model

    keras.utils.set_random_seed(0)
    export(build_model(config), path, optimizer=optimizer, split=split, inference=False, pull=False)
    with path.open("rb") as file:  # pages not yet written out would count as the measuring process's own
        os.fsync(file.fileno())
