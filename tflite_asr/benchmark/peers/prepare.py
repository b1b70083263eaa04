"""A work's folder: config.json, weights.safetensors, ours.tflite; `stock` adds its own file."""

import os
from pathlib import Path

from tflite_asr.config import ModelConfig


def prepare(config: ModelConfig, folder: Path) -> dict:
    """Draw weights, and export our file with SGD, whole and split. Returns the description of the workload."""
    import tf_keras as keras

    from tflite_asr.export import export
    from tflite_asr.models.build import build_model
    from tflite_asr.models.storage import save_model

    keras.utils.set_random_seed(0)
    model = build_model(config)
    weights = {name: weight.numpy() for name, weight in model.named_weights().items()}
    save_model(folder, config, weights)
    path = folder / "ours.tflite"
    export(model, path, optimizer="sgd", inference=False, pull=False)
    with path.open("rb") as file:  # pages not yet written out would count as the measuring process's own
        os.fsync(file.fileno())
    encoder, sizes = config.encoder, config.sizes
    return {
        "encoder": f"{encoder.layers} {encoder.kind} layers of {encoder.units} units",
        "parameters": sum(array.size for array in weights.values()),
        "batch": sizes.batch,
        "frames": sizes.max_frames,
        "encoder_steps": sizes.max_frames // encoder.frames_per_step,
        "labels": sizes.max_tokens,
    }
