from itertools import combinations

import numpy as np
import pytest
import tensorflow as tf

from tflite_asr.losses.transducer import transducer_loss

# a batch that mixes the cases: padded size T=5, U=4
CASES = {
    "full size": (5, [1, 2, 3, 1]),
    "empty label": (4, []),
    "one frame": (1, [2, 3]),
    "one frame, empty label": (1, []),
    "fewer frames than labels": (2, [3, 1, 2]),
    "repeated label": (4, [2, 2, 2]),
    "shorter than the padded size": (3, [1]),
    "no frames": (0, []),
    "no frames but labels": (0, [1, 2]),
}
TIME, WIDTH, VOCABULARY = 5, 5, 4
FRAME_LENGTHS = np.array([t for t, _ in CASES.values()], np.int32)
LABEL_LENGTHS = np.array([len(labels) for _, labels in CASES.values()], np.int32)
# float32: about ten steps of log_add at 1e-7 of values up to 20
ROUNDING = {"rtol": 1e-5, "atol": 1e-5}


def padded_labels(filler=0):
    return np.array([labels + [filler] * (WIDTH - 1 - len(labels)) for _, labels in CASES.values()], np.int32)


def random_logits(*shape, seed=0, spread=2.0):
    return (spread * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def normalised(logits):
    logits = logits.astype(np.float64)
    return logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)


def enumerated(logits, labels):
    """-log of the sum over every path, one path at a time: logits [T, U+1, vocabulary], cut to the lengths."""
    scores, frames = normalised(logits), len(logits)
    paths = []
    for label_steps in combinations(range(frames + len(labels) - 1), len(labels)):  # the last step is a blank
        t = u = 0
        score = 0.0
        for step in range(frames + len(labels)):
            if step in label_steps:
                score += scores[t, u, labels[u]]
                u += 1
            else:
                score += scores[t, u, 0]
                t += 1
        assert (t, u) == (frames, len(labels))
        paths.append(score)
    return -np.logaddexp.reduce(paths)


def recursion(logits, labels):
    """-log likelihood by alpha of Graves 2012, equation 16, node by node."""
    scores, frames = normalised(logits), len(logits)
    alpha = np.full([frames, len(labels) + 1], -np.inf)
    alpha[0, 0] = 0.0
    for t in range(frames):
        for u in range(len(labels) + 1):
            if t:
                alpha[t, u] = np.logaddexp(alpha[t, u], alpha[t - 1, u] + scores[t - 1, u, 0])
            if u:
                alpha[t, u] = np.logaddexp(alpha[t, u], alpha[t, u - 1] + scores[t, u - 1, labels[u - 1]])
    return -(alpha[-1, -1] + scores[-1, -1, 0])


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
def loss_and_gradient(logits, labels, frame_lengths, label_lengths, weights):
    with tf.GradientTape() as tape:
        tape.watch(logits)
        losses = transducer_loss(logits, labels, frame_lengths, label_lengths)
        total = tf.reduce_sum(losses * weights)
    return losses, tape.gradient(total, logits)


def evaluate(logits, labels, frame_lengths=FRAME_LENGTHS, label_lengths=LABEL_LENGTHS, weights=None):
    weights = np.ones(len(labels), np.float32) if weights is None else weights
    inputs = map(tf.constant, (logits, labels, frame_lengths, label_lengths, weights))
    return [a.numpy() for a in loss_and_gradient(*inputs)]


@pytest.fixture(scope="module")
def logits():
    return random_logits(len(CASES), TIME, WIDTH, VOCABULARY)


@pytest.fixture(scope="module")
def result(logits):
    return evaluate(logits, padded_labels())


@pytest.mark.parametrize("case", CASES)
def test_each_row_of_a_mixed_batch_is_the_sum_of_its_paths(logits, result, case):
    row, (frames, labels) = list(CASES).index(case), CASES[case]
    loss, gradient = result[0][row], result[1][row]
    used = logits[row, :frames, : len(labels) + 1]
    if not frames:
        assert loss == 0 and not gradient.any()
        return
    assert recursion(used, labels) == pytest.approx(enumerated(used, labels), rel=1e-12)
    np.testing.assert_allclose(loss, enumerated(used, labels), **ROUNDING)
    expected = np.zeros(gradient.shape)
    expected[:frames, : len(labels) + 1] = differences(used, labels)
    np.testing.assert_allclose(gradient, expected, **ROUNDING)


def test_larger_lattices_agree_with_the_recursion():
    random = np.random.default_rng(1)
    logits = random_logits(4, 17, 10, 6, seed=2)
    labels = random.integers(1, 6, [4, 9]).astype(np.int32)
    frames, counts = np.array([17, 9, 12, 4], np.int32), np.array([9, 9, 3, 7], np.int32)
    losses, gradient = evaluate(logits, labels, frames, counts)
    for row in range(4):
        used, row_labels = logits[row, : frames[row], : counts[row] + 1], labels[row, : counts[row]]
        np.testing.assert_allclose(losses[row], recursion(used, row_labels), rtol=1e-5)
    # the shortest row's gradient, the others' being 4 times the work for the same code
    expected = differences(logits[3, :4, :8], labels[3, :7])
    np.testing.assert_allclose(gradient[3, :4, :8], expected, **ROUNDING)
    # softmax: moving all logits of a node changes nothing
    np.testing.assert_allclose(gradient.sum(axis=-1), 0, atol=1e-5)


def test_gradient_is_scaled_by_what_comes_from_above(logits, result):
    weights = np.linspace(-1, 3, len(CASES)).astype(np.float32)
    _, gradient = evaluate(logits, padded_labels(), weights=weights)
    np.testing.assert_allclose(gradient, result[1] * weights[:, None, None, None], rtol=1e-5, atol=1e-7)


def test_nan_in_the_padding_matters_to_nothing(logits, result):
    t, u = np.arange(TIME)[None, :, None], np.arange(WIDTH)[None, None, :]
    used = (t < FRAME_LENGTHS[:, None, None]) & (u <= LABEL_LENGTHS[:, None, None])
    spoiled = np.where(used[..., None], logits, np.nan).astype(np.float32)
    assert np.isnan(spoiled).any(axis=(1, 2, 3)).sum() == len(CASES) - 1  # all but the full row
    losses, gradient = evaluate(spoiled, padded_labels())
    np.testing.assert_array_equal(losses, result[0])
    np.testing.assert_array_equal(gradient, result[1])
    assert not gradient[~used].any()


@pytest.mark.parametrize("filler", [-1, 3, 1000])
def test_labels_past_their_length_are_arbitrary(logits, result, filler):
    losses, gradient = evaluate(logits, padded_labels(filler))
    np.testing.assert_array_equal(losses, result[0])
    np.testing.assert_array_equal(gradient, result[1])


def test_a_row_does_not_depend_on_its_batch(logits, result):
    for row, (frames, labels) in enumerate(CASES.values()):
        if frames:
            alone = logits[row : row + 1, :frames, : len(labels) + 1]
            losses, gradient = evaluate(
                alone, np.array([labels], np.int32), np.int32([frames]), np.int32([len(labels)])
            )
            np.testing.assert_allclose(losses[0], result[0][row], rtol=1e-6)
            np.testing.assert_allclose(gradient[0], result[1][row, :frames, : len(labels) + 1], atol=1e-6)


def test_certain_models_have_losses_near_zero_and_bounded_gradients():
    labels = np.array([[1, 2]], np.int32)
    sure = np.full([1, 3, 3, VOCABULARY], -500, np.float32)
    for t, u, label in [(0, 0, 1), (0, 1, 0), (1, 1, 2), (1, 2, 0), (2, 2, 0)]:
        sure[0, t, u, label] = 500
    losses, gradient = evaluate(sure, labels, np.int32([3]), np.int32([2]))
    assert losses[0] == pytest.approx(0, abs=1e-4) and np.abs(gradient).max() < 1e-4
    # the same certainty against another text: a loss of thousands, the gradient still a difference of probabilities
    losses, gradient = evaluate(sure, labels[:, ::-1].copy(), np.int32([3]), np.int32([2]))
    np.testing.assert_allclose(losses[0], recursion(sure[0], [2, 1]), rtol=1e-5)
    assert losses[0] > 1000 and np.isfinite(gradient).all() and np.abs(gradient).max() <= 1.001
