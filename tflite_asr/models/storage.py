"""A trained model's folder: config.json and weights.safetensors."""

import json
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

from tflite_asr.config import ModelConfig
from tflite_asr.errors import InputError
from tflite_asr.files import check_readable, read_text, write_whole
from tflite_asr.models.build import build_model
from tflite_asr.models.ctc import CTC
from tflite_asr.models.grids import FILE as GRIDS_FILE
from tflite_asr.models.grids import read_grids
from tflite_asr.models.transducer import Transducer


def save_model(folder: Path, config: ModelConfig, weights: dict[str, np.ndarray]) -> None:
    """Write the folder; each file is whole or the former one stays."""
    folder.mkdir(parents=True, exist_ok=True)
    contiguous = {name: np.ascontiguousarray(value) for name, value in weights.items()}  # safetensors stores the buffer
    write_whole(folder / "weights.safetensors", safetensors.numpy.save(contiguous))
    write_whole(folder / "config.json", json.dumps(config.to_json(), indent=1).encode())


def load_model(folder: Path) -> Transducer | CTC:
    """The model of a folder that `save_model` wrote."""
    config, values = read_model(folder)
    model = build_model(config)
    weights = model.named_weights()
    if {k: tuple(v.shape) for k, v in weights.items()} != {k: v.shape for k, v in values.items()}:
        raise InputError(f"{folder}: weights.safetensors does not fit config.json; train again or restore its pair")
    for name, variable in weights.items():
        variable.assign(values[name])
    model.grids = read_grids(folder)
    return model


def read_model(folder: Path) -> tuple[ModelConfig, dict[str, np.ndarray]]:
    """Read a model folder: the configuration, and the weights by tree path."""
    config = read_config(folder)
    try:
        check_readable(folder / "weights.safetensors", "the weights of a model")
        return config, safetensors.numpy.load_file(folder / "weights.safetensors")
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise _not_a_model(folder, error) from None


def read_config(folder: Path) -> ModelConfig:
    """The configuration in such a folder."""
    try:
        return ModelConfig.from_json(json.loads(read_text(folder / "config.json", "the description of a model")))
    except (OSError, ValueError) as error:
        raise _not_a_model(folder, error) from None


def _not_a_model(folder: Path, error: Exception) -> InputError:
    return InputError(
        f"{folder}: expected a folder that `tflite-asr train` wrote (config.json, weights.safetensors): {error}"
    )


def copy_companions(source: Path, folder: Path) -> None:
    """Copy the companions of a model's weights to another folder: grids and licences."""
    if (source / GRIDS_FILE).is_file():
        write_whole(folder / GRIDS_FILE, (source / GRIDS_FILE).read_bytes())
    copy_licences(source, folder)


def copy_licences(source: Path, folder: Path) -> list[Path]:
    """Copy the texts of the licences that stand in a model's folder; returns the copies."""
    texts = [path for path in sorted(source.glob("LICENSE.*")) if path.is_file()]
    for path in texts:
        if not (folder / path.name).exists() or not path.samefile(folder / path.name):
            write_whole(folder / path.name, path.read_bytes())
    return [folder / path.name for path in texts]
