"""The attention decoder: given sequences at once, one token a step, and plain loops say the same."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from reference_groups import normalized, rotated, sigmoid

from tflite_asr.config import DecoderConfig
from tflite_asr.layers.decoder import Cache, Decoder

CONFIG = DecoderConfig(layers=2, units=12, feed_forward=10, vocabulary_size=17, heads=2, rotary=4)
TIME, STEPS = 9, 6
TOKENS = np.array([[5, 3, 9, 16], [4, 4, 8, 2]], np.int32)


@pytest.fixture(scope="module")
def decoder():
    keras.utils.set_random_seed(9)
    decoder = Decoder(CONFIG, name="decoder")
    decoder(tf.zeros([1, 1, 12]), tf.constant([1]), tf.constant([[1]]), tf.constant([1]))
    random = np.random.default_rng(9)
    for weight in decoder.weights:
        weight.assign_add(0.3 * random.standard_normal(weight.shape))
    return decoder


@pytest.fixture(scope="module")
def encoded():
    return np.random.default_rng(10).standard_normal([1, TIME, 12]).astype(np.float32)


def plain_logits(decoder, encoded, tokens):
    """After the start and each of the tokens of one sequence: [1 + tokens, vocabulary] float64."""
    weights = {
        w.name.removeprefix("decoder/").removesuffix(":0"): w.numpy().astype(np.float64) for w in decoder.weights
    }
    encoded = encoded.astype(np.float64)

    def attention(queries, keys, values, visible):
        rows = []
        for i, query in enumerate(queries):
            parts = []
            for head in range(CONFIG.heads):
                part = slice(head * 6, head * 6 + 6)
                scores = np.asarray([query[part] @ keys[j][part] / np.sqrt(6) for j in range(visible(i))])
                attention_weights = np.exp(scores) / np.exp(scores).sum()
                parts.append(attention_weights @ np.asarray([values[j][part] for j in range(visible(i))]))
            rows.append(np.concatenate(parts))
        return np.asarray(rows)

    def turned(rows):
        return [np.concatenate([rotated(row[h : h + 6], p, 4) for h in (0, 6)]) for p, row in enumerate(rows)]

    x = weights["embedding"][[CONFIG.start, *tokens]]
    for index in range(CONFIG.layers):
        own, cross, gated = (f"layer_{index}/{part}/" for part in ("self_attention", "cross_attention", "feed_forward"))
        y = normalized(x, weights[f"{own}gain"], 0)
        query, key, value = (y @ weights[f"{own}{name}_kernel"] for name in ("query", "key", "value"))
        x = x + attention(turned(query), turned(key), value, lambda i: i + 1) @ weights[f"{own}outer_kernel"]
        query = normalized(x, weights[f"{cross}gain"], 0) @ weights[f"{cross}query_kernel"]
        key, value = (encoded @ weights[f"{cross}{name}_kernel"] for name in ("key", "value"))
        x = x + attention(query, key, value, lambda i: len(encoded)) @ weights[f"{cross}outer_kernel"]
        hidden = (
            normalized(x, weights[f"{gated}gain"], 0) @ weights[f"{gated}inner_kernel"] + weights[f"{gated}inner_bias"]
        )
        u, g = np.split(hidden, 2, axis=1)
        x = x + (u * g * sigmoid(g)) @ weights[f"{gated}outer_kernel"] + weights[f"{gated}outer_bias"]
    return normalized(x, weights["gain"], 0) @ weights["embedding"].T


@pytest.mark.parametrize("heard", [TIME, 4])
def test_logits_are_those_of_plain_loops(decoder, encoded, heard):
    spoiled = encoded.copy()
    spoiled[0, heard:] = np.nan  # the padding is not attended to
    found = decoder(tf.constant(spoiled), tf.constant([heard]), tf.constant(TOKENS), tf.constant([4, 2])).numpy()
    for row, count in enumerate((4, 2)):
        expected = plain_logits(decoder, encoded[0, :heard], TOKENS[row, :count])
        np.testing.assert_allclose(found[row, : count + 1], expected, rtol=1e-4, atol=1e-4)


def test_a_token_a_step_says_the_same_as_all_at_once(decoder, encoded):
    heard = tf.constant([7])
    whole = decoder(tf.constant(encoded), heard, tf.constant(TOKENS), tf.constant([4, 4])).numpy()
    cross = decoder.start(tf.constant(encoded), heard)
    shape = [CONFIG.layers, 2, CONFIG.heads, STEPS, 6]
    # what is not written yet is not read
    keys, values = (np.full(shape, 100.0, np.float32), np.full(shape, 100.0, np.float32))
    tokens = np.concatenate([np.full([2, 1], CONFIG.start, np.int32), TOKENS], axis=1)
    for position in range(5):
        cache = Cache(tf.constant(keys), tf.constant(values))
        logits, own = decoder.step(tokens[:, position], tf.constant([position]), cache, cross, heard)
        np.testing.assert_allclose(logits.numpy(), whole[:, position], rtol=1e-4, atol=1e-4)
        keys[:, :, :, position], values[:, :, :, position] = own.keys[:, :, :, 0], own.values[:, :, :, 0]


def test_gradients_are_differences(decoder, encoded):
    """Of the sum of squared logits, along random directions of some weights and of the encoder's output."""
    picked = {w.name.removesuffix(":0"): w for w in decoder.weights if "layer_1" in w.name or "embedding" in w.name}

    def loss(source):
        logits = decoder(source, tf.constant([TIME]), tf.constant(TOKENS), tf.constant([4, 4]))
        return tf.reduce_sum(tf.square(logits))

    source = tf.constant(encoded)
    with tf.GradientTape() as tape:
        tape.watch(source)
        value = loss(source)
    gradients = dict(zip(("encoded", *picked), tape.gradient(value, [source, *picked.values()])))
    random = np.random.default_rng(11)
    for name, gradient in gradients.items():
        direction = random.standard_normal(gradient.shape).astype(np.float32)
        direction /= np.linalg.norm(direction)
        ends = []
        for sign in (1, -1):
            if name == "encoded":
                ends.append(float(loss(source + sign * 1e-2 * direction)))
                continue
            weight = picked[name]
            weight.assign_add(sign * 1e-2 * direction)
            ends.append(float(loss(source)))
            weight.assign_sub(sign * 1e-2 * direction)
        # float32 values of some hundred, a hundredth apart, and the curvature between
        assert np.sum(gradient * direction) == pytest.approx((ends[0] - ends[1]) / 2e-2, rel=0.02, abs=0.05), name
