"""`parameters`: figures for choosing a sub-model, one value per layer group."""

from collections.abc import Callable

import tensorflow as tf

from signatures.arena import always, in_arena
from signatures.optimizers import State
from signatures.spec import Signature, TrainableModel, group_of
from signatures.update import global_norm

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
    `activation_bytes` int32, `weight_norm` and, where the state has the shipped weights, `distance` (Euclidean, from
    them) float32."""
    figures = group_figures(model, batch)
    names = [figure["name"] for figure in figures]

    def norm_by_group(value: Callable[[str], tf.Tensor]) -> tf.Tensor:
        # one weight at a time, so that the copies of all are never there at once
        of_group = {group: [name for name in state.weights if group_of(name) == group] for group in names}
        norms = {
            name: in_arena(always(state.step), lambda: tf.sqrt(tf.reduce_sum(tf.square(value(name)))))
            for name in state.weights
        }
        return tf.stack([global_norm([norms[name] for name in of_group[group]]) for group in names])

    def parameters():
        outputs = {
            **{key: tf.constant([f[key] for f in figures]) for key in ("parameters", "bytes", "activation_bytes")},
            "weight_norm": norm_by_group(lambda name: state.weights[name].read_value()),
        }
        if state.shipped:
            outputs["distance"] = norm_by_group(
                lambda name: state.weights[name].read_value() - tf.constant(state.shipped[name])
            )
        return outputs

    return Signature("parameters", DOES, parameters, (), reads=tuple(names))
