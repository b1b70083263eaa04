"""LSTM over a padded batch, with or without a recurrent projection, with its own backward loop.

TFLite has no gradient of a loop, so the backward pass is written as a second `while_loop` under
`tf.custom_gradient`. Both loops end at the batch's longest row, so short utterances cost what they last.

TFLite copies every buffer that goes round a loop, whole, at each turn. So a turn is two time steps, and only what no other
way gives is stored inside: a step's output and cells forward, their gradients backward. Gates and their gradients, four
times as much, are made of these for all steps at once, as are all products with a kernel that do not wait for the step
before.
docs/architecture.md has the figures, also of how a product inside a loop is best written.
"""

import tensorflow as tf

from tflite_asr.ops.kept import kept
from tflite_asr.ops.product import dense, input_gradient, kernel_gradient, product
from tflite_asr.ops.rows import get_row, set_row

TURN_STEPS = 2  # time steps in one turn of a loop, whose buffers are copied once a turn; more make no faster steps
VECTOR_PRODUCTS = 4  # up to so many rows, a product with each is quicker than one with all, which packs the matrix first


def whole_turns(time: int) -> int:
    """Steps that the loops make for so many: at most one more."""
    steps = min(TURN_STEPS, time)
    return -(-time // steps) * steps if time else 0


def _times(rows: tf.Tensor, transposed: tf.Tensor) -> tf.Tensor:
    """rows [batch, n] times a matrix given as its transpose [m, n] -> [batch, m]."""
    batch = rows.shape[0]
    if batch > VECTOR_PRODUCTS:
        return tf.transpose(tf.matmul(transposed, rows, transpose_b=True))
    products = [tf.matmul(transposed, row, transpose_b=True) for row in tf.split(rows, batch)]
    return tf.concat([tf.reshape(column, [1, transposed.shape[0]]) for column in products], axis=0)


def _gates(z: tf.Tensor) -> list[tf.Tensor]:
    """z [..., 4 cells] -> input gate, forget gate, candidate, output gate, each [..., cells]."""
    z_input, z_forget, z_candidate, z_output = tf.split(z, 4, axis=-1)
    return [tf.sigmoid(z_input), tf.sigmoid(z_forget), tf.tanh(z_candidate), tf.sigmoid(z_output)]


def _turns(rows: tf.Tensor) -> tf.Tensor:
    """[time, ...] -> [turns, steps of a turn, ...]."""
    steps = min(TURN_STEPS, rows.shape[0])
    return tf.reshape(rows, [rows.shape[0] // steps, steps, *rows.shape[1:]])


def _steps(turns: tf.Tensor, n: tf.Tensor) -> list[tf.Tensor]:
    """The rows of turn n."""
    return tf.unstack(get_row(turns, n))


def _before(first: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """What stood before each step: first [batch, n], then all rows [time, batch, n] but the last."""
    return tf.concat([tf.expand_dims(first, 0), tf.slice(rows, [0, 0, 0], [rows.shape[0] - 1, -1, -1])], axis=0)


def _forward(z, valid, turns, hidden0, cell0, recurrent_kernel, projection):
    """The loop. Returns the last hidden and cell; outputs [time, batch, units] and cells [time, batch, cells] of each
    step; and the gates before their nonlinearity [time, batch, 4 cells]."""
    time, batch, cells, units = z.shape[0], z.shape[1], cell0.shape[1], hidden0.shape[1]
    kernel_transposed = tf.transpose(recurrent_kernel)
    projection_transposed = tf.transpose(projection[0]) if projection else None
    all_z, all_valid = _turns(z), _turns(valid)

    def turn(n, hidden, cell, outputs, all_cells):
        rows = []
        for z_t, mask in zip(_steps(all_z, n), _steps(all_valid, n)):
            input_gate, forget_gate, candidate, output_gate = _gates(z_t + _times(hidden, kernel_transposed))
            new_cell = forget_gate * cell + input_gate * candidate
            new_hidden = output_gate * tf.tanh(new_cell)
            if projection:
                new_hidden = _times(new_hidden, projection_transposed)
            output, kept_back = mask * new_hidden, 1.0 - mask
            hidden = output + kept_back * hidden
            cell = mask * new_cell + kept_back * cell
            rows.append((output, cell))
        new_outputs, new_cells = map(tf.stack, zip(*rows))
        return n + 1, hidden, cell, set_row(outputs, n, new_outputs), set_row(all_cells, n, new_cells)

    buffers = [tf.zeros([*all_z.shape[:2], batch, width]) for width in (units, cells)]
    _, hidden, cell, outputs, all_cells = tf.while_loop(
        lambda n, *_: n < turns, turn, (tf.constant(0), hidden0, cell0, *buffers)
    )
    outputs, all_cells = (tf.reshape(rows, [time, batch, -1]) for rows in (outputs, all_cells))
    return hidden, cell, outputs, all_cells, z + product(_before(hidden0, outputs), recurrent_kernel)


@tf.custom_gradient
def _recurrence(z, valid, hidden0, cell0, recurrent_kernel, *projection):
    """z [time, batch, 4 cells], valid [time, batch, 1] of 0/1, `time` whole turns -> outputs [time, batch, units] and last
    state."""
    time, batch, cells, units = z.shape[0], z.shape[1], cell0.shape[1], hidden0.shape[1]
    # up to the last frame that any row has: sums are cheap and need no per-row lengths here
    turn_steps = min(TURN_STEPS, time)
    turns = (tf.cast(tf.reduce_sum(tf.reduce_max(valid, axis=1)), tf.int32) + turn_steps - 1) // turn_steps
    # dear to make again: whoever has these runs no loop forward
    hidden, cell, outputs, all_cells, before_gates = kept(
        5, lambda: _forward(z, valid, turns, hidden0, cell0, recurrent_kernel, projection)
    )

    def gradient(d_outputs, d_hidden, d_cell):
        input_gate, forget_gate, candidate, output_gate = _gates(before_gates)
        previous = _before(cell0, all_cells)
        # a row that has ended has a wrong cell here; its gradients are masked
        tanh_cell = tf.tanh(forget_gate * previous + input_gate * candidate)
        # of the output, to the cell
        through = output_gate * (1.0 - tanh_cell * tanh_cell)

        def turn(n, d_hidden, d_cell, all_d_outputs, all_d_cells):
            rows = []
            for mask, d_output, through_t, slope, forget in reversed(list(zip(*(_steps(rows, n) for rows in all_steps)))):
                d_output = mask * (d_hidden + d_output)
                d_h = _times(d_output, projection[0]) if projection else d_output
                d_c = mask * d_cell + d_h * through_t
                d_step = slope * tf.concat([d_c, d_c, d_c, d_h], axis=1)
                kept_back = 1.0 - mask
                d_hidden = _times(d_step, recurrent_kernel) + kept_back * d_hidden
                d_cell = d_c * forget + kept_back * d_cell
                rows.insert(0, (d_output, d_c))
            new_d_outputs, new_d_cells = map(tf.stack, zip(*rows))
            all_d_outputs = set_row(all_d_outputs, n, new_d_outputs)
            return n - 1, d_hidden, d_cell, all_d_outputs, set_row(all_d_cells, n, new_d_cells)

        slopes = tf.concat(
            [
                candidate * input_gate * (1.0 - input_gate),
                previous * forget_gate * (1.0 - forget_gate),
                input_gate * (1.0 - candidate * candidate),
                tanh_cell * output_gate * (1.0 - output_gate),
            ],
            axis=2,
        )
        all_steps = [_turns(rows) for rows in (valid, d_outputs, through, slopes, forget_gate)]
        buffers = [tf.zeros([*all_steps[0].shape[:2], batch, width]) for width in (units, cells)]
        _, d_hidden0, d_cell0, all_d_outputs, d_c = tf.while_loop(
            lambda n, *_: n >= 0, turn, (turns - 1, d_hidden, d_cell, *buffers)
        )
        all_d_outputs, d_c = (tf.reshape(rows, [time, batch, -1]) for rows in (all_d_outputs, d_c))
        d_h, d_projection = all_d_outputs, []
        if projection:
            d_h = input_gradient(all_d_outputs, projection[0])
            d_projection = [kernel_gradient(output_gate * tanh_cell, all_d_outputs)]
        d_z = slopes * tf.concat([d_c, d_c, d_c, d_h], axis=2)
        d_recurrent = kernel_gradient(_before(hidden0, outputs), d_z)
        return [d_z, tf.zeros_like(valid), d_hidden0, d_cell0, d_recurrent, *d_projection]

    return (outputs, hidden, cell), gradient


def lstm(
    x: tf.Tensor,
    lengths: tf.Tensor,
    kernel: tf.Tensor,
    recurrent_kernel: tf.Tensor,
    bias: tf.Tensor,
    state: tuple[tf.Tensor, tf.Tensor] | None = None,
    projection: tf.Tensor | None = None,
) -> tuple[tf.Tensor, tuple[tf.Tensor, tf.Tensor]]:
    """LSTM (Hochreiter and Schmidhuber 1997, with forget gates), gates in the order input, forget, cell, output.

    With a projection (Sak et al. 2014, arXiv 1402.1128) what a step puts out and what goes round is the cells' output
    times the projection; without one, `units` and `cells` are the same.

    Args:
        x: [batch, time, features] float32; what stands past a row's length must be finite.
        lengths: [batch] int32, valid frames of each row.
        kernel: [features, 4 cells].
        recurrent_kernel: [units, 4 cells].
        bias: [4 cells].
        state: (hidden [batch, units], cell [batch, cells]); zeros when None.
        projection: [cells, units].

    Returns:
        outputs [batch, time, units], zero past each row's length, and the state after each row's last frame. Where
        `ops.kept` replays, the state is that of the recording.
    """
    batch, time = x.shape[0], x.shape[1]
    units, cells = recurrent_kernel.shape[0], recurrent_kernel.shape[1] // 4
    if state is None:
        state = (tf.zeros([batch, units]), tf.zeros([batch, cells]))
    steps = tf.transpose(x, [1, 0, 2])
    missing = whole_turns(time) - time
    if missing:
        steps = tf.pad(steps, [[0, missing], [0, 0], [0, 0]])
    z = dense(steps, kernel, bias)
    valid = tf.cast(tf.expand_dims(tf.range(time + missing), 1) < tf.expand_dims(lengths, 0), tf.float32)
    projections = [] if projection is None else [projection]
    outputs, hidden, cell = _recurrence(z, tf.expand_dims(valid, 2), *state, recurrent_kernel, *projections)
    if missing:
        outputs = tf.slice(outputs, [0, 0, 0], [time, -1, -1])
    return tf.transpose(outputs, [1, 0, 2]), (hidden, cell)
