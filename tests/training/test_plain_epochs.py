"""The first epochs of a training may hear the speech as it is."""

import json

import numpy as np
import pytest
import soundfile
import tensorflow as tf

from tflite_asr.config import preset
from tflite_asr.data.corpus import Corpus
from tflite_asr.data.manifest import read_manifest
from tflite_asr.training.batching import training_batches
from tflite_asr.training.fit import fit
from tflite_asr.training.objective import Objective
from tflite_asr.training.settings import FitSettings

CONFIG = preset("tiny")


@pytest.fixture
def corpus(tmp_path):
    random = np.random.default_rng(0)
    rows = []
    for number, text in enumerate(("AB", "CAB", "DAD", "BE")):
        soundfile.write(tmp_path / f"{number}.wav", 0.1 * random.standard_normal(5_000 + 100 * number), 16_000)
        rows.append({"audio": f"{number}.wav", "text": text, "speaker": "x"})
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Corpus(read_manifest(tmp_path / "m.jsonl"), CONFIG)


def recordings(corpus):
    return {len(corpus.samples(utterance)): corpus.samples(utterance) for utterance in corpus.utterances}


@pytest.mark.parametrize("augment", [False, True])
def test_batches_of_speech_as_it_is_or_augmented(corpus, augment):
    batch = next(iter(training_batches(corpus, 4, 1, 0, augment=augment)))
    samples, counts, tokens, token_counts = (part.numpy() for part in batch)
    recorded = recordings(corpus)
    same = [count in recorded and np.array_equal(row[:count], recorded[count]) for row, count in zip(samples, counts)]
    assert same == [not augment] * 4
    spoken = {corpus.tokenizer.decode(row[:count]) for row, count in zip(tokens, token_counts)}
    assert spoken <= {"AB", "CAB", "DAD", "BE"} and len(spoken) > 1


def test_augmentation_begins_after_the_plain_epochs_and_after_an_interruption(corpus, tmp_path, eagerly):
    heard_plain = []

    def objective(model):
        weights = list(model.named_weights().values())

        def losses(frames, heard, lengths, tokens, token_lengths):
            heard_plain.append(bool(tf.reduce_all(frames == heard)))
            return tf.reduce_sum(weights[0]) * tf.ones(heard.shape[0])

        return Objective(losses, weights)

    def train(epochs):
        settings = FitSettings(batch=2, epochs=epochs, steps_per_epoch=2, plain_epochs=2)
        fit(CONFIG, corpus, None, tmp_path / "out", settings, objective_of=objective)

    train(1)
    train(4)
    assert heard_plain == [True] * 4 + [False] * 4
