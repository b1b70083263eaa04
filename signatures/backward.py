"""The backward pass through layer groups: the gradient of each group, its update, and the gradient at its input.

Each group runs in an arena of its own and is updated as soon as its gradient is known, so that the weight gradients of
only one group are in memory at a time.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import tensorflow as tf

from signatures.arena import always, in_arena
from signatures.exits import ExitLosses, InnerExits
from signatures.optimizers import State
from signatures.spec import LayerGroup, SplitModel, group_of, invalid_as_nan, mean_over, nan_unless, value_of
from signatures.update import Update, count_step, global_norm, is_finite


class GroupForward(NamedTuple):
    """What the backward pass of a group needs of its forward pass."""

    x: tf.Tensor  # its input [batch, steps, ...]
    lengths: tf.Tensor  # of its input, [batch] int32
    saved: Sequence[tf.Tensor] | None  # what its ops saved; None: its forward pass runs again


class Joined(NamedTuple):
    """The loss, and the gradients that the backward passes of both chains start from."""

    loss: tf.Tensor  # []
    losses: tf.Tensor  # [batch]
    d_encoded: tf.Tensor  # the gradient at the encoder's output
    d_predicted: tf.Tensor | None  # the gradient at the label groups' output; None without label groups
    proceed: tf.Tensor  # [] int32: 0 if nothing may be updated, neither here nor in the calls below


class _Change(NamedTuple):
    """The update of some groups."""

    norm: tf.Tensor  # [], of their gradient
    applied: tf.Tensor  # [] int32, 1 if they were updated
    gradients: list[tf.Tensor]  # at the sources that were asked for


class BackwardPass:
    """Builds the backward passes and updates of one call.

    Args:
        model, state, exits: of the split step.
        rates: the groups that `group_rates` are for.
        lowest_trainable: returns the index of the lowest group of a chain that needs a gradient.
        inputs: of the call: those of `Update.inputs`, `global_norm` and, below the head, `gradient`.
    """

    def __init__(
        self,
        model: SplitModel,
        state: State,
        exits: InnerExits,
        rates: Sequence[str],
        lowest_trainable: Callable[[Sequence[LayerGroup]], int],
        inputs: dict[str, tf.Tensor],
    ):
        self._model = model
        self._state = state
        self._exits = exits
        self._lowest_trainable = lowest_trainable
        self._update = Update(state, rates, inputs)
        self._global_norm = value_of(inputs["global_norm"])
        self._go = self._update.finite
        # of the call above: its first value is NaN if nothing may be updated, see `guarded`
        if "gradient" in inputs:
            rank = inputs["gradient"].shape.rank
            self._go &= is_finite(tf.reshape(tf.slice(inputs["gradient"], [0] * rank, [1] * rank), []))
        self._count: tf.Tensor | None = None  # of this update, once the head has counted it
        self._norms: list[tf.Tensor] = []
        self._finite: list[tf.Tensor] = []

    def join(
        self,
        encoded: tf.Tensor,
        lengths: tf.Tensor,
        predicted: tf.Tensor | None,
        labels: Sequence[tf.Tensor],
        exit_losses: ExitLosses,
    ) -> Joined:
        """Compute the loss, count the step, and update the groups that are in neither chain nor exit.

        Args:
            encoded: the encoder's output [batch, steps, units].
            lengths: of the output, [batch] int32.
            predicted: the label groups' output; None without label groups.
            labels: the label inputs of the batch.
            exit_losses: of the inner exits, which are part of the loss.
        """
        model, exits = self._model, self._model.inner_exits.values()
        others = {group.name for group in (*model.groups, *model.label_groups, *exits)}
        names = [group.name for group in model.all_groups if group.name not in others]

        def body():
            sources = [tf.identity(tensor) for tensor in (encoded, predicted) if tensor is not None]
            with tf.GradientTape() as tape:
                tape.watch(sources)
                losses = model.join_loss(sources[0], lengths, sources[1] if len(sources) > 1 else None, *labels)
                if exit_losses.losses is not None:
                    losses += exit_losses.losses
                losses = invalid_as_nan(losses, exit_losses.rows)
                loss = mean_over(losses, exit_losses.rows)
            finite = self._go & is_finite(loss)
            count = count_step(self._state, finite & (self._global_norm >= 0.0))
            norm, applied, gradients = self._change(tape, loss, names, sources, None, finite, count)
            return loss, losses, count, norm, applied, gradients

        loss, losses, count, norm, applied, gradients = in_arena(always(lengths), body)
        # not from the branch: where the head is frozen, it would be `applied` again, and TFLite loses one of two
        # outputs of a branch that are the same tensor
        self._go &= is_finite(loss)
        proceed = tf.cast(self._go, tf.int32)
        self._count = count
        self._record(norm, applied)
        return Joined(loss, losses, gradients[0], gradients[1] if len(gradients) > 1 else None, proceed)

    def run(
        self,
        groups: Sequence[LayerGroup],
        forward: Sequence[GroupForward],
        gradient: tf.Tensor | None,
        needs_gradient: bool,
        carried: Mapping[str, Sequence[tf.Tensor]],
        recomputable: bool = True,
    ) -> tf.Tensor | None:
        """Run backward through `groups` from top to bottom, down to the lowest that trains, and update each.

        Args:
            groups: of a chain, bottom first.
            forward: of each group.
            gradient: at the last group's output.
            needs_gradient: whether the gradient at the first group's input is needed.
            carried: for each group with an exit behind it, the exit's gradients.
            recomputable: whether the saved tensors include those that are cheap to recompute.

        Returns:
            the gradient at the first group's input, or None if it is not needed.
        """
        count = value_of(self._state.step) if self._count is None else self._count
        lowest = 0 if needs_gradient else self._lowest_trainable(groups)
        for index in reversed(range(lowest, len(groups))):
            group, (x, lengths, saved) = groups[index], forward[index]
            needs_input_gradient = index > lowest or needs_gradient
            if group.name in carried:
                gradient += carried[group.name][0]
                weight_gradients = self._exits.weight_gradients(group.name, carried[group.name])
                self._record(*self._apply(weight_gradients, self._go, count, values={}))

            def body():
                sources = [tf.identity(x)] if needs_input_gradient else []
                with tf.GradientTape() as tape:
                    tape.watch(sources)
                    x_in = sources[0] if sources else x
                    if saved is None:
                        output, _, _ = group(x_in, lengths)
                    else:
                        with self._model.restoring(saved, recomputable):
                            output, _, _ = group(x_in, lengths)
                return self._change(tape, output, [group.name], sources, gradient, self._go, count)

            norm, applied, gradients = in_arena(always(lengths), body)
            gradient = gradients[0] if needs_input_gradient else None
            self._record(norm, applied)
        return gradient if needs_gradient else None

    def _change(
        self,
        tape: tf.GradientTape,
        target: tf.Tensor,
        names: Sequence[str],
        sources: list[tf.Tensor],
        gradient: tf.Tensor | None,
        go: tf.Tensor,
        count: tf.Tensor,
    ) -> _Change:
        """Update the groups of these names by the gradient of `target`, and compute the gradients at `sources`."""
        weights = {path: weight for path, weight in self._state.weights.items() if group_of(path) in names}
        found = tape.gradient(target, [*weights.values(), *sources], output_gradients=gradient)
        norm, applied = self._apply(dict(zip(weights, found)), go, count, self._largest(weights))
        return _Change(norm, applied, found[len(weights) :])

    def _largest(self, weights: Mapping[str, tf.Variable]) -> dict[str, tf.Tensor]:
        """The value of the largest of the weights, by tree path. Its update needs it in memory in any case, so it uses
        the value that the backward pass read. The others are read again, so that they are not in memory with it.
        """
        path = max(weights, key=lambda path: weights[path].shape.num_elements(), default=None)
        return {} if path is None else {path: weights[path].read_value()}

    def _apply(
        self, gradients: dict[str, tf.Tensor], go: tf.Tensor, count: tf.Tensor, values: Mapping[str, tf.Tensor]
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Update weights by gradients, by tree path. Returns the norm [] and [] int32: 1 if they were applied."""
        norm = global_norm(gradients.values())
        finite = go & is_finite(norm)
        scale = self._update.clip(tf.where(self._global_norm > 0.0, self._global_norm, norm))
        self._update.apply(gradients, scale, count, finite & (self._global_norm >= 0.0), values)
        return norm, tf.cast(finite, tf.int32)

    def _record(self, norm: tf.Tensor, finite: tf.Tensor) -> None:
        self._norms.append(norm)
        self._finite.append(finite)

    def guarded(self, gradient: tf.Tensor) -> tf.Tensor:
        """The gradient for the call below: NaN if nothing may be updated, so that later calls change nothing."""
        return gradient + nan_unless(self._go)

    def report(self) -> dict[str, tf.Tensor]:
        """`gradient_norm` [1] of all groups of the call, before clipping; `skipped` [] int32: 1 if any group was not
        updated because the loss, its gradient or a rate was not finite."""
        return {
            "gradient_norm": tf.reshape(global_norm(self._norms), [1]),
            "skipped": 1 - tf.reduce_min(tf.stack(self._finite)),
        }
