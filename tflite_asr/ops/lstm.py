"""LSTM over a padded batch, with its own backward loop.

TFLite has no gradient of a loop, so the backward pass is written as a second `while_loop` under
`tf.custom_gradient`. Only the recurrent part is inside: the input projection is one matrix product before the
loop, the gradient of the recurrent kernel one matrix product after it. Both loops end at the longest row of
the batch, so short utterances cost what they last.
"""

import tensorflow as tf

from tflite_asr.ops.rows import get_row, set_row


def _step(z, hidden, cell, recurrent_kernel):
    """One LSTM step: z [batch, 4 units] is the input's share; returns activated gates, cell, hidden."""
    z_input, z_forget, z_candidate, z_output = tf.split(z + tf.matmul(hidden, recurrent_kernel), 4, axis=1)
    input_gate, forget_gate = tf.sigmoid(z_input), tf.sigmoid(z_forget)
    candidate, output_gate = tf.tanh(z_candidate), tf.sigmoid(z_output)
    new_cell = forget_gate * cell + input_gate * candidate
    gates = tf.concat([input_gate, forget_gate, candidate, output_gate], axis=1)
    return gates, new_cell, output_gate * tf.tanh(new_cell)


@tf.custom_gradient
def _recurrence(z, recurrent_kernel, valid, hidden0, cell0):
    """z [time, batch, 4 units], valid [time, batch, 1] of 0/1 -> outputs [time, batch, units] and last state."""
    time, batch, units = z.shape[0], z.shape[1], hidden0.shape[1]
    # the last frame that any row has: sums are cheap and need no per-row lengths here
    steps = tf.cast(tf.reduce_sum(tf.reduce_max(valid, axis=1)), tf.int32)

    def forward(t, hidden, cell, outputs, gates, previous_cells):
        step_gates, new_cell, new_hidden = _step(get_row(z, t), hidden, cell, recurrent_kernel)
        mask = get_row(valid, t)
        previous_cells = set_row(previous_cells, t, cell)
        gates = set_row(gates, t, step_gates)
        outputs = set_row(outputs, t, mask * new_hidden)
        hidden = mask * new_hidden + (1.0 - mask) * hidden
        cell = mask * new_cell + (1.0 - mask) * cell
        return t + 1, hidden, cell, outputs, gates, previous_cells

    _, hidden, cell, outputs, gates, previous_cells = tf.while_loop(
        lambda t, *_: t < steps,
        forward,
        (
            tf.constant(0),
            hidden0,
            cell0,
            tf.zeros([time, batch, units]),
            tf.zeros([time, batch, 4 * units]),
            tf.zeros([time, batch, units]),
        ),
    )

    def gradient(d_outputs, d_hidden, d_cell):
        recurrent_transposed = tf.transpose(recurrent_kernel)

        def backward(t, d_hidden, d_cell, d_z):
            mask = get_row(valid, t)
            input_gate, forget_gate, candidate, output_gate = tf.split(get_row(gates, t), 4, axis=1)
            previous_cell = get_row(previous_cells, t)
            tanh_cell = tf.tanh(forget_gate * previous_cell + input_gate * candidate)
            d_h = mask * (d_hidden + get_row(d_outputs, t))
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
            d_hidden = tf.matmul(d_step, recurrent_transposed) + (1.0 - mask) * d_hidden
            d_cell = d_c * forget_gate + (1.0 - mask) * d_cell
            return t - 1, d_hidden, d_cell, set_row(d_z, t, d_step)

        _, d_hidden0, d_cell0, d_z = tf.while_loop(
            lambda t, *_: t >= 0,
            backward,
            (steps - 1, d_hidden, d_cell, tf.zeros([time, batch, 4 * units])),
        )
        # hidden before each step; rows past a length carry no gradient, so their value does not matter
        before = tf.concat([tf.expand_dims(hidden0, 0), tf.slice(outputs, [0, 0, 0], [time - 1, -1, -1])], axis=0)
        d_recurrent = tf.matmul(
            tf.reshape(before, [time * batch, units]),
            tf.reshape(d_z, [time * batch, 4 * units]),
            transpose_a=True,
        )
        return d_z, d_recurrent, tf.zeros_like(valid), d_hidden0, d_cell0

    return (outputs, hidden, cell), gradient


def lstm(
    x: tf.Tensor,
    lengths: tf.Tensor,
    kernel: tf.Tensor,
    recurrent_kernel: tf.Tensor,
    bias: tf.Tensor,
    state: tuple[tf.Tensor, tf.Tensor] | None = None,
) -> tuple[tf.Tensor, tuple[tf.Tensor, tf.Tensor]]:
    """LSTM (Hochreiter and Schmidhuber 1997, with forget gates), gates in the order input, forget, cell, output.

    Args:
        x: [batch, time, features] float32; what stands past a row's length must be finite.
        lengths: [batch] int32, valid frames of each row.
        kernel: [features, 4 units].
        recurrent_kernel: [units, 4 units].
        bias: [4 units].
        state: (hidden, cell), each [batch, units]; zeros when None.

    Returns:
        outputs [batch, time, units], zero past each row's length, and the state after each row's last frame.
    """
    batch, time = x.shape[0], x.shape[1]
    units = recurrent_kernel.shape[0]
    if state is None:
        state = (tf.zeros([batch, units]), tf.zeros([batch, units]))
    time_major = tf.transpose(x, [1, 0, 2])
    z = tf.reshape(tf.matmul(tf.reshape(time_major, [time * batch, -1]), kernel) + bias, [time, batch, 4 * units])
    valid = tf.cast(tf.expand_dims(tf.range(time), 1) < tf.expand_dims(lengths, 0), tf.float32)
    outputs, hidden, cell = _recurrence(z, recurrent_kernel, tf.expand_dims(valid, 2), *state)
    return tf.transpose(outputs, [1, 0, 2]), (hidden, cell)
