"""Which epoch's weights are kept, with a recogniser whose weights say how well they do."""

from types import SimpleNamespace

import numpy as np
import pytest

from tflite_asr.config import preset
from tflite_asr.metrics import ErrorRates
from tflite_asr.personalization import average
from tflite_asr.personalization.average import KeptAverage
from tflite_asr.personalization.settings import Settings
from tflite_asr.runtime.exits import ExitPolicy


class Measured:
    """Its state is (WER, validation loss)."""

    config = preset("tiny")
    artifact = SimpleNamespace(trainable=[{"tensor": "values"}])

    def __init__(self, wer, loss):
        self.values = np.asarray([wer, loss], np.float32)

    def state(self):
        return {"values": self.values}

    def set_state(self, state):
        self.values = state["values"]

    def loss(self, examples):
        return np.full(len(examples), self.values[1], np.float32)


@pytest.fixture
def kept(monkeypatch):
    """A function (WER, loss) -> a recogniser of these and what keeps its best; every epoch replaces the average."""

    def rates(recognizer, examples, policy, rescoring, title):
        return SimpleNamespace(rates=ErrorRates(float(recognizer.values[0]), 0.0, 0, 0, 0, 1, 1))

    monkeypatch.setattr(average, "evaluate", rates)

    def make(wer, loss, **settings):
        recognizer = Measured(wer, loss)
        settings = Settings(averaging=1.0, validation_share=0.2, **settings)
        return recognizer, KeptAverage(recognizer, settings, lambda row: None, 50)

    return make


def learns(recognizer, keeps, epoch, wer, loss, train_loss, moved=False):
    recognizer.set_state({"values": np.asarray([wer, loss], np.float32)})
    return keeps.update(epoch, epoch, train_loss, [None], moved)


def test_on_a_tie_the_loss_on_all_of_the_speech_decides(kept):
    recognizer, keeps = kept(0.9, 9.0)
    keeps.begin([None])
    assert learns(recognizer, keeps, 1, 0.10, 1.0, 1.0)
    assert learns(recognizer, keeps, 2, 0.11, 1.5, 0.5)  # 0.8 x 0.5 + 0.2 x 1.5 is less than 1; a word of 50 is 0.02
    assert not learns(recognizer, keeps, 3, 0.11, 4.0, 0.4)  # 1.12 is not
    assert not learns(recognizer, keeps, 4, 0.14, 0.1, 0.1)  # more than a word worse


def test_against_the_shipped_weights_the_held_out_loss_decides(kept):
    recognizer, keeps = kept(0.10, 1.0)
    keeps.begin([None])
    assert not learns(recognizer, keeps, 1, 0.10, 1.1, 0.01)
    assert learns(recognizer, keeps, 2, 0.10, 0.9, 0.01)


def test_what_goes_on_after_an_interruption_decides_as_what_was_not_interrupted(kept):
    """Nothing but the two states is saved."""
    recognizer, keeps = kept(0.9, 9.0)
    keeps.begin([None])
    assert learns(recognizer, keeps, 1, 0.10, 1.0, 0.1, moved=True)
    again, goes_on = kept(0.9, 9.0)
    goes_on.average, goes_on.best_state = keeps.average, keeps.best_state
    for who, what in ((recognizer, keeps), (again, goes_on)):
        assert learns(who, what, 2, 0.10, 0.9, 5.0, moved=True)
        assert not learns(who, what, 3, 0.10, 0.95, 0.01, moved=True)


def test_what_is_validated_is_the_exit_that_learns(monkeypatch):
    recognizer, policies = Measured(0.5, 3.0), []
    recognizer.exit_losses = lambda examples: np.asarray([[9.0], [2.0], [1.0]])

    def rates(recognizer, examples, policy, rescoring, title):
        policies.append(policy)
        return SimpleNamespace(rates=ErrorRates(0.5, 0.0, 0, 0, 0, 1, 1))

    monkeypatch.setattr(average, "evaluate", rates)
    for exit, policy, loss in ((None, None, 3.0), (1, ExitPolicy(1), 2.0)):
        keeps = KeptAverage(recognizer, Settings(exit=exit), lambda row: None)
        keeps.begin([None])
        assert policies.pop() == policy and keeps.history[0].validation_loss == loss


def test_what_is_worse_than_the_beginning_is_not_kept_within_a_word_either(kept):
    recognizer, keeps = kept(0.10, 5.0)
    keeps.begin([None])
    assert not learns(recognizer, keeps, 1, 0.11, 1.0, 0.1)  # less than a word of 50
    assert learns(recognizer, keeps, 2, 0.10, 1.0, 0.1)


@pytest.mark.parametrize("stretch, wer, loss, reached", [
    (1.5, 0.2, 2.0, (0.1, 1.0)),  # on the way from (0.4, 4.0)
    (1.5, 0.4, 3.0, (0.4, 2.5)),
    (1.5, 0.5, 9.0, (0.4, 4.0)),  # nothing better was learned
    (1.0, 0.2, 2.0, (0.2, 2.0)), (None, 0.2, 2.0, (0.2, 2.0)),
    (1.5, 0.2, float("-inf"), (0.4, 4.0)),
])  # fmt: skip
def test_the_best_weights_go_on_by_the_stretch(kept, stretch, wer, loss, reached):
    recognizer, keeps = kept(0.4, 4.0, stretch=stretch)
    keeps.begin([None])
    learns(recognizer, keeps, 1, wer, loss, 0.1)
    kept_state = keeps.best_state
    stretched = keeps.stretch([None])
    np.testing.assert_allclose(keeps.best_state["values"], reached, rtol=1e-6)
    assert (stretched is None) == (keeps.best_state is kept_state)
    if stretched:
        wer, loss = reached
        assert stretched == pytest.approx({"factor": stretch, "validation_wer": wer, "validation_loss": loss})


def test_what_does_not_train_is_not_stretched(kept):
    """Slots of the optimizer are the best epoch's: a mean of squares may not fall below 0."""
    recognizer, keeps = kept(0.4, 4.0, stretch=1.5)
    recognizer.state = lambda: {"values": recognizer.values, "values.moment": recognizer.values * 2}
    keeps.first_state = keeps.average = keeps.best_state = recognizer.state()
    keeps.begin([None])
    learns(recognizer, keeps, 1, 0.2, 2.0, 0.1)
    keeps.stretch([None])
    np.testing.assert_allclose(keeps.best_state["values.moment"], [0.4, 4.0], rtol=1e-6)


def test_a_stretch_that_makes_more_errors_is_not_kept(kept):
    recognizer, keeps = kept(0.1, 9.0, stretch=3.0)
    keeps.begin([None])
    assert learns(recognizer, keeps, 1, 0.1, 2.0, 0.1)
    keeps.history[-1].validation_wer = 0.05  # the stretched weights have 0.1, more than a word of 50 over it
    assert keeps.stretch([None]) is None
    np.testing.assert_allclose(keeps.best_state["values"], [0.1, 2.0], rtol=1e-6)
