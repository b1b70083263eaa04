"""`parameters`: what a sub-model selector reads, one value a layer group."""

import tensorflow as tf

from signatures.optimizers import State
from signatures.spec import Signature, TrainableModel, group_of
from signatures.training import global_norm

DOES = "per layer group: parameters, bytes, activation bytes, weight norm, distance from the shipped weights"
FLOAT_BYTES = 4


def group_figures(model: TrainableModel, batch: int) -> list[dict]:
    """Static figures of each group: name, parameters, bytes, activation_bytes (of a full batch kept for backward)."""
    return [
        {
            "name": group.name,
            "parameters": int(sum(weight.shape.num_elements() for weight in group.weights)),
            "bytes": int(sum(weight.shape.num_elements() for weight in group.weights)) * FLOAT_BYTES,
            "activation_bytes": batch * group.activation_elements(steps) * FLOAT_BYTES,
        }
        for group, steps in zip(model.all_groups, model.group_steps())
    ]


def parameters_signature(model: TrainableModel, state: State, batch: int) -> Signature:
    """The signature `parameters`: nothing in; out, in the order of the groups, each [groups]: `parameters`, `bytes`,
    `activation_bytes` int32, `weight_norm` and `distance` (Euclidean, from the shipped weights) float32."""
    figures = group_figures(model, batch)
    names = [figure["name"] for figure in figures]

    def norm_by_group(values: dict[str, tf.Tensor]) -> tf.Tensor:
        return tf.stack([global_norm([v for n, v in values.items() if group_of(n) == group]) for group in names])

    def parameters():
        weights = {name: weight.read_value() for name, weight in state.weights.items()}
        moved = {name: value - tf.constant(state.shipped[name]) for name, value in weights.items()}
        return {
            **{key: tf.constant([f[key] for f in figures]) for key in ("parameters", "bytes", "activation_bytes")},
            "weight_norm": norm_by_group(weights),
            "distance": norm_by_group(moved),
        }

    return Signature("parameters", DOES, parameters, (), reads=tuple(names))
