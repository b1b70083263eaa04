"""A file whose second pass trains: its loss and steps are those of Keras, and personalising changes what is read."""

import json

import numpy as np
import pytest
import soundfile
import tensorflow as tf
from small_english import small_english

from tflite_asr.cli.main import main
from tflite_asr.errors import InputError
from tflite_asr.export.quantization import Quantization
from tflite_asr.models.second_pass import SecondPass
from tflite_asr.runtime.batch import Example, collate, longest_examples
from tflite_asr.runtime.recognizer import Recognizer

PIECES = ("<unk>", "<s>", "</s>", "\u2581", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ", *"abcdefghij", ".", ",")
SAMPLES = np.random.default_rng(4).uniform(-0.5, 0.5, 12_000).astype(np.float32)
TRAINED = "decoder_encoder_0"
RATE = 0.05


@pytest.fixture(scope="module")
def model():
    return small_english(PIECES, tokens_per_second=12.0)


@pytest.fixture(scope="module")
def path(model, tmp_path_factory):
    from tflite_asr.export import SplitOptions, export

    path = tmp_path_factory.mktemp("second_pass") / "second.tflite"
    quantization = Quantization(trainable=TRAINED)
    export(model, path, optimizer="sgd", split=SplitOptions(parts=2), quantization=quantization)
    return path


@pytest.fixture
def recognizer(path):
    return Recognizer.load(path)


def batch(recognizer, count=2):
    random = np.random.default_rng(3)
    return [
        Example(
            random.standard_normal([20 + 9 * row, recognizer.config.features.width], np.float32),
            random.integers(3, len(PIECES), [3 + row], np.int32),
            "",
        )
        for row in range(count)
    ]


def test_the_loss_is_that_of_a_softmax_over_all_subwords(model, recognizer):
    examples = batch(recognizer)
    inputs = {name: tf.constant(value) for name, value in collate(examples, recognizer.config).items()}
    x, lengths = model.front(inputs["frames"], inputs["frame_lengths"])
    shared, _, _ = model.groups[0](x, lengths)
    heard, _, _ = model.decoder_groups[0](shared, lengths)
    logits = model.decoder(heard, lengths, inputs["tokens"], inputs["token_lengths"])
    log_probabilities = tf.nn.log_softmax(logits).numpy()
    expected = [
        -sum(log_probabilities[row, place, token] for place, token in enumerate([*example.tokens, 2]))
        for row, example in enumerate(examples)
    ]
    np.testing.assert_allclose(SecondPass(model).loss(**inputs), expected, rtol=1e-4)
    np.testing.assert_allclose(recognizer.loss(examples), expected, rtol=1e-3)  # products in another order


@pytest.mark.parametrize("plan", ["train", "split"])
def test_steps_are_those_of_keras(model, recognizer, plan):
    learner, examples = SecondPass(model), batch(recognizer)
    inputs = {name: tf.constant(value) for name, value in collate(examples, recognizer.config).items()}
    weights = model.weights_of(model.decoder_groups)
    shipped = {name: weight.numpy() for name, weight in weights.items()}
    try:
        for _ in range(3):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(learner.loss(**inputs))
            gradients = tape.gradient(loss, list(weights.values()))
            for weight, gradient in zip(weights.values(), gradients):
                weight.assign_sub(RATE * gradient)
            result = recognizer.train_step(examples, learning_rate=RATE, plan=plan)
            assert result.loss == pytest.approx(float(loss), rel=1e-3) and not result.skipped
        state = recognizer.state()
        for name, weight in weights.items():
            np.testing.assert_allclose(state[name.replace("/", "_")], weight, rtol=1e-2, atol=1e-3)
            assert not np.array_equal(weight, shipped[name])
    finally:
        for name, weight in weights.items():
            weight.assign(shipped[name])


def test_invalid_subwords_change_nothing(recognizer):
    before = recognizer.state()
    for wrong in (1, 2, len(PIECES), -1):  # start, end, and what is no subword
        inputs = collate(batch(recognizer), recognizer.config)
        inputs["tokens"][1, 0] = wrong
        assert np.isnan(recognizer.model.run("loss", inputs)["loss"])
    for name, value in recognizer.state().items():
        np.testing.assert_array_equal(value, before[name])


def test_a_benchmark_has_labels_to_learn_from(recognizer):
    examples = longest_examples(recognizer.config)
    assert all(len(example.tokens) == recognizer.config.max_subwords for example in examples)
    assert np.isfinite(recognizer.loss(examples)).all()


def test_transcripts_in_capitals_are_learned_as_sentences(recognizer):
    example = recognizer.example(SAMPLES, "BAD EGG")
    assert recognizer.labels.decode(example.tokens).casefold().replace(".", "").replace(",", "") == "bad egg"
    assert example.text[0] == "B" and example.text[1:4] == "ad "
    assert recognizer.example(SAMPLES, "A bad egg.").text == "A bad egg."
    with pytest.raises(InputError, match="expected at most 14 tokens, got 1[0-9]"):
        recognizer.example(SAMPLES, "A bad bad bad egg.")


def test_text_that_the_decoder_would_never_finish_is_left_out(recognizer):
    from tflite_asr.data.alignment import alignment_problem

    config = recognizer.config
    assert alignment_problem(np.full([7], 5), 50, config) is None
    assert "4 subwords" in alignment_problem(np.full([4], 5), 10, config)


def test_personalising_changes_what_is_read(path, tmp_path, capsys):
    rows = []
    for number, text in enumerate(["BAD EGG", "BAD EGG", "EGG", "BAD"]):
        soundfile.write(tmp_path / f"{number}.wav", SAMPLES[: 11_000 + 300 * number], 16_000)
        rows.append({"audio": f"{number}.wav", "text": text, "speaker": "ann"})
    manifest = tmp_path / "m.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = ["personalize", str(path), "--adapt", str(manifest), "--test", str(manifest), "--epochs", "12"]
    command += ["--learning-rate", "0.3", "--out", str(tmp_path / "out"), "--json"]
    assert main(command) == 0
    result = json.loads(capsys.readouterr().out)
    losses = [row["validation_loss"] for row in result["history"]]
    assert min(losses) < 0.9 * losses[0]
    recognizer = Recognizer.load(path)
    before = recognizer.state()
    recognizer.restore(result["checkpoint"])
    moved = {name for name, value in recognizer.state().items() if not np.array_equal(value, before[name])}
    assert moved and all(name.startswith((TRAINED, "step")) for name in moved)


def test_one_pass_trains(model, tmp_path):
    from tflite_asr.export import export

    with pytest.raises(
        InputError, match="expected groups of one pass, got encoder_1 of the first and decoder_encoder_0"
    ):
        export(model, tmp_path / "m.tflite", quantization=Quantization(trainable="encoder_1,decoder_encoder_0"))
    unreadable = small_english(PIECES, subwords=None)
    with pytest.raises(InputError, match="expected a second pass with its subwords"):
        export(unreadable, tmp_path / "m.tflite", quantization=Quantization(trainable=TRAINED))


def test_gains_and_biases_alone_can_train(model, tmp_path):
    from tflite_asr.export import export

    quantization = Quantization("grid", trainable=f"{TRAINED},decoder", bias_only=True)
    artifact = export(model, tmp_path / "bias.tflite", quantization=quantization)
    trained = {row["name"] for row in artifact.parameters if row["trainable"]}
    vectors = [name for name, weight in model.named_weights().items() if weight.shape.rank == 1]
    assert trained == {name for name in vectors if name.startswith("decoder")}
    assert {name.split("/")[0] for name in trained} == {TRAINED, "decoder"}
    recognizer = Recognizer.load(artifact.path)
    examples = batch(recognizer)
    losses = [recognizer.train_step(examples, learning_rate=0.02, plan=plan).loss for plan in ("train", "split") * 10]
    assert losses[-1] < losses[0] - 1
