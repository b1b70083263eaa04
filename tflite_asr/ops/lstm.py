"""LSTM over a padded batch, with or without a recurrent projection, with its own backward loops.

TFLite has no gradient of a loop, so the backward pass consists of `while_loop`s of its own under `tf.custom_gradient`.
All loops end at the batch's longest row, so short utterances take less time.

TFLite copies what a loop carries in each iteration (`ops/loops.py`), so loops store only what cannot be computed
outside: a step's output and cells forward, their gradients backward. Gates and their gradients, four times as much, are
computed from these outside the loops, as are all products with a kernel that do not depend on the previous step.
docs/performance.md has the measurements, also of how to write a product inside a loop.
"""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from signatures.order import after
from tflite_asr.ops.gradients import WithGradient
from tflite_asr.ops.loops import chunks, iteration_steps, joined, padded_time, previous_rows
from tflite_asr.ops.product import Kernel, dense, input_gradient, kernel_gradient, merged, product
from tflite_asr.ops.rows import get_row, set_row
from tflite_asr.ops.saved import saved

# up to so many rows, one product per row is faster than one product with all rows, which packs the matrix first
VECTOR_PRODUCTS = 4


class _Matrix:
    """A matrix [n, m] that a loop multiplies rows by, in the form that is fastest for the number of rows.

    Args:
        batch: number of rows.
        matrix: [n, m], or
        transposed: [m, n]; exactly one of the two is given, and copied if the other form is faster.
    """

    def __init__(self, batch: int, matrix: tf.Tensor | None = None, transposed: tf.Tensor | None = None):
        self._vectors = batch <= VECTOR_PRODUCTS
        if self._vectors:
            self._form = tf.transpose(matrix) if transposed is None else transposed
        else:
            # `after` hides the transpose, or the converter would put the given matrix into the loop, where it is slow
            self._form = after(tf.transpose(transposed), transposed) if matrix is None else matrix

    def times(self, rows: tf.Tensor) -> tf.Tensor:
        """rows [batch, n] -> [batch, m]."""
        if not self._vectors:
            return tf.matmul(rows, self._form)
        products = [tf.matmul(self._form, row, transpose_b=True) for row in tf.split(rows, rows.shape[0])]
        return tf.concat([tf.reshape(column, [1, -1]) for column in products], axis=0)


def _gates(z: tf.Tensor) -> list[tf.Tensor]:
    """z [..., 4 cells] -> input gate, forget gate, candidate, output gate, each [..., cells]."""
    z_input, z_forget, z_candidate, z_output = tf.split(z, 4, axis=-1)
    return [tf.sigmoid(z_input), tf.sigmoid(z_forget), tf.tanh(z_candidate), tf.sigmoid(z_output)]


def _steps(rows: tf.Tensor, n: tf.Tensor) -> list[tf.Tensor]:
    """The rows of iteration n."""
    return tf.unstack(get_row(rows, n))


def _forward(
    z: tf.Tensor,
    valid: tf.Tensor,
    iterations: tf.Tensor,
    hidden0: tf.Tensor,
    cell0: tf.Tensor,
    recurrent_kernel: tf.Tensor,
    projection: Sequence[tf.Tensor],
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """The loops. Returns the last hidden and cell; outputs [time, batch, units] and cells [time, batch, cells] of each
    step."""
    time, batch, cells, units = z.shape[0], z.shape[1], cell0.shape[1], hidden0.shape[1]
    kernel = _Matrix(batch, recurrent_kernel)
    down = _Matrix(batch, projection[0]) if projection else None
    hidden, cell, n, all_outputs, all_cells = hidden0, cell0, iterations, [], []
    for chunk in chunks(time, batch, units):
        z_rows, valid_rows = chunk.of(z, n), chunk.of(valid, n)

        def iteration(n, hidden, cell, outputs, cells):
            rows = []
            for z_t, mask in zip(_steps(z_rows, n), _steps(valid_rows, n)):
                input_gate, forget_gate, candidate, output_gate = _gates(z_t + kernel.times(hidden))
                new_cell = forget_gate * cell + input_gate * candidate
                new_hidden = output_gate * tf.tanh(new_cell)
                if down:
                    new_hidden = down.times(new_hidden)
                output, keep_mask = mask * new_hidden, 1.0 - mask
                hidden = output + keep_mask * hidden
                cell = mask * new_cell + keep_mask * cell
                rows.append((output, cell))
            new_outputs, new_cells = map(tf.stack, zip(*rows))
            return n + 1, hidden, cell, set_row(outputs, n, new_outputs), set_row(cells, n, new_cells)

        used = chunk.used_iterations(iterations)
        buffers = [chunk.buffer(batch, width) for width in (units, cells)]
        n, hidden, cell, *buffers = tf.while_loop(
            lambda n, *_: n < used, iteration, (tf.constant(0), hidden, cell, *buffers)
        )
        all_outputs.append(buffers[0])
        all_cells.append(buffers[1])
    return hidden, cell, joined(all_outputs), joined(all_cells)


class _Saved(NamedTuple):
    """The tensors of the forward pass that the loops of the backward pass need."""

    before_gates: tf.Tensor  # [time, batch, 4 cells], of the gates before their nonlinearity
    cells: tf.Tensor  # [time, batch, cells]
    cell0: tf.Tensor  # [batch, cells], before the first step
    valid: tf.Tensor  # [time, batch, 1] of 0/1
    iterations: tf.Tensor  # [] int32, of all loops


class _Gradients(NamedTuple):
    """What the loops of the backward pass compute."""

    z: tf.Tensor  # [time, batch, 4 cells]
    hidden0: tf.Tensor  # [batch, units]
    cell0: tf.Tensor  # [batch, cells]
    projected: list[tf.Tensor]  # with a projection: at its output, [steps, batch, units] of each chunk
    unprojected: list[tf.Tensor]  # with a projection: its input, [steps, batch, cells] of each chunk


def _backward(
    forward: _Saved,
    d_outputs: tf.Tensor,
    d_hidden: tf.Tensor,
    d_cell: tf.Tensor,
    recurrent_kernel: tf.Tensor,
    projection: Sequence[tf.Tensor],
) -> _Gradients:
    """The loops, from the last step to the first.

    Args:
        forward: of the forward pass.
        d_outputs: gradient at the outputs [time, batch, units].
        d_hidden, d_cell: gradients at the last state [batch, units] and [batch, cells].
        recurrent_kernel: [units, 4 cells].
        projection: [[cells, units]] or nothing.
    """
    time, batch, cells, units = *forward.before_gates.shape[:2], forward.cell0.shape[1], d_hidden.shape[1]
    kernel = _Matrix(batch, transposed=recurrent_kernel)
    up = _Matrix(batch, transposed=projection[0]) if projection else None
    n, all_d_z, all_d_projected, all_hidden = forward.iterations, [], [], []
    for chunk in reversed(chunks(time, batch, units)):
        gates = _gates(chunk.of(forward.before_gates, n))
        forget_gate, output_gate = gates[1], gates[3]
        tanh_cell, output_slope, slopes = _slopes(gates, chunk.previous(forward.cell0, forward.cells, n))
        all_steps = [chunk.of(forward.valid, n), chunk.of(d_outputs, n), output_slope, slopes, forget_gate]

        def iteration(n, d_hidden, d_cell, all_d_outputs, all_d_cells):
            rows = []
            for mask, d_output, output_slope_t, slope, forget in reversed(
                list(zip(*(_steps(rows, n) for rows in all_steps)))
            ):
                d_output = mask * (d_hidden + d_output)
                d_h = up.times(d_output) if up else d_output
                d_c = mask * d_cell + d_h * output_slope_t
                d_step = slope * tf.concat([d_c, d_c, d_c, d_h], axis=1)
                keep_mask = 1.0 - mask
                d_hidden = kernel.times(d_step) + keep_mask * d_hidden
                d_cell = d_c * forget + keep_mask * d_cell
                rows.insert(0, (d_output, d_c))
            new_d_outputs, new_d_cells = map(tf.stack, zip(*rows))
            all_d_outputs = set_row(all_d_outputs, n, new_d_outputs)
            return n - 1, d_hidden, d_cell, all_d_outputs, set_row(all_d_cells, n, new_d_cells)

        buffers = [chunk.buffer(batch, width) for width in (units, cells)]
        last = chunk.used_iterations(forward.iterations) - 1
        n, d_hidden, d_cell, d_projected, d_c = tf.while_loop(
            lambda n, *_: n >= 0, iteration, (last, d_hidden, d_cell, *buffers)
        )
        d_h = d_projected
        if projection:
            d_h = input_gradient(d_projected, projection[0])
            all_d_projected.insert(0, d_projected)
            all_hidden.insert(0, output_gate * tanh_cell)
        all_d_z.insert(0, slopes * tf.concat([d_c, d_c, d_c, d_h], axis=3))
    return _Gradients(joined(all_d_z), d_hidden, d_cell, all_d_projected, all_hidden)


def _slopes(gates: Sequence[tf.Tensor], previous: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Derivatives of a step.

    Args:
        gates: four of [iterations, steps, batch, cells].
        previous: the cells before the step, of the same shape.

    Returns:
        tanh of the new cell; the derivative of the output by the new cell; and the derivatives by the gates' inputs, of
        the cell (three of them) and of the output, [iterations, steps, batch, 4 cells].
    """
    input_gate, forget_gate, candidate, output_gate = gates
    # a row that has ended has a wrong cell here; its gradients are masked
    tanh_cell = tf.tanh(forget_gate * previous + input_gate * candidate)
    output_slope = output_gate * (1.0 - tanh_cell * tanh_cell)
    slopes = tf.concat(
        [
            candidate * input_gate * (1.0 - input_gate),
            previous * forget_gate * (1.0 - forget_gate),
            input_gate * (1.0 - candidate * candidate),
            tanh_cell * output_gate * (1.0 - output_gate),
        ],
        axis=3,
    )
    return tanh_cell, output_slope, slopes


@tf.custom_gradient
def _recurrence(
    z: tf.Tensor,
    valid: tf.Tensor,
    hidden0: tf.Tensor,
    cell0: tf.Tensor,
    recurrent_kernel: tf.Tensor,
    *projection: tf.Tensor,
) -> WithGradient:
    """z [time, batch, 4 cells], valid [time, batch, 1] of 0/1, `time` whole iterations -> outputs [time, batch, units]
    and last state.
    """
    # up to the last frame that any row has: sums are cheap and need no per-row lengths here
    steps = iteration_steps(z.shape[0])
    iterations = (tf.cast(tf.reduce_sum(tf.reduce_max(valid, axis=1)), tf.int32) + steps - 1) // steps
    # expensive to recompute: with these, backward runs no forward loop
    hidden, cell, outputs, all_cells = saved(
        4, lambda: _forward(z, valid, iterations, hidden0, cell0, recurrent_kernel, projection)
    )
    # the gates before their nonlinearity are four times as much, and a product
    (before_gates,) = saved(
        1, lambda: [z + product(previous_rows(hidden0, outputs), recurrent_kernel)], recomputable=True
    )

    def gradient(d_outputs, d_hidden, d_cell):
        forward = _Saved(before_gates, all_cells, cell0, valid, iterations)
        found = _backward(forward, d_outputs, d_hidden, d_cell, recurrent_kernel, projection)
        d_projection = [kernel_gradient(joined(found.unprojected), joined(found.projected))] if projection else []
        d_recurrent = kernel_gradient(previous_rows(hidden0, outputs), found.z)
        return [found.z, tf.zeros_like(valid), found.hidden0, found.cell0, d_recurrent, *d_projection]

    return (outputs, hidden, cell), gradient


def lstm(
    x: tf.Tensor,
    lengths: tf.Tensor,
    kernel: Kernel,
    recurrent_kernel: Kernel,
    bias: tf.Tensor,
    state: tuple[tf.Tensor, tf.Tensor] | None = None,
    projection: Kernel | None = None,
) -> tuple[tf.Tensor, tuple[tf.Tensor, tf.Tensor]]:
    """LSTM (Hochreiter and Schmidhuber 1997, with forget gates), gates in the order input, forget, cell, output.

    With a projection (Sak et al. 2014, arXiv 1402.1128), the output and the hidden state are the cells' output times
    the projection; without one, `units` equals `cells`.

    Args:
        x: [batch, time, features] float32; values past a row's length must be finite.
        lengths: [batch] int32, valid frames of each row.
        kernel: [features, 4 cells].
        recurrent_kernel: [units, 4 cells].
        bias: [4 cells].
        state: (hidden [batch, units], cell [batch, cells]); zeros when None.
        projection: [cells, units].

    Returns:
        outputs [batch, time, units], zero past each row's length, and the state after each row's last frame. Within
        `ops.saved.restoring`, the state is that of the forward pass.
    """
    batch, time = x.shape[0], x.shape[1]
    units, cells = recurrent_kernel.shape[0], recurrent_kernel.shape[1] // 4
    if state is None:
        state = (tf.zeros([batch, units]), tf.zeros([batch, cells]))
    steps = tf.transpose(x, [1, 0, 2])
    missing = padded_time(time) - time
    if missing:
        steps = tf.pad(steps, [[0, missing], [0, 0], [0, 0]])
    z = dense(steps, kernel, bias)
    valid = tf.cast(tf.expand_dims(tf.range(time + missing), 1) < tf.expand_dims(lengths, 0), tf.float32)
    projections = [] if projection is None else [merged(projection)]
    outputs, hidden, cell = _recurrence(z, tf.expand_dims(valid, 2), *state, merged(recurrent_kernel), *projections)
    if missing:
        outputs = tf.slice(outputs, [0, 0, 0], [time, -1, -1])
    return tf.transpose(outputs, [1, 0, 2]), (hidden, cell)
