"""What a signature is, and the protocols of models that signatures are built from."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import tensorflow as tf


@dataclass(frozen=True)
class Signature:
    """One entry point of the exported file."""

    name: str  # how the host calls it
    does: str  # one line for the signature reference
    function: Callable[..., dict[str, tf.Tensor]]  # keyword arguments named as the inputs -> named outputs
    inputs: tuple[tf.TensorSpec, ...]  # fixed shapes of one dimension or more; TFLite plans its memory for them
    reads: tuple[str, ...] = ()  # layer groups whose weights it uses
    writes: tuple[str, ...] = ()  # layer groups whose weights it changes

    def __post_init__(self):
        scalars = [spec.name for spec in self.inputs if spec.shape.rank == 0]
        if scalars:
            raise ValueError(f"signature {self.name}: inputs without dimensions: {scalars}; see `one_value`")

    def concrete(self) -> tf.types.experimental.ConcreteFunction:
        """The traced function."""
        names = [spec.name for spec in self.inputs]
        function = tf.function(lambda *values: self.function(**dict(zip(names, values))), autograph=False)
        return function.get_concrete_function(*self.inputs)


class LayerGroup(Protocol):
    """The unit of everything: splitting, freezing, exits, sub-models.

    A group of a chain is called as `group(x, lengths, state=None, training=False) -> x, lengths, state`, x being
    [batch, steps, ...] and lengths [batch] int32, the valid steps of each row.
    """

    name: str
    weights: Sequence[tf.Variable]

    def __call__(self, x: tf.Tensor, lengths: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, Sequence[tf.Tensor]]:
        """The output [batch, steps, ...], its lengths in its own steps, and the state, empty without one."""
        ...

    def activation_elements(self, steps: int) -> int:
        """How many float32 values it keeps for its backward pass, per utterance of `steps` input steps."""
        ...


class EncoderGroup(LayerGroup, Protocol):
    """A group of the encoder's chain.

    Where the encoder streams, it also has `initial_state(batch)`: the state before the first chunk, a tuple of
    [batch, ...] tensors, empty in a group without one.
    """

    reduction: int  # input steps that make one output step


class TrainableModel(Protocol):
    """A model of layer groups with a loss."""

    @property
    def all_groups(self) -> Sequence[LayerGroup]:
        """In the order of the forward pass, heads last."""
        ...

    def named_weights(self) -> dict[str, tf.Variable]:
        """Every weight by its tree path `group/...`."""
        ...

    def batch_inputs(self) -> tuple[tf.TensorSpec, ...]:
        """Names, shapes and dtypes of a batch: the arguments of `loss`."""
        ...

    @property
    def loss(self) -> Callable[..., tf.Tensor]:
        """Of the batch inputs: the loss of each utterance [batch]; an empty row counts 0 and has no gradient."""
        ...

    @property
    def row_weights(self) -> Callable[..., tf.Tensor]:
        """Of the batch inputs: [batch] float32, 1 for an utterance, 0 for an empty row, NaN for an invalid one; see
        `invalid_as_nan`.
        """
        ...

    def group_steps(self) -> Sequence[int]:
        """Input steps of each group of `all_groups`, for an utterance of the largest size."""
        ...


class SplitModel(TrainableModel, Protocol):
    """A model whose training step can be cut: a chain of encoder groups, perhaps one of label groups, and a loss where
    they meet."""

    groups: Sequence[EncoderGroup]  # the encoder's; the first batch inputs feed them
    label_groups: Sequence[LayerGroup]  # none for a loss that has no label history
    inner_exits: Mapping[str, LayerGroup]  # heads of exits below the last, by the encoder group that each is behind
    label_inputs: tuple[str, ...]  # the names of the batch inputs that `label_front` and `join_loss` take

    def front(self, *frames: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """x and lengths for the first encoder group, from the batch inputs that are not label inputs; no weights."""
        ...

    def check_labels(self, row_weights: tf.Tensor, *labels: tf.Tensor) -> tf.Tensor:
        """`row_weights` [batch] of valid labels, NaN for utterances whose labels are invalid."""
        ...

    def label_front(self, *labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """x and lengths for the first label group; no weights."""
        ...

    def join_loss(
        self, encoded: tf.Tensor, lengths: tf.Tensor, predicted: tf.Tensor | None, *labels: tf.Tensor
    ) -> tf.Tensor:
        """Loss of each utterance [batch]; `predicted` is None without label groups. Its weights are those of the groups
        in neither chain nor exit."""
        ...

    def exit_loss(self, group: str, x: tf.Tensor, lengths: tf.Tensor, *labels: tf.Tensor) -> tf.Tensor:
        """Loss of each utterance [batch] at an inner exit, weighted so that `loss` is their sum and `join_loss`."""
        ...

    def saving(self, recomputable: bool) -> contextlib.AbstractContextManager[list[tf.Tensor]]:
        """Collects the tensors that groups called within the block save for a backward pass in another call.

        Args:
            recomputable: whether to collect tensors that are cheap to recompute as well.
        """
        ...

    def restoring(self, tensors: Sequence[tf.Tensor], recomputable: bool) -> contextlib.AbstractContextManager[None]:
        """Passes the tensors of `saving` to the groups called within the block."""
        ...


class ModelWithLoss(TrainableModel, Protocol):
    """A model that has one exit or several: its loss is `joint_loss(exit_losses(...))`."""

    def exit_losses(self, *batch: tf.Tensor) -> tf.Tensor:
        """[exits, batch], the last exit last."""
        ...

    def joint_loss(self, exit_losses: tf.Tensor) -> tf.Tensor:
        """[exits, batch] -> [batch]."""
        ...


def one_value(name: str, dtype: tf.DType = tf.float32) -> tf.TensorSpec:
    """An input of one value: [1], since ai-edge-litert crashes on inputs without dimensions on 64-bit ARM."""
    return tf.TensorSpec([1], dtype, name=name)


def value_of(tensor: tf.Tensor) -> tf.Tensor:
    """[1] -> []."""
    return tf.squeeze(tensor, axis=0)


def in_range(values: tf.Tensor, least: int, most: int) -> tf.Tensor:
    """bool of the same shape: which of the int32 values are from `least` to `most`."""
    return (values >= least) & (values <= most)


def nan_unless(valid: tf.Tensor) -> tf.Tensor:
    """float32 of the same shape, to be added: 0 where `valid` holds, NaN elsewhere."""
    return tf.where(valid, 0.0, float("nan"))


def zero_unless(valid: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """`lengths` int32 of the same shape where `valid` holds, 0 elsewhere, so that nothing is read past the end."""
    return tf.where(valid, lengths, 0)


def minus_one_unless(valid: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """`lengths` int32 of the same shape where `valid` holds, -1 elsewhere."""
    return tf.where(valid, lengths, -1)


def invalid_as_nan(losses: tf.Tensor, row_weights: tf.Tensor) -> tf.Tensor:
    """Losses [..., batch] with NaN for invalid rows: those whose lengths or labels are out of range, which have weight
    NaN.

    So the mean loss is NaN as well, and a training step changes nothing.
    """
    return losses + nan_unless(row_weights >= 0.0)


def group_of(weight_name: str) -> str:
    """The group a tree path belongs to: `encoder_0/kernel` -> `encoder_0`."""
    return weight_name.split("/", 1)[0]


def mean_loss(model: TrainableModel, batch: Sequence[tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
    """Mean loss over the batch's utterances [] and the loss of each [batch]."""
    row_weights = model.row_weights(*batch)
    losses = invalid_as_nan(model.loss(*batch), row_weights)
    return mean_over(losses, row_weights), losses


def mean_over(losses: tf.Tensor, row_weights: tf.Tensor) -> tf.Tensor:
    """Mean [] of losses [batch] over the rows that hold an utterance; NaN where a loss is."""
    return tf.reduce_sum(losses) / tf.maximum(tf.reduce_sum(row_weights), 1.0)
