"""Training on utterances as they come; the tiny model, noise for speech."""

import dataclasses

import numpy as np
import pytest

from tflite_asr.errors import InputError
from tflite_asr.personalization.settings import Pace, Settings
from tflite_asr.personalization.stream import StreamTrainer
from tflite_asr.personalization.window import Window
from tflite_asr.runtime.batch import Example
from tflite_asr.runtime.recognizer import Recognizer

PACE = Pace(window=8, window_bytes=10**6, stride=4, steps=3)
SETTINGS = Settings(learning_rate=0.01, validation_share=0.25, connect=2)


def said(count):
    """Two words, a band each, in noise."""
    random = np.random.default_rng(3)
    examples = []
    for index in range(count):
        frames = random.normal(0, 0.2, [30, 40]).astype(np.float32)
        frames[:, 5 if index % 2 else 25] += 3
        tokens = np.asarray([2 + index % 2, 3, 4], np.int32)
        examples.append(Example(frames, tokens, "ABC", f"utterance {index}"))
    return examples


def trainer(path, folder, plan="train", **options):
    recognizer = Recognizer.load(path)
    window = Window(folder, recognizer.artifact, PACE.window, PACE.window_bytes)
    settings = dataclasses.replace(SETTINGS, plan=plan, cached_uses=2)
    return StreamTrainer(recognizer, window, settings, PACE, **options)


def test_a_stride_of_utterances_is_a_round_of_steps(tiny_tflite, tmp_path):
    steps, rows = [], []
    stream = trainer(tiny_tflite, tmp_path, on_step=lambda *step: steps.append(step[:2]), on_epoch=rows.append)
    done = []
    for example in said(9):
        assert stream.hear(example)
        done.append(len(steps))
    assert done == [0, 0, 0, 3, 3, 3, 3, 6, 6]
    assert stream.finish() and len(steps) == 7, "one new utterance of four: a quarter of three steps, rounded up"
    assert steps[:3] == [(1, 3), (2, 3), (3, 3)] and steps[6:] == [(1, 1)]
    outcome = stream.outcome("done")
    assert [row.epoch for row in rows] == [0, 1, 2, 3] and outcome.history == rows and outcome.steps == 7
    best = [row for row in rows if row.best][-1]
    assert best.epoch > 0, "nothing was learned"
    assert all(np.array_equal(tensor, outcome.best_state[name]) for name, tensor in stream.recognizer.state().items())
    assert stream.window.numbers == list(range(1, 9))


def test_corrections_are_trained_on_more_often_and_do_not_validate(tiny_tflite, tmp_path, monkeypatch):
    stream = trainer(tiny_tflite, tmp_path)
    drawn, validated = [], []
    endless, validation = stream.strings.endless, stream.strings.validation
    monkeypatch.setattr(
        stream.strings, "endless", lambda numbers, *args: drawn.append(numbers) or endless(numbers, *args)
    )
    monkeypatch.setattr(
        stream.strings, "validation", lambda numbers, *args: validated.append(numbers) or validation(numbers, *args)
    )
    for index, example in enumerate(said(4)):
        stream.hear(dataclasses.replace(example, weight=3 if index in (1, 2) else 1))
    assert drawn == [[0, 1, 1, 1, 2, 2, 2]] and validated == [[3]]  # number 2 would have validated


def test_a_window_of_utterances_that_all_validate_is_learned_from(tiny_tflite, tmp_path):
    stream = trainer(tiny_tflite, tmp_path)
    for example in said(7):
        stream.window.add(example)
    for number in (0, 1, 3, 4, 5):
        stream.window.forget(number)
    stream.new = 4  # numbers 2 and 6 are left, every fourth validates
    assert stream.go_on() and stream.steps == 3


def test_training_begins_with_two_utterances_of_which_the_newest_validates(tiny_tflite, tmp_path):
    steps = []
    stream = trainer(tiny_tflite, tmp_path, on_step=lambda *step: steps.append(step))
    stream.pace = Pace(window=8, stride=1, steps=1)
    examples = said(2)
    assert stream.hear(examples[0]) and not steps and stream.new == 1
    assert stream.hear(examples[1]) and len(steps) == 2, "the steps of the first are made up for"
    assert stream.kept.history[0].validation_wer >= 0 and stream.new == 0


def test_held_out_utterances_are_not_trained_on(tiny_tflite, tmp_path, monkeypatch):
    stream = trainer(tiny_tflite, tmp_path)
    trained, take = [], stream.taker.take

    def watched(batch, rate):
        trained.extend(example.where for example in batch)
        return take(batch, rate)

    monkeypatch.setattr(stream.taker, "take", watched)
    for example in said(8):
        stream.hear(example)
    names = " ".join(trained)
    assert [number for number in range(8) if f"{number:08d}." not in names] == [2, 6]


@pytest.mark.parametrize("plan", ["train", "cached"])
def test_interrupted_after_every_step_it_ends_with_the_same_weights(tiny_tflite, tmp_path, plan):
    """Each time in a new interpreter, from what was saved: bit for bit, the optimizer's state among it."""
    whole = trainer(tiny_tflite, tmp_path / "whole", plan)
    for example in said(10):
        assert whole.hear(example)
    whole.finish()

    saved, pauses = tmp_path / "saved.safetensors", 0
    broken = trainer(tiny_tflite, tmp_path / "broken", plan, may_go_on=lambda: False)

    def anew(gone_on):
        nonlocal broken, pauses
        while not gone_on:
            broken.save(saved)
            pauses += 1
            broken = trainer(tiny_tflite, tmp_path / "broken", plan, may_go_on=lambda: False)
            broken.restore(saved)
            gone_on = broken.go_on()

    for example in said(10):
        anew(broken.hear(example))
    anew(broken.finish())
    assert pauses == 2 + 2 + 1  # of 3, 3 and 2 steps; a round's last one needs no leave
    assert (broken.round, broken.steps) == (whole.round, whole.steps) == (3, 8)
    trained, state = whole.recognizer.state(), broken.recognizer.state()
    assert all(np.array_equal(trained[name], state[name]) for name in trained)
    weights = [row["tensor"] for row in whole.recognizer.artifact.parameters]
    for kept in ("average", "best_state"):
        assert all(np.array_equal(getattr(whole.kept, kept)[n], getattr(broken.kept, kept)[n]) for n in weights)


def test_strings_of_the_plan_cached_go_through_the_lower_groups_once(tiny_tflite, tmp_path, monkeypatch):
    stream = trainer(tiny_tflite, tmp_path, "cached", replay=said(6))
    called, run = [], stream.recognizer.model.run
    monkeypatch.setattr(stream.recognizer.model, "run", lambda name, *given: called.append(name) or run(name, *given))
    own, replayed, cache = [], [], stream.recognizer.cache

    def watched(examples, **how):
        (replayed if len(examples) == 1 and examples[0].where.startswith("utterance") else own).extend(examples)
        return cache(examples, **how)

    monkeypatch.setattr(stream.recognizer, "cache", watched)
    for example in said(4):
        stream.hear(example)
    assert called.count("head") == 3 and stream.steps == 3
    size = stream.recognizer.config.sizes.batch - SETTINGS.replay or 1
    assert len(own) == 2 * size, "two different steps of three: a string serves two steps"
    assert len(replayed) == len({id(example) for example in replayed})
    assert called.count("forward_0") == 2 + len(replayed)


def test_a_checkpoint_of_another_kind_is_refused(tiny_tflite, tmp_path):
    stream = trainer(tiny_tflite, tmp_path / "w")
    stream.recognizer.save(tmp_path / "c.safetensors")
    with pytest.raises(InputError, match="lacks tensors"):
        stream.restore(tmp_path / "c.safetensors")


def test_only_biases_learn_when_told_to(tiny_tflite, tmp_path):
    recognizer = Recognizer.load(tiny_tflite)
    before = recognizer.state()
    window = Window(tmp_path, recognizer.artifact, 8, 10**6)
    stream = StreamTrainer(
        recognizer, window, Settings(learning_rate=0.01, validation_share=0.25, bias_only=True), PACE
    )
    for example in said(4):
        stream.hear(example)
    after = recognizer.state()
    for row in recognizer.artifact.parameters:
        same = np.array_equal(before[row["tensor"]], after[row["tensor"]])
        assert same == (len(row["shape"]) > 1), row["name"]
