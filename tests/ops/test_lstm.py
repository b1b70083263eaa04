import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from tflite_asr.ops import loops as time_loops
from tflite_asr.ops import lstm as lstm_op
from tflite_asr.ops.lstm import lstm

BATCH, TIME, FEATURES, UNITS = 4, 6, 3, 5
LENGTHS = np.array([6, 3, 0, 1], np.int32)
NAMES = ("x", "kernel", "recurrent_kernel", "bias", "hidden", "cell")
# six steps of float32 sums of about ten terms of the order of 1
ROUNDING = {"rtol": 1e-5, "atol": 1e-5}


def arguments(seed=0):
    random = np.random.default_rng(seed)
    shapes = [
        (BATCH, TIME, FEATURES),
        (FEATURES, 4 * UNITS),
        (UNITS, 4 * UNITS),
        (4 * UNITS,),
        (BATCH, UNITS),
        (BATCH, UNITS),
    ]
    return [(0.7 * random.standard_normal(shape)).astype(np.float32) for shape in shapes]


def output_weights():
    random = np.random.default_rng(9)
    shapes = [(BATCH, TIME, UNITS), (BATCH, UNITS), (BATCH, UNITS)]
    return [random.standard_normal(shape).astype(np.float32) for shape in shapes]


def numpy_lstm(x, lengths, kernel, recurrent_kernel, bias, hidden, cell):
    """One row and one step at a time, in float64."""
    outputs = np.zeros([len(x), x.shape[1], len(recurrent_kernel)])
    hidden, cell = hidden.astype(np.float64), cell.astype(np.float64)
    for row, length in enumerate(lengths):
        for t in range(length):
            z = x[row, t].astype(np.float64) @ kernel + hidden[row] @ recurrent_kernel + bias
            i, f, c, o = np.split(z, 4)
            i, f, o = (1 / (1 + np.exp(-gate)) for gate in (i, f, o))
            cell[row] = f * cell[row] + i * np.tanh(c)
            hidden[row] = o * np.tanh(cell[row])
            outputs[row, t] = hidden[row]
    return outputs, hidden, cell


def outputs_and_gradients(lengths, *values):
    return tf.function(_outputs_and_gradients)(tf.constant(lengths), *map(tf.constant, values))


def _outputs_and_gradients(lengths, *values):
    with tf.GradientTape() as tape:
        tape.watch(values)
        x, kernel, recurrent_kernel, bias, hidden, cell = values
        outputs, state = lstm(x, lengths, kernel, recurrent_kernel, bias, (hidden, cell))
        total = sum(tf.reduce_sum(a * w) for a, w in zip((outputs, *state), output_weights()))
    return (outputs, *state), tape.gradient(total, values)


WAYS = {
    "one loop": [],
    "three loops": [(time_loops, "CHUNK_ELEMENTS", 1)],  # six steps are three iterations
    "one product for all rows": [(lstm_op, "VECTOR_PRODUCTS", BATCH - 1)],
}


@pytest.fixture(scope="module", params=WAYS)
def result(request):
    with pytest.MonkeyPatch.context() as patch:
        for change in WAYS[request.param]:
            patch.setattr(*change)
        outputs, gradients = outputs_and_gradients(LENGTHS, *arguments())
        yield [a.numpy() for a in outputs], dict(zip(NAMES, (g.numpy() for g in gradients)))


def test_outputs_are_those_of_a_plain_recursion(result):
    values = arguments()
    for ours, expected in zip(result[0], numpy_lstm(values[0], LENGTHS, *values[1:])):
        np.testing.assert_allclose(ours, expected, **ROUNDING)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_those_of_finite_differences(result, name):
    # of the float64 recursion, whose outputs are the op's
    values = [a.astype(np.float64) for a in arguments()]
    index = NAMES.index(name)

    def total(moved):
        x, *rest = [moved if n == index else a for n, a in enumerate(values)]
        return sum((a * w).sum() for a, w in zip(numpy_lstm(x, LENGTHS, *rest), output_weights()))

    expected, step = np.zeros(values[index].shape), 1e-5
    for place in np.ndindex(expected.shape):
        change = np.zeros(expected.shape)
        change[place] = step
        expected[place] = (total(values[index] + change) - total(values[index] - change)) / (2 * step)
    np.testing.assert_allclose(result[1][name], expected, **ROUNDING)


def test_keras_agrees_on_outputs_and_every_gradient(result):
    x, kernel, recurrent_kernel, bias, hidden, cell = map(tf.constant, arguments())
    layer = keras.layers.LSTM(UNITS, return_sequences=True, return_state=True, unroll=True, zero_output_for_mask=True)
    mask = tf.sequence_mask(LENGTHS, TIME)
    layer.build(x.shape)
    layer.set_weights([kernel, recurrent_kernel, bias])
    with tf.GradientTape() as tape:
        tape.watch([x, hidden, cell])
        outputs = layer(x, mask=mask, initial_state=[hidden, cell])
        total = sum(tf.reduce_sum(a * w) for a, w in zip(outputs, output_weights()))
    gradients = tape.gradient(total, [x, *layer.trainable_weights, hidden, cell])
    for ours, theirs in zip(result[0], outputs):
        np.testing.assert_allclose(ours, theirs, **ROUNDING)
    for name, theirs in zip(NAMES, gradients):
        np.testing.assert_allclose(result[1][name], theirs, **ROUNDING, err_msg=name)


def test_a_row_of_length_zero_keeps_its_state_and_gets_no_gradient(result):
    (outputs, hidden, cell), gradients = result
    row = int(np.flatnonzero(LENGTHS == 0)[0])
    values = dict(zip(NAMES, arguments()))
    assert not outputs[row].any()
    np.testing.assert_array_equal(hidden[row], values["hidden"][row])
    np.testing.assert_array_equal(cell[row], values["cell"][row])
    assert not gradients["x"][row].any()
    np.testing.assert_array_equal(gradients["hidden"][row], output_weights()[1][row])


def test_a_batch_of_empty_rows_runs_no_step():
    values = arguments()
    outputs, gradients = outputs_and_gradients(np.zeros(BATCH, np.int32), *values)
    assert not outputs[0].numpy().any()
    np.testing.assert_array_equal(outputs[1], values[4])
    assert not any(g.numpy().any() for g in gradients[:4])


def test_finite_padding_matters_to_nothing(result):
    values = arguments()
    values[0] = np.where(np.arange(TIME)[None, :, None] < LENGTHS[:, None, None], values[0], 1e6).astype(np.float32)
    outputs, gradients = outputs_and_gradients(LENGTHS, *values)
    for ours, expected in zip((*outputs, *gradients), (*result[0], *result[1].values())):
        np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize("size", [1, 2, 4])
def test_chunks_with_the_state_carried_are_the_whole(result, size):
    x, kernel, recurrent_kernel, bias, *state = map(tf.constant, arguments())
    pieces = []
    for start in range(0, TIME, size):
        lengths = np.clip(LENGTHS - start, 0, size).astype(np.int32)
        piece, state = lstm(x[:, start : start + size], lengths, kernel, recurrent_kernel, bias, state)
        pieces.append(piece)
    for ours, expected in zip((tf.concat(pieces, axis=1), *state), result[0]):
        np.testing.assert_allclose(ours, expected, **ROUNDING)


def test_state_is_zero_by_default():
    x, kernel, recurrent_kernel, bias, *_ = arguments()
    zeros = np.zeros([BATCH, UNITS])
    outputs, _ = lstm(tf.constant(x), tf.constant(LENGTHS), kernel, recurrent_kernel, bias)
    expected = numpy_lstm(x, LENGTHS, kernel, recurrent_kernel, bias, zeros, zeros)[0]
    np.testing.assert_allclose(outputs, expected, **ROUNDING)


def test_a_projection_goes_round_and_out():
    # against the float64 recursion, and central differences of it
    random = np.random.default_rng(3)
    time, features, cells, units = 5, 3, 4, 2
    shapes = {
        "x": (2, time, features),
        "kernel": (features, 4 * cells),
        "recurrent": (units, 4 * cells),
        "projection": (cells, units),
    }
    values = {name: (0.7 * random.standard_normal(shape)).astype(np.float32) for name, shape in shapes.items()}
    lengths, weights = np.array([5, 3], np.int32), random.standard_normal([2, time, units])

    def expected_outputs(x, kernel, recurrent, projection):
        outputs = np.zeros([2, time, units])
        for row, length in enumerate(lengths):
            hidden, cell = np.zeros(units), np.zeros(cells)
            for t in range(length):
                i, f, c, o = np.split(x[row, t] @ kernel + hidden @ recurrent, 4)
                i, f, o = (1 / (1 + np.exp(-gate)) for gate in (i, f, o))
                cell = f * cell + i * np.tanh(c)
                hidden = outputs[row, t] = (o * np.tanh(cell)) @ projection
        return outputs

    @tf.function
    def ours(x, kernel, recurrent, projection):
        with tf.GradientTape() as tape:
            tape.watch([x, kernel, recurrent, projection])
            outputs, _ = lstm(x, lengths, kernel, recurrent, tf.zeros([4 * cells]), projection=projection)
            total = tf.reduce_sum(outputs * weights.astype(np.float32))
        return outputs, tape.gradient(total, [x, kernel, recurrent, projection])

    outputs, gradients = ours(*map(tf.constant, values.values()))
    exact = {name: value.astype(np.float64) for name, value in values.items()}
    np.testing.assert_allclose(outputs, expected_outputs(**exact), **ROUNDING)
    for name, gradient in zip(exact, gradients):
        expected = np.zeros(exact[name].shape)
        for place in np.ndindex(expected.shape):
            change = np.zeros(expected.shape)
            change[place] = 1e-5
            up, down = (expected_outputs(**exact | {name: exact[name] + sign * change}) for sign in (1, -1))
            expected[place] = ((up - down) * weights).sum() / 2e-5
        np.testing.assert_allclose(gradient, expected, **ROUNDING, err_msg=name)


def test_for_xla_a_long_utterance_is_one_loop(monkeypatch):
    monkeypatch.setattr(time_loops, "CHUNK_ELEMENTS", 1)

    def loops():
        traced = tf.function(_outputs_and_gradients).get_concrete_function(
            tf.constant(LENGTHS), *map(tf.constant, arguments())
        )
        return sum("While" in op.type for op in traced.graph.get_operations())

    assert loops() == 2 * 3  # three turns forward and three back
    with time_loops.in_one_loop():
        assert loops() == 2
    assert loops() == 2 * 3
