"""Keras on an artifact's weights against the artifact's own training step."""

import dataclasses

import numpy as np
import pytest

from tflite_asr.errors import InputError
from tflite_asr.runtime.recognizer import Recognizer
from tflite_asr.training.learner import KerasLearner


@pytest.fixture
def learner(recognizer):
    return KerasLearner(recognizer, batch=2)


def test_steps_are_those_of_the_artifact(learner, tiny_tflite, utterances):
    """Two implementations of Adam in float32: after three steps of 0.01 the weights agree to a hundredth of a step."""
    phone = Recognizer.load(tiny_tflite)
    before = learner.state()
    assert all(np.array_equal(tensor, before[name]) for name, tensor in phone.state().items())
    for seed in range(3):
        batch = utterances(2, seed)
        ours = learner.train_step(batch, learning_rate=0.01, clip_norm=5.0)
        theirs = phone.train_step(batch, learning_rate=0.01, clip_norm=5.0)
        assert ours.loss == pytest.approx(theirs.loss, rel=1e-4) and not ours.skipped
        assert ours.gradient_norm == pytest.approx(theirs.gradient_norm, rel=1e-3)
    expected, got = phone.state(), learner.state()
    for row in phone.artifact.parameters:
        name = row["tensor"]
        assert np.abs(expected[name] - before[name]).max() > 0.01, f"{name} did not move"
        # Adam divides by the gradient's size, so where that is almost nothing its sign is rounding noise
        apart = np.abs(expected[name] - got[name]) > 1e-4
        assert apart.mean() < 0.01, name


def test_weights_come_back_into_the_recogniser(learner, recognizer, utterances):
    batch = utterances(2, 5)
    before = recognizer.loss(batch).mean()
    learner.train_step(batch, learning_rate=0.01)
    assert recognizer.loss(batch).mean() == before
    learner.set_state(learner.state())
    assert recognizer.loss(batch).mean() < before
    assert learner.loss(batch).mean() == recognizer.loss(batch).mean()


def test_larger_batches_than_the_artifact_has(recognizer, utterances):
    """The mean over five utterances, three rows empty."""
    learner, batch = KerasLearner(recognizer, batch=8), utterances(5, 1)
    assert learner.train_step(batch, learning_rate=0.0).loss == pytest.approx(recognizer.loss(batch).mean(), rel=1e-4)


def test_padding_that_no_row_needs_changes_nothing(learner, recognizer, utterances):
    """Short utterances go through shorter batches: the same loss and gradient as padded to the artifact's sizes."""
    short = [dataclasses.replace(u, frames=u.frames[:19], tokens=u.tokens[:2]) for u in utterances(2, 3)]
    sizes = recognizer.config.sizes
    assert 19 < sizes.max_frames / 2 and 2 < sizes.max_tokens / 2
    ours, theirs = learner.train_step(short, learning_rate=0.0), recognizer.train_step(short, learning_rate=0.0)
    assert ours.loss == pytest.approx(theirs.loss, rel=1e-4)
    assert ours.gradient_norm == pytest.approx(theirs.gradient_norm, rel=1e-3)


def test_what_is_not_finite_changes_nothing(learner, utterances):
    batch, before = utterances(2, 0), learner.state()
    batch[0].frames[3, 3] = np.nan
    assert learner.train_step(batch, learning_rate=0.01).skipped
    assert all(np.array_equal(tensor, before[name]) for name, tensor in learner.state().items())


def test_layer_groups_train_together(learner, utterances):
    with pytest.raises(InputError, match="every layer group"):
        learner.train_step(utterances(2, 0), learning_rate=0.01, group_rates={"joint": 0.0})
