"""Training above frozen groups whose output is computed once."""

import copy
import json

import numpy as np
import pytest
import soundfile
import tensorflow as tf
import tf_keras as keras

from tflite_asr.cli.main import main
from tflite_asr.config import preset
from tflite_asr.data.corpus import Corpus
from tflite_asr.data.manifest import read_manifest
from tflite_asr.errors import InputError
from tflite_asr.models.build import build_model
from tflite_asr.training.cached import CachedOutput, cached_batches
from tflite_asr.training.fit import fit
from tflite_asr.training.objective import loss_of_passes
from tflite_asr.training.settings import FitSettings

CONFIG = preset("tiny_english")
TRAINED = "encoder_2,ctc"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder, random = tmp_path_factory.mktemp("cached"), np.random.default_rng(1)
    rows = []
    for number, text in enumerate(["ONE TWO", "TWO", "ONE ONE", "THREE"]):
        soundfile.write(folder / f"{number}.wav", random.normal(0, 0.1, 6_000 + 1_000 * number), 16_000)
        rows.append({"audio": f"{number}.wav", "text": text, "speaker": "ann"})
    (folder / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Corpus(read_manifest(folder / "m.jsonl"), CONFIG)


@pytest.fixture
def model():
    keras.utils.set_random_seed(3)
    return build_model(CONFIG)


def test_the_plain_version_is_what_the_groups_put_out(corpus, model, tmp_path):
    cache = CachedOutput(corpus, model, 2, 1, tmp_path, seed=0)
    for index, utterance in enumerate(corpus.utterances):
        samples = np.pad(corpus.samples(utterance), CONFIG.edge_samples)
        frames = model.features(tf.constant(samples[None]), tf.constant([len(samples)]))
        x, lengths = model.front(frames, tf.constant([frames.shape[1]]))
        for group in model.groups[:2]:
            x, lengths, _ = group(x, lengths)
        assert cache.read(index, 0).shape == x.shape[1:]
        np.testing.assert_allclose(cache.read(index, 0), x[0], rtol=2e-3, atol=2e-3)  # 11 bits


def test_versions_differ_and_are_computed_once(corpus, model, tmp_path):
    first = CachedOutput(corpus, model, 2, 2, tmp_path, seed=0)
    model.groups[0].weights[0].assign_add(tf.ones_like(model.groups[0].weights[0]))  # would change what is computed
    second = CachedOutput(corpus, model, 2, 2, tmp_path, seed=0)
    for index in range(len(corpus.utterances)):
        np.testing.assert_array_equal(first.read(index, 1), second.read(index, 1))
        one, other = first.read(index, 0), first.read(index, 1)
        assert one.shape != other.shape or not np.allclose(one, other, atol=1e-2)


def test_output_for_other_speech_is_refused(corpus, model, tmp_path):
    CachedOutput(corpus, model, 2, 1, tmp_path, seed=0)
    fewer = copy.copy(corpus)
    fewer.utterances = corpus.utterances[:3]
    with pytest.raises(InputError, match="expected 3 utterances, got 4"):
        CachedOutput(fewer, model, 2, 1, tmp_path, seed=0)


def test_batches_have_each_utterance_with_its_labels(corpus, model, tmp_path):
    cache = CachedOutput(corpus, model, 2, 2, tmp_path, seed=0)
    drawn = set()
    for values, counts, tokens, token_counts in cached_batches(cache, 2, seed=0).take(8):
        for row in range(2):
            spelled = corpus.tokenizer.decode(tokens[row, : token_counts[row]].numpy())
            heard = values[row, : counts[row]].numpy()
            versions = [(i, v) for i in range(4) for v in range(2) if np.array_equal(cache.read(i, v), heard)]
            assert versions and corpus.utterances[versions[0][0]].text == spelled
            drawn.add(versions[0])
    assert len(drawn) > 4


@pytest.mark.parametrize("second_pass", [False, True])
def test_losses_and_gradients_are_those_from_the_frames(model, second_pass):
    random = np.random.default_rng(2)
    frames, lengths = tf.constant(random.normal(size=[2, 40, 16]), tf.float32), tf.constant([40, 30])
    labels = [
        tf.constant([[1, 2, 3], [4, 5, 0]]),
        tf.constant([3, 2]),
        tf.constant([[5, 6], [7, 0]]),
        tf.constant([2, 1]),
    ]
    x, steps = model.front(frames, lengths)
    for group in model.groups[:2]:
        x, steps, _ = group(x, steps)
    trained = [
        w for w in model.trainable_weights if "encoder_2" in w.name or (second_pass and "decoder/layer" in w.name)
    ]
    found = []
    for below, heard, counts in ((0, frames, lengths), (2, x, steps)):
        objective = loss_of_passes(model, trained, second_pass=second_pass, below=below)
        with tf.GradientTape() as tape:
            losses = objective.losses(None, heard, counts, *labels[: 4 if second_pass else 2])
        found.append([losses, *tape.gradient(losses, trained)])
    for one, other in zip(*found):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_training_changes_what_is_named_alone_and_goes_on(corpus, tmp_path):
    def train(epochs):
        settings = FitSettings(batch=2, epochs=epochs, steps_per_epoch=3, trainable=TRAINED, cached=2)
        return fit(CONFIG, corpus, None, tmp_path, settings)

    train(1)
    files = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "cached").iterdir()}
    assert sorted(files) == ["0.ends.npy", "0.values.npy", "1.ends.npy", "1.values.npy"]
    row = train(2)
    assert row["epoch"] == 2 and np.isfinite(row["loss_per_token"])
    assert files == {path.name: path.stat().st_mtime_ns for path in (tmp_path / "cached").iterdir()}
    from tflite_asr.models.storage import read_model

    keras.utils.set_random_seed(0)
    fresh = build_model(CONFIG).named_weights()
    _, weights = read_model(tmp_path)
    changed = {name.split("/")[0] for name, value in weights.items() if not np.array_equal(value, fresh[name])}
    assert changed == {"encoder_2", "ctc"}


def test_a_lowest_group_that_trains_is_refused(corpus, tmp_path):
    with pytest.raises(InputError, match="expected the lowest encoder group to be frozen"):
        fit(CONFIG, corpus, None, tmp_path, FitSettings(batch=2, epochs=1, steps_per_epoch=1, cached=1))


def test_a_transducer_is_refused(tmp_path, capsys):
    (tmp_path / "m.jsonl").write_text("")
    assert (
        main(
            ["train", "tiny", "--cached", "2", "--manifest", str(tmp_path / "m.jsonl"), "--out", str(tmp_path / "out")]
        )
        == 2
    )
    assert "--cached: expected a CTC model" in capsys.readouterr().err
