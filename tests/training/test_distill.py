"""The three stages on a few seconds of tones: what each trains, what it minimises, and going on after an
interruption.
"""

import dataclasses
import json

import numpy as np
import pytest
import soundfile
import tensorflow as tf
import tf_keras as keras

from tflite_asr.config import PRESETS, preset
from tflite_asr.data.corpus import Corpus
from tflite_asr.data.manifest import read_manifest
from tflite_asr.errors import InputError
from tflite_asr.losses.cross_entropy import guided_attention, sequence_cross_entropy
from tflite_asr.models.build import build_model
from tflite_asr.models.storage import load_model
from tflite_asr.training.distill import Weights, check_pair, check_stages, distill, stage_folder, stage_objective
from tflite_asr.training.settings import FitSettings

RATE = 16000


@pytest.fixture(scope="module")
def teacher():
    keras.utils.set_random_seed(1)
    return build_model(preset("tiny_two_pass"))


@pytest.fixture(scope="module")
def student_config():
    config = preset("tiny_two_pass")
    encoder = dataclasses.replace(config.encoder, layers=2, units=12, dropout=0.0)
    prediction = dataclasses.replace(config.prediction, dropout=0.0)
    rescorer = dataclasses.replace(config.rescorer, units=8, dropout=0.0)
    return dataclasses.replace(config, name="smaller", encoder=encoder, prediction=prediction, rescorer=rescorer)


@pytest.fixture(scope="module")
def student(student_config):
    keras.utils.set_random_seed(2)
    return build_model(student_config)


@pytest.fixture(scope="module")
def batch():
    """Frames, lengths, tokens, their counts: two utterances and an empty row."""
    random = np.random.default_rng(3)
    frames = random.standard_normal([3, 96, 40]).astype(np.float32)
    tokens = random.integers(1, 29, [3, 6]).astype(np.int32)
    lengths, counts = np.array([96, 70, 0], np.int32), np.array([6, 3, 0], np.int32)
    return [tf.constant(x) for x in (frames, lengths, tokens, counts)]


def softmax(logits):
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def lattice_divergence(teacher, student, batch):
    """Mean KL over the lattice's nodes of each row, of the distributions over (next label, blank, rest)."""
    frames, lengths, tokens, counts = batch
    probabilities = []
    for model in (teacher, student):
        encoded, steps, _ = model.encode(frames, lengths)
        probabilities.append(
            softmax(model.joint((encoded, model.predict_labels(tokens, counts)), lattice=True).numpy())
        )
    means = []
    for row in range(len(frames)):
        nodes = []
        for t in range(int(steps[row])):
            for u in range(int(counts[row]) + 1):
                p, q = (x[row, t, u] for x in probabilities)
                chosen = [0, int(tokens[row, u])] if u < counts[row] else [0]
                pairs = [(p[k], q[k]) for k in chosen]
                pairs.append((1 - sum(a for a, _ in pairs), 1 - sum(b for _, b in pairs)))
                nodes.append(sum(a * np.log(a / b) for a, b in pairs))
        means.append(np.mean(nodes) if nodes else 0.0)
    return np.array(means)


def rescorer_losses(teacher, student, batch, alpha):
    frames, lengths, tokens, counts = batch
    logits = []
    for model in (teacher, student):
        encoded, steps, _ = model.encode(frames, lengths)
        found, attention = model.rescorer(encoded, steps, tokens, counts)
        logits.append(found.numpy())
    p, q = map(softmax, logits)
    divergence = np.array([np.sum((p * np.log(p / q))[row, : int(counts[row]) + 1]) for row in range(len(frames))])
    entropy = sequence_cross_entropy(tf.constant(logits[1]), tokens, counts).numpy()
    guide = guided_attention(attention, steps, counts).numpy()
    return np.where(steps > 0, (1 - alpha) * entropy + alpha * divergence + guide, 0)


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_a_stage_minimises_its_losses_and_changes_its_weights(stage, teacher, student, batch):
    weights = Weights(alpha=0.3, beta=7.0)
    objective = stage_objective(stage, student, teacher, weights)
    frames, lengths, tokens, counts = batch
    with tf.GradientTape() as tape:
        losses = objective.losses(frames, frames, lengths, tokens, counts)
    gradients = tape.gradient(losses, objective.trained)
    encoded, steps, _ = student.encode(frames, lengths)
    first = student.first_pass_loss(encoded, steps, student.predict_labels(tokens, counts), tokens, counts).numpy()
    first = first + 7.0 * lattice_divergence(teacher, student, batch)
    second = rescorer_losses(teacher, student, batch, 0.3)
    expected = {1: first, 2: second, 3: first + student.config.rescorer.weight * second}[stage]
    np.testing.assert_allclose(losses, expected, rtol=1e-4, atol=1e-4)
    assert losses[2] == 0 and np.all(losses[:2] > 1)
    changed = {w.ref() for w in objective.trained}
    groups = {name.split("/")[0] for name, w in student.named_weights().items() if w.ref() in changed}
    transducer = {"encoder_0", "encoder_1", "prediction", "joint"}
    assert groups == {1: transducer, 2: {"rescorer"}, 3: transducer | {"rescorer"}}[stage]
    assert all(np.any(gradient) or "key_bias" in w.name for w, gradient in zip(objective.trained, gradients))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory, student_config):
    folder = tmp_path_factory.mktemp("tones")
    rows = []
    for index in range(4):
        word, hertz = (("ONE", 300), ("TWO", 1200))[index % 2]
        time = np.arange(int(0.6 * RATE)) / RATE
        soundfile.write(folder / f"{index}.wav", 0.3 * np.sin(2 * np.pi * hertz * time), RATE)
        rows.append({"audio": f"{index}.wav", "text": word, "speaker": "ann"})
    (folder / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Corpus(read_manifest(folder / "m.jsonl"), student_config)


def weights_in(folder):
    return {name: weight.numpy() for name, weight in load_model(folder).named_weights().items()}


@pytest.mark.slow
def test_stages_follow_each_other_and_go_on_where_they_stopped(teacher, student_config, corpus, tmp_path, eagerly):
    def run(stages, epochs):
        options = {"learning_rate": 1e-3, "batch": 2, "steps_per_epoch": 2, "seed": 4}
        settings = {stage: FitSettings(epochs=count, **options) for stage, count in zip(stages, epochs)}
        return distill(teacher, student_config, settings, corpus, None, tmp_path, initial=given)

    given = {
        name: w.numpy() + 0.25 for name, w in build_model(student_config).named_weights().items() if "rescorer" in name
    }

    with pytest.raises(InputError, match="stage 2 starts from stage 1, which is not in"):
        run([2], [1])
    run([1, 2], [1, 1])
    first, second = (weights_in(stage_folder(tmp_path, stage)) for stage in (1, 2))
    assert all(np.array_equal(first[name], value) for name, value in given.items())  # what stage 1 does not train
    differs = {name.split("/")[0] for name in first if not np.array_equal(first[name], second[name])}
    assert differs == {"rescorer"}  # stage 2 starts from stage 1 and leaves its encoder alone
    before = (stage_folder(tmp_path, 1) / "weights.safetensors").stat().st_mtime_ns
    row = run([1, 2, 3], [1, 1, 1])  # the finished stages are not run again
    assert row["epoch"] == row["of"] == 1
    assert (stage_folder(tmp_path, 1) / "weights.safetensors").stat().st_mtime_ns == before
    third = weights_in(stage_folder(tmp_path, 3))
    assert {name.split("/")[0] for name in second if not np.array_equal(second[name], third[name])} >= {
        "encoder_0",
        "rescorer",
    }


def test_a_stage_needs_the_one_before_to_be_finished(tmp_path):
    folder = stage_folder(tmp_path, 1)
    folder.mkdir()
    (folder / "history.jsonl").write_text('{"epoch": 3, "of": 5}\n')
    with pytest.raises(InputError, match="stage 1 ended after epoch 3 of 5; finish it before stage 2"):
        check_stages(tmp_path, [2, 3])
    (folder / "history.jsonl").write_text('{"epoch": 5, "of": 5}\n')
    check_stages(tmp_path, [2, 3])
    for stages in ([], [3, 2], [1, 3], [4], [0, 1]):
        with pytest.raises(InputError, match="expected stages such as 1,2,3"):
            check_stages(tmp_path, stages)


def with_features(config, **changes):
    return dataclasses.replace(config, features=dataclasses.replace(config.features, **changes))


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda c: dataclasses.replace(c, characters=c.characters[:-1]), "the teacher's characters"),
        (lambda c: with_features(c, mel_bands=41), "the teacher's features"),
        (
            lambda c: dataclasses.replace(c, encoder=dataclasses.replace(c.encoder, stack_frames=2)),
            "feature frames in an",
        ),
        (lambda c: dataclasses.replace(c, rescorer=None), "student tiny_two_pass: expected a two-pass model"),
    ],
)
def test_a_student_of_another_kind_is_refused(change, message):
    config = preset("tiny_two_pass")
    check_pair(config, config)
    with pytest.raises(InputError, match=message):
        check_pair(config, change(config))


def test_the_shipped_pair_fits_and_the_student_is_less_than_half():
    teacher, student = PRESETS["sentences_teacher"], PRESETS["sentences_student"]
    check_pair(teacher, student)
    sizes = [sum(int(np.prod(w.shape)) for w in build_model(c).named_weights().values()) for c in (teacher, student)]
    assert 3e6 < sizes[0] < 6e6 and sizes[1] <= 0.45 * sizes[0]
