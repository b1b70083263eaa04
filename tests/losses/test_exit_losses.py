import numpy as np
import pytest
import tensorflow as tf

from tflite_asr.losses.exits import joint_loss

LOSSES = np.array([[1, 2], [10, 20], [100, 200], [1000, 2000]], np.float32)


def test_the_sum_is_that_of_all_exits():
    np.testing.assert_allclose(joint_loss(tf.constant(LOSSES), "sum", draw=True), [1111, 2222])


@pytest.mark.parametrize(
    "exits, expected", [(1, [1, 2]), (2, [10.3, 20.6]), (3, [103.3, 206.6]), (4, [1016.8, 2033.6])]
)
def test_the_sandwich_without_a_draw_is_its_expectation(exits, expected):
    np.testing.assert_allclose(joint_loss(tf.constant(LOSSES[:exits]), "sandwich", draw=False), expected, rtol=1e-6)


def test_the_sandwich_draws_each_exit_between_as_often():
    tf.random.set_seed(1)
    draw = tf.function(lambda: joint_loss(tf.constant(LOSSES), "sandwich", draw=True))
    drawn = np.array([draw().numpy() for _ in range(200)])
    kinds, counts = np.unique(drawn.round(3), axis=0, return_counts=True)
    np.testing.assert_allclose(kinds, [[1003.3, 2006.6], [1030.3, 2060.6]], rtol=1e-5)
    assert 70 < counts[0] < 130  # four deviations of 7
