"""Presets whose encoder hears whole utterances, exported, against the same in Keras."""

import dataclasses

import numpy as np
import pytest

from tflite_asr.config import preset
from tflite_asr.errors import InputError
from tflite_asr.runtime.batch import Example, collate
from tflite_asr.runtime.flatbuffer import read_contents
from tflite_asr.runtime.recognizer import Recognizer

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["tiny_conformer"])
def test_a_step_of_the_file_is_a_step_of_keras(tmp_path, name):
    import tensorflow as tf
    import tf_keras as keras

    from signatures.spec import mean_loss
    from tflite_asr.export import export
    from tflite_asr.models.build import build_model

    keras.utils.set_random_seed(0)
    config = preset(name)
    # one layer: conversion takes seconds a layer
    config = dataclasses.replace(config, encoder=dataclasses.replace(config.encoder, layers=1))
    model = build_model(config)
    export(model, tmp_path / "one.tflite", optimizer="sgd")
    contents = read_contents(tmp_path / "one.tflite")
    assert contents.flex_ops == [] and contents.custom_ops == []
    recognizer = Recognizer.load(tmp_path / "one.tflite")
    random = np.random.default_rng(1)
    examples = [
        Example(random.standard_normal([n, 40]).astype(np.float32), random.integers(1, 29, [5]).astype(np.int32), "x")
        for n in (120, 63)
    ]
    batch = [tf.constant(value) for value in collate(examples, config).values()]
    weights = model.named_weights()
    with tf.GradientTape() as tape:
        loss, _ = mean_loss(model, batch)
    gradients = dict(zip(weights, tape.gradient(loss, list(weights.values()))))
    with pytest.raises(InputError, match="needs the whole utterance"):
        next(recognizer.stream([examples[0].frames]))
    result = recognizer.train_step(examples, learning_rate=0.1)
    assert result.loss == pytest.approx(float(loss), rel=1e-4)
    norm = np.sqrt(sum(np.sum(np.square(gradient)) for gradient in gradients.values()))
    assert result.gradient_norm == pytest.approx(float(norm), rel=1e-3)
    state = recognizer.state()
    for name, weight in weights.items():
        moved = (weight.numpy() - state[name.replace("/", "_")]) / 0.1
        # weights near 1 are rounded at 6e-8, gradients come from them divided by the rate
        np.testing.assert_allclose(moved, gradients[name], rtol=5e-3, atol=2e-5 * (1 + norm), err_msg=name)
