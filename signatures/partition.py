"""The parts of the split step: which groups each runs and trains, and what each carries from forward to backward."""

from collections.abc import Sequence

import tensorflow as tf

from signatures.chain import GroupSpecs
from signatures.exits import InnerExits
from signatures.optimizers import State
from signatures.parts import Part
from signatures.spec import LayerGroup, SplitModel, group_of


class Partition:
    """A chain of encoder groups, cut into parts. A part is named by its number k, bottom first.

    Args:
        model: whose chain is cut.
        state: the variables that train.
        parts: of the chain, bottom first.
        specs: of the same chain, from `chain.trace_chain`.
        exits: the inner exits of the model.
    """

    def __init__(
        self, model: SplitModel, state: State, parts: Sequence[Part], specs: Sequence[GroupSpecs], exits: InnerExits
    ):
        self.parts = parts
        self.specs = specs
        self.exits = exits
        self.names = [group.name for group in model.all_groups]
        live = {group_of(path) for path in state.weights}
        self.trained = [name for name in self.names if name in live]  # the weights of the others are constants
        self.lowest = self.lowest_trainable(model.groups)  # the lowest group of the chain that needs a gradient
        self.groups_with_gradient = {  # tensors that their ops save are needed
            g.name for chain in (model.groups, model.label_groups) for g in chain[self.lowest_trainable(chain) :]
        }

    def groups_of(self, k: int) -> list[str]:
        """The groups of a part."""
        return [self.names[index] for index in self.parts[k].indices]

    def groups_run(self, k: int) -> list[str]:
        """The groups that a part runs: its own and the heads of its exits; the top part runs all that no part below
        runs.
        """
        if k < len(self.parts) - 1:
            return [*self.groups_of(k), *(self.exits.heads[group] for group in self.exits_of(k))]
        below = {name for j in range(k) for name in self.groups_run(j)}
        return [name for name in self.names if name not in below]

    def groups_updated(self, k: int) -> list[str]:
        """The groups that a part runs and trains."""
        return [name for name in self.groups_run(k) if name in self.trained]

    def lowest_trainable(self, groups: Sequence[LayerGroup]) -> int:
        """The index of the first group that trains or has an exit behind it that trains; their number if none does."""
        trains = [{group.name, self.exits.heads.get(group.name)} & {*self.trained} for group in groups]
        return next((index for index, trainable in enumerate(trains) if trainable), len(groups))

    def parts_with_gradient(self) -> list[int]:
        """The parts below the top that need a gradient, top first."""
        return [k for k in reversed(range(len(self.parts) - 1)) if self.indices_with_gradient(k)]

    def indices_with_gradient(self, k: int) -> range:
        """The groups of a part that need a gradient at their output, by index."""
        return range(max(self.parts[k].first, self.lowest), self.parts[k].last + 1)

    def returns_gradient(self, k: int) -> bool:
        """Whether the part below needs a gradient."""
        return self.parts[k].first > self.lowest

    def exits_of(self, k: int) -> list[str]:
        """The groups of a part that have an exit behind them."""
        return self.exits.behind(self.groups_of(k))

    def carried_specs(self, k: int) -> dict[str, tf.TensorSpec]:
        """The gradients that the exits of a part carry from forward to backward, by name."""
        return {name: spec for group in self.exits_of(k) for name, spec in self.exits.carried_specs(group).items()}

    def saved_specs(self, k: int) -> dict[str, tf.TensorSpec]:
        """The tensors that a part with `stash` carries from forward to backward, by name: the input of each group but
        the first, and the tensors that each group's ops save; none for groups that need no gradient."""
        part, specs = self.parts[k], {}
        if part.keep == "stash":
            for index in self.indices_with_gradient(k):
                spec = self.specs[index]
                tensors = [*([spec.x, spec.lengths] if index > part.first else []), *spec.saved(part.recomputable)]
                specs |= {f"kept_{self.names[index]}_{n}": tensor for n, tensor in enumerate(tensors)}
        return {name: tf.TensorSpec(spec.shape, spec.dtype, name) for name, spec in specs.items()}
