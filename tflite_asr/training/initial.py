"""Initial weights of a training, from another model with common layer groups."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from signatures.spec import group_of
from tflite_asr.config import Encoder, ModelConfig, RescorerConfig
from tflite_asr.errors import InputError
from tflite_asr.models.group_names import select_groups
from tflite_asr.models.storage import read_config, read_model
from tflite_asr.runtime.artifact import Artifact, find, read_artifact
from tflite_asr.runtime.recognizer import Recognizer


def initial_weights(
    source: str, config: ModelConfig, *, whole: bool = False, groups: str | None = None
) -> dict[str, np.ndarray]:
    """Weights by tree path, of the layer groups that a model of `config` has too.

    The two may differ in exits, in the number of encoder groups, in the rescorer, in dropout and in sizes, and the
    model may do without the decoder of the source; with `whole` they differ in exits alone, so that no group of the
    model is without weights.

    Args:
        source: a folder that `train` wrote, or an exported model, by path or by the name of a shipped one.
        config: of the model that is to be trained.
        groups: take these layer groups of the source alone, by name, or "none"; weights of the front end,
            which does not train, come along.
    """
    found, values = read_model(Path(source)) if Path(source).is_dir() else exported_weights(source)
    same = dataclasses.replace(found, name=config.name, exits=config.exits, exit_weighting=config.exit_weighting)
    if not whole and type(found.encoder) is type(config.encoder):
        encoder = _with_layers_of(found.encoder, config.encoder)
        decoder = found.decoder if config.decoder else None
        same = dataclasses.replace(same, encoder=encoder, rescorer=config.rescorer, decoder=decoder, sizes=config.sizes)
    if same != config:
        may = "its exits" if whole else "its exits, encoder groups, rescorer and sizes"
        other = [
            field.name
            for field in dataclasses.fields(config)
            if getattr(same, field.name) != getattr(config, field.name)
        ]
        raise InputError(
            f"{source}: expected a model that differs from {config.name} in {may} alone, got other {', '.join(other)}"
        )
    gone = {f"exit_{group}" for group in found.exits if group not in config.exits}
    gone |= {f"encoder_{group}" for group in range(config.encoder.layers, found.encoder.layers)}
    gone |= {"rescorer"} if _shape(found.rescorer) != _shape(config.rescorer) else set()
    names = list(dict.fromkeys(group_of(name) for name in values if not name.startswith("stem/")))
    gone |= {name for name in names if found.decoder and not config.decoder and name.startswith("decoder")}
    gone |= set(names).difference(select_groups(groups or "all", names, "--initial-groups"))
    # the last layer of a transformer, and no other, normalises what it puts out
    if found.encoder.kind == "transformer" and found.encoder.layers < config.encoder.layers:
        values.pop(f"encoder_{found.encoder.layers - 1}/gain", None)
    return {name: value for name, value in values.items() if group_of(name) not in gone}


def with_origin(config: ModelConfig, source: str) -> ModelConfig:
    """The configuration with the companions of a source's weights: their licences, and the decoder's subwords.

    Args:
        config: of the model that is to be trained.
        source: as `initial_weights` takes it.
    """
    found = read_source_config(source)
    if config.decoder and found.decoder:
        config = dataclasses.replace(
            config, decoder=dataclasses.replace(config.decoder, subwords=found.decoder.subwords)
        )
    return dataclasses.replace(config, licences=found.licences)


def _shape(rescorer: RescorerConfig | None) -> tuple[int, ...] | None:
    """The sizes that the shapes of a rescorer's weights depend on."""
    return (rescorer.embedding, rescorer.units, rescorer.heads) if rescorer else None


def _with_layers_of(found: Encoder, wanted: Encoder) -> Encoder:
    """`found` with as many layers, and residual ones above those that the two have in common."""
    changes: dict[str, Any] = {"layers": wanted.layers, "dropout": wanted.dropout}
    if found.kind == "lstm" and wanted.kind == "lstm":
        common = min(found.layers, wanted.layers)
        first = [common if each.residual_from is None else min(common, each.residual_from) for each in (found, wanted)]
        if first[0] == first[1]:
            changes["residual_from"] = wanted.residual_from
    return dataclasses.replace(found, **changes)


def read_source_config(source: str) -> ModelConfig:
    """The configuration of a folder that `train` wrote, or of an exported model."""
    return read_config(Path(source)) if Path(source).is_dir() else _artifact(source).config


def _artifact(source: str) -> Artifact:
    try:
        find(source)
    except InputError as error:
        raise InputError(f"{error}, nor a folder that `tflite-asr train` wrote") from None
    return read_artifact(source)


def exported_weights(source: str) -> tuple[ModelConfig, dict[str, np.ndarray]]:
    """The configuration of an exported model, and its shipped weights by tree path."""
    if _artifact(source).frozen_groups:
        raise InputError(f"{source}: its frozen groups are constants; start from the folder that it was exported from")
    recognizer = Recognizer.load(source)
    state = recognizer.state()
    return recognizer.config, {row["name"]: state[row["tensor"]] for row in recognizer.artifact.parameters}
