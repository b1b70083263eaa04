"""Tensors that a forward pass saves for a backward pass in another call.

Autodiff saves every intermediate result. When forward and backward are two calls, only a few tensors are worth passing
from one to the other. An op marks them with `saved`: tensors that are expensive to recompute, such as the outputs of a
recurrence, and, as `recomputable`, tensors that one or two matrix products recompute. Everything else is computed again
in the backward call, where `saved` returns the tensors of the forward call.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass

import tensorflow as tf


@dataclass(frozen=True)
class _Saving:
    """A forward pass: `saved` also appends to `tensors`."""

    tensors: list[tf.Tensor]
    recomputable: bool  # whether recomputable tensors are saved as well


@dataclass(frozen=True)
class _Restoring:
    """A backward pass: `saved` takes from `tensors`."""

    tensors: Iterator[tf.Tensor]
    recomputable: bool  # whether recomputable tensors are among them


_pass: ContextVar[_Saving | _Restoring | None] = ContextVar("saved_tensors", default=None)


def saved(count: int, compute: Callable[[], Sequence[tf.Tensor]], recomputable: bool = False) -> Sequence[tf.Tensor]:
    """Tensors that are passed from a forward to a backward call.

    Args:
        count: the number of tensors.
        compute: returns the tensors.
        recomputable: whether they are cheap to recompute, and saved only on request.

    Returns:
        what `compute` returns; within `restoring`, the tensors that the same op saved.
    """
    current = _pass.get()
    if current is None or (recomputable and not current.recomputable):
        return compute()
    if isinstance(current, _Restoring):
        return [next(current.tensors) for _ in range(count)]
    tensors = compute()
    current.tensors.extend(tensors)
    return tensors


@contextlib.contextmanager
def saving(recomputable: bool = True) -> Iterator[list[tf.Tensor]]:
    """Forward: collect the tensors of `saved` within the block in the list.

    Args:
        recomputable: whether to collect recomputable tensors as well.
    """
    tensors: list[tf.Tensor] = []
    token = _pass.set(_Saving(tensors, recomputable))
    try:
        yield tensors
    finally:
        _pass.reset(token)


@contextlib.contextmanager
def restoring(tensors: Sequence[tf.Tensor], recomputable: bool = True) -> Iterator[None]:
    """Backward: `saved` returns these tensors within the block instead of computing them.

    Args:
        tensors: from `saving`, of the same ops.
        recomputable: as it was given to `saving`.

    Raises:
        ValueError: the ops within the block did not take all tensors.
    """
    remaining = iter(tensors)
    token = _pass.set(_Restoring(remaining, recomputable))
    try:
        yield
        if next(remaining, None) is not None:
            raise ValueError("forward saved more tensors than backward took: backward runs other ops than forward did")
    finally:
        _pass.reset(token)
