"""Inner exits in the split step: forward calls compute an exit's loss and gradients, backward calls use them.

So the joint loss is known before any update, and no head runs twice. The gradients at the exit's input and at the
weights of its head are carried from the forward to the backward call.
"""

from collections.abc import Iterable, Sequence

import tensorflow as tf

from signatures.arena import always, in_arena
from signatures.chain import GroupSpecs
from signatures.optimizers import State
from signatures.spec import SplitModel, group_of, invalid_as_nan, mean_over


class InnerExits:
    """The exits below the last one, by the name of the group that each is behind.

    Args:
        model: whose exits these are.
        state: the variables that train.
        specs: of the model's chain, from `chain.trace_chain`.
    """

    def __init__(self, model: SplitModel, state: State, specs: Sequence[GroupSpecs]):
        self.heads = {group: head.name for group, head in model.inner_exits.items()}
        self._model = model
        self._inputs = {group.name: after.x for group, after in zip(model.groups, specs[1:])}
        self._weights = {
            group: {path: weight for path, weight in state.weights.items() if group_of(path) == head}
            for group, head in self.heads.items()
        }

    def behind(self, groups: Iterable[str]) -> list[str]:
        """The groups, among these, that have an exit behind them."""
        return [group for group in groups if group in self.heads]

    def carried_specs(self, group: str) -> dict[str, tf.TensorSpec]:
        """The gradients of an exit, by the names that they are carried under: at its input, then at its weights."""
        weights = {path.replace("/", "_"): weight for path, weight in self._weights[group].items()}
        likes = {f"{self.heads[group]}_input": self._inputs[group], **weights}
        return {
            f"gradient_{key}": tf.TensorSpec(like.shape, tf.float32, f"gradient_{key}") for key, like in likes.items()
        }

    def weight_gradients(self, group: str, carried: Sequence[tf.Tensor]) -> dict[str, tf.Tensor]:
        """The gradients at the weights of the exit's head, by tree path."""
        return dict(zip(self._weights[group], carried[1:]))

    def losses_and_gradients(
        self, group: str, x: tf.Tensor, lengths: tf.Tensor, labels: Sequence[tf.Tensor], rows: tf.Tensor
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Losses [batch] at an exit, and the gradients of their mean over the utterances as `carried_specs`
        has them.
        """

        def body():
            sources = [tf.identity(x), *self._weights[group].values()]
            with tf.GradientTape() as tape:
                tape.watch(sources[0])
                losses = invalid_as_nan(self._model.exit_loss(group, sources[0], lengths, *labels), rows)
                loss = mean_over(losses, rows)
            return losses, tape.gradient(loss, sources)

        return in_arena(always(lengths), body)


class ExitLosses:
    """Losses and gradients of the inner exits of one forward call.

    Args:
        exits: of the model.
        labels, rows: the label inputs of the batch, and the weights of its rows.
        losses: [batch], the sum at the exits of earlier calls; None if there are none.
    """

    def __init__(self, exits: InnerExits, labels: Sequence[tf.Tensor], rows: tf.Tensor, losses: tf.Tensor | None):
        self.losses = losses
        self.carried: dict[str, list[tf.Tensor]] = {}  # by group: the gradients
        self.rows = rows
        self._exits, self._labels = exits, labels

    def add(self, group: str, x: tf.Tensor, lengths: tf.Tensor) -> None:
        """Add the exit behind a group, if it has one.

        Args:
            group: its name.
            x: its output [batch, steps, ...].
            lengths: of the output, [batch] int32.
        """
        if group in self._exits.heads:
            losses, self.carried[group] = self._exits.losses_and_gradients(group, x, lengths, self._labels, self.rows)
            self.losses = losses if self.losses is None else self.losses + losses
