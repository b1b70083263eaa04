"""What a forward pass keeps for a backward pass that runs later, in another call.

Autodiff keeps every intermediate result. When forward and backward are two calls, only a few are worth carrying over.
An op names them by `kept`: those that are dear to make again, such as what a recurrence went through, and as `cheap`
those that a product or two makes again, which are worth it where there is memory. All else is computed again in the
backward call, where `kept` hands out what the forward call kept.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence

import tensorflow as tf

_recorded: list[tf.Tensor] | None = None  # where a recording forward pass puts what is to be kept
_replayed: Iterator[tf.Tensor] | None = None  # what a backward pass is given
_cheap = True  # whether that is, or has, the cheap ones too


def kept(count: int, compute: Callable[[], Sequence[tf.Tensor]], cheap: bool = False) -> Sequence[tf.Tensor]:
    """The `count` tensors that `compute` makes, or those that the forward pass of the same ops kept."""
    if cheap and not _cheap:
        return compute()
    if _replayed is not None:
        return [next(_replayed) for _ in range(count)]
    tensors = compute()
    if _recorded is not None:
        _recorded.extend(tensors)
    return tensors


@contextlib.contextmanager
def recording(cheap: bool = True) -> Iterator[list[tf.Tensor]]:
    """Forward: everything that `kept` makes within the block is also in the list, or all but what is cheap."""
    global _recorded, _cheap
    _recorded, _cheap = [], cheap
    try:
        yield _recorded
    finally:
        _recorded, _cheap = None, True


@contextlib.contextmanager
def replaying(tensors: Sequence[tf.Tensor], cheap: bool = True) -> Iterator[None]:
    """Backward: `kept` hands out these, the list of such a recording of the same ops, instead of computing."""
    global _replayed, _cheap
    _replayed, _cheap = iter(tensors), cheap
    try:
        yield
        if next(_replayed, None) is not None:
            raise ValueError("more tensors were kept than the backward pass took: it runs other ops than forward did")
    finally:
        _replayed, _cheap = None, True
