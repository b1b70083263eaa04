"""A decoder trained by its own loss beside CTC: the objective, what it changes, and the batches with labels of both
passes.
"""

import dataclasses
import json

import numpy as np
import pytest
import soundfile
import tensorflow as tf
import tf_keras as keras

from tflite_asr.config import SubwordConfig, preset
from tflite_asr.data.corpus import Corpus
from tflite_asr.data.manifest import read_manifest
from tflite_asr.errors import InputError
from tflite_asr.models.build import build_model
from tflite_asr.training.batching import training_batches
from tflite_asr.training.fit import fit
from tflite_asr.training.objective import loss_of_passes
from tflite_asr.training.settings import FitSettings
from tflite_asr.training.trainable import trainable_weights

PIECES = ("<unk>", "<s>", "</s>", "\u2581", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ", *"abcdefghij", ".")
TINY = preset("tiny_english")
DECODER = dataclasses.replace(TINY.decoder, layers=1, vocabulary_size=len(PIECES), subwords=SubwordConfig(PIECES))
CONFIG = dataclasses.replace(TINY, decoder=DECODER, encoder=dataclasses.replace(TINY.encoder, layers=2))


@pytest.fixture
def model():
    keras.utils.set_random_seed(3)
    return build_model(CONFIG)


def corpus(folder, texts, seconds=1.0, **options):
    random = np.random.default_rng(1)
    rows = []
    for number, text in enumerate(texts):
        soundfile.write(folder / f"{number}.wav", random.normal(0, 0.1, int(16_000 * seconds)), 16_000)
        rows.append({"audio": f"{number}.wav", "text": text, "speaker": "ann"})
    (folder / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Corpus(read_manifest(folder / "m.jsonl"), CONFIG, **options)


def test_the_loss_is_ctc_and_the_decoders_cross_entropy(model):
    random = np.random.default_rng(2)
    frames = tf.constant(random.normal(size=[2, 40, 16]), tf.float32)
    lengths = tf.constant([40, 30])
    labels = [
        tf.constant([[1, 2, 3], [4, 5, 0]]),
        tf.constant([3, 2]),
        tf.constant([[5, 6], [7, 0]]),
        tf.constant([2, 1]),
    ]
    total = loss_of_passes(model, model.trainable_weights, second_pass=True).losses(None, frames, lengths, *labels)
    _, shared, steps = model.encode_for_both(frames, lengths)
    logits = model.decoder(model.decoder_input(shared, steps), steps, *labels[2:]).numpy()
    log = logits - np.log(np.exp(logits).sum(axis=2, keepdims=True))
    end = DECODER.end
    second = [-log[0, 0, 5] - log[0, 1, 6] - log[0, 2, end], -log[1, 0, 7] - log[1, 1, end]]
    first = model.loss(frames, lengths, *labels[:2])
    np.testing.assert_allclose(total, first + CONFIG.decoder.weight * np.float32(second), rtol=1e-5)


def test_a_decoder_trains_where_it_is_named_but_for_its_embedding(model):
    def names(trainable):
        free = {id(weight) for weight in trainable_weights(model, {}, trainable)}
        return {name.split("/")[0] for name, weight in model.named_weights().items() if id(weight) in free}, free

    assert names("encoder_1,ctc,decoder")[0] == {"encoder_1", "ctc", "decoder"}
    assert names(None)[0] == {"encoder_0", "encoder_1", "ctc"}
    assert id(model.decoder.embedding) not in names("decoder")[1]
    with pytest.raises(InputError, match="no layer group 'encoder'"):
        trainable_weights(model, {}, "encoder")


def test_batches_have_the_labels_of_both_passes(tmp_path):
    speech = corpus(tmp_path, ["Egg.", "A bed."], second_pass=True)
    samples, counts, tokens, token_counts, subwords, subword_counts = next(iter(training_batches(speech, 2, 1, 0)))
    assert samples.shape[0] == 2 and tokens.shape[0] == 2 and subwords.shape[0] == 2
    texts = {}
    for row in range(2):
        first = speech.tokenizer.decode(tokens[row, : token_counts[row]].numpy())
        texts[first] = [PIECES[piece] for piece in subwords[row, : subword_counts[row]].numpy()]
    assert texts == {"EGG": ["\u2581", *"Egg", "."], "A BED": ["\u2581", "A", "\u2581", *"bed", "."]}


def test_what_is_too_long_to_learn_from_is_left_out(tmp_path, capsys):
    texts = ["Bad egg.", "A bad bed, a bad cab, a bad bag."]
    with pytest.raises(InputError, match="expected at most 12 tokens, the transcript has 29"):
        corpus(tmp_path, texts)
    speech = corpus(tmp_path, texts, leave_out_longer=True)
    assert [utterance.text for utterance in speech.utterances] == texts[:1]
    assert "notice: 1 of 2 recordings left out, longer than 1.23194 s or 12 tokens: " in capsys.readouterr().err
    with pytest.raises(InputError, match=r"m\.jsonl:1"):
        corpus(tmp_path, texts[:1], seconds=1.5, leave_out_longer=True)


def test_fit_changes_what_is_to_train_and_nothing_else(tmp_path, eagerly):
    speech = corpus(tmp_path, ["Bad egg.", "A bed.", "Cab", "Did."], second_pass=True)
    out = tmp_path / "out"
    options = {"batch": 4, "steps_per_epoch": 4, "second_pass": True, "trainable": "encoder_1,ctc,decoder", "seed": 3}
    fit(CONFIG, speech, None, out, FitSettings(epochs=1, **options))
    from tflite_asr.models.storage import read_model

    _, trained = read_model(out)
    keras.utils.set_random_seed(3)
    before = {name: weight.numpy() for name, weight in build_model(CONFIG).named_weights().items()}
    moved = {name.split("/")[0] for name, value in trained.items() if not np.array_equal(value, before[name])}
    assert moved == {"encoder_1", "ctc", "decoder"}
    np.testing.assert_array_equal(trained["decoder/embedding"], before["decoder/embedding"])
