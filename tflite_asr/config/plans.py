"""Names of the plans of an artifact: the training steps that an export writes and a host runs."""

WHOLE = "train"  # the whole step in one call; the signature has the same name
SPLIT = "split"  # the same step in parts, with less memory
CACHED = "cached"  # the step of the upper groups, from stored outputs of the lower ones


def plan_suffix(exit: int | None, length: str) -> str:
    """The suffix of the names of a plan and of its signatures.

    Args:
        exit: the early exit that the plan trains up to, counted from 0; None for the last exit.
        length: the suffix of the sizes, `SizeConfig.suffix`.
    """
    return length if exit is None else f"_exit_{exit}{length}"
