"""The two-pass model against plain NumPy, and its file against Keras."""

import numpy as np
import pytest
import tensorflow as tf

from tflite_asr.config import ModelConfig, preset
from tflite_asr.errors import InputError
from tflite_asr.losses.cross_entropy import guided_attention
from tflite_asr.runtime.batch import collate
from tflite_asr.runtime.flatbuffer import read_contents
from tflite_asr.runtime.recognizer import Recognizer

UNITS, HEADS = 16, 2
LENGTHS = np.array([9, 5], np.int32)
TOKENS = np.array([[3, 1, 2, 2, 7, 5], [5, 4, 0, 0, 0, 0]], np.int32)
TOKEN_LENGTHS = np.array([6, 2], np.int32)


@pytest.fixture(scope="module")
def model(two_pass_model):
    return two_pass_model


@pytest.fixture(scope="module")
def encoded():
    return np.random.default_rng(3).standard_normal([2, 9, 24]).astype(np.float32)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    exponentials = np.exp(x - x.max())
    return exponentials / exponentials.sum()


def lstm_layer(rows, weights, name):
    """An LSTM layer with layer normalisation, row after row."""
    units = len(weights[f"{name}/gain"])
    hidden, cell, outputs = np.zeros(units), np.zeros(units), []
    for row in rows:
        z = row @ weights[f"{name}/kernel"] + hidden @ weights[f"{name}/recurrent_kernel"] + weights[f"{name}/bias"]
        gate, forget, candidate, output = np.split(z, 4)
        cell = sigmoid(forget) * cell + sigmoid(gate) * np.tanh(candidate)
        hidden = sigmoid(output) * np.tanh(cell)
        normal = (hidden - hidden.mean()) / np.sqrt(hidden.var() + 1e-5)
        outputs.append(normal * weights[f"{name}/gain"] + weights[f"{name}/shift"])
    return np.stack(outputs)


def log_probability(encoded, tokens, weights):
    """log P(tokens, end) of one hypothesis [labels] given encoder steps [time, d]: figure 2 of Sainath et al. 2019,
    label after label.
    """
    labels = lstm_layer(weights["labels/embedding"][[0, *tokens]], weights, "labels/recurrent")
    query, key, value = (
        rows @ weights[f"{name}_kernel"] + weights[f"{name}_bias"]
        for name, rows in (("query", labels), ("key", encoded), ("value", encoded))
    )
    size = UNITS // HEADS
    contexts = []
    for asked in query:
        heads = [slice(h * size, (h + 1) * size) for h in range(HEADS)]
        contexts.append(np.concatenate([softmax(key[:, h] @ asked[h] / np.sqrt(size)) @ value[:, h] for h in heads]))
    upper = lstm_layer(np.concatenate([labels, contexts], axis=1), weights, "upper")
    logits = upper @ weights["output_kernel"] + weights["output_bias"]
    return sum(np.log(softmax(row)[target]) for row, target in zip(logits, [*tokens, 0]))


@pytest.fixture(scope="module")
def weights(model):
    return {
        name.removeprefix("rescorer/"): weight.numpy().astype(np.float64)
        for name, weight in model.named_weights().items()
        if name.startswith("rescorer/")
    }


def test_the_second_pass_is_that_of_plain_loops(model, encoded, weights):
    expected = [
        log_probability(encoded[row, : LENGTHS[row]].astype(np.float64), TOKENS[row, : TOKEN_LENGTHS[row]], weights)
        for row in range(2)
    ]
    spoiled = TOKENS.copy()
    spoiled[1, 2:] = 9  # past the length
    for tokens in (TOKENS, spoiled):
        losses = model.second_pass_loss(*map(tf.constant, (encoded, LENGTHS, tokens, TOKEN_LENGTHS)))
        np.testing.assert_allclose(losses, np.negative(expected), rtol=1e-4)
    empty = model.second_pass_loss(*map(tf.constant, (encoded, np.array([9, 0], np.int32), TOKENS, TOKEN_LENGTHS)))
    assert empty[1] == 0


def test_hypotheses_of_one_utterance_are_rescored_as_each_alone(model, encoded, weights):
    first = tf.constant(encoded[1:]), tf.constant(LENGTHS[1:])
    together = model.rescore(*first, tf.constant(TOKENS), tf.constant(TOKEN_LENGTHS)).numpy()
    for row in range(2):
        expected = log_probability(encoded[1, :5].astype(np.float64), TOKENS[row, : TOKEN_LENGTHS[row]], weights)
        assert together[row] == pytest.approx(expected, rel=1e-4)


def test_gradients_of_the_second_pass_are_differences(model, encoded, weights):
    named = {name: w for name, w in model.named_weights().items() if name.startswith("rescorer/")}
    inputs = [tf.constant(x) for x in (LENGTHS, TOKENS, TOKEN_LENGTHS)]
    with tf.GradientTape() as tape:
        x = tf.constant(encoded)
        tape.watch(x)
        loss = tf.reduce_sum(model.second_pass_loss(x, *inputs))
    to_encoder, *gradients = tape.gradient(loss, [x, *named.values()])
    assert np.any(to_encoder[0]) and not np.any(to_encoder[1, 5:])

    def total(changed):
        return -sum(
            log_probability(encoded[r, : LENGTHS[r]].astype(np.float64), TOKENS[r, : TOKEN_LENGTHS[r]], changed)
            for r in range(2)
        )

    random = np.random.default_rng(5)
    for (path, _), gradient in zip(named.items(), gradients):
        name = path.removeprefix("rescorer/")
        direction = random.standard_normal(gradient.shape)
        both = [total(weights | {name: weights[name] + step * direction}) for step in (1e-5, -1e-5)]
        gradient = gradient.numpy()
        terms = float(np.linalg.norm(gradient))
        assert np.sum(gradient * direction) == pytest.approx(
            (both[0] - both[1]) / 2e-5, rel=1e-3, abs=1e-4 * (1 + terms)
        ), name


def test_guided_attention_is_the_weight_far_from_the_diagonal():
    weights = np.random.default_rng(6).random([2, HEADS, 7, 9]).astype(np.float32)
    weights /= weights.sum(axis=3, keepdims=True)
    expected = np.zeros(2)
    for row in range(2):
        for u in range(TOKEN_LENGTHS[row] + 1):
            for t in range(9):
                distance = u / (TOKEN_LENGTHS[row] + 1) - t / LENGTHS[row]
                expected[row] += weights[row, :, u, t].mean() * (1 - np.exp(-(distance**2) / (2 * 0.25**2)))
    found = guided_attention(*map(tf.constant, (weights, LENGTHS, TOKEN_LENGTHS)))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_both_losses_are_trained(model):
    config = model.config
    frames = np.random.default_rng(7).standard_normal([2, 60, 40]).astype(np.float32)
    batch = [tf.constant(x) for x in (frames, np.array([60, 43], np.int32), TOKENS, TOKEN_LENGTHS)]
    encoded, lengths, _ = model.encode(*batch[:2])
    predicted = model.predict_labels(*batch[2:])
    first = model.first_pass_loss(encoded, lengths, predicted, *batch[2:])
    second = model.second_pass_loss(encoded, lengths, *batch[2:])
    assert np.all(first > 1) and np.all(second > 1)
    np.testing.assert_allclose(model.loss(*batch), first + config.rescorer.weight * second, rtol=1e-6)


@pytest.mark.parametrize(
    "change, message",
    [({"prediction": None}, "needs a transducer"), ({"beam": 1}, "2 or more hypotheses, got a beam of 1")],
)
def test_what_cannot_be_rescored_is_refused(change, message):
    values = preset("tiny_two_pass").to_json()
    values["sizes"]["beam"] = change.pop("beam", values["sizes"]["beam"])
    with pytest.raises(InputError, match=message):
        ModelConfig.from_json(values | change)


@pytest.mark.slow
def test_the_file_trains_and_rescores_as_keras_does(model, two_pass_tflite, utterances):
    from signatures.spec import mean_loss

    contents = read_contents(two_pass_tflite)
    assert contents.flex_ops == [] and contents.custom_ops == []
    recognizer = Recognizer.load(two_pass_tflite)
    examples = utterances(2, 11)
    batch = [tf.constant(value) for value in collate(examples, model.config).values()]
    encoded, lengths, _ = model.encode(batch[0][1:], batch[1][1:])
    hypotheses = np.random.default_rng(8).integers(1, 29, [4, model.config.sizes.max_tokens]).astype(np.int32)
    counts = np.array([80, 5, 1, 0], np.int32)
    expected = model.rescore(encoded, lengths, tf.constant(hypotheses), tf.constant(counts))
    inputs = {
        "encoded": encoded.numpy(),
        "encoded_lengths": lengths.numpy(),
        "tokens": hypotheses,
        "token_lengths": counts,
    }
    found = recognizer.model.run("rescore", inputs)["log_probabilities"]
    np.testing.assert_allclose(found, expected, rtol=1e-4)

    named = model.named_weights()
    with tf.GradientTape() as tape:
        loss, _ = mean_loss(model, batch)
    gradients = dict(zip(named, tape.gradient(loss, list(named.values()))))
    shipped = recognizer.state()
    for plan in ("train", "split"):
        recognizer.set_state(shipped)
        result = recognizer.train_step(examples, learning_rate=0.1, plan=plan)
        assert result.loss == pytest.approx(float(loss), rel=1e-4)
        state = recognizer.state()
        for name, gradient in gradients.items():
            moved = (shipped[name.replace("/", "_")] - state[name.replace("/", "_")]) / 0.1
            size = float(np.linalg.norm(gradient))
            np.testing.assert_allclose(moved, gradient, rtol=5e-3, atol=2e-5 * (1 + size), err_msg=f"{plan} {name}")
