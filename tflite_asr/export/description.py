"""NAME.json: what an exported file holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf

from signatures.optimizers import State
from signatures.parameters import group_figures
from signatures.spec import Signature, group_of
from signatures.weights import tensor_key
from tflite_asr.export.steps import Steps, plans_of
from tflite_asr.models.second_pass import SecondPass
from tflite_asr.models.speech import SpeechModel
from tflite_asr.runtime.artifact import Artifact, sha256
from tflite_asr.runtime.flatbuffer import read_contents
from tflite_asr.runtime.voice import Mixture
from tflite_asr.text.tokenizer import first_pass_tokenizer


@dataclass(frozen=True)
class Exported:
    """What a file is made from."""

    model: SpeechModel  # recognises the longest utterances
    learner: SpeechModel | SecondPass  # the part of it that trains
    state: State
    signatures: Sequence[Signature]
    functions: Mapping[str, tf.types.experimental.ConcreteFunction]  # the signatures, traced, by name
    steps: Sequence[Sequence[Steps]]  # for each length of utterances, the longest first
    voices: Mixture | None
    owner_views: bool
    allow_flex: bool


def describe(exported: Exported, written: Path, out: Path) -> Artifact:
    """Describe a file.

    Args:
        exported: what the file was made from.
        written: the file's content, perhaps under a temporary name.
        out: the file's name.
    """
    contents = read_contents(written)
    model, learner = exported.model, exported.learner
    longest, *shorter = exported.steps
    return Artifact(
        name=out.stem,
        tflite_sha256=sha256(written),
        bytes=written.stat().st_size,
        min_runtime=contents.min_runtime,
        allow_flex=exported.allow_flex,
        model=learner.config.to_json(),
        tokenizer=first_pass_tokenizer(model.config).to_json(),
        optimizer=exported.state.optimizer.name,
        groups=group_figures(learner, model.config.sizes.batch),
        parameters=_parameters(model, exported.state),
        state=[
            {"tensor": tensor_key(path), "shape": variable.shape.as_list(), "dtype": variable.dtype.name}
            for path, variable in exported.state.variables().items()
        ],
        exits=[
            *({"name": f"exit_{group}", "group": model.groups[group].name} for group in model.config.exits),
            {"name": "final", "group": learner.groups[-1].name},
        ],
        signatures={s.name: _signature(s, exported.functions[s.name]) for s in exported.signatures},
        plans=plans_of(longest),
        plan_exits={name: one.exit for one in longest for name in one.plans()},
        shorter_plans=plans_of([one for sized in shorter for one in sized]),
        path=out,
        owner_views=exported.owner_views,
        voices=exported.voices.to_json() if exported.voices else None,
        licences=model.config.licences,
    )


def _parameters(model: SpeechModel, state: State) -> list[dict]:
    """The entry of each weight."""
    return [
        {
            "name": path,
            "tensor": tensor_key(path),
            "shape": weight.shape.as_list(),
            "dtype": weight.dtype.name,
            "group": group_of(path),
            "trainable": path in state.weights,
        }
        for path, weight in model.named_weights().items()
    ]


def _signature(signature: Signature, function: tf.types.experimental.ConcreteFunction) -> dict:
    """The entry of a signature."""
    return {
        "does": signature.does,
        "inputs": [
            {"name": spec.name, "shape": spec.shape.as_list(), "dtype": spec.dtype.name} for spec in signature.inputs
        ],
        "outputs": sorted(function.structured_outputs),
        "reads": list(signature.reads),
        "writes": list(signature.writes),
    }
