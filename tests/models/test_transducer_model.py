import dataclasses
import json
import os

import numpy as np
import pytest
import safetensors.numpy
import tensorflow as tf
import tf_keras as keras

from tflite_asr.config import PRESETS, ModelConfig, preset
from tflite_asr.errors import InputError
from tflite_asr.models.storage import load_model, save_model
from tflite_asr.models.transducer import Transducer

# not multiples of the encoder's six frames a step, and one row full
FRAMES, FRAME_LENGTHS = 60, np.array([60, 37], np.int32)
TOKENS, TOKEN_LENGTHS = np.array([[3, 1, 2, 2], [5, 4, 0, 0]], np.int32), np.array([4, 2], np.int32)
ROOM = 80  # labels: 20 encoder steps of at most 4
# float32 through three LSTMs and a lattice; matrix products of other shapes may sum in another order
ROUNDING = {"rtol": 1e-4, "atol": 1e-5}


@pytest.fixture(scope="module")
def model():
    """The tiny model with weights that make it speak: labels and blanks in turn."""
    keras.utils.set_random_seed(1)
    model = Transducer(preset("tiny"))
    random = np.random.default_rng(1)
    for name, weight in model.named_weights().items():
        if not name.endswith(("kernel", "embedding")):
            weight.assign_add(0.1 * random.standard_normal(weight.shape))
    model.joint.output_kernel.assign(6 * model.joint.output_kernel)
    model.joint.output_bias.assign(tf.one_hot(0, model.config.vocabulary_size, on_value=9.0))
    return model


@pytest.fixture(scope="module")
def frames(model):
    return np.random.default_rng(2).standard_normal([2, FRAMES, model.config.features.mel_bands]).astype(np.float32)


@pytest.fixture(scope="module")
def loss_and_gradients(model):
    @tf.function
    def run(frames, frame_lengths, tokens, token_lengths):
        with tf.GradientTape() as tape:
            tape.watch(frames)
            losses = model.loss(frames, frame_lengths, tokens, token_lengths)
            total = tf.reduce_mean(losses)
        sources = {**model.named_weights(), "frames": frames}
        return losses, dict(zip(sources, tape.gradient(total, list(sources.values()))))

    return lambda *inputs: run(*map(tf.constant, inputs))


def test_nan_past_the_frame_lengths_changes_neither_loss_nor_gradient(loss_and_gradients, frames):
    past = np.arange(FRAMES)[None, :, None] >= FRAME_LENGTHS[:, None, None]
    inputs = FRAME_LENGTHS, TOKENS, TOKEN_LENGTHS
    losses, gradients = loss_and_gradients(frames, *inputs)
    assert np.isfinite(losses).all() and not gradients["frames"].numpy()[np.broadcast_to(past, frames.shape)].any()
    assert gradients["frames"].numpy()[1, 5].any()
    spoiled_losses, spoiled_gradients = loss_and_gradients(np.where(past, np.nan, frames).astype(np.float32), *inputs)
    np.testing.assert_array_equal(losses, spoiled_losses)
    for name, gradient in gradients.items():
        np.testing.assert_array_equal(gradient, spoiled_gradients[name], err_msg=name)
        assert np.any(gradient), name


def test_a_row_of_nan_without_frames_counts_nothing(loss_and_gradients, frames):
    lengths = np.array([60, 0], np.int32)
    spoiled = frames.copy()
    spoiled[1] = np.nan
    losses, gradients = loss_and_gradients(spoiled, lengths, TOKENS, TOKEN_LENGTHS)
    assert losses[1] == 0
    # the empty row holds something else, and other tokens
    tokens = np.array([TOKENS[0], [9, 9, 9, 9]], np.int32)
    _, others = loss_and_gradients(frames, lengths, tokens, np.array([4, 4], np.int32))
    for name, gradient in gradients.items():
        np.testing.assert_allclose(gradient, others[name], rtol=1e-6, atol=1e-7, err_msg=name)


def test_gradients_predict_the_change_of_the_loss(model, loss_and_gradients, frames):
    inputs = frames, FRAME_LENGTHS, TOKENS, TOKEN_LENGTHS
    _, gradients = loss_and_gradients(*inputs)
    random = np.random.default_rng(3)
    for name, weight in model.named_weights().items():
        # along the gradient, plus noise: a change well above the rounding of a loss of tens of nats
        noise = random.standard_normal(weight.shape)
        direction = gradients[name].numpy() / np.linalg.norm(gradients[name]) + 0.2 * noise / np.linalg.norm(noise)
        before, losses = weight.numpy(), []
        for step in (5e-3, -5e-3):
            weight.assign(before + step * direction)
            losses.append(float(tf.reduce_mean(loss_and_gradients(*inputs)[0])))
        weight.assign(before)
        expected = float(np.sum(gradients[name] * direction))
        # float32 losses near 30 differ by 5e-6 from rounding, the step is 1e-2; third derivatives add the rest
        assert (losses[0] - losses[1]) / 1e-2 == pytest.approx(expected, rel=0.02, abs=2e-3), name


@pytest.mark.parametrize("chunk", [6, 24])
def test_encoding_by_chunks_with_carried_states_is_encoding_the_whole(model, frames, chunk):
    whole, steps, states = model.encode(tf.constant(frames), tf.constant(FRAME_LENGTHS))
    np.testing.assert_array_equal(steps, FRAME_LENGTHS // 6)
    run = tf.function(model.encode)
    pieces, counts, carried = [], [], model.initial_states(2)
    for start in range(0, FRAMES, chunk):
        piece = np.zeros([2, chunk, frames.shape[2]], np.float32)
        piece[:, : FRAMES - start] = frames[:, start : start + chunk]
        lengths = np.clip(FRAME_LENGTHS - start, 0, chunk).astype(np.int32)
        piece, count, carried = run(tf.constant(piece), tf.constant(lengths), carried)
        pieces.append(piece.numpy())
        counts.append(count.numpy())
    np.testing.assert_array_equal(np.sum(counts, axis=0), steps)
    joined = np.concatenate(pieces, axis=1)
    for row, count in enumerate(steps):
        np.testing.assert_allclose(joined[row, :count], whole[row, :count], **ROUNDING)
    for ours, expected in zip(tf.nest.flatten(carried), tf.nest.flatten(states)):
        np.testing.assert_allclose(ours, expected, **ROUNDING)


@pytest.fixture(scope="module")
def encoded():
    """Encoder outputs of two rows, the second shorter, strong enough that the joint network listens."""
    return np.random.default_rng(5).standard_normal([2, 20, 24]).astype(np.float32), np.array([20, 13], np.int32)


@pytest.fixture(scope="module")
def decode(model):
    return tf.function(model.decode)


def greedy_by_hand(model, row, start):
    """Graves 2012, section 2.5, without a beam: labels of one row [steps, units]."""
    labels, (predicted, hidden, cell) = [], start
    advance = tf.function(model.predict_label)
    for step in row:
        for _ in range(model.config.sizes.max_symbols_per_step):
            label = int(np.argmax(model.joint((step[None], predicted))))
            if label == 0:
                break
            labels.append(label)
            predicted, hidden, cell = advance(tf.constant([label]), hidden, cell)
    return labels, (predicted, hidden, cell)


def test_greedy_decoding_is_a_plain_loop(model, decode, encoded):
    outputs, lengths = encoded
    tokens, counts, *state = decode(tf.constant(outputs), tf.constant(lengths), *model.start_labels(2), ROOM)
    for row in range(2):
        labels, expected = greedy_by_hand(model, outputs[row, : lengths[row]], model.start_labels(1))
        assert 5 < len(labels) < 4 * lengths[row] and len(set(labels)) > 3  # something to compare
        assert tokens[row].numpy().tolist() == labels + [0] * (ROOM - len(labels))
        assert counts[row] == len(labels)
        for ours, theirs in zip(state, expected):
            np.testing.assert_allclose(ours[row], theirs[0], **ROUNDING)
    # too little room: the rest is dropped
    short, counts, *_ = decode(tf.constant(outputs), tf.constant(lengths), *model.start_labels(2), 3)
    np.testing.assert_array_equal(short, tokens[:, :3])
    np.testing.assert_array_equal(counts, [3, 3])


def test_a_label_for_ever_ends_at_the_bound(model, decode, encoded):
    before = model.joint.output_bias.numpy()
    model.joint.output_bias.assign(tf.one_hot(7, len(before), on_value=100.0))
    try:
        tokens, counts, *_ = decode(tf.constant(encoded[0]), tf.constant([5, 0]), *model.start_labels(2), ROOM)
    finally:
        model.joint.output_bias.assign(before)
    np.testing.assert_array_equal(counts, [20, 0])
    assert tokens[0].numpy().tolist() == [7] * 20 + [0] * (ROOM - 20)


def test_decoding_by_chunks_is_decoding_the_whole(model, decode, encoded):
    outputs, lengths = encoded
    whole, counts, *_ = decode(tf.constant(outputs), tf.constant(lengths), *model.start_labels(2), ROOM)
    said, state = [[], []], model.start_labels(2)
    for start in range(0, 20, 4):
        chunk = np.clip(lengths - start, 0, 4).astype(np.int32)
        tokens, found, *state = decode(tf.constant(outputs[:, start : start + 4]), tf.constant(chunk), *state, ROOM)
        for row in range(2):
            said[row] += tokens[row, : found[row]].numpy().tolist()
    for row in range(2):
        assert said[row] == whole[row, : counts[row]].numpy().tolist()


def test_join_and_predict_labels_are_what_the_loss_uses(model):
    predicted = model.predict_labels(tf.constant(TOKENS), tf.constant(TOKEN_LENGTHS))
    output, hidden, cell = model.start_labels(2)
    np.testing.assert_allclose(predicted[:, 0], output, **ROUNDING)
    for u in range(2):
        output, hidden, cell = model.predict_label(tf.constant(TOKENS[:, u]), hidden, cell)
        np.testing.assert_allclose(predicted[:, u + 1], output, **ROUNDING)
    log_probabilities = model.join(tf.ones([2, 24]), output)
    np.testing.assert_allclose(np.exp(log_probabilities).sum(axis=1), 1, rtol=1e-5)
    lattice = model.joint((tf.ones([2, 3, 24]), predicted), lattice=True)
    assert lattice.shape == (2, 3, 5, model.config.vocabulary_size)
    np.testing.assert_allclose(tf.nn.log_softmax(lattice[:, 1, 2]), log_probabilities, **ROUNDING)


def test_named_weights_hold_every_weight_once_in_the_order_of_the_groups(model):
    weights = model.named_weights()
    assert len(weights) == len(model.trainable_variables)
    assert {id(w) for w in weights.values()} == {id(w) for w in model.trainable_variables}
    groups = list(dict.fromkeys(name.split("/")[0] for name in weights))
    assert groups == ["encoder_0", "encoder_1", "encoder_2", "prediction", "joint"]
    expected = {"encoder_0/kernel", "prediction/embedding", "prediction/recurrent/gain", "joint/output_bias"}
    assert expected <= set(weights)
    # two models of one process have the same names
    assert list(Transducer(preset("tiny")).named_weights()) == list(weights)


def test_a_seed_is_a_model():
    models = []
    for seed in (4, 4, 5):
        keras.utils.set_random_seed(seed)
        models.append(Transducer(preset("tiny")))
    first, again, other = (m.named_weights()["encoder_1/kernel"].numpy() for m in models)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("name", PRESETS)
def test_configuration_comes_back_from_json(name):
    config = dataclasses.replace(preset(name), tail_frames=7)
    assert ModelConfig.from_json(json.loads(json.dumps(config.to_json()))) == config
    assert config.sizes.stream_frames % config.encoder.frames_per_step == 0


@pytest.mark.parametrize("part", [None, "encoder", "features"])
def test_an_unknown_field_is_named(part):
    values = preset("tiny").to_json()
    (values[part] if part else values)["colour"] = 3
    with pytest.raises(InputError, match="colour"):
        ModelConfig.from_json(values)


def test_a_missing_field_is_named():
    values = preset("tiny").to_json()
    del values["encoder"]["units"]
    with pytest.raises(InputError, match="units"):
        ModelConfig.from_json(values)


def test_an_unknown_preset_is_answered_with_those_there_are():
    with pytest.raises(InputError, match="'huge'.*tiny, commands"):
        preset("huge")


@pytest.fixture
def saved(model, tmp_path):
    folder = tmp_path / "deeper" / "model"
    save_model(folder, model.config, {name: weight.numpy() for name, weight in model.named_weights().items()})
    return folder


def test_a_saved_model_comes_back(model, saved, loss_and_gradients, frames):
    loaded = load_model(saved)
    assert loaded.config == model.config
    for name, weight in model.named_weights().items():
        np.testing.assert_array_equal(loaded.named_weights()[name], weight, err_msg=name)
    inputs = frames, FRAME_LENGTHS, TOKENS, TOKEN_LENGTHS
    expected, _ = loss_and_gradients(*inputs)
    np.testing.assert_allclose(loaded.loss(*map(tf.constant, inputs)), expected, rtol=1e-5)
    assert sorted(p.name for p in saved.iterdir()) == ["config.json", "weights.safetensors"]


def truncate(folder):
    path = folder / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def drop_a_weight(folder):
    values = safetensors.numpy.load_file(folder / "weights.safetensors")
    values.pop("joint/bias")
    safetensors.numpy.save_file(values, folder / "weights.safetensors")


def other_units(folder):
    path = folder / "config.json"
    path.write_text(path.read_text().replace('"joint_units": 16', '"joint_units": 17'))


SPOILED = {
    "no configuration": (lambda folder: (folder / "config.json").unlink(), "config.json"),
    "no weights": (lambda folder: (folder / "weights.safetensors").unlink(), "weights.safetensors"),
    "cut configuration": (lambda folder: (folder / "config.json").write_text('{"name": "ti'), "expected a folder"),
    "not a configuration": (lambda folder: (folder / "config.json").write_text("[]"), "expected a folder"),
    "cut weights": (truncate, "expected a folder"),
    "a weight missing": (drop_a_weight, "does not fit config.json"),
    "another size": (other_units, "does not fit config.json"),
}


@pytest.mark.parametrize("name", SPOILED)
def test_a_spoiled_folder_is_said_to_be_one(saved, name):
    spoil, message = SPOILED[name]
    spoil(saved)
    with pytest.raises(InputError, match=message) as raised:
        load_model(saved)
    assert str(saved) in str(raised.value)


def test_an_interrupted_save_leaves_the_former_weights(model, saved, monkeypatch):
    former = (saved / "weights.safetensors").read_bytes()

    def full_disk(descriptor):
        os.ftruncate(descriptor, 10)
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="no space"):
        save_model(saved, model.config, {"joint/bias": np.zeros(16, np.float32)})
    assert (saved / "weights.safetensors").read_bytes() == former
