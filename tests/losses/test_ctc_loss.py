from itertools import product

import numpy as np
import pytest
import tensorflow as tf

from tflite_asr.losses.ctc import ctc_loss

# a batch that mixes the cases: padded size T=5, U=4
CASES = {
    "full size": (5, [1, 2, 1, 2]),
    "empty label": (4, []),
    "one frame": (1, [2]),
    "one frame, empty label": (1, []),
    "as many frames as labels": (3, [2, 1, 2]),
    "repeat with the one blank it needs": (3, [2, 2]),
    "repeats with room": (5, [1, 1, 2]),
    "shorter than the padded size": (3, [1]),
    "no frames": (0, []),
    "no frames but labels": (0, [1, 2]),
}
# (frames, labels) that no path can spell
INFEASIBLE = {"two labels in one frame": (1, [1, 2]), "no room for the blank of a repeat": (2, [2, 2])}
TIME, WIDTH, VOCABULARY = 5, 4, 3
# float32: about ten steps of log_add at 1e-7 of values up to 20
ROUNDING = {"rtol": 1e-5, "atol": 1e-5}


def batch_of(cases, filler=0):
    labels = np.array([labels + [filler] * (WIDTH - len(labels)) for _, labels in cases.values()], np.int32)
    lengths = np.array([(frames, len(labels)) for frames, labels in cases.values()], np.int32)
    return labels, lengths[:, 0].copy(), lengths[:, 1].copy()


LABELS, FRAME_LENGTHS, LABEL_LENGTHS = batch_of(CASES)


def random_logits(*shape, seed=0):
    return (2 * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def normalised(logits):
    logits = logits.astype(np.float64)
    return logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)


def spelled(path):
    """Repeats joined, then blanks dropped."""
    return [label for label, before in zip(path, (None, *path)) if label != before and label != 0]


def enumerated(logits, labels):
    """-log of the sum over every path that spells the labels, of all vocabulary^T paths."""
    scores = normalised(logits)
    paths = product(range(scores.shape[1]), repeat=len(scores))
    return -np.logaddexp.reduce([scores[range(len(scores)), p].sum() for p in paths if spelled(p) == list(labels)])


def recursion(logits, labels):
    """-log likelihood by alpha of Graves 2006, equations 5 to 8, state by state."""
    scores = normalised(logits)
    states = [0]
    for label in labels:
        states += [label, 0]
    alpha = np.full(len(states), -np.inf)
    alpha[:2] = scores[0, states[:2]]
    for row in scores[1:]:
        before = alpha
        alpha = np.empty(len(states))
        for s, label in enumerate(states):
            total = before[s]
            if s > 0:
                total = np.logaddexp(total, before[s - 1])
            if s > 1 and label != 0 and label != states[s - 2]:
                total = np.logaddexp(total, before[s - 2])
            alpha[s] = total + row[label]
    return -np.logaddexp.reduce(alpha[-2:])


def differences(logits, labels, step=1e-5):
    """Central differences of the float64 recursion, good to about 1e-9."""
    logits = logits.astype(np.float64)
    result = np.zeros(logits.shape)
    for place in np.ndindex(result.shape):
        change = np.zeros(result.shape)
        change[place] = step
        result[place] = (recursion(logits + change, labels) - recursion(logits - change, labels)) / (2 * step)
    return result


@tf.function
def loss_and_gradient(loss, logits, labels, frame_lengths, label_lengths, weights):
    with tf.GradientTape() as tape:
        tape.watch(logits)
        losses = loss(logits, labels, frame_lengths, label_lengths)
        total = tf.reduce_sum(losses * weights)
    return losses, tape.gradient(total, logits)


def evaluate(logits, labels=LABELS, frames=FRAME_LENGTHS, counts=LABEL_LENGTHS, weights=None, loss=ctc_loss):
    weights = np.ones(len(labels), np.float32) if weights is None else weights
    return [a.numpy() for a in loss_and_gradient(loss, *map(tf.constant, (logits, labels, frames, counts, weights)))]


def tensorflow_ctc(logits, labels, frame_lengths, label_lengths):
    return tf.nn.ctc_loss(labels, logits, label_lengths, frame_lengths, logits_time_major=False, blank_index=0)


@pytest.fixture(scope="module")
def logits():
    return random_logits(len(CASES), TIME, VOCABULARY)


@pytest.fixture(scope="module")
def result(logits):
    return evaluate(logits)


@pytest.mark.parametrize("case", CASES)
def test_each_row_of_a_mixed_batch_is_the_sum_of_its_paths(logits, result, case):
    row, (frames, labels) = list(CASES).index(case), CASES[case]
    loss, gradient = result[0][row], result[1][row]
    if not frames:
        assert loss == 0 and not gradient.any()
        return
    used = logits[row, :frames]
    assert recursion(used, labels) == pytest.approx(enumerated(used, labels), rel=1e-12)
    np.testing.assert_allclose(loss, enumerated(used, labels), **ROUNDING)
    expected = np.zeros(gradient.shape)
    expected[:frames] = differences(used, labels)
    np.testing.assert_allclose(gradient, expected, **ROUNDING)


def test_longer_rows_agree_with_the_recursion_and_with_tensorflow():
    logits = random_logits(4, 24, 6, seed=2)
    labels = np.random.default_rng(1).integers(1, 6, [4, 8]).astype(np.int32)
    labels[0] = [3, 3, 3, 1, 1, 2, 2, 2]
    frames, counts = np.array([24, 20, 9, 24], np.int32), np.array([8, 8, 3, 1], np.int32)
    losses, gradient = evaluate(logits, labels, frames, counts)
    for row in range(4):
        used, row_labels = logits[row, : frames[row]], labels[row, : counts[row]]
        np.testing.assert_allclose(losses[row], recursion(used, row_labels), rtol=1e-5)
    np.testing.assert_allclose(gradient[2, :9], differences(logits[2, :9], labels[2, :3]), **ROUNDING)
    theirs = evaluate(logits, labels, frames, counts, loss=tensorflow_ctc)
    np.testing.assert_allclose(losses, theirs[0], rtol=1e-5)
    np.testing.assert_allclose(gradient, theirs[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("case", INFEASIBLE)
def test_what_does_not_fit_costs_beyond_any_other_loss_and_moves_nothing(case):
    labels, frames, counts = batch_of({"fits": (5, [1, 2]), case: INFEASIBLE[case]})
    logits = random_logits(2, TIME, VOCABULARY)
    assert enumerated(logits[1, : frames[1]], INFEASIBLE[case][1]) == np.inf
    losses, gradient = evaluate(logits, labels, frames, counts)
    assert losses[1] > 1e29 and np.isfinite(losses[1])
    assert not gradient[1].any()  # there is no way up
    # its neighbour is none the worse
    np.testing.assert_allclose(losses[0], enumerated(logits[0], [1, 2]), **ROUNDING)
    np.testing.assert_allclose(gradient[0], differences(logits[0], [1, 2]), **ROUNDING)


def test_gradient_is_scaled_by_what_comes_from_above(logits, result):
    weights = np.linspace(-1, 3, len(CASES)).astype(np.float32)
    _, gradient = evaluate(logits, weights=weights)
    np.testing.assert_allclose(gradient, result[1] * weights[:, None, None], rtol=1e-5, atol=1e-7)


def test_nan_in_the_padding_matters_to_nothing(logits, result):
    used = np.arange(TIME)[None] < FRAME_LENGTHS[:, None]
    losses, gradient = evaluate(np.where(used[..., None], logits, np.nan).astype(np.float32))
    np.testing.assert_array_equal(losses, result[0])
    np.testing.assert_array_equal(gradient, result[1])
    assert not gradient[~used].any()


@pytest.mark.parametrize("filler", [-1, 2, 1000])
def test_labels_past_their_length_are_arbitrary(logits, result, filler):
    losses, gradient = evaluate(logits, batch_of(CASES, filler)[0])
    np.testing.assert_array_equal(losses, result[0])
    np.testing.assert_array_equal(gradient, result[1])


def test_a_batch_without_frames_is_zero():
    none = np.zeros(len(CASES), np.int32)
    losses, gradient = evaluate(np.full([len(CASES), TIME, VOCABULARY], np.nan, np.float32), frames=none)
    assert not losses.any() and not gradient.any()


def test_certain_models_have_losses_near_zero_and_bounded_gradients():
    sure = np.full([1, 4, VOCABULARY], -500, np.float32)
    sure[0, range(4), [1, 0, 2, 2]] = 500
    for labels, least, most in [([[1, 2]], 0, 1e-3), ([[2, 1]], 1000, 1e4)]:
        losses, gradient = evaluate(sure, np.array(labels, np.int32), np.int32([4]), np.int32([2]))
        assert least - 1e-3 <= losses[0] <= most
        np.testing.assert_allclose(losses[0], recursion(sure[0], labels[0]), rtol=1e-5, atol=1e-3)
        assert np.isfinite(gradient).all() and np.abs(gradient).max() <= 1.001
