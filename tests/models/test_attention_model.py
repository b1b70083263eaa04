"""A CTC encoder with a decoder, exported: what the file computes is what Keras does, and what decoding finds is what it
says.
"""

import dataclasses
import json

import numpy as np
import pytest
import soundfile
import tensorflow as tf
from small_english import small_english

from tflite_asr.cli.main import main
from tflite_asr.data.manifest import read_manifest
from tflite_asr.personalization.settings import Pace, Settings
from tflite_asr.personalization.stream import StreamTrainer
from tflite_asr.personalization.window import Window
from tflite_asr.runtime.batch import Example
from tflite_asr.runtime.recognizer import Recognizer
from tflite_asr.runtime.second_pass import Rescoring
from tflite_asr.runtime.tuning import SEARCH_WEIGHTS, try_rescorings
from tflite_asr.text.normalization import normalized

PIECES = ("<unk>", "<s>", "</s>", "\u2581", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ", *"abcdefghij")
SAMPLES = np.random.default_rng(4).uniform(-0.5, 0.5, 12_000).astype(np.float32)


@pytest.fixture(scope="module")
def model():
    return small_english(PIECES)


@pytest.fixture(scope="module")
def path(model, tmp_path_factory):
    from tflite_asr.export import SplitOptions, export
    from tflite_asr.export.quantization import Quantization

    path = tmp_path_factory.mktemp("attention") / "attention.tflite"
    quantization = Quantization(trainable="encoder_1,ctc")
    export(model, path, optimizer="sgd", split=SplitOptions(parts=1), quantization=quantization)
    return path


@pytest.fixture
def recognizer(path):
    return Recognizer.load(path)


@pytest.fixture
def encoded(recognizer):
    frames = recognizer.features(SAMPLES)
    return {name: value.copy() for name, value in recognizer._run_utterance(recognizer.model, "encode", frames).items()}


def test_frames_and_encoder_are_keras(model, recognizer, encoded):
    heard = np.pad(SAMPLES, 800)
    padded = np.zeros([1, model.config.features.samples_of(50)], np.float32)
    padded[0, : len(heard)] = heard
    count = model.config.features.frames_of(len(heard))
    frames = model.features(tf.constant(padded), tf.constant([len(heard)]))
    found = recognizer.features(SAMPLES)
    assert found.shape == (count, 16)
    np.testing.assert_allclose(found, frames[0, :count], rtol=1e-4, atol=1e-4)
    encoder, expected, lengths = model.encode_for_both(frames, tf.constant([count]))
    labels = tf.nn.log_softmax(model.heads[-1](encoder))[0, :count]
    np.testing.assert_allclose(encoded["log_probabilities"][0, :count], labels, rtol=1e-3, atol=1e-3)
    assert encoded["encoded_lengths"] == lengths.numpy() == count
    # two layers of float32 products, which two libraries sum in their own order
    np.testing.assert_allclose(encoded["encoded"][0, :count], expected[0, :count], rtol=1e-3, atol=1e-3)


def test_hypotheses_have_the_score_that_the_decoder_gives_them_at_once(model, recognizer, encoded):
    found = recognizer.candidates(recognizer.features(SAMPLES))
    assert 1 <= len(found) <= recognizer.config.sizes.beam and len({h.tokens for h in found}) == len(found)
    lengths = tf.constant(encoded["encoded_lengths"])
    x = model.decoder_input(tf.constant(encoded["encoded"]), lengths)
    for hypothesis in found:
        tokens = np.asarray([hypothesis.tokens], np.int32)
        logits = model.decoder(x, lengths, tf.constant(tokens), tf.constant([tokens.shape[1]]))
        scores = tf.nn.log_softmax(logits)[0].numpy()
        expected = scores[np.arange(tokens.shape[1]), tokens[0]].sum()
        if tokens.shape[1] < _longest(recognizer, encoded):  # it came to its end
            expected += scores[-1, model.config.decoder.end]
        assert hypothesis.second == pytest.approx(expected, rel=1e-3, abs=1e-3)
    a_token = [h.second / (len(h.tokens) + 1) for h in found]
    assert a_token == sorted(a_token, reverse=True)


def test_rescoring_is_keras(model, recognizer, encoded):
    sizes, most = recognizer.config.sizes, recognizer.config.max_subwords
    random = np.random.default_rng(9)
    tokens, counts = (
        random.integers(0, len(PIECES), [sizes.beam, most], np.int32),
        np.asarray([1, most, 2, 0], np.int32),
    )
    inputs = {
        **{name: encoded[name] for name in ("encoded", "encoded_lengths")},
        "tokens": tokens,
        "token_lengths": counts,
    }
    found = recognizer.model.run("rescore", inputs)["log_probabilities"]
    expected = model.rescore(*map(tf.constant, inputs.values())).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
    inputs["tokens"] = np.where(np.arange(sizes.beam)[:, None] == 1, 99, tokens)
    found = recognizer.model.run("rescore", inputs)["log_probabilities"]
    assert np.isnan(found[1]) and np.isfinite(np.delete(found, 1)).all()


def _longest(recognizer, encoded):
    seconds = recognizer.config.features.samples_of(int(encoded["encoded_lengths"][0])) / 16_000
    return round(seconds * recognizer.config.decoder.tokens_per_second)


def test_beam_search_finds_the_likeliest_short_sequence(model, recognizer, encoded):
    """Against every sequence of up to two subwords: none of them is likelier a token than the best that was found."""
    best = recognizer.candidates(recognizer.features(SAMPLES))[0]
    vocabulary = len(PIECES)
    pairs = np.asarray([(a, b) for a in range(vocabulary) for b in range(vocabulary)], np.int32)
    x, lengths = tf.constant(encoded["encoded"]), tf.constant(encoded["encoded_lengths"])
    singles = model.rescore(x, lengths, tf.constant(pairs[::vocabulary]), tf.ones([vocabulary], tf.int32)).numpy() / 2
    doubles = model.rescore(x, lengths, tf.constant(pairs), tf.fill([len(pairs)], 2)).numpy() / 3
    found = best.second / (len(best.tokens) + 1)
    assert found >= max(singles.max(), doubles.max()) - 1e-3


def test_both_passes_write_text_with_case(recognizer):
    text = recognizer.transcribe_two_pass(recognizer.features(SAMPLES))
    assert recognizer.transcribe(SAMPLES) == text
    assert recognizer.transcribe(SAMPLES, beam=False) == recognizer.transcribe_frames(recognizer.features(SAMPLES))
    assert text and set(text) <= set("".join(PIECES[3:]).replace("\u2581", " "))
    assert recognizer.subwords.decode(recognizer.subwords.encode("BAD cab")) == "BAD cab"


def test_candidates_have_both_passes_scores_and_a_weight_decides(model, recognizer, encoded):
    frames = recognizer.features(SAMPLES)
    found = recognizer.candidates(frames)
    steps = int(encoded["encoded_lengths"][0])
    logits = tf.constant(np.exp(encoded["log_probabilities"][:, :steps]))
    for candidate in found:
        letters = recognizer.tokenizer.encode(recognizer.subwords.decode(candidate.tokens))
        labels = tf.constant([letters]), tf.constant([len(letters)])
        expected = -tf.nn.ctc_loss(
            labels[0], tf.math.log(logits), labels[1], tf.constant([steps]), logits_time_major=False, blank_index=0
        )
        assert candidate.first == pytest.approx(float(expected[0]), rel=1e-4)
    texts = [recognizer.subwords.decode(candidate.tokens) for candidate in found]
    assert recognizer.transcribe_two_pass(frames) == texts[0]  # untuned, the decoder decides
    by_first = Rescoring(0.0, per_label=True)
    found = recognizer.candidates(frames, rescoring=by_first)
    assert found == sorted(found, key=lambda candidate: -candidate.first / (len(candidate.tokens) + 1))
    assert recognizer.transcribe_two_pass(frames, by_first) == recognizer.subwords.decode(found[0].tokens)


def test_tuning_searches_with_every_weight_and_with_scores_divided_by_the_length(recognizer):
    tried = [one.rescoring for one in try_rescorings(recognizer, [recognizer.example(SAMPLES, "BAD CAB", "noise")])]
    assert len(set(tried)) == len(tried) and tried[0] == Rescoring(0.0)
    assert set(tried[1:]) == {*map(Rescoring, SEARCH_WEIGHTS), Rescoring(1.0, per_label=True)}


def test_where_the_first_pass_hears_nothing_the_decoder_is_not_asked(recognizer):
    state = recognizer.state()
    state["ctc_bias"] = state["ctc_bias"] + 1e3 * np.eye(1, len(state["ctc_bias"]), dtype=np.float32)[0]
    recognizer.set_state(state)
    assert recognizer.transcribe_two_pass(recognizer.features(SAMPLES)) == ""


@pytest.mark.parametrize(("name", "value"), [("position", -1), ("tokens", 40), ("tokens", -1), ("encoded_lengths", 51)])
def test_a_step_out_of_range_is_nan(recognizer, encoded, name, value):
    config = recognizer.config
    shape = [1, config.sizes.beam, 2, config.max_subwords, 8]
    inputs = {
        "tokens": np.full([config.sizes.beam], 1, np.int32),
        "position": np.asarray([0], np.int32),
        "keys": np.zeros(shape, np.float32),
        "values": np.zeros(shape, np.float32),
        "encoded_lengths": encoded["encoded_lengths"],
        **recognizer.model.run("decode_start", {name: encoded[name] for name in ("encoded", "encoded_lengths")}),
    }
    assert np.isfinite(recognizer.model.run("decode_step", inputs)["log_probabilities"]).all()
    inputs[name] = np.full_like(inputs[name], value)
    assert np.isnan(recognizer.model.run("decode_step", inputs)["log_probabilities"]).all()


def test_the_first_pass_trains_whole_and_in_parts_alike(path, model):
    random = np.random.default_rng(8)
    examples = [
        Example(random.standard_normal([count, 16]).astype(np.float32), np.asarray(tokens, np.int32), "", "")
        for count, tokens in ((40, [3, 9, 9, 1]), (23, [7, 2]))
    ]
    states, losses = [], []
    for plan in ("train", "split"):
        recognizer = Recognizer.load(path)
        losses.append([recognizer.train_step(examples, learning_rate=0.05, plan=plan).loss for _ in range(4)])
        states.append(recognizer.state())
    frames, lengths = np.zeros([2, 50, 16], np.float32), np.asarray([40, 23], np.int32)
    frames[0, :40], frames[1, :23] = (example.frames for example in examples)
    tokens = tf.constant([[3, 9, 9, 1], [7, 2, 0, 0]])
    expected = tf.reduce_mean(
        model.loss(tf.constant(frames), tf.constant(lengths), tokens, tf.constant([4, 2]))
    ).numpy()
    assert losses[0][0] == pytest.approx(float(expected), rel=1e-4)
    assert losses[0][-1] < losses[0][0]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-6)
    assert states[0].keys() == states[1].keys() and any("encoder_1" in name for name in states[0])
    for name, value in states[0].items():
        np.testing.assert_allclose(states[1][name], value, rtol=1e-5, atol=1e-7, err_msg=name)


def spoken(recognizer, count):
    random = np.random.default_rng(9)
    return [
        recognizer.example(random.uniform(-0.5, 0.5, 9_000 + 400 * n).astype(np.float32), "Bad egg")
        for n in range(count)
    ]


def test_a_window_keeps_frames_with_a_scale_a_channel(recognizer, tmp_path):
    window = Window(tmp_path, recognizer.artifact, 4, 10**6)
    [example] = spoken(recognizer, 1)
    loud = dataclasses.replace(
        example, frames=example.frames * np.linspace(0.01, 20, example.frames.shape[1], dtype=np.float32)
    )
    window.add(loud)
    kept = window.read(0).frames
    assert np.all(np.abs(kept - loud.frames) <= 0.51 / 127 * np.abs(loud.frames).max(axis=0) + 1e-7)
    assert window.disk_bytes() < loud.frames.size + 1500  # eight bits a value


def test_utterances_that_come_one_by_one_are_learned_from(recognizer, tmp_path):
    pace = Pace(window=4, window_bytes=10**6, stride=4, steps=3)
    stream = StreamTrainer(
        recognizer,
        Window(tmp_path, recognizer.artifact, 4, 10**6),
        Settings(learning_rate=0.01, validation_share=0.25, connect=2),
        pace,
    )
    before = recognizer.state()
    for example in spoken(recognizer, 4):
        assert stream.hear(example)
    moved = {name for name, value in recognizer.state().items() if not np.array_equal(value, before[name])}
    assert any("encoder_1" in name for name in moved) and any("ctc" in name for name in moved)


def test_punctuate_writes_a_manifest_with_the_same_words_and_audio(path, tmp_path, capsys):
    (tmp_path / "in" / "clips").mkdir(parents=True)
    (tmp_path / "out").mkdir()
    texts = ["TURN LEFT MISTER SMITH", "IT IS FIVE"]
    rows = []
    for number, text in enumerate(texts):
        soundfile.write(tmp_path / "in" / "clips" / f"{number}.wav", SAMPLES[: 10_000 + 500 * number], 16_000)
        rows.append({"audio": f"clips/{number}.wav", "text": text, "speaker": "ann", "room": number})
    (tmp_path / "in" / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = tmp_path / "out" / "cased.jsonl"
    assert (
        main(["punctuate", str(path), "--manifest", str(tmp_path / "in" / "m.jsonl"), "--out", str(out), "--json"]) == 0
    )
    assert json.loads(capsys.readouterr().out)["utterances"] == 2
    for row, utterance in zip(rows, read_manifest(out), strict=True):
        assert normalized(utterance.text) == normalized(row["text"]) and utterance.text[0].isupper()
        assert utterance.speaker == "ann" and utterance.extra == {"room": row["room"]}
        assert utterance.audio.resolve() == (tmp_path / "in" / row["audio"]).resolve()


def test_punctuate_needs_a_decoder(tiny_tflite, tmp_path, capsys):
    assert main(["punctuate", str(tiny_tflite), "--manifest", "m.jsonl", "--out", str(tmp_path / "o.jsonl")]) == 2
    assert "expected a model whose second pass decodes into cased text" in capsys.readouterr().err


def test_personalising_measures_what_both_passes_make_of_it(path, tmp_path, capsys):
    rows = []
    for number, text in enumerate(["BAD EGG", "BAD EGG", "EGG", "BAD"]):
        soundfile.write(tmp_path / f"{number}.wav", SAMPLES[: 10_000 + 500 * number], 16_000)
        rows.append({"audio": f"{number}.wav", "text": text, "speaker": "ann"})
    manifest = tmp_path / "m.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = ["personalize", str(path), "--adapt", str(manifest), "--test", str(manifest), "--epochs", "1"]
    assert main([*command, "--out", str(tmp_path / "out"), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["wer_before"] > 0
    # what trains is the first pass alone, and untuned the second one decides
    assert result["wer_after"] == result["wer_before"]
