"""An export for several lengths: each utterance costs what its own length does, and nothing else changes."""

import dataclasses

import numpy as np
import pytest

from tflite_asr.cli.main import main
from tflite_asr.config import preset
from tflite_asr.errors import InputError
from tflite_asr.runtime.batch import collate, sized_for
from tflite_asr.runtime.recognizer import Recognizer

SECONDS = (0.5, 1.2)
RATE = 16_000


@pytest.fixture
def recognizer(lengths_tflite):
    return Recognizer.load(lengths_tflite)


@pytest.fixture
def longest_only(lengths_tflite):
    """The same file, whose runtime takes the signatures of the longest utterance alone."""
    recognizer = Recognizer.load(lengths_tflite)
    sizes = dataclasses.replace(recognizer.config.sizes, lengths=())
    recognizer.config = dataclasses.replace(recognizer.config, sizes=sizes)
    return recognizer


def spoken(seconds, seed=0):
    return np.random.default_rng(seed).normal(0, 0.1, int(seconds * RATE)).astype(np.float32)


def test_sizes_are_those_of_the_lengths(recognizer):
    config = recognizer.config
    assert config.sizes.max_frames == 138 and config.sizes.lengths == (72,)
    tail = config.tail_frames * config.features.hop_samples / RATE
    for sized, seconds in zip((config.at_length(72), config), SECONDS):
        step = config.features.samples_of(config.encoder.frames_per_step) / RATE
        assert seconds + tail - 0.01 < sized.max_seconds < seconds + tail + step  # whole frames of 10 ms
    assert config.shortest(72) == config.at_length(72) and config.shortest(73) == config
    most = config.at_length(72).sizes.max_tokens
    assert config.shortest(10, most).sizes.suffix == "_72f" and config.shortest(10, most + 1) == config


def test_a_short_utterance_takes_the_short_signatures(recognizer, monkeypatch):
    called = []
    run = recognizer.model.run
    monkeypatch.setattr(recognizer.model, "run", lambda name, *rest: called.append(name) or run(name, *rest))
    for seconds in (0.25, 1.0):  # with the silence at the end
        recognizer.transcribe(spoken(seconds), beam=False)
    assert called == ["features_72f", "infer_72f", "features", "infer"]


def test_what_is_heard_does_not_depend_on_the_length(recognizer, longest_only):
    for seed in range(3):
        samples = spoken(0.25, seed)
        np.testing.assert_allclose(recognizer.features(samples), longest_only.features(samples), rtol=1e-5, atol=1e-5)
        for beam in (False, True):
            text, longer = (one.transcribe(samples, beam=beam) for one in (recognizer, longest_only))
            assert text == longer[: recognizer.config.at_length(72).sizes.max_tokens].rstrip()


@pytest.mark.parametrize("plan", ["train", "split"])
def test_training_does_not_depend_on_the_length(recognizer, longest_only, plan):
    examples = [recognizer.example(spoken(0.25, seed), text) for seed, text in enumerate(["HI", "GO"])]
    assert sized_for(examples, recognizer.config).sizes.max_frames == 72
    for _ in range(3):
        np.testing.assert_allclose(recognizer.loss(examples), longest_only.loss(examples), rtol=1e-4)
        results = [one.train_step(examples, learning_rate=0.05, plan=plan) for one in (recognizer, longest_only)]
        assert results[0].loss == pytest.approx(results[1].loss, rel=1e-4)
    for name, value in recognizer.state().items():
        np.testing.assert_allclose(value, longest_only.state()[name], rtol=1e-3, atol=1e-5)


def test_a_long_text_takes_the_long_signatures(recognizer):
    config = recognizer.config
    most = config.at_length(72).sizes.max_tokens
    labels = 1 + np.arange(most + 1, dtype=np.int32)
    example = dataclasses.replace(recognizer.example(spoken(0.25), "GO"), tokens=labels)
    assert sized_for([example], config) == config
    assert collate([example], sized_for([example], config))["frames"].shape[1] == 138


def test_lengths_that_make_no_sense_are_refused(tmp_path, capsys):
    from tflite_asr.models.build import build_model, with_lengths

    model = build_model(preset("tiny"))
    with pytest.raises(InputError, match="expected seconds, each of 0.0[0-9] s or more, got 0.01, 2"):
        with_lengths(model, [0.01, 2])
    with pytest.raises(InputError, match="expected lengths in rising order from 1 to 119 frames"):
        dataclasses.replace(model.config, sizes=dataclasses.replace(model.config.sizes, lengths=(60, 30)))
    with pytest.raises(SystemExit) as raised:
        main(["export", "--preset", "tiny", "--lengths", "4,long", "--out", str(tmp_path / "m.tflite")])
    assert raised.value.code == 2 and "expected seconds such as 4,12,30, got '4,long'" in capsys.readouterr().err


@pytest.mark.parametrize("more", [0, 1, 159, 160])
def test_samples_past_the_last_whole_frame_are_held(recognizer, longest_only, more):
    for one in (recognizer, longest_only):
        one.config = dataclasses.replace(one.config, tail_frames=0)
    features = recognizer.config.features
    samples = spoken(1.0)[: features.samples_of(72) + more]
    frames = recognizer.features(samples)
    assert len(frames) == 72 + (more == features.hop_samples)
    np.testing.assert_allclose(frames, longest_only.features(samples), rtol=1e-5, atol=1e-5)
