"""What `personalize` does between the steps, with a recogniser that learns by a script."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tflite_asr.config import preset
from tflite_asr.data.clips import fitting_clips
from tflite_asr.data.corpus import Corpus
from tflite_asr.data.manifest import Utterance
from tflite_asr.errors import InputError
from tflite_asr.metrics import ErrorRates
from tflite_asr.personalization import average
from tflite_asr.personalization.settings import FEW_PULL, FEW_STRETCH, Settings
from tflite_asr.personalization.trainer import personalize, settings_for, split, training_and_validation
from tflite_asr.runtime.batch import Example
from tflite_asr.runtime.plan import StepResult
from tflite_asr.text.tokenizer import CharacterTokenizer

RATE = 16000


def utterance(index, text="ONE"):
    return Utterance(Path(f"{index}.wav"), text, None, "ann", {}, f"m.jsonl:{index}")


class LoudCorpus(Corpus):
    """Utterances of the same length without files."""

    def __init__(self, utterances, seconds=0.3):
        super().__init__([], preset("tiny"))
        samples = np.full(int(seconds * RATE), 3000, np.int16)
        self._samples = {u.where: samples for u in utterances}


class Scripted:
    """The validation WER and loss after each epoch are given; the weights are the number of the last step."""

    def __init__(self, script, batch=2, failing=()):
        self.script, self.epoch, self.failing = list(script), 0, set(failing)
        self.config = preset("tiny")
        self.labels = CharacterTokenizer(self.config.characters)
        self.weights, self.batches, self.rates, self.options = 0, [], [], []
        assert self.config.sizes.batch == batch

    def features(self, samples):
        assert len(samples) <= self.config.max_seconds * RATE
        return np.zeros([10, 40], np.float32)

    def example(self, samples, text, where=""):
        return Example(self.features(samples), np.ones(3, np.int32), text, where)

    def state(self):
        return {"w": np.asarray(self.weights), "average": np.asarray(self.weights, np.float32)}

    def set_state(self, state):
        self.weights = int(state["w"])

    def train_step(self, batch, *, learning_rate, **options):
        self.batches.append([example.where for example in batch])
        self.rates.append(float(learning_rate))
        self.options.append(options)
        if len(self.batches) in self.failing:
            return StepResult(float("nan"), float("nan"), True)
        self.weights += 1
        return StepResult(5.0, 1.0, False)

    def loss(self, examples):
        wer, loss = self.script[self.epoch]
        self.epoch += 1
        return np.full(len(examples), loss, np.float32)


@pytest.fixture
def run(monkeypatch):
    """A function that trains for a script of (WER, loss), epoch 0 first."""

    def run(script, count=8, shipped=(), corpus=None, failing=(), **settings):
        recognizer = Scripted(script, failing=failing)
        monkeypatch.setattr(
            average,
            "evaluate",
            lambda recognizer, examples, policy, rescoring, title: SimpleNamespace(
                rates=ErrorRates(recognizer.script[recognizer.epoch][0], 0.0, 0, 0, 0, 1, 1)
            ),
        )
        everything = [utterance(index) for index in range(count)]
        settings = Settings(
            **{
                "epochs": len(script) - 1,
                "patience": 99,
                "validation_share": 0.25,
                "least_to_hold_out": 2,
                "connect": 1,
                "replay": 0,
                "epoch_steps": 1,
                "averaging": 1.0,
                **settings,
            }
        )
        corpus = corpus or LoudCorpus(everything)
        return personalize(recognizer, corpus, everything, settings, replay=shipped), recognizer

    return run


# --- split ---


@pytest.mark.parametrize(
    "count, share, held_out", [(2, 0.15, 1), (10, 0.15, 2), (40, 0.25, 10), (3, 0.99, 2), (5, 0.01, 1)]
)
def test_split_is_disjoint_and_complete(count, share, held_out):
    everything = [utterance(index) for index in range(count)]
    training, validation = split(everything, share, seed=0)
    assert len(validation) == held_out
    assert sorted([*training, *validation], key=everything.index) == everything
    assert training == sorted(training, key=everything.index) and validation == sorted(validation, key=everything.index)


def test_split_is_by_seed():
    everything = [utterance(index) for index in range(40)]
    assert split(everything, 0.2, seed=3) == split(everything, 0.2, seed=3)
    assert len({tuple(u.where for u in split(everything, 0.2, seed)[1]) for seed in range(5)}) == 5


@pytest.mark.parametrize("count, share", [(0, 0.2), (1, 0.2), (9, 0.0), (9, 1.0), (9, float("nan"))])
def test_split_refuses(count, share):
    with pytest.raises(InputError, match="got"):
        split([utterance(index) for index in range(count)], share, seed=0)


@pytest.mark.parametrize("count, held_out", [(2, 0), (60, 0), (61, 9), (80, 12)])
def test_of_few_utterances_none_is_held_out(count, held_out):
    everything = [utterance(index) for index in range(count)]
    training, validation = training_and_validation(everything, Settings())
    assert len(training) == count - held_out
    assert validation == (everything if not held_out else split(everything, 0.15, seed=0)[1])


@pytest.mark.parametrize("settings, count, pulls, second_pass, pull, stretch", [
    (Settings(), 60, True, False, FEW_PULL, FEW_STRETCH), (Settings(), 61, True, False, 0.0, 1.0),
    (Settings(), 60, False, False, 0.0, 1.0), (Settings(pull=0.5), 60, True, False, 0.5, 1.0),
    (Settings(pull=0.0), 60, True, False, 0.0, 1.0), (Settings(pull=0.5), 60, False, False, 0.5, 1.0),
    (Settings(stretch=1.2), 60, True, False, FEW_PULL, 1.2),
    (Settings(pull=0.5, stretch=1.2), 61, True, False, 0.5, 1.2),
    (Settings(), 60, True, True, 0.0, 1.0), (Settings(pull=0.5), 60, True, True, 0.5, 1.0),
])  # fmt: skip
def test_few_utterances_are_trained_on_with_a_pull(settings, count, pulls, second_pass, pull, stretch):
    """Not where a second pass trains: there some are always held out."""
    config = SimpleNamespace(trains_second_pass=second_pass)
    found = settings_for(SimpleNamespace(artifact=SimpleNamespace(pulls=pulls), config=config), settings, count)
    assert (found.pull, found.stretch) == (pull, stretch)
    assert settings_for(SimpleNamespace(artifact=SimpleNamespace(pulls=pulls), config=config), found, count) == found
    everything = [utterance(index) for index in range(12)]
    assert (training_and_validation(everything, found)[0] == everything) == (not second_pass)


def test_one_utterance_is_too_few():
    with pytest.raises(InputError, match="at least 2 utterances"):
        training_and_validation([utterance(0)], Settings())


def test_few_utterances_are_all_trained_on(run):
    outcome, recognizer = run([(0.5, 3.0), (0.2, 2.0)], least_to_hold_out=9, pull=0.0)
    assert {where for batch in recognizer.batches for where in batch} == {utterance(i).where for i in range(8)}
    assert outcome.history[-1].best


# --- which weights are kept ---

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    "script, best",
    [
        ([(0.9, 5), (0.5, 4), (0.7, 1)], 1),  # the word error rate before the loss
        ([(0.9, 5), (0.5, 4), (0.5, 3), (0.5, 3.5)], 2),  # the loss where the rates are equal
        ([(0.5, 4), (0.5, 4), (0.5, 4)], 0),  # no better is not better
        ([(0.9, 5), (0.50, 4), (0.54, 3), (0.56, 1)], 2),  # rates within one word are equal, if within five points
        ([(0.9, 5), (0.54, 1), (0.52, 2), (0.48, 3)], 3),  # but what is equal to the lowest goes down with it
        ([(0.1, 1), (0.9, 9), (1.0, 20)], 0),  # training only hurts
        ([(0.5, 4), (0.2, NAN), (0.4, INF)], 0),  # broken weights that happen to say something
        ([(0.5, 4), (0.2, NAN), (0.4, 9.0)], 2),
    ],
)
def test_the_best_epoch_is_kept(run, script, best):
    outcome, recognizer = run(script)
    steps = 3  # 6 utterances in batches of 2
    assert recognizer.weights == steps * best == int(outcome.best_state["w"])
    assert outcome.steps == steps * (len(script) - 1)
    assert [row.epoch for row in outcome.history if row.best][-1] == best
    assert [row.epoch for row in outcome.history] == list(range(len(script)))
    assert outcome.history[0].train_loss is None and outcome.history[-1].train_loss == 5.0


def test_patience(run):
    script = [(0.9, 5), (0.5, 4), (0.6, 4), (0.7, 4), (0.1, 1)]
    outcome, recognizer = run(script, patience=2)
    assert len(outcome.history) == 4 and "for 2 epochs" in outcome.stopped_because
    assert recognizer.weights == 3
    outcome, recognizer = run(script, patience=3)
    assert len(outcome.history) == 5 and outcome.stopped_because == "all 4 epochs done"
    assert recognizer.weights == 12


def test_the_kept_weights_are_a_moving_average_that_training_does_not_see(run):
    outcome, recognizer = run([(0.9, 5), (0.5, 4), (0.4, 3), (0.3, 2)], averaging=0.25)
    # 3 steps an epoch: 3, 6, 9 trained; after the first epoch 3, then (3 + 6) / 2, then a third of 9
    assert outcome.best_state["average"] == pytest.approx(2 / 3 * 4.5 + 9 / 3)
    assert outcome.steps == 9 and outcome.best_state["w"] == 9
    outcome, _ = run([(0.9, 5), (0.5, 4), (0.4, 3), (0.3, 2)], averaging=0.6)
    assert outcome.best_state["average"] == pytest.approx(0.4 * (0.4 * 3 + 0.6 * 6) + 0.6 * 9)


def test_few_utterances_fill_an_epoch(run):
    _, recognizer = run([(0.9, 5)] * 2, epoch_steps=7)
    assert 7 <= len(recognizer.batches) <= 9  # 6 utterances, 2 a batch: three turns
    seen = sum(recognizer.batches, [])
    assert {seen.count(where) for where in set(seen)} == {3}


def test_the_rate_falls_to_a_tenth_and_the_settings_reach_every_step(run):
    _, recognizer = run([(0.9, 5)] * 11, learning_rate=0.1, clip_norm=3.0, pull=0.5, group_rates={"joint": 0.0})
    assert recognizer.rates[0] == pytest.approx(0.1) and 0.01 < recognizer.rates[-1] < 0.02
    assert recognizer.rates == sorted(recognizer.rates, reverse=True)
    assert recognizer.options == [{"clip_norm": 3.0, "pull": 0.5, "group_rates": {"joint": 0.0}, "plan": "train"}] * 30


def test_skipped_steps_are_not_counted_and_not_averaged(run):
    outcome, _ = run([(0.9, 5), (0.5, 4), (0.4, 3)], failing={2, 4, 5, 6})
    assert outcome.steps == 2
    assert [row.train_loss for row in outcome.history] == [None, 5.0, None]


# --- what a batch holds ---


def test_every_training_utterance_comes_once_an_epoch_and_no_other(run):
    _, recognizer = run([(0.9, 5)] * 3, seed=2)
    training, held_out = split([utterance(index) for index in range(8)], 0.25, 2)
    epochs = [sum(recognizer.batches[first : first + 3], []) for first in (0, 3)]
    for seen in epochs:
        assert sorted(seen) == sorted(u.where for u in training)
    assert not set(epochs[0]) & {u.where for u in held_out}
    assert epochs[0] != epochs[1], "the order is the same in every epoch"


def test_replay_rows_are_in_each_batch(run):
    shipped = [Example(np.zeros([9, 40], np.float32), np.ones(2, np.int32), "X", f"shipped {i}") for i in range(5)]
    for wanted in (1, 7):  # one row is the owner's, however many are asked for
        _, recognizer = run([(0.9, 5)] * 4, shipped=shipped, replay=wanted)
        assert len(recognizer.batches) == 18  # 6 utterances, 3 epochs
        assert all([name.startswith("shipped") for name in batch] == [False, True] for batch in recognizer.batches)
        assert len({batch[1] for batch in recognizer.batches}) > 2, "the same shipped utterances again and again"


def test_without_shipped_utterances_batches_are_the_owners(run):
    _, recognizer = run([(0.9, 5)] * 2)
    assert [len(batch) for batch in recognizer.batches] == [2, 2, 2]


# --- clips ---


def test_clips_fit_the_model_though_no_duration_is_known():
    everything = [utterance(index) for index in range(20)]
    corpus = LoudCorpus(everything, seconds=0.35)
    clips = fitting_clips(corpus, everything, 5, 1, 1.215)
    assert 2 <= max(len(clip.parts) for clip in clips) <= 3
    assert all(len(corpus.assemble(clip)) <= 1.215 * RATE for clip in clips)
    assert sorted(part.where for clip in clips for part in clip.parts) == sorted(u.where for u in everything)


def test_a_string_of_too_many_tokens_is_taken_apart():
    everything = [utterance(index, "SEVENTY") for index in range(6)]
    clips = fitting_clips(LoudCorpus(everything), everything, 3, 0, 1.215)
    assert [len(clip.parts) for clip in clips] == [1] * 6


def test_strings_that_would_not_fit_do_not_stop_the_training(run):
    """Without durations a manifest says nothing of what fits; joined by threes these clips would last too long."""
    everything = [utterance(index) for index in range(8)]
    outcome, recognizer = run([(0.9, 5)] * 4, corpus=LoudCorpus(everything, seconds=0.6), connect=3)
    assert outcome.stopped_because == "all 3 epochs done"
