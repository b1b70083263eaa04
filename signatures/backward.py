"""From the loss down through layer groups: the gradient of each, its update, and the gradient at its input.

Every group is a piece in an arena of its own and is updated as soon as its gradient is there, so that at any time there
are the weight gradients of one group.
"""

from collections.abc import Callable, Mapping, Sequence

import tensorflow as tf

from signatures.arena import always, in_arena
from signatures.exits import ExitsPassed, InnerExits
from signatures.optimizers import State
from signatures.spec import LayerGroup, SplitModel, group_of, invalid_as_nan, mean_over, nan_unless, value_of
from signatures.update import Update, count_step, global_norm, is_finite


class BackwardPass:
    """Builds the backward passes and updates of one call.

    Args:
        model, state, exits: of the split step.
        rates: the groups that `group_rates` are for.
        lowest_of: says of a chain of groups down to which one a gradient has to come.
        inputs: of the call; of them those of `Update.inputs` and `global_norm`.
    """

    def __init__(
        self,
        model: SplitModel,
        state: State,
        exits: InnerExits,
        rates: Sequence[str],
        lowest_of: Callable[[Sequence[LayerGroup]], int],
        inputs: dict[str, tf.Tensor],
    ):
        self._model = model
        self._state = state
        self._exits = exits
        self._lowest_of = lowest_of
        self._update = Update(state, rates, inputs)
        self._global_norm = value_of(inputs["global_norm"])
        self._go = self._update.finite
        # from the call above: its first value is NaN if nothing may be touched, see `handed_down`
        if "gradient" in inputs:
            rank = inputs["gradient"].shape.rank
            self._go &= is_finite(tf.reshape(tf.slice(inputs["gradient"], [0] * rank, [1] * rank), []))
        self._count: tf.Tensor | None = None  # of this update, once the head has counted it
        self._norms: list[tf.Tensor] = []
        self._finite: list[tf.Tensor] = []

    def join(self, encoded, lengths, predicted, labels, passed: ExitsPassed):
        """The loss, with those of the exits passed; counts the step and updates the groups of neither chain nor exit.
        Returns loss, losses and the gradients at `encoded` and `predicted`."""
        model, exits = self._model, self._model.inner_exits.values()
        others = {group.name for group in (*model.groups, *model.label_groups, *exits)}
        names = [group.name for group in model.all_groups if group.name not in others]

        def body():
            sources = [tf.identity(tensor) for tensor in (encoded, predicted) if tensor is not None]
            with tf.GradientTape() as tape:
                tape.watch(sources)
                losses = model.join_loss(sources[0], lengths, sources[1] if len(sources) > 1 else None, *labels)
                if passed.losses is not None:
                    losses += passed.losses
                losses = invalid_as_nan(losses, passed.rows)
                loss = mean_over(losses, passed.rows)
            finite = self._go & is_finite(loss)
            count = count_step(self._state, finite & (self._global_norm >= 0.0))
            norm, applied, gradients = self._change(tape, loss, names, sources, None, finite, count)
            return loss, losses, count, norm, applied, gradients

        loss, losses, count, norm, applied, gradients = in_arena(always(lengths), body)
        # not from the branch: where the head is frozen, it would be `applied` again, and TFLite loses one of two
        # outputs of a branch that are the same tensor
        self._go &= is_finite(loss)
        # [] int32: 0 when nothing may be touched, here or in the calls below
        self.proceed = tf.cast(self._go, tf.int32)
        self._count = count
        self._tell(norm, applied)
        return loss, losses, gradients[0], gradients[1] if len(gradients) > 1 else None

    def run(
        self,
        groups: Sequence[LayerGroup],
        went: Sequence[tuple],
        gradient: tf.Tensor | None,
        needs_gradient: bool,
        carried: Mapping[str, Sequence[tf.Tensor]],
        cheap: bool = True,
    ):
        """Top to bottom through `groups`, each updated before the next, as far as any of them trains; the gradient at
        the first one's input, if needed.

        Args:
            went: for each group its x, lengths, and what its ops kept; None in place of that: its forward pass runs
                anew.
            carried: for each group with an exit behind it, the exit's gradients.
            cheap: whether what was kept has what is easily made again.
        """
        count = value_of(self._state.step) if self._count is None else self._count
        lowest = 0 if needs_gradient else self._lowest_of(groups)
        for index in reversed(range(lowest, len(groups))):
            group, (x, lengths, kept) = groups[index], went[index]
            through = index > lowest or needs_gradient
            if group.name in carried:
                gradient += carried[group.name][0]
                weight_gradients = self._exits.weight_gradients(group.name, carried[group.name])
                self._tell(*self._apply(weight_gradients, self._go, count, values={}))

            def body():
                sources = [tf.identity(x)] if through else []
                with tf.GradientTape() as tape:
                    tape.watch(sources)
                    x_in = sources[0] if sources else x
                    if kept is None:
                        output, _, _ = group(x_in, lengths)
                    else:
                        with self._model.replaying(kept, cheap):
                            output, _, _ = group(x_in, lengths)
                return self._change(tape, output, [group.name], sources, gradient, self._go, count)

            norm, applied, gradients = in_arena(always(lengths), body)
            gradient = gradients[0] if through else None
            self._tell(norm, applied)
        return gradient

    def _change(self, tape, target, names, sources, gradient, go, count):
        """Update the groups of these names; norm of their gradient, whether it was applied, gradients at `sources`."""
        weights = {path: weight for path, weight in self._state.weights.items() if group_of(path) in names}
        found = tape.gradient(target, [*weights.values(), *sources], output_gradients=gradient)
        norm, applied = self._apply(dict(zip(weights, found)), go, count, self._largest(weights))
        return norm, applied, found[len(weights) :]

    def _largest(self, weights):
        """The value of the largest of the weights, by tree path: that one's update has to have it in memory whatever
        the order, so it keeps what the backward pass read. The others' would be alive with it, and are read anew.
        """
        path = max(weights, key=lambda path: weights[path].shape.num_elements(), default=None)
        return {} if path is None else {path: weights[path].read_value()}

    def _apply(self, gradients: dict[str, tf.Tensor], go, count, values: Mapping[str, tf.Tensor]):
        """Update by gradients by tree path; their norm, whether it was applied."""
        norm = global_norm(gradients.values())
        finite = go & is_finite(norm)
        scale = self._update.clip(tf.where(self._global_norm > 0.0, self._global_norm, norm))
        self._update.apply(gradients, scale, count, finite & (self._global_norm >= 0.0), values)
        return norm, tf.cast(finite, tf.int32)

    def _tell(self, norm: tf.Tensor, finite: tf.Tensor) -> None:
        self._norms.append(norm)
        self._finite.append(finite)

    def handed_down(self, gradient: tf.Tensor) -> tf.Tensor:
        """The gradient for the call below: NaN if nothing may be touched, so that a host that goes on
        changes nothing.
        """
        return gradient + nan_unless(self._go)

    def told(self) -> dict[str, tf.Tensor]:
        """`gradient_norm` [1] of all groups of the call, before clipping; `skipped` [] int32: 1 when any was left alone
        because the loss, its gradient or a rate was not finite."""
        return {
            "gradient_norm": tf.reshape(global_norm(self._norms), [1]),
            "skipped": 1 - tf.reduce_min(tf.stack(self._finite)),
        }
