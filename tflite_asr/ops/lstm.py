"""LSTM over a padded batch, with or without a recurrent projection, with its own backward loop.

TFLite has no gradient of a loop, so the backward pass is written as a second `while_loop` under
`tf.custom_gradient`. Only the recurrent part is inside: the input projection is one matrix product before the
loop, the gradients of the recurrent kernel and the projection are matrix products after it. Both loops end at the
longest row of the batch, so short utterances cost what they last.

Products of one step are vectors times a large matrix, and in a loop TFLite's speed depends on how they are written:
`times` is five times as fast as the plain product forward, where the plain product on a transposed copy is the faster one
backward. docs/architecture.md has the figures.
"""

import tensorflow as tf

from tflite_asr.ops.kept import kept
from tflite_asr.ops.rows import get_row, set_row


def _times(rows: tf.Tensor, transposed: tf.Tensor) -> tf.Tensor:
    """rows [batch, n] times a matrix given as its transpose [m, n] -> [batch, m]."""
    return tf.transpose(tf.matmul(transposed, rows, transpose_b=True))


def _gates(z: tf.Tensor) -> list[tf.Tensor]:
    """z [..., 4 cells] -> input gate, forget gate, candidate, output gate, each [..., cells]."""
    z_input, z_forget, z_candidate, z_output = tf.split(z, 4, axis=-1)
    return [tf.sigmoid(z_input), tf.sigmoid(z_forget), tf.tanh(z_candidate), tf.sigmoid(z_output)]


def _forward(z, valid, steps, hidden0, cell0, recurrent_kernel, projection):
    """The loop: outputs [time, batch, units], last hidden and cell, and of each step the cells before it and the gates."""
    time, batch, cells = z.shape[0], z.shape[1], cell0.shape[1]
    kernel_transposed = tf.transpose(recurrent_kernel)
    projection_transposed = tf.transpose(projection[0]) if projection else None

    def body(t, hidden, cell, outputs, previous_cells, gates):
        input_gate, forget_gate, candidate, output_gate = step = _gates(get_row(z, t) + _times(hidden, kernel_transposed))
        new_cell = forget_gate * cell + input_gate * candidate
        new_hidden = output_gate * tf.tanh(new_cell)
        if projection:
            new_hidden = _times(new_hidden, projection_transposed)
        mask = get_row(valid, t)
        previous_cells = set_row(previous_cells, t, cell)
        gates = set_row(gates, t, tf.concat(step, axis=1))
        outputs = set_row(outputs, t, mask * new_hidden)
        hidden = mask * new_hidden + (1.0 - mask) * hidden
        cell = mask * new_cell + (1.0 - mask) * cell
        return t + 1, hidden, cell, outputs, previous_cells, gates

    buffers = [tf.zeros([time, batch, width]) for width in (hidden0.shape[1], cells, 4 * cells)]
    return tf.while_loop(lambda t, *_: t < steps, body, (tf.constant(0), hidden0, cell0, *buffers))[1:]


@tf.custom_gradient
def _recurrence(z, valid, hidden0, cell0, recurrent_kernel, *projection):
    """z [time, batch, 4 cells], valid [time, batch, 1] of 0/1 -> outputs [time, batch, units] and last state."""
    time, batch, cells, units = z.shape[0], z.shape[1], cell0.shape[1], hidden0.shape[1]
    # the last frame that any row has: sums are cheap and need no per-row lengths here
    steps = tf.cast(tf.reduce_sum(tf.reduce_max(valid, axis=1)), tf.int32)
    # dear to make again: whoever has these runs no loop forward
    hidden, cell, outputs, previous_cells, gates = kept(
        5, lambda: _forward(z, valid, steps, hidden0, cell0, recurrent_kernel, projection)
    )

    def gradient(d_outputs, d_hidden, d_cell):
        kernel_transposed = tf.transpose(recurrent_kernel)
        projection_transposed = tf.transpose(projection[0]) if projection else None

        def backward(t, d_hidden, d_cell, d_z, d_outputs_total):
            mask = get_row(valid, t)
            input_gate, forget_gate, candidate, output_gate = tf.split(get_row(gates, t), 4, axis=1)
            previous_cell = get_row(previous_cells, t)
            tanh_cell = tf.tanh(forget_gate * previous_cell + input_gate * candidate)
            d_output = mask * (d_hidden + get_row(d_outputs, t))
            d_h = tf.matmul(d_output, projection_transposed) if projection else d_output
            d_c = mask * d_cell + d_h * output_gate * (1.0 - tanh_cell * tanh_cell)
            d_step = tf.concat(
                [
                    d_c * candidate * input_gate * (1.0 - input_gate),
                    d_c * previous_cell * forget_gate * (1.0 - forget_gate),
                    d_c * input_gate * (1.0 - candidate * candidate),
                    d_h * tanh_cell * output_gate * (1.0 - output_gate),
                ],
                axis=1,
            )
            d_hidden = tf.matmul(d_step, kernel_transposed) + (1.0 - mask) * d_hidden
            d_cell = d_c * forget_gate + (1.0 - mask) * d_cell
            d_outputs_total = [set_row(rows, t, d_output) for rows in d_outputs_total]
            return t - 1, d_hidden, d_cell, set_row(d_z, t, d_step), d_outputs_total

        totals = [tf.zeros([time, batch, units])] if projection else []
        _, d_hidden0, d_cell0, d_z, totals = tf.while_loop(
            lambda t, *_: t >= 0,
            backward,
            (steps - 1, d_hidden, d_cell, tf.zeros([time, batch, 4 * cells]), totals),
        )
        # hidden before each step; rows past a length carry no gradient, so their value does not matter
        before = tf.concat([tf.expand_dims(hidden0, 0), tf.slice(outputs, [0, 0, 0], [time - 1, -1, -1])], axis=0)
        d_recurrent = tf.matmul(
            tf.reshape(before, [time * batch, units]),
            tf.reshape(d_z, [time * batch, 4 * cells]),
            transpose_a=True,
        )
        gradients = [d_z, tf.zeros_like(valid), d_hidden0, d_cell0, d_recurrent]
        if projection:
            input_gate, forget_gate, candidate, output_gate = tf.split(gates, 4, axis=2)
            h = output_gate * tf.tanh(forget_gate * previous_cells + input_gate * candidate)
            rows = tf.reshape(h, [time * batch, cells])
            gradients.append(tf.matmul(rows, tf.reshape(totals[0], [time * batch, units]), transpose_a=True))
        return gradients

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
    time_major = tf.transpose(x, [1, 0, 2])
    z = tf.reshape(tf.matmul(tf.reshape(time_major, [time * batch, -1]), kernel) + bias, [time, batch, 4 * cells])
    valid = tf.cast(tf.expand_dims(tf.range(time), 1) < tf.expand_dims(lengths, 0), tf.float32)
    projections = [] if projection is None else [projection]
    outputs, hidden, cell = _recurrence(z, tf.expand_dims(valid, 2), *state, recurrent_kernel, *projections)
    return tf.transpose(outputs, [1, 0, 2]), (hidden, cell)
