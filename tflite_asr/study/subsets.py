"""Subsets of layer groups whose training is compared."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Subset:
    """The layer groups that learn."""

    name: str
    groups: tuple[str, ...]
    bias_only: bool = False
    model: str | None = None  # an export of the study's model in which they are there to be trained

    def rates(self, groups: Sequence[str]) -> dict[str, float]:
        """Factors on the learning rate of all of a model's groups."""
        return {group: float(group in self.groups) for group in groups}


def subsets(groups: Sequence[str]) -> list[Subset]:
    """The subsets of a study, from the names of an artifact's layer groups; "all" is not among them, since it is the
    mobile run.
    """
    encoder = tuple(group for group in groups if group.startswith("encoder"))
    lower = encoder[: len(encoder) // 2]
    return [
        Subset("joint", ("joint",)),
        Subset("joint_and_first", ("joint", *encoder[: max(1, len(encoder) // 2)])),
        # what a step in two parts trains without its lower part
        Subset("top", tuple(group for group in groups if group not in lower)),
        Subset("encoder", encoder),
        Subset("bias", tuple(groups), bias_only=True),
    ]
