"""Distillation losses against the same written without shortcuts, node by node, in NumPy float64."""

import numpy as np
import pytest
import tensorflow as tf

from tflite_asr.losses.distillation import collapse, sequence_distillation, transducer_distillation

TIME, LABELS, VOCABULARY = 6, 4, 7
FRAME_LENGTHS = np.array([6, 3, 1, 0], np.int32)
TOKENS = np.array([[2, 2, 6, 1], [5, 3, 0, 0], [0, 0, 0, 0], [4, 0, 0, 0]], np.int32)
TOKEN_LENGTHS = np.array([4, 2, 0, 1], np.int32)


def lattices(seed, scale=3.0):
    shape = [len(TOKENS), TIME, LABELS + 1, VOCABULARY]
    return (scale * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def softmax(logits):
    exponentials = np.exp(logits.astype(np.float64) - np.max(logits))
    return exponentials / exponentials.sum()


def classes(row, u):
    """The label sets of the collapsed distribution at the nodes (., u) of a row."""
    blank, rest = {0}, set(range(VOCABULARY)) - {0}
    if u == TOKEN_LENGTHS[row]:
        return [blank, rest]
    label = {int(TOKENS[row, u])}
    return [label, blank, rest - label]


def expected_divergence(teacher, student, row):
    """Mean over the nodes, each node's distributions summed from the whole vocabulary."""
    total, nodes = 0.0, 0
    for t in range(FRAME_LENGTHS[row]):
        for u in range(TOKEN_LENGTHS[row] + 1):
            p, q = softmax(teacher[row, t, u]), softmax(student[row, t, u])
            for members in classes(row, u):
                p_class, q_class = sum(p[m] for m in members), sum(q[m] for m in members)
                total += p_class * np.log(p_class / q_class)
            nodes += 1
    return total / nodes if nodes else 0.0


def loss(teacher, student):
    collapsed = [collapse(tf.constant(x), tf.constant(TOKENS), tf.constant(TOKEN_LENGTHS)) for x in (teacher, student)]
    return transducer_distillation(*collapsed, tf.constant(FRAME_LENGTHS), tf.constant(TOKEN_LENGTHS)).numpy()


def test_the_lattice_loss_is_the_mean_divergence_of_collapsed_nodes():
    teacher, student = lattices(1), lattices(2)
    losses = loss(teacher, student)
    expected = [expected_divergence(teacher, student, row) for row in range(len(TOKENS))]
    assert expected[0] > 0.5 and expected[3] == 0
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    np.testing.assert_allclose(loss(teacher, teacher), 0, atol=1e-6)


def test_what_is_kept_of_the_teacher_is_three_numbers_a_node_that_sum_to_one():
    collapsed = collapse(tf.constant(lattices(3)), tf.constant(TOKENS), tf.constant(TOKEN_LENGTHS)).numpy()
    assert collapsed.shape == (len(TOKENS), TIME, LABELS + 1, 3)
    np.testing.assert_allclose(np.exp(collapsed).sum(axis=3), 1, rtol=1e-5)
    assert np.exp(collapsed[0, :, LABELS, 0]).max() == 0  # after the last label there is no next


def test_a_rest_below_rounding_keeps_its_logarithm():
    logits = np.zeros([1, 1, 2, VOCABULARY], np.float32)
    logits[0, 0, 0, [0, 3]] = 40.0  # 1 - p(blank) - p(3) is 0 in float32
    collapsed = collapse(tf.constant(logits), tf.constant([[3]]), tf.constant([1])).numpy()
    assert collapsed[0, 0, 0, 2] == pytest.approx(np.log(VOCABULARY - 2) - np.log(2) - 40, abs=1e-4)


def test_gradients_are_those_of_central_differences():
    teacher, student = lattices(4, 1.0), lattices(5, 1.0)

    @tf.function
    def run(teacher, student):
        with tf.GradientTape() as tape:
            tape.watch([teacher, student])
            ends = tf.constant(FRAME_LENGTHS), tf.constant(TOKEN_LENGTHS)
            kept = [collapse(x, tf.constant(TOKENS), ends[1]) for x in (teacher, student)]
            total = tf.reduce_sum(transducer_distillation(*kept, *ends))
        return tape.gradient(total, [teacher, student])

    to_teacher, gradient = run(tf.constant(teacher), tf.constant(student))
    assert to_teacher is None or not np.any(to_teacher)
    for place in [
        (0, 0, 0, 2),
        (0, 5, 4, 0),
        (0, 5, 4, 3),
        (1, 2, 1, 3),
        (1, 2, 2, 6),
        (2, 0, 0, 1),
        (1, 3, 0, 0),
        (3, 0, 0, 0),
    ]:
        both = []
        for step in (1e-4, -1e-4):
            changed = student.astype(np.float64)
            changed[place] += step
            both.append(expected_divergence(teacher, changed, place[0]))
        assert gradient[place].numpy() == pytest.approx((both[0] - both[1]) / 2e-4, abs=1e-6), place


def test_the_sequence_loss_is_the_divergence_summed_over_labels_and_end():
    random = np.random.default_rng(6)
    teacher, student = (random.standard_normal([2, 5, VOCABULARY]).astype(np.float32) for _ in range(2))
    lengths = np.array([4, 1], np.int32)
    expected = [
        sum(np.sum((p := softmax(teacher[row, u])) * np.log(p / softmax(student[row, u]))) for u in range(length + 1))
        for row, length in enumerate(lengths)
    ]
    losses = sequence_distillation(tf.constant(teacher), tf.constant(student), tf.constant(lengths))
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
