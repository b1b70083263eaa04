import numpy as np
import pytest
import tensorflow as tf

from tflite_asr.ops.rows import get_row, set_row


def filled_backwards(count):
    """Rows n-1 ... 0 of a buffer, each set to what it reads from the row of a table."""
    table = tf.reshape(tf.range(count * 6, dtype=tf.float32), [count, 2, 3])
    _, buffer = tf.while_loop(
        lambda n, _: n >= 0,
        lambda n, buffer: (n - 1, set_row(buffer, n, 10.0 * get_row(table, n))),
        (tf.constant(count - 1), tf.fill([count, 2, 3], -1.0)),
    )
    return table, buffer


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_one_row_is_set_and_the_others_stay(rank):
    shape = (4, 2, 3)[:rank]
    buffer = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    for index in range(4):
        row = np.full(shape[1:], -5.0, np.float32)
        expected = buffer.copy()
        expected[index] = row
        np.testing.assert_array_equal(set_row(tf.constant(buffer), tf.constant(index), tf.constant(row)), expected)


def test_a_row_is_read_where_it_was_set():
    buffer = set_row(tf.zeros([3, 2]), tf.constant(1), tf.constant([4.0, 5.0]))
    np.testing.assert_array_equal(get_row(buffer, tf.constant(1)), [4, 5])
    np.testing.assert_array_equal(get_row(buffer, tf.constant(2)), [0, 0])


def test_integers_are_rows_too():
    buffer = set_row(tf.zeros([3, 2], tf.int32), tf.constant(2), tf.constant([7, 8]))
    assert buffer.dtype == tf.int32
    np.testing.assert_array_equal(buffer, [[0, 0], [0, 0], [7, 8]])


@pytest.mark.parametrize("jit_compile", [False, True])
def test_rows_in_a_loop(jit_compile):
    table, buffer = tf.function(lambda: filled_backwards(5), jit_compile=jit_compile)()
    np.testing.assert_array_equal(buffer, 10 * table)
