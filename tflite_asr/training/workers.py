"""Training on several machines, each with a part of the batch: TensorFlow's MultiWorkerMirroredStrategy."""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tflite_asr.errors import InputError

EXAMPLE = '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}'


@dataclass(frozen=True)
class Workers:
    """The index of this worker, and the number of workers.

    All draw the same batches, and each takes its rows. All apply the same update, by the sum of their gradients.
    """

    index: int = 0
    count: int = 1
    strategy: tf.distribute.Strategy | None = None  # of more than one

    @property
    def chief(self) -> bool:
        """Whether this process writes the files of the training."""
        return self.index == 0

    def rows(self, batch: Sequence[np.ndarray]) -> list[np.ndarray]:
        """This worker's rows of each array."""
        return [part[self.index :: self.count] for part in batch]

    def total(self, function: Callable, rows: Sequence[tf.Tensor]) -> Any:
        """The sum over all workers of `function(*rows)`, a tensor or lists of tensors."""
        if self.strategy is None:
            return function(*rows)

        def summed(*own):
            return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, function(*own))

        return self.strategy.run(summed, rows)


def workers_from_environment() -> Workers:
    """The workers of TF_CONFIG. Call it before TensorFlow uses a device; it waits until all workers have joined.

    Raises:
        InputError: without TF_CONFIG, or when it does not parse.
    """
    index, count = _read(os.environ.get("TF_CONFIG"))
    return Workers(index, count, tf.distribute.MultiWorkerMirroredStrategy())


def _read(text: str | None) -> tuple[int, int]:
    """(index, count) of the workers."""
    expected = f"TF_CONFIG: expected such as {EXAMPLE}"
    if not text:
        raise InputError(f"{expected}, another index on each machine; got none")
    try:
        values = json.loads(text)
        addresses, task = values["cluster"]["worker"], values["task"]
        kind, index = task["type"], task["index"]
    except (ValueError, LookupError, TypeError) as error:
        raise InputError(f"{expected}, got {text}: {type(error).__name__} {error}") from None
    if set(values["cluster"]) != {"worker"} or kind != "worker":
        raise InputError(f"{expected}, with workers alone, got {text}")
    if not isinstance(addresses, list) or not all(
        isinstance(a, str) and a.rpartition(":")[2].isdigit() for a in addresses
    ):
        raise InputError(f"{expected}, host:port of each worker, got {addresses}")
    if not isinstance(index, int) or not 0 <= index < len(addresses):
        raise InputError(f"{expected}, an index from 0 to {len(addresses) - 1}, got {index!r}")
    return index, len(addresses)
