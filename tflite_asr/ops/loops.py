"""The loops of a recurrence: each works through a chunk of time, two time steps per iteration.

TFLite copies every buffer that a loop carries, whole, in each iteration. So an iteration is two time steps, and a long
utterance takes several loops, each with the buffers of its chunk.
"""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

import tensorflow as tf

ITERATION_STEPS = 2  # time steps in one iteration of a loop; more are no faster
MOST_CHUNKS = 4  # loops of one recurrence, since each adds to the graph
CHUNK_ELEMENTS = 1 << 15  # of a buffer, at least: copying 128 KB takes as long as an iteration does anyway

_most_chunks: ContextVar[int] = ContextVar("most_chunks", default=MOST_CHUNKS)


@contextlib.contextmanager
def in_one_loop() -> Iterator[None]:
    """Trace each recurrence within the block as one loop. XLA copies no buffers, so several loops would be slower."""
    token = _most_chunks.set(1)
    try:
        yield
    finally:
        _most_chunks.reset(token)


def iteration_steps(time: int) -> int:
    """Time steps in one iteration of a loop over `time` steps."""
    return min(ITERATION_STEPS, time)


def padded_time(time: int) -> int:
    """Time steps of the loops over `time` steps: whole iterations, so at most one step more."""
    steps = iteration_steps(time)
    return -(-time // steps) * steps if time else 0


def previous_rows(first: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """The row before each time step: first [batch, n], then all rows [time, batch, n] but the last."""
    return tf.concat([tf.expand_dims(first, 0), tf.slice(rows, [0, 0, 0], [rows.shape[0] - 1, -1, -1])], axis=0)


class Chunk:
    """Consecutive time steps of a recurrence, which one loop works through.

    Args:
        start: the first time step.
        iterations: of its loop.
        steps: time steps in an iteration.
    """

    def __init__(self, start: int, iterations: int, steps: int):
        self.start, self.iterations, self.steps = start, iterations, steps

    def of(self, rows: tf.Tensor, when: tf.Tensor, back: int = 0) -> tf.Tensor:
        """The chunk's rows.

        Args:
            rows: [time, batch, n].
            when: [] int32; the rows are read after it.
            back: how many time steps earlier the first row is.

        Returns:
            [iterations, steps, batch, n].
        """
        time = self.iterations * self.steps
        if time < rows.shape[0]:
            # a slice whose begin is computed has a dynamic output, see `export.static_shapes`
            rows = tf.gather(rows, tf.range(time) + (self.start - back) + tf.minimum(tf.abs(when), 0))
        return tf.reshape(rows, [self.iterations, self.steps, *rows.shape[1:]])

    def previous(self, first: tf.Tensor, rows: tf.Tensor, when: tf.Tensor) -> tf.Tensor:
        """The row before each time step of the chunk, as `of` returns rows; `first` [batch, n] is before step 0."""
        if self.start:
            return self.of(rows, when, back=1)
        rows = tf.slice(rows, [0, 0, 0], [self.iterations * self.steps, -1, -1])
        return tf.reshape(previous_rows(first, rows), [self.iterations, self.steps, *rows.shape[1:]])

    def used_iterations(self, iterations: tf.Tensor) -> tf.Tensor:
        """How many of its iterations run when all chunks together have `iterations`, [] int32; negative if the chunk
        begins later.
        """
        return tf.minimum(iterations - self.start // self.steps, self.iterations)

    def buffer(self, *row: int) -> tf.Tensor:
        """Zeros [iterations, steps, *row]."""
        return tf.zeros([self.iterations, self.steps, *row])


def chunks(time: int, batch: int, units: int) -> list[Chunk]:
    """The chunks of `time` steps, a multiple of an iteration's.

    Each loop copies the kernel once, and its buffers in each iteration: the more rows there are per unit, the shorter
    the chunks, down to `CHUNK_ELEMENTS`.
    """
    steps = iteration_steps(time)
    iterations = time // steps
    most = _most_chunks.get()
    count = max(1, min(most, iterations, 4 * time * batch // units, time * batch * units // CHUNK_ELEMENTS))
    starts = [iterations * index // count for index in range(count + 1)]
    return [Chunk(start * steps, end - start, steps) for start, end in zip(starts, starts[1:])]


def joined(pieces: list[tf.Tensor]) -> tf.Tensor:
    """[iterations, steps, ...] of all chunks -> [time, ...]."""
    pieces = [tf.reshape(piece, [-1, *piece.shape[2:]]) for piece in pieces]
    return tf.concat(pieces, axis=0) if len(pieces) > 1 else pieces[0]
