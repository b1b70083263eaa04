"""Names of layer groups on the command line."""

from collections.abc import Sequence

from tflite_asr.errors import InputError


def select_groups(wanted: str, groups: Sequence[str], option: str = "--trainable") -> list[str]:
    """The groups that a user names, in the order of the model.

    Args:
        wanted: "all", "none", or comma-separated names or numbers.
        groups: names of all groups of the model.
        option: what the user wrote them behind.

    Raises:
        InputError: a name or number that the model does not have.
    """
    if wanted in ("all", "none"):
        return list(groups) if wanted == "all" else []
    numbered = {str(index): name for index, name in enumerate(groups)} | {name: name for name in groups}
    given = [name.strip() for name in wanted.split(",")]
    unknown = [name for name in given if name not in numbered]
    if unknown:
        raise InputError(
            f"{option} {wanted}: no layer group {unknown[0]!r}; expected all, none, or names or "
            f"numbers of " + ", ".join(f"{index} {name}" for index, name in enumerate(groups))
        )
    chosen = {numbered[name] for name in given}
    return [name for name in groups if name in chosen]
