"""The shipped English model: its size and licence, what it hears, what it refuses, how its second pass trains."""

import json

import numpy as np
import pytest

from tflite_asr.cli.main import main
from tflite_asr.errors import InputError
from tflite_asr.metrics import error_rates
from tflite_asr.runtime.recognizer import Recognizer

RATE = 16_000
TRAINS = {"decoder_encoder_0", "decoder_encoder_1", "decoder"}
SENTENCES = (
    "Please turn on the light in the kitchen.",
    "I would like a large coffee with milk.",
    "Thank you very much for your help.",
    "The weather will be nice tomorrow.",
)


@pytest.fixture(scope="module")
def recognizer():
    return Recognizer.load("english")


@pytest.fixture(scope="module")
def spoken(say):
    """Samples of the sentences by a synthetic voice."""
    return say(SENTENCES)


def test_it_fits_in_40_mb_and_says_whose_weights_it_has(recognizer, capsys):
    artifact = recognizer.artifact
    assert artifact.bytes <= 40_000_000
    assert [int(number) for number in artifact.min_runtime.split(".")] <= [2, 14]
    assert {row["group"] for row in artifact.trainable} == TRAINS
    assert main(["inspect", "english", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "english"
    (licence,) = recognizer.config.licences
    assert licence["licence"] == "MIT" and licence["holder"] == "Moonshine AI"
    assert "Moonshine AI" in (artifact.path.parent / "LICENSE.moonshine").read_text()


def test_both_passes_write_what_is_said(recognizer, spoken):
    texts = [recognizer.transcribe_two_pass(recognizer.features(samples)) for samples in spoken]
    assert error_rates(SENTENCES, texts, normalize=True).wer <= 0.35  # of a robot's voice
    assert all(text[0].isupper() for text in texts)


def test_noise_is_no_speech(recognizer):
    random = np.random.default_rng(1)
    for level in (1e-3, 1e-2, 0.1):
        noise = (level * random.standard_normal(3 * RATE)).astype(np.float32)
        assert recognizer.transcribe_two_pass(recognizer.features(noise)) == ""


@pytest.mark.parametrize(
    "samples, message", [(894, "expected 895 samples or more, got 894"), (31 * RATE, "got 31.00 s")]
)
def test_what_it_cannot_take_is_refused(recognizer, samples, message):
    noise = (0.1 * np.random.default_rng(2).standard_normal(samples)).astype(np.float32)
    with pytest.raises(InputError, match=message):
        recognizer.features(noise)


@pytest.mark.slow
def test_both_plans_train_alike_and_the_loss_falls(spoken):
    losses = {}
    for plan in ("train", "split"):
        fresh = Recognizer.load("english")
        example = fresh.example(spoken[0], SENTENCES[0])
        losses[plan] = [fresh.train_step([example], learning_rate=1e-3, plan=plan).loss for _ in range(3)]
    np.testing.assert_allclose(losses["split"], losses["train"], rtol=1e-4)
    assert losses["train"][-1] < losses["train"][0]
