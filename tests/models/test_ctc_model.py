import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from tflite_asr.config import ModelConfig, preset
from tflite_asr.errors import InputError
from tflite_asr.layers.ctc import best_path
from tflite_asr.models.build import build_model
from tflite_asr.models.ctc import CTC
from tflite_asr.models.storage import load_model, save_model
from tflite_asr.models.transducer import Transducer

FRAMES, FRAME_LENGTHS = 60, np.array([60, 37], np.int32)
TOKENS, TOKEN_LENGTHS = np.array([[3, 1, 2, 2], [5, 4, 0, 0]], np.int32), np.array([4, 2], np.int32)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    return build_model(preset("tiny_conformer"))


def test_the_loss_is_tensorflows_ctc_of_the_label_probabilities(model):
    random = np.random.default_rng(2)
    frames = random.standard_normal([2, FRAMES, model.config.features.mel_bands]).astype(np.float32)
    frames[1, FRAME_LENGTHS[1] :] = np.nan
    losses = model.loss(
        tf.constant(frames), tf.constant(FRAME_LENGTHS), tf.constant(TOKENS), tf.constant(TOKEN_LENGTHS)
    )
    encoded, steps, _ = model.encode(tf.constant(frames), tf.constant(FRAME_LENGTHS))
    log_probabilities = model.label_probabilities(0, encoded)
    np.testing.assert_array_equal(steps, FRAME_LENGTHS // 4)
    np.testing.assert_allclose(np.exp(log_probabilities).sum(axis=2), 1, rtol=1e-5)
    expected = tf.nn.ctc_loss(TOKENS, log_probabilities, TOKEN_LENGTHS, steps, logits_time_major=False, blank_index=0)
    assert np.all(losses > 5)
    np.testing.assert_allclose(losses, expected, rtol=1e-5)


def spelled(path):
    """Repeats joined, then blanks dropped."""
    return [label for label, before in zip(path, (0, *path)) if label not in (before, 0)]


def test_best_path_joins_repeats_and_drops_blanks():
    random = np.random.default_rng(3)
    paths = random.choice(4, [20, 15], p=[0.4, 0.2, 0.2, 0.2])
    lengths = random.integers(0, 16, 20).astype(np.int32)
    logits = (5 * np.eye(4)[paths] + random.standard_normal([20, 15, 4])).astype(np.float32)
    paths = logits.argmax(axis=2)
    tokens, counts = best_path(tf.constant(logits), tf.constant(lengths), 6)
    expected = [spelled(path[:length].tolist())[:6] for path, length in zip(paths, lengths)]
    assert {len(labels) for labels in expected} >= {0, 2, 6}
    assert [row[:count].tolist() for row, count in zip(tokens.numpy(), counts)] == expected
    assert not any(row[count:].any() for row, count in zip(tokens.numpy(), counts))


def test_every_weight_belongs_to_one_group_and_moves_the_loss(model):
    names = list(model.named_weights())
    assert len(names) == len(set(names)) == len(model.trainable_variables)
    assert list(dict.fromkeys(name.split("/")[0] for name in names)) == ["encoder_0", "encoder_1", "encoder_2", "ctc"]
    frames = np.random.default_rng(2).standard_normal([2, FRAMES, 40]).astype(np.float32)
    with tf.GradientTape() as tape:
        losses = model.loss(*map(tf.constant, (frames, FRAME_LENGTHS, TOKENS, TOKEN_LENGTHS)))
    for name, gradient in zip(names, tape.gradient(losses, list(model.named_weights().values()))):
        assert np.any(gradient) or name.endswith("key_bias"), name  # softmax does not see what moves all scores alike


def test_wright2023_has_the_parameters_of_the_paper():
    encoder = preset("wright2023").encoder
    d, hidden = encoder.units, encoder.feed_forward
    feed_forward = 2 * d * hidden + hidden + d + 2 * d
    attention = 4 * (d * d + d) + 2 * d
    convolution = d * 2 * d + 2 * d + encoder.kernel * d + d + d * d + d + 4 * d
    # with a layer norm at the end; the front end and the head add 0.1 M
    assert encoder.layers * (2 * feed_forward + attention + convolution + 2 * d) == pytest.approx(31e6, rel=0.01)


def test_a_configuration_of_before_there_were_conformers_is_read():
    values = preset("tiny").to_json()
    del values["encoder"]["kind"]
    assert ModelConfig.from_json(values) == preset("tiny")


def test_an_unknown_encoder_is_answered_with_those_there_are():
    values = preset("tiny").to_json()
    values["encoder"]["kind"] = "gru"
    with pytest.raises(InputError, match="'gru'.*lstm, conformer"):
        ModelConfig.from_json(values)


@pytest.mark.parametrize("name", ["tiny", "tiny_conformer"])
def test_a_head_for_either_encoder(name, tmp_path):
    """CTC over LSTM layers, a transducer over conformer layers; saved and loaded."""
    config = preset(name)
    prediction = None if config.prediction else preset("tiny").prediction
    config = dataclasses.replace(config, name="mixed", prediction=prediction, joint_units=16 if prediction else 0)
    model = build_model(config)
    assert isinstance(model, Transducer if prediction else CTC)
    save_model(tmp_path, config, {key: weight.numpy() for key, weight in model.named_weights().items()})
    loaded = load_model(tmp_path)
    assert loaded.config == config and ModelConfig.from_json(json.loads(json.dumps(config.to_json()))) == config
    batch = tf.zeros([2, FRAMES, 40]), *map(tf.constant, (FRAME_LENGTHS, TOKENS, TOKEN_LENGTHS))
    np.testing.assert_allclose(loaded.loss(*batch), model.loss(*batch), rtol=1e-5)
