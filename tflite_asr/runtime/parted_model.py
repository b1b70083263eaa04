"""Signatures of several lengths, loaded by what they are for: recognising or training, at one of the lengths.

The runtime packs the constant weights of every signature that it loads. A file with three lengths would have its
decoder in memory three times, and its training signatures where none trains.
"""

import os
import threading
from collections.abc import Callable, Set

import numpy as np

from tflite_asr.errors import InputError
from tflite_asr.runtime.artifact import Artifact
from tflite_asr.runtime.interpreter import Signatures

READ, WRITE = "get_weights", "set_weights"
IN_EVERY_PART = frozenset({READ, WRITE, "parameters"})

# makes an interpreter of some signatures of the file; None: of all
Open = Callable[[Set[str] | None], Signatures]


def model_of(artifact: Artifact, open_signatures: Open) -> Signatures:
    """The model of an artifact: one interpreter for a file with one length, parts for one with several."""
    parts = parts_of(artifact)
    return PartedModel(artifact, parts, open_signatures) if len(parts) > 1 else open_signatures(None)


def part_with(artifact: Artifact, name: str) -> frozenset[str]:
    """The signatures of the part that has one of this name."""
    return next(part for part in parts_of(artifact) if name in part)


def parts_of(artifact: Artifact) -> list[frozenset[str]]:
    """The signatures of each part: for each length those that recognise, and those of plans and `loss`. Signatures
    of weights are in every part. One part for a file with one length.
    """
    signatures = artifact.signatures
    lengths = ["", *(artifact.config.at_length(frames).sizes.suffix for frames in artifact.config.sizes.lengths)]
    if len(lengths) == 1:
        return [frozenset(signatures)]
    plans = (*artifact.plans.values(), *artifact.shorter_plans.values())
    training = {call["signature"] for calls in plans for call in calls} | {f"loss{suffix}" for suffix in lengths}
    found: dict[tuple[str, bool], set[str]] = {}
    for name in signatures.keys() - IN_EVERY_PART:
        suffix = max((suffix for suffix in lengths if name.endswith(suffix)), key=len)
        found.setdefault((suffix, name in training), set()).add(name)
    return [frozenset(found[key] | (IN_EVERY_PART & signatures.keys())) for key in sorted(found)]


class PartedModel:
    """A `SignatureModel` whose interpreters are made at the first call of a signature of their part.

    All have the same weights: before a call, a part takes over the variables that changed in another one.

    Args:
        artifact: tells what each signature writes.
        parts: the signatures of each part, see `parts_of`.
        open_signatures: makes the interpreter of a part.
    """

    def __init__(self, artifact: Artifact, parts: list[frozenset[str]], open_signatures: Open):
        self.lock = threading.RLock()
        self._artifact = artifact
        self._parts = parts
        self._open = open_signatures
        self._file = _identity(artifact)
        self._loaded: dict[frozenset[str], Signatures] = {}
        self._versions: dict[frozenset[str], int] = {}  # of the variables in each loaded part
        self._newest: frozenset[str] | None = None  # the part whose variables changed last; None: they are as shipped

    def anew(self) -> "PartedModel":
        """Another one of the same file, its variables as they were shipped."""
        return PartedModel(self._artifact, self._parts, self._open)

    def run(self, name: str, inputs: dict[str, np.ndarray] | None = None) -> dict[str, np.ndarray]:
        """Call a signature, see `SignatureModel.run`."""
        with self.lock:
            part = self._part_of(name)
            model = self._model(part)
            newest = self._newest
            if newest is not None and self._versions[part] < self._versions[newest] and name != WRITE:
                model.run(WRITE, self._loaded[newest].run(READ))
                self._versions[part] = self._versions[newest]
            result = model.run(name, inputs)
            if self._artifact.signatures[name]["writes"]:
                self._versions[part] = max(self._versions.values()) + 1
                self._newest = part
            return result

    def input_names(self, name: str) -> set[str]:
        """The inputs of a signature."""
        with self.lock:
            return self._model(self._part_of(name)).input_names(name)

    def _part_of(self, name: str) -> frozenset[str]:
        """A part with a signature: if there are several, the one that changed last, or one that is loaded."""
        holding = [part for part in self._parts if name in part]
        if not holding:
            names = ", ".join(sorted(self._artifact.signatures))
            raise InputError(f"{self._artifact.path}: no signature {name!r}; there are: {names}")
        return min(holding, key=lambda part: (part != self._newest, part not in self._loaded))

    def _model(self, part: frozenset[str]) -> Signatures:
        if part not in self._loaded:
            if _identity(self._artifact) != self._file:
                raise InputError(f"{self._artifact.path}: has changed since it was loaded; load the model again")
            self._loaded[part] = self._open(part)
            self._versions[part] = 0
        return self._loaded[part]


def _identity(artifact: Artifact) -> tuple[int, ...]:
    """Differs once another file, or none, stands at the artifact's path."""
    try:
        status = os.stat(artifact.path)
    except OSError:
        return ()
    return status.st_ino, status.st_size, status.st_mtime_ns
