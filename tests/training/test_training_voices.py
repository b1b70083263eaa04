import dataclasses
import json

import numpy as np
import pytest
import soundfile

from tflite_asr.config import preset
from tflite_asr.data.corpus import Corpus
from tflite_asr.data.manifest import Utterance
from tflite_asr.errors import InputError
from tflite_asr.models.build import build_model
from tflite_asr.runtime.voice import Mixture, cepstra
from tflite_asr.training.voices import COMPONENTS, FILE, background_voices, read_voices, write_voices


def corpus_of(folder, seconds, synthetic, config=preset("tiny")):
    """Noise of different colours after a pause, one file for each of `synthetic`: whether its row says so."""
    random = np.random.default_rng(0)
    utterances = []
    for index, flag in enumerate(synthetic):
        samples = np.convolve(random.standard_normal(int(seconds * 16000)), np.ones(1 + index % 5) / 5, "same") * 0.1
        samples[: len(samples) // 4] *= 0.01  # quiet, then loud
        path = folder / f"{index}.wav"
        soundfile.write(path, samples, 16000)
        utterances.append(
            Utterance(path, "ONE", seconds, "ann", {"synthetic": True} if flag else {}, f"m.jsonl:{index}")
        )
    return Corpus(utterances, config)


def test_the_background_explains_its_corpus(tmp_path):
    corpus = corpus_of(tmp_path, 1.0, [False] * 40)
    background = background_voices(corpus, 0)
    assert background.means.shape[0] == COMPONENTS and background.weights.sum() == pytest.approx(1, abs=1e-5)
    from tflite_asr.ops.log_mel import log_mel

    samples = corpus.samples(corpus.utterances[0])[: corpus.config.features.samples_of(90)]
    frames = log_mel(samples[None], corpus.config.features).numpy()[0]
    elsewhere = cepstra(frames + np.linspace(-2, 2, 40, dtype=np.float32))
    assert background.log_likelihood(cepstra(frames)) > background.log_likelihood(elsewhere)


def test_too_little_speech_makes_none_and_writes_none(tmp_path):
    corpus = corpus_of(tmp_path, 0.2, [False])
    assert background_voices(corpus, 0) is None
    write_voices(tmp_path, corpus, 0)
    assert read_voices(tmp_path) is None


def test_synthetic_voices_count_only_where_there_are_no_others(tmp_path):
    corpus = corpus_of(tmp_path, 1.0, [True] * 40 + [False])
    assert background_voices(corpus, 0) is None  # one recorded utterance is too little
    corpus.utterances.pop()
    assert background_voices(corpus, 0) is not None


def test_what_is_there_is_kept_and_a_damaged_file_is_told(tmp_path):
    write_voices(tmp_path, corpus_of(tmp_path, 1.0, [False] * 40), 0)
    written = (tmp_path / FILE).read_bytes()
    write_voices(tmp_path, corpus_of(tmp_path, 1.0, [False] * 3), 0)
    assert (tmp_path / FILE).read_bytes() == written and read_voices(tmp_path).means.shape[0] == COMPONENTS
    (tmp_path / FILE).write_text("{}")
    with pytest.raises(InputError, match=FILE):
        read_voices(tmp_path)


def test_of_a_stems_frames_principal_components_are_modelled(tmp_path):
    config = dataclasses.replace(preset("tiny_english"), edge_samples=800)
    corpus = corpus_of(tmp_path, 0.9, [False] * 60, config)
    assert background_voices(corpus, 0) is None  # the stem's weights are not known
    model = build_model(config)
    weights = {name: weight.numpy() for name, weight in model.named_weights().items()}
    background = background_voices(corpus, 0, weights)
    assert background.projection.matrix.shape == (16, 16)  # no more components than a frame has values
    samples = np.pad(corpus.samples(corpus.utterances[3]), 800)
    frames = model.front_end(
        samples[None, : config.features.samples_of(38)], np.int32([config.features.samples_of(38)])
    ).numpy()[0]
    x = background.observations(frames)
    assert x.shape == (38, 16)
    others = background.observations(frames + 0.3 * np.random.default_rng(1).normal(size=frames.shape))
    assert background.log_likelihood(x) > background.log_likelihood(others)
    again = Mixture.from_json(json.loads(json.dumps(background.to_json())))
    np.testing.assert_allclose(again.observations(frames), x, atol=0.01)


def test_a_projection_that_does_not_fit_is_refused(tmp_path):
    values = {
        "weights": [1.0],
        "means": [[0.0, 0.0]],
        "variances": [[1.0, 1.0]],
        "projection": {"center": [0.0] * 3, "matrix": [[1.0]] * 3},
    }
    (tmp_path / FILE).write_text(json.dumps(values))
    with pytest.raises(InputError, match="expected a projection of 3 to 2 values"):
        read_voices(tmp_path)
