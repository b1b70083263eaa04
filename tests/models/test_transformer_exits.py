"""Early exits of a pre-norm encoder: between its layers nothing is normalised, so the heads of the exits do it."""

import dataclasses

import numpy as np
import pytest
import tf_keras as keras

from tflite_asr.config import preset
from tflite_asr.export import SplitOptions, export
from tflite_asr.models.build import build_model
from tflite_asr.runtime.batch import Example
from tflite_asr.runtime.recognizer import Recognizer

TINY = preset("tiny_english")
CONFIG = dataclasses.replace(
    TINY, encoder=dataclasses.replace(TINY.encoder, layers=2), decoder=None, exits=(0,), exit_weighting="sum"
)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(2)
    return build_model(CONFIG)


@pytest.fixture(scope="module")
def path(model, made_once):
    return made_once(
        "transformer_exits.tflite",
        lambda path: export(model, path, optimizer="sgd", split=SplitOptions(parts=2, keep="stash")),
    )


@pytest.fixture(scope="module")
def examples():
    random = np.random.default_rng(5)
    width = CONFIG.features.width
    return [
        Example(
            random.standard_normal([n, width]).astype(np.float32), random.integers(1, 29, [6]).astype(np.int32), "x"
        )
        for n in (50, 31)
    ]


def test_a_louder_stream_says_the_same_at_an_exit(model):
    early, last = model.heads
    x = np.random.default_rng(1).standard_normal([1, 4, TINY.encoder.units]).astype(np.float32)
    np.testing.assert_allclose(early(40 * x), early(x), atol=1e-4)  # apart from the variance floor of 1e-5
    assert np.max(np.abs(last(40 * x) - last(x))) > 1
    assert {"exit_0/gain", "exit_0/kernel"} < set(model.named_weights()) and "ctc/gain" not in model.named_weights()


def test_other_encoders_keep_their_heads():
    assert "exit_0/gain" not in build_model(preset("tiny_exits")).named_weights()


def test_steps_in_parts_are_whole_ones(path, examples):
    losses = {}
    for plan in ("train", "split"):
        recognizer = Recognizer.load(path)
        steps = [recognizer.train_step(examples, plan=plan, learning_rate=5e-3) for _ in range(3)]
        losses[plan] = [[step.loss, step.gradient_norm] for step in steps]
    np.testing.assert_allclose(losses["split"], losses["train"], rtol=1e-4)
    assert losses["train"][0][0] > losses["train"][2][0]


def test_losses_of_the_exits_are_those_of_the_model(model, path, examples):
    recognizer = Recognizer.load(path)
    found = recognizer.exit_losses(examples)
    frames = np.zeros([2, 50, TINY.features.width], np.float32)
    for row, example in enumerate(examples):
        frames[row, : len(example.frames)] = example.frames
    labels = np.stack([example.tokens for example in examples])
    expected = model.exit_losses(frames, np.array([50, 31], np.int32), labels, np.array([6, 6], np.int32))
    np.testing.assert_allclose(np.stack(found), np.stack(expected), rtol=1e-4)
