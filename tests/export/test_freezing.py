"""Files with frozen groups, as floats and as int8, against the file in which all groups train."""

import dataclasses

import numpy as np
import pytest
import soundfile

from tflite_asr.config import preset
from tflite_asr.errors import InputError
from tflite_asr.export.quantization import Quantization
from tflite_asr.models.int8_columns import quantize
from tflite_asr.runtime.batch import collate
from tflite_asr.runtime.flatbuffer import read_contents
from tflite_asr.runtime.recognizer import Recognizer

GROUPS = ["encoder_0", "encoder_1", "prediction", "joint"]


def rounded(weight):
    found = quantize(weight)
    return weight if found is None else found[0] * found[1]


def test_int8_has_a_scale_a_column_and_is_off_by_half_of_it_at_most():
    weight = np.random.default_rng(1).standard_normal([40, 24]).astype(np.float32) * np.logspace(-3, 2, 24)
    weight[:, 5] = 0
    values, scales = quantize(weight.astype(np.float32))
    assert values.dtype == np.int8 and values.shape == weight.shape and scales.shape == (24,)
    assert np.all(np.abs(values * scales - weight) <= 0.5001 * scales) and not values[:, 5].any()
    assert np.all(np.max(np.abs(np.delete(values, 5, axis=1)), axis=0) == 127)
    assert quantize(weight[0]) is None and quantize(weight[:10]) is None  # vectors and small matrices stay


@pytest.fixture(scope="module")
def model():
    import tf_keras as keras

    from tflite_asr.models.build import build_model

    keras.utils.set_random_seed(4)
    config = preset("tiny")
    # two layers: conversion takes seconds a layer
    return build_model(dataclasses.replace(config, encoder=dataclasses.replace(config.encoder, layers=2)))


@pytest.fixture(scope="module")
def int8_file(model, tmp_path_factory):
    """Only the encoder's upper group trains, by plain gradient descent."""
    from tflite_asr.export import SplitOptions, export

    path = tmp_path_factory.mktemp("int8") / "int8.tflite"
    export(model, path, optimizer="sgd", split=SplitOptions(parts=1), quantization=Quantization("aware", "1"))
    return Recognizer.load(path)


@pytest.fixture(scope="module")
def rounded_model(model, int8_file):
    """The same in Keras, its other groups' weights what int8 makes of them."""
    for name, weight in model.named_weights().items():
        if not name.startswith("encoder_1"):
            weight.assign(rounded(weight.numpy()))
    return model


@pytest.mark.slow
def test_a_file_with_int8_groups_computes_with_their_rounded_weights(int8_file, rounded_model, utterances):
    examples = utterances(2, 3)
    batch = collate(examples, rounded_model.config)
    np.testing.assert_allclose(int8_file.loss(examples), rounded_model.loss(*batch.values()), rtol=1e-4)
    encoded, lengths, _ = rounded_model.encode(batch["frames"][:1], batch["frame_lengths"][:1])
    inputs = {"frames": batch["frames"][:1], "frame_lengths": batch["frame_lengths"][:1]}
    found = int8_file.model.run("encode", inputs)
    np.testing.assert_array_equal(found["encoded_lengths"], lengths)
    np.testing.assert_allclose(found["encoded"], encoded, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_its_trainable_group_trains_through_the_others(int8_file, rounded_model, utterances):
    import tensorflow as tf

    from signatures.spec import mean_loss

    examples = utterances(2, 5)
    batch = [tf.constant(value) for value in collate(examples, rounded_model.config).values()]
    weights = {name: w for name, w in rounded_model.named_weights().items() if name.startswith("encoder_1")}
    with tf.GradientTape() as tape:
        loss, _ = mean_loss(rounded_model, batch)
    gradients = dict(zip(weights, tape.gradient(loss, list(weights.values()))))
    shipped = int8_file.state()
    assert set(shipped) == {"step", *(name.replace("/", "_") for name in weights)}
    for plan in ("train", "split"):
        result = int8_file.train_step(examples, learning_rate=0.1, plan=plan)
        assert result.loss == pytest.approx(float(loss), rel=1e-4) and not result.skipped
        state = int8_file.state()
        for name, gradient in gradients.items():
            moved = (shipped[name.replace("/", "_")] - state[name.replace("/", "_")]) / 0.1
            size = float(np.linalg.norm(gradient))
            assert size > 0
            np.testing.assert_allclose(moved, gradient, rtol=5e-3, atol=2e-5 * (1 + size), err_msg=f"{plan} {name}")
        int8_file.set_state(shipped)


@pytest.mark.slow
def test_it_says_what_is_frozen_and_how_it_is_stored(int8_file, capsys):
    import json

    from tflite_asr.cli.main import main

    assert int8_file.artifact.frozen_groups == ["encoder_0", "prediction", "joint"]
    assert main(["inspect", str(int8_file.artifact.path), "--json"]) == 0
    reported = json.loads(capsys.readouterr().out)["parameter_bytes_by_dtype"]
    matrices = [
        int(np.prod(row["shape"]))
        for row in int8_file.artifact.parameters
        if not row["trainable"] and quantize(np.zeros(row["shape"])) is not None
    ]
    assert reported["int8"] == sum(matrices) > 5000
    every = sum(int(np.prod(row["shape"])) for row in int8_file.artifact.parameters)
    assert reported["float32"] == 4 * (every - sum(matrices))
    contents = read_contents(int8_file.artifact.path)
    assert contents.constant_bytes["int8"] == sum(matrices) and contents.flex_ops == contents.custom_ops == []


@pytest.fixture(scope="module")
def dynamic_file(model, tmp_path_factory):
    """Nothing trains; the converter makes int8 of what it can, for the newest runtime."""
    from tflite_asr.export import export

    path = tmp_path_factory.mktemp("dynamic") / "dynamic.tflite"
    export(model, path, quantization=Quantization("dynamic", "none", "2.21"))
    return Recognizer.load(path)


@pytest.mark.slow
def test_the_converters_int8_leaves_features_alone(dynamic_file, int8_file, utterances):
    samples = np.random.default_rng(2).uniform(-1, 1, 12000).astype(np.float32) * np.logspace(
        -4, 0, 12000, dtype=np.float32
    )
    np.testing.assert_allclose(dynamic_file.features(samples), int8_file.features(samples), rtol=1e-4, atol=1e-4)
    contents = read_contents(dynamic_file.artifact.path)
    assert contents.constant_bytes["int8"] > 3000 and contents.flex_ops == contents.custom_ops == []
    examples = utterances(2, 3)
    np.testing.assert_allclose(dynamic_file.loss(examples), int8_file.loss(examples), rtol=0.1)


@pytest.mark.slow
def test_a_file_without_trainable_groups_does_not_train(dynamic_file, utterances, tmp_path, capsys):
    from tflite_asr.cli.main import main

    assert "train" not in dynamic_file.artifact.signatures and not dynamic_file.artifact.plans
    with pytest.raises(InputError, match="every layer group is a constant of the file; export with --trainable"):
        dynamic_file.train_step(utterances(1, 1))
    soundfile.write(tmp_path / "a.wav", np.random.default_rng(1).uniform(-0.1, 0.1, 8000), 16000)
    (tmp_path / "m.jsonl").write_text('{"audio": "a.wav", "text": "ONE", "speaker": "ann"}\n')
    path, manifest = str(dynamic_file.artifact.path), str(tmp_path / "m.jsonl")
    for line in (["personalize", path, "--adapt", manifest, "--test", manifest, "--out", str(tmp_path / "ann")],
                 ["select", path, "--ram-mb", "100"]):  # fmt: skip
        assert main(line) == 2
        *_, reported = capsys.readouterr().err.splitlines()
        assert "constant" in reported and "--trainable" in reported
    assert not (tmp_path / "ann").exists()


@pytest.mark.slow
def test_a_frozen_group_is_not_trained(int8_file, utterances):
    with pytest.raises(InputError, match="cannot train joint: constants of the file"):
        int8_file.train_step(utterances(1, 1), group_rates={"joint": 0.5})


@pytest.mark.parametrize(
    "mode, trainable, message",
    [
        ("none", "7", r"no layer group '7'; expected all, none, or names or numbers of 0 encoder_0, 1"),
        ("none", "encoder_0,decoder", "no layer group 'decoder'"),
        ("aware", "all", "none can be int8"),
    ],
)
def test_groups_that_there_are_not(mode, trainable, message):
    with pytest.raises(InputError, match=message):
        Quantization(mode, trainable).trainable_groups(GROUPS)


def test_which_groups_train():
    assert Quantization().trainable_groups(GROUPS) == GROUPS
    assert Quantization("aware").trainable_groups(GROUPS) == []
    assert Quantization("aware", "joint, 1").trainable_groups(GROUPS) == ["encoder_1", "joint"]


def test_a_file_for_an_older_runtime_than_its_ops_have():
    Quantization("none", None, "2.14").check_runtime("2.9.0", "a.tflite")
    with pytest.raises(InputError, match="a.tflite: expected a file for TFLite 2.14, its ops need 2.17.0"):
        Quantization("dynamic", None, "2.14").check_runtime("2.17.0", "a.tflite")


@pytest.mark.parametrize("names", [("aim", "bend"), ("aim", "zoom"), ("step", "zoom")])
def test_xnnpack_takes_a_file_whatever_its_signatures_are_called(names, tmp_path):
    """The helper signature sorts before, between and after them."""
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter

    from signatures.optimizers import OPTIMIZERS, State
    from tflite_asr.export import convert

    kernel = tf.Variable(np.random.default_rng(0).standard_normal([32, 32]).astype(np.float32), name="kernel")
    again = tf.Variable(np.float32([0.5]), name="again")

    def make(sign):
        @tf.function(autograph=False)
        def run(x):
            def body(n, x):
                return n + 1, tf.tanh(tf.matmul(x, kernel)) * again

            return {"y": sign * tf.while_loop(lambda n, _: n < 3, body, (tf.constant(0), tf.matmul(x, kernel)))[1]}

        return run.get_concrete_function(tf.TensorSpec([4, 32], tf.float32, "x"))

    functions = {name: make(sign) for name, sign in zip(names, (1.0, -1.0))}
    state = State({"again": again}, OPTIMIZERS["sgd"])
    content = convert(functions, state, frozen={"kernel": kernel}, quantization=Quantization("aware", "none"))
    interpreter = Interpreter(model_content=content)
    x = np.random.default_rng(1).standard_normal([4, 32]).astype(np.float32)
    first, second = (interpreter.get_signature_runner(name)(x=x)["y"] for name in names)
    np.testing.assert_array_equal(first, -second)
    expected = x @ rounded(kernel.numpy())
    for _ in range(3):
        expected = np.tanh(expected @ rounded(kernel.numpy())) * 0.5
    np.testing.assert_allclose(first, expected, rtol=1e-4, atol=1e-5)
    assert set(interpreter.get_signature_list()) == set(names)
    assert any(details["op_name"] == "DELEGATE" for details in interpreter._get_ops_details())
