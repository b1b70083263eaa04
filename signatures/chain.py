"""The shapes along a chain of layer groups, found by tracing it once."""

from collections.abc import Sequence
from dataclasses import dataclass

import tensorflow as tf

from signatures.parts import GroupCost
from signatures.spec import LayerGroup, SplitModel


@dataclass(frozen=True)
class GroupSpecs:
    """The input of a group of the chain, and the tensors that its ops save for a backward pass in another call."""

    x: tf.TensorSpec  # [batch, steps, ...]
    lengths: tf.TensorSpec  # [batch] int32
    expensive: tuple[tf.TensorSpec, ...] = ()  # saved tensors that are expensive to recompute
    all_saved: tuple[tf.TensorSpec, ...] = ()  # with those that are cheap to recompute

    def saved(self, recomputable: bool) -> tuple[tf.TensorSpec, ...]:
        """The saved tensors, with or without those that are cheap to recompute."""
        return self.all_saved if recomputable else self.expensive


def frame_inputs(model: SplitModel) -> list[tf.TensorSpec]:
    """The batch inputs that feed the encoder chain."""
    return [spec for spec in model.batch_inputs() if spec.name not in model.label_inputs]


def trace_chain(model: SplitModel) -> list[GroupSpecs]:
    """The specs of each encoder group, and after them those of the last group's output, which saves nothing."""
    specs = []

    def add(x: tf.Tensor, lengths: tf.Tensor, *saved: list[tf.Tensor]) -> None:
        specs.append(GroupSpecs(_spec(x), _spec(lengths), *(tuple(map(_spec, tensors)) for tensors in saved)))

    def chain(*frames: tf.Tensor) -> tf.Tensor:
        x, lengths = model.front(*frames)
        for group in model.groups:
            with model.saving(recomputable=False) as expensive:
                group(x, lengths)
            with model.saving(recomputable=True) as all_saved:
                output, new_lengths, _ = group(x, lengths)
            add(x, lengths, expensive, all_saved)
            x, lengths = output, new_lengths
        add(x, lengths)
        return x

    tf.function(chain, autograph=False).get_concrete_function(*frame_inputs(model))
    return specs


def group_costs(model: SplitModel, specs: Sequence[GroupSpecs]) -> list[GroupCost]:
    """The memory that each encoder group takes, for `parts.make_parts`."""
    return [
        GroupCost(
            name=group.name,
            activations=_batch(model) * group.activation_elements(spec.x.shape[1]) * tf.float32.size,
            gradients=_weight_bytes(group),
            boundary=_bytes([spec.x]),
            saved=_bytes(spec.expensive),
            recomputable=_bytes(spec.all_saved) - _bytes(spec.expensive),
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
