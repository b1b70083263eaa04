"""The shapes that run along a chain of layer groups, found by tracing it once."""

from collections.abc import Sequence
from dataclasses import dataclass

import tensorflow as tf

from signatures.parts import GroupCost
from signatures.spec import LayerGroup, SplitModel


@dataclass(frozen=True)
class GroupSpecs:
    """What goes into a group of the chain, and what its ops keep for a backward pass in another call."""

    x: tf.TensorSpec  # [batch, steps, ...]
    lengths: tf.TensorSpec  # [batch] int32
    dear: tuple[tf.TensorSpec, ...] = ()
    all_kept: tuple[tf.TensorSpec, ...] = ()  # what is cheap to make again too

    def kept(self, cheap: bool) -> tuple[tf.TensorSpec, ...]:
        return self.all_kept if cheap else self.dear


def frame_inputs(model: SplitModel) -> list[tf.TensorSpec]:
    """The batch inputs that feed the encoder chain."""
    return [spec for spec in model.batch_inputs() if spec.name not in model.label_inputs]


def trace_chain(model: SplitModel) -> list[GroupSpecs]:
    """The specs of each encoder group, and of what the last one puts out (with nothing kept) after them."""
    specs = []

    def add(x, lengths, *kept):
        specs.append(GroupSpecs(_spec(x), _spec(lengths), *(tuple(map(_spec, tensors)) for tensors in kept)))

    def chain(*frames):
        x, lengths = model.front(*frames)
        for group in model.groups:
            with model.recording(cheap=False) as dear:
                group(x, lengths)
            with model.recording(cheap=True) as kept:
                output, new_lengths, _ = group(x, lengths)
            add(x, lengths, dear, kept)
            x, lengths = output, new_lengths
        add(x, lengths)
        return x

    tf.function(chain, autograph=False).get_concrete_function(*frame_inputs(model))
    return specs


def group_costs(model: SplitModel, specs: Sequence[GroupSpecs]) -> list[GroupCost]:
    """What each encoder group weighs, for `parts.make_parts`."""
    return [
        GroupCost(
            name=group.name,
            activations=_batch(model) * group.activation_elements(spec.x.shape[1]) * tf.float32.size,
            gradients=_weight_bytes(group),
            boundary=_bytes([spec.x]),
            kept=_bytes(spec.dear),
            cheap=_bytes(spec.all_kept) - _bytes(spec.dear),
        )
        for group, spec in zip(model.groups, specs)
    ]


def _batch(model: SplitModel) -> int:
    return model.batch_inputs()[0].shape[0]


def _weight_bytes(group: LayerGroup) -> int:
    return sum(weight.shape.num_elements() * weight.dtype.size for weight in group.weights)


def _bytes(specs: Sequence[tf.TensorSpec]) -> int:
    return sum(spec.shape.num_elements() * spec.dtype.size for spec in specs)


def _spec(tensor: tf.Tensor) -> tf.TensorSpec:
    return tf.TensorSpec(tensor.shape, tensor.dtype)
