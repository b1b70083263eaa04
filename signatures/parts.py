"""Cuts the chain of groups into the parts of the split step, and chooses what each part saves. Arithmetic on sizes."""

from collections.abc import Sequence
from dataclasses import dataclass

KEEPS = ("auto", "recompute", "stash")


@dataclass(frozen=True)
class GroupCost:
    """The memory that a group of the chain takes in a training step, in bytes."""

    name: str
    activations: int  # all that its backward pass needs
    gradients: int  # of its weights
    boundary: int  # its input, which is saved in any case
    saved: int  # tensors that it saves from forward to backward besides its input: expensive to recompute
    recomputable: int = 0  # further tensors that it could save: cheap to recompute


@dataclass(frozen=True)
class Part:
    """Consecutive groups that one call runs."""

    first: int
    last: int  # the last group's index, not one past it
    keep: str  # recompute or stash; the top part has its forward and backward in one call and carries nothing over
    recomputable: bool = True  # whether it also saves tensors that are cheap to recompute

    @property
    def indices(self) -> range:
        """The indices of its groups."""
        return range(self.first, self.last + 1)


def make_parts(
    costs: Sequence[GroupCost], *, parts: int | None = None, sizes: Sequence[int] | None = None, keep: str = "auto"
) -> list[Part]:
    """The chain cut into parts.

    Args:
        costs: of the chain's groups, in the order of the forward pass.
        parts: how many; balanced on activation and weight-gradient bytes. None: one part. Each group has its own arena
            within a call as well, and saved tensors are not copied to the host and back.
        sizes: groups in each part, in place of `parts`.
        keep: recompute or stash for every part, or auto: stash tensors that take less memory than the largest group's
            backward pass, since they do not determine the peak then: all tensors if they fit, otherwise those that are
            expensive to recompute, otherwise none.

    Raises:
        ValueError: in one line, when the parts cannot be made.
    """
    names = [cost.name for cost in costs]
    if keep not in KEEPS:
        raise ValueError(f"no way to keep named {keep!r}; there are: {', '.join(KEEPS)}")
    if sizes is None:
        count = 1 if parts is None else parts
        if not 1 <= count <= len(costs):
            raise ValueError(
                f"expected 1 to {len(costs)} parts, as there are layer groups ({', '.join(names)}); got {count}"
            )
        sizes = _balanced([cost.activations + cost.gradients for cost in costs], count)
    if min(sizes, default=0) < 1 or sum(sizes) != len(costs):
        raise ValueError(
            f"part sizes {','.join(map(str, sizes))} add up to {sum(sizes)}; expected positive sizes that add up to "
            f"{len(costs)}, the layer groups {', '.join(names)}"
        )
    recomputable = keep == "stash"
    if keep == "auto":
        below_top = costs[: len(costs) - sizes[-1]]
        most = max(cost.activations + cost.gradients for cost in costs)
        expensive = sum(cost.saved + cost.boundary for cost in below_top)
        keep = "stash" if expensive <= most else "recompute"
        recomputable = sum(cost.saved + cost.boundary + cost.recomputable for cost in costs) <= most
    made, first = [], 0
    for size in sizes:
        made.append(Part(first, first + size - 1, keep, recomputable))
        first += size
    return made


def _balanced(weights: Sequence[int], count: int) -> list[int]:
    """Sizes of `count` consecutive runs whose heaviest is as light as can be (dynamic programme over the ends)."""
    # best[n]: the lightest heaviest run of the first n weights in as many runs as the loop has come to, and the sizes
    best: list[tuple[int, list[int]] | None] = [(0, [])] + [None] * len(weights)
    for _ in range(count):
        longer: list[tuple[int, list[int]] | None] = [None] * (len(weights) + 1)
        for end in range(1, len(weights) + 1):
            found = [
                (max(before[0], sum(weights[start:end])), [*before[1], end - start])
                for start in range(end)
                if (before := best[start]) is not None
            ]
            longer[end] = min(found, default=None)
        best = longer
    if best[-1] is None:
        raise ValueError(f"expected at most {len(weights)} parts, got {count}")
    return best[-1][1]
