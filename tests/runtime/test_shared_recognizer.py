"""One recogniser, several threads: the same results as alone."""

import threading

import numpy as np
import pytest

from tflite_asr.runtime.recognizer import Recognizer


@pytest.fixture
def speech():
    random = np.random.default_rng(0)
    return [(0.2 * random.standard_normal(7000)).astype(np.float32) for _ in range(3)]


def at_once(*functions):
    """Run each in a thread of its own; what they return."""
    results, problems, start = [None] * len(functions), [], threading.Barrier(len(functions))

    def run(index, function):
        try:
            start.wait()
            results[index] = function()
        except Exception as error:  # told below
            problems.append(error)

    threads = [threading.Thread(target=run, args=each) for each in enumerate(functions)]
    [thread.start() for thread in threads], [thread.join() for thread in threads]
    assert not problems
    return results


def test_four_threads_hear_what_one_hears(tiny_tflite, speech):
    recognizer = Recognizer.load(tiny_tflite)
    examples = [recognizer.example(samples, "HI") for samples in speech]
    work = {
        "greedy": lambda: [recognizer.transcribe(samples, beam=False) for samples in speech],
        "beam": lambda: [recognizer.transcribe(samples, beam=True) for samples in speech],
        "loss": lambda: recognizer.loss(examples).tolist(),
        "stream": lambda: list(recognizer.stream([examples[0].frames])),
    }
    alone = [function() for function in work.values()]

    def again(function):
        return lambda: [function() for _ in range(4)]

    for expected, found in zip(alone, at_once(*map(again, work.values()))):
        assert found == [expected] * 4


@pytest.mark.parametrize("plan", ["train", "split"])
def test_steps_of_threads_do_not_mix(tiny_tflite, speech, plan):
    """Four threads take three equal steps each while they are also listened to and saved: twelve steps in a row."""
    alone, shared = Recognizer.load(tiny_tflite), Recognizer.load(tiny_tflite)
    example = alone.example(speech[0], "HI")
    between = []
    for _ in range(12):
        between.append(alone.loss([example])[0])
        alone.train_step([example], plan=plan)
    between.append(alone.loss([example])[0])
    heard = []

    def train():
        for _ in range(3):
            shared.train_step([example], plan=plan)
            heard.append(shared.loss([example])[0])
            shared.transcribe(speech[1], beam=True)

    at_once(*[train] * 4)
    for name, value in alone.state().items():
        np.testing.assert_array_equal(shared.state()[name], value)
    assert set(heard) <= set(between), "a loss was measured in the middle of a step"


def test_the_shipped_weights_are_loaded_once(tiny_tflite):
    recognizer = Recognizer.load(tiny_tflite)
    first, *others = at_once(*[recognizer._shipped_model] * 4)
    assert all(other is first for other in others)
