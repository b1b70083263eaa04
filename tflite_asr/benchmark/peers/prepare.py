"""A work's folder: config.json, weights.safetensors, ours.tflite, ours.json; `stock` adds its own file."""

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING

from tflite_asr.config import ModelConfig, SubwordConfig
from tflite_asr.config.heads import required
from tflite_asr.export.quantization import Quantization

if TYPE_CHECKING:
    from tflite_asr.models.speech import SpeechModel

FROZEN = "int8 in our file and made floats in each step; floats of the same values elsewhere"


def prepare(config: ModelConfig, folder: Path) -> dict:
    """Draw weights, and export our file with SGD, whole and split. Returns the description of the workload."""
    import tf_keras as keras

    from tflite_asr.export import export
    from tflite_asr.export.learner import learner_of, trainable_groups
    from tflite_asr.models.build import build_model
    from tflite_asr.models.storage import save_model

    keras.utils.set_random_seed(0)
    model = build_model(_with_pieces(config) if config.trains_second_pass else config)
    quantization = Quantization()
    if config.trains_second_pass:
        _round_to_grids(model)
        second = ",".join(group.name for group in model.second_pass_groups)
        quantization = Quantization("grid", trainable=second, bias_only=True)
    learner = learner_of(model, trainable_groups(model, quantization))
    weights = {name: weight.numpy() for name, weight in learner.named_weights().items()}
    save_model(folder, config, weights)
    path = folder / "ours.tflite"
    artifact = export(model, path, optimizer="sgd", quantization=quantization, inference=False, pull=False)
    with path.open("rb") as file:  # pages not yet written out would count as the measuring process's own
        os.fsync(file.fileno())
    encoder, sizes = config.encoder, config.sizes
    trained = {row["name"] for row in artifact.trainable}
    return {
        "encoder": f"{len(learner.groups)} {encoder.kind} layers of {encoder.units} units",
        "parameters": sum(array.size for array in weights.values()),
        "trained_parameters": sum(weights[name].size for name in trained),
        "frozen_weights": FROZEN if weights.keys() - trained else "none",
        "batch": sizes.batch,
        "frames": sizes.max_frames,
        "encoder_steps": sizes.max_frames // encoder.frames_per_step,
        "labels": config.max_labels,
    }


def _with_pieces(config: ModelConfig) -> ModelConfig:
    """The configuration with a piece for each of the decoder's subwords: an export refuses a second pass without."""
    decoder = required(config.decoder, "decoder")
    pieces = tuple(map(str, range(decoder.vocabulary_size)))
    return dataclasses.replace(config, decoder=dataclasses.replace(decoder, subwords=SubwordConfig(pieces)))


def _round_to_grids(model: "SpeechModel") -> None:
    """Bring every matrix to a grid of 256 values, as those of the shipped model are: our file stores it as int8, and
    the others' floats are the same values."""
    from tflite_asr.models.grids import Grid
    from tflite_asr.models.int8_columns import becomes_int8

    for name, weight in model.named_weights().items():
        if becomes_int8(weight.shape):
            grid = model.grids[name] = Grid.around(weight.numpy())
            weight.assign(grid.diffused(weight.numpy()))
