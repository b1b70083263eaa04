"""The stretches of time that the loops of a recurrence work through, one after the other.

TFLite copies every buffer that goes round a loop, whole, at each turn. So a turn is two time steps, and a long
utterance is several loops, each with the buffers of its stretch.
"""

import contextlib
from collections.abc import Iterator

import tensorflow as tf

TURN_STEPS = 2  # time steps in one turn of a loop; more make no faster steps
MOST_STRETCHES = 4  # loops of one recurrence, since each is a piece of the graph
STRETCH_ELEMENTS = 1 << 15  # of a buffer, at least: 128 KB are copied in the time that a turn takes anyway

_most_stretches = MOST_STRETCHES


@contextlib.contextmanager
def in_one_loop() -> Iterator[None]:
    """A recurrence that is traced within the block is one loop: for XLA, which copies no buffers and would be the
    slower.
    """
    global _most_stretches
    _most_stretches = 1
    try:
        yield
    finally:
        _most_stretches = MOST_STRETCHES


def turn_steps(time: int) -> int:
    """Time steps in one turn of a loop over `time` of them."""
    return min(TURN_STEPS, time)


def whole_turns(time: int) -> int:
    """Steps that the loops make for so many: at most one more."""
    steps = turn_steps(time)
    return -(-time // steps) * steps if time else 0


def before(first: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """What stood before each step: first [batch, n], then all rows [time, batch, n] but the last."""
    return tf.concat([tf.expand_dims(first, 0), tf.slice(rows, [0, 0, 0], [rows.shape[0] - 1, -1, -1])], axis=0)


class Stretch:
    """Some successive time steps of a recurrence, which one loop works through.

    Args:
        start: its first step.
        turns: of its loop.
        steps: in a turn.
    """

    def __init__(self, start: int, turns: int, steps: int):
        self.start, self.turns, self.steps = start, turns, steps

    def of(self, rows: tf.Tensor, when: tf.Tensor, back: int = 0) -> tf.Tensor:
        """rows [time, batch, n], from `back` steps earlier on -> [turns, steps, batch, n], cut out when `when`, []
        int32, is known.
        """
        time = self.turns * self.steps
        if time < rows.shape[0]:
            begin = tf.stack([self.start - back + tf.minimum(tf.abs(when), 0), 0, 0])
            rows = tf.slice(rows, begin, [time, *rows.shape[1:]])
        return tf.reshape(rows, [self.turns, self.steps, *rows.shape[1:]])

    def before(self, first: tf.Tensor, rows: tf.Tensor, when: tf.Tensor) -> tf.Tensor:
        """The same of what stood before each step; before the very first that is `first` [batch, n]."""
        if self.start:
            return self.of(rows, when, back=1)
        rows = tf.slice(rows, [0, 0, 0], [self.turns * self.steps, -1, -1])
        return tf.reshape(before(first, rows), [self.turns, self.steps, *rows.shape[1:]])

    def left(self, turns: tf.Tensor) -> tf.Tensor:
        """How many of its turns there are when all stretches together have `turns`, [] int32; below 0 when it comes
        after.
        """
        return tf.minimum(turns - self.start // self.steps, self.turns)

    def buffer(self, *row: int) -> tf.Tensor:
        """Zeros [turns, steps, *row]."""
        return tf.zeros([self.turns, self.steps, *row])


def stretches(time: int, batch: int, units: int) -> list[Stretch]:
    """Those of `time` steps, in whole turns. Each loop copies the kernel once, and its buffers at each turn: the more
    rows there are to a unit, the shorter the stretches, as long as there is something to copy.
    """
    steps = turn_steps(time)
    turns = time // steps
    count = max(1, min(_most_stretches, turns, 4 * time * batch // units, time * batch * units // STRETCH_ELEMENTS))
    starts = [turns * index // count for index in range(count + 1)]
    return [Stretch(start * steps, end - start, steps) for start, end in zip(starts, starts[1:])]


def joined(pieces: list[tf.Tensor]) -> tf.Tensor:
    """[turns, steps, ...] of all stretches -> [time, ...]."""
    pieces = [tf.reshape(piece, [-1, *piece.shape[2:]]) for piece in pieces]
    return tf.concat(pieces, axis=0) if len(pieces) > 1 else pieces[0]
