"""Rounds of the tiny model on tones, with a phone whose battery is a trace that training steps move."""

import dataclasses
import json

import numpy as np
import pytest
import soundfile

from tflite_asr.data.corpus import Corpus
from tflite_asr.data.manifest import read_manifest
from tflite_asr.errors import InputError
from tflite_asr.personalization.calibration import Calibration, CallCost, PlanCost
from tflite_asr.personalization.resources import Limits, Resources, ResourceTrace
from tflite_asr.personalization.rounds import CHECKPOINT, STATE, Rounds, RoundsTrainer, arriving
from tflite_asr.personalization.settings import Settings
from tflite_asr.runtime.artifact import read_artifact
from tflite_asr.runtime.recognizer import Recognizer

RATE = 16000
SETTINGS = Settings(
    epochs=3,
    epoch_steps=4,
    patience=3,
    learning_rate=0.02,
    validation_share=0.3,
    least_to_hold_out=2,
    augment=False,
    replay=0,
)
STEPS = (15, 12, 18)  # of the rounds: batches of two over 3, 7 and 11 utterances, four at least, in three epochs
LIMITS = Limits(least_available_ram_mb=100, least_battery_percent=20)
FULL = Resources(0, 1000, 80, False, 30)


@pytest.fixture(scope="module")
def speech(tmp_path_factory):
    """Twelve utterances of two tones, and the corpus of them."""
    folder, rows = tmp_path_factory.mktemp("speech"), []
    for take in range(12):
        word, hertz = (("ONE", 300), ("TWO", 1200))[take % 2]
        time = np.arange(int(0.4 * RATE)) / RATE
        noise = 0.01 * np.random.default_rng(take).standard_normal(len(time))
        soundfile.write(folder / f"{take}.wav", 0.3 * np.sin(2 * np.pi * hertz * time) + noise, RATE)
        rows.append({"audio": f"{take}.wav", "text": word, "speaker": "ann"})
    (folder / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read_manifest(folder / "m.jsonl")


@pytest.fixture(scope="module")
def calibration(tiny_tflite):
    """Round figures: the whole step takes 150 MB, the split one 80, and without its lower part 70."""
    artifact = read_artifact(tiny_tflite)
    whole = PlanCost(50.0, (CallCost("train", 0.01, 0.01, 100.0, 90.0),))
    parts = tuple(
        CallCost(call["signature"], 0.01, 0.01, peak, 0.0)
        for call, peak in zip(artifact.plans["split"], (10.0, 20.0, 30.0))
    )
    plans = {"train": whole, "split": PlanCost(50.0, parts), "cached": PlanCost(50.0, parts[:2])}
    return Calibration(artifact.tflite_sha256, {}, plans)


@pytest.fixture
def rounds(tiny_tflite, speech, calibration, tmp_path):
    """A function (rows of the trace in steps, count) -> a trainer in a process's place: its recogniser is a new one."""

    def make(*trace, count=3, settings=SETTINGS, utterances=speech, folder=tmp_path):
        recognizer = Recognizer.load(tiny_tflite)
        taken = []
        source = ResourceTrace([FULL, *trace], lambda: float(len(taken)))
        checkpoint = folder / CHECKPOINT
        return RoundsTrainer(
            recognizer,
            (Corpus(utterances, recognizer.config), utterances),
            settings,
            Rounds(count, source, LIMITS, calibration),
            folder,
            on_step=lambda *step: taken.append(step),
            on_epoch=lambda row: recognizer.save(checkpoint) if row.best else None,
        )

    return make


def low(step):
    return Resources(step, 1000, 15, False, 30)


def test_utterances_arrive_once_each_and_in_every_round(speech):
    parts = arriving(speech, 5, seed=3)
    assert sorted(u.where for part in parts for u in part) == sorted(u.where for u in speech)
    assert [len(part) for part in parts] == [3, 3, 2, 2, 2] and parts == arriving(speech, 5, seed=3)
    with pytest.raises(InputError, match="--rounds 12: expected more utterances than rounds, got 12"):
        arriving(speech, 12, seed=0)


def test_where_all_rounds_are_few_none_is_held_out(rounds):
    trainer = rounds(settings=dataclasses.replace(SETTINGS, least_to_hold_out=13, epochs=1))
    trainer.run(dict)
    assert [row["utterances"] for row in trainer.done] == [4, 8, 12]


def test_each_round_starts_from_the_best_of_the_one_before(rounds, tmp_path):
    trainer = rounds()
    assert trainer.run(lambda: {"measured": 1}) == "all 3 rounds done" and trainer.finished
    assert [row["utterances"] for row in trainer.done] == [3, 7, 11]  # one is held out
    for before, after in zip(trainer.done, trainer.done[1:]):
        kept = [epoch for epoch in before["history"] if epoch["best"]][-1]
        start = after["history"][0]
        assert (start["validation_loss"], start["validation_wer"]) == (kept["validation_loss"], kept["validation_wer"])
        assert after["best_wer"] <= before["best_wer"] == kept["validation_wer"]
    assert all(row["measured"] == 1 and row["ended"] for row in trainer.done)
    assert [row["steps"] for row in trainer.done] == list(STEPS)
    losses = [row["validation_loss"] for row in trainer.history()]
    assert min(losses) < losses[0] - 1, "nothing was learned"
    assert [row["epoch"] for row in trainer.history()] == [0, 1, 2, 3, 3, 4, 5, 6, 6, 7, 8, 9]
    checkpoint = Recognizer.load(trainer.recognizer.artifact.path)
    checkpoint.restore(tmp_path / CHECKPOINT)
    kept = trainer.recognizer.state()
    assert all(np.array_equal(value, kept[name]) for name, value in checkpoint.state().items())


def test_a_battery_that_falls_stops_the_round_and_the_next_process_goes_on(rounds, tmp_path):
    """In the second of three epochs of the second round."""
    whole = rounds(folder=tmp_path)
    whole.run()
    uninterrupted = whole.done[-1]
    for path in tmp_path.iterdir():
        path.unlink()
    first = rounds(low(15 + 4 + 2))
    assert first.run() == "in round 2: battery at 15%, under its floor of 20%" and not first.finished
    interrupted = first.done[-1]
    assert (interrupted["steps"], len(interrupted["history"])) == (6, 2), "it stopped at the end of the step"
    assert first.readings[-1]["battery_percent"] == 15
    best = first.recognizer.state()
    second = rounds()
    assert all(np.array_equal(value, best[name]) for name, value in second.recognizer.state().items())
    assert second.run() == "all 3 rounds done"
    assert [row["epoch"] for row in second.done[1]["history"]] == [0, 1, 2, 3]
    assert second.done[1]["history"][:2] == interrupted["history"] and second.done[1]["steps"] == 6 + 8
    seconds = [reading["seconds"] for reading in second.readings]
    assert seconds == sorted(seconds) and second.readings[: len(first.readings)] == first.readings
    assert abs(second.done[-1]["best_wer"] - uninterrupted["best_wer"]) <= 1 / 3, "more than a word of three apart"
    kept = [[row for row in done["history"] if row["best"]][-1] for done in (second.done[-1], uninterrupted)]
    assert kept[0]["validation_loss"] == pytest.approx(kept[1]["validation_loss"], rel=0.25)


def test_it_does_not_begin_where_there_is_too_little(rounds, tmp_path):
    trainer = rounds(low(15))
    assert trainer.run() == "in round 1: battery at 15%, under its floor of 20%", "the last step is one to stop at too"
    assert rounds(low(0)).run() == "before round 1: battery at 15%, under its floor of 20%"


@pytest.mark.parametrize("ram, plan, learns", [(200, "train", 5), (131, "split", 5), (121, "split", 4), (119, None, 0)])
def test_the_selector_looks_before_every_round(rounds, ram, plan, learns):
    """Of what is available 100 MB are to stay; 50 MB the process has already."""
    trainer = rounds(Resources(12, ram, 80, False, 30), count=2)
    stopped = trainer.run()
    if plan is None:
        assert stopped == "before round 2: no plan fits into 69 MB of RAM, battery from 80% to 20% for 12 steps; " + (
            "one would into 70 MB of RAM, battery from 80% to 20% for 12 steps"
        )
        return
    first, second = (row["chosen"] for row in trainer.done)
    assert first["plan"] == "train" and (second["plan"], len(second["trainable_groups"])) == (plan, learns)


def test_groups_that_were_not_chosen_are_left_alone(rounds):
    trainer = rounds(Resources(0.5, 120.5, 80, False, 30), count=1)
    assert trainer.run() == "all 1 rounds done"
    (row,) = trainer.done
    distances = {name: group["distance"] for name, group in trainer.recognizer.parameters().items()}
    assert {name for name, distance in distances.items() if distance > 0} <= set(row["chosen"]["trainable_groups"])


def test_a_killed_process_is_gone_on_from(rounds, monkeypatch):
    trainer = rounds()
    take, steps = Recognizer.train_step, []

    def killed(self, *args, **options):
        steps.append(1)
        if len(steps) == 15 + 4 + 3:
            raise KeyboardInterrupt
        return take(self, *args, **options)

    monkeypatch.setattr(Recognizer, "train_step", killed)
    with pytest.raises(KeyboardInterrupt):
        trainer.run()
    second = rounds()
    assert [len(row["history"]) for row in second.done] == [4, 2] and second.done[1]["steps"] == 4
    assert second.run() == "all 3 rounds done"
    assert [row["epoch"] for row in second.done[1]["history"]] == [0, 1, 2, 3]


@pytest.mark.parametrize("change", [{"count": 2}, {"settings": Settings(epochs=4)}, {"utterances": 11}])
def test_rounds_of_something_else_are_not_gone_on_with(rounds, speech, tmp_path, change):
    rounds().run()
    if "utterances" in change:
        change = {"utterances": speech[:11]}
    before = (tmp_path / STATE).read_bytes(), (tmp_path / CHECKPOINT).read_bytes()
    with pytest.raises(InputError, match="rounds of another model, other utterances or settings; give another --out"):
        rounds(**change)
    assert before == ((tmp_path / STATE).read_bytes(), (tmp_path / CHECKPOINT).read_bytes())


@pytest.mark.parametrize("content", ["{", "[]", "{}"])
def test_a_broken_state_is_refused(rounds, tmp_path, content):
    rounds()
    (tmp_path / STATE).write_text(content)
    with pytest.raises(InputError, match="rounds.json: not the state of rounds"):
        rounds()
