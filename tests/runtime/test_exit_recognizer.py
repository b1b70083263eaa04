"""An exported CTC recogniser with early exits, through the interpreter."""

import itertools
import json

import numpy as np
import pytest
import soundfile

from tflite_asr.cli.main import main
from tflite_asr.errors import InputError
from tflite_asr.runtime.batch import collate
from tflite_asr.runtime.exits import ExitPolicy, entropy
from tflite_asr.runtime.flatbuffer import read_contents
from tflite_asr.runtime.prefix_beam import best_path, prefix_beam_search
from tflite_asr.runtime.recognizer import Recognizer

pytestmark = pytest.mark.slow


@pytest.fixture
def recognizer(exits_tflite):
    return Recognizer.load(exits_tflite)


def probabilities(model, example):
    """Log probabilities [steps, vocabulary] at each exit, through TensorFlow."""
    import tensorflow as tf

    x, lengths = model.front(tf.constant(example.frames[None]), tf.constant([len(example.frames)]))
    found = []
    for stage in range(3):
        x, lengths = model.run_stage(stage, x, lengths)
        found.append(model.label_probabilities(stage, x)[0].numpy())
    return found


def test_the_file_is_of_builtins_and_lists_its_exits(recognizer, exits_tflite):
    contents = read_contents(exits_tflite)
    assert contents.flex_ops == [] and contents.custom_ops == []
    major, minor, *_ = map(int, contents.min_runtime.split("."))
    assert (major, minor) <= (2, 14)
    assert [exit["name"] for exit in recognizer.artifact.exits] == ["exit_0", "exit_1", "final"]
    assert recognizer.groups == ["encoder_0", "encoder_1", "encoder_2", "exit_0", "exit_1", "ctc"]


@pytest.mark.parametrize("exit", [0, 1, 2])
def test_each_exit_says_what_keras_says_there(exit, recognizer, exits_model, examples):
    for example in examples:
        expected = probabilities(exits_model, example)[exit]
        found, _ = next(itertools.islice(recognizer.exits(example.frames), exit, None))
        # float32 through as many as three layers in two libraries
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
        policy, decode = ExitPolicy(exit=exit), recognizer.tokenizer.decode
        labels = best_path(expected)[:12]
        assert len(labels) > 1 and recognizer.transcribe_early(example.frames, policy) == (decode(labels), exit)
        beam = prefix_beam_search(expected, recognizer.config.sizes.beam, 12)[0].tokens
        assert recognizer.transcribe_early(example.frames, policy, beam=True) == (decode(beam), exit)
    if exit == 2:  # the last is the default
        assert recognizer.transcribe_frames(example.frames) == decode(labels)
        assert recognizer.transcribe_frames(example.frames, beam=True) == decode(beam)


def test_a_stream_says_at_each_exit_what_the_whole_utterance_says(recognizer, examples):
    for example in examples:
        chunks = np.split(example.frames, [10, 37, 60])
        for exit in range(3):
            *_, text = recognizer.stream(chunks, exit=exit)
            whole, _ = next(itertools.islice(recognizer.exits(example.frames), exit, None))
            assert len(text) > 1 and text == recognizer.tokenizer.decode(best_path(whole))
        assert [*recognizer.stream(chunks)][-1] == text


def test_a_policy_leaves_at_the_first_exit_under_its_threshold(recognizer, exits_model, examples):
    for example in examples:
        expected = probabilities(exits_model, example)
        entropies = [entropy(rows) for rows in expected]
        for threshold in (*(value * 1.01 for value in entropies), 0.0):
            left = next((k for k, value in enumerate(entropies) if value < threshold), 2)
            text, exit = recognizer.transcribe_early(example.frames, ExitPolicy(entropy_below=threshold))
            assert exit == left and text == recognizer.tokenizer.decode(best_path(expected[exit])[:12])


def test_losses_by_exit_add_up_to_the_joint_loss_that_train_lowers(recognizer, exits_model, examples):
    import tensorflow as tf

    batch = collate(examples, recognizer.config)
    result = recognizer.model.run("loss", batch)
    expected = exits_model.exit_losses(**{name: tf.constant(value) for name, value in batch.items()})
    np.testing.assert_allclose(result["exit_losses"], expected, rtol=1e-3)
    np.testing.assert_allclose(result["losses"], [0.3, 0.3, 1.0] @ result["exit_losses"], rtol=1e-5)
    before = recognizer.state()
    steps = [recognizer.train_step(examples, learning_rate=5e-3, clip_norm=20.0) for _ in range(20)]
    assert steps[0].loss == pytest.approx(float(result["loss"]), rel=1e-4) and steps[-1].loss < 0.8 * steps[0].loss
    later = recognizer.model.run("loss", batch)["exit_losses"]
    assert np.all(later < result["exit_losses"])
    after = recognizer.state()
    for group in recognizer.groups:
        names = [p["tensor"] for p in recognizer.artifact.parameters if p["group"] == group]
        assert any(np.any(after[name] != before[name]) for name in names), group


def test_what_the_model_does_not_have_is_refused(recognizer, examples, tiny_tflite, utterances):
    frames = examples[0].frames
    with pytest.raises(InputError, match=r"expected an exit from 0 to 2 \(exit_0, exit_1, final\), got 3"):
        recognizer.transcribe_early(frames, ExitPolicy(exit=3))
    with pytest.raises(InputError, match="expected an exit from 0 to 2.*got -1"):
        next(recognizer.stream([frames], exit=-1))
    without, (example,) = Recognizer.load(tiny_tflite), utterances(1, 1)
    assert without.transcribe_early(example.frames, ExitPolicy(exit=0))[1] == 0
    with pytest.raises(InputError, match="no early exits"):
        without.transcribe_early(example.frames, ExitPolicy(entropy_below=0.1))


def test_commands_leave_at_an_exit(exits_tflite, tmp_path, capsys):
    path = exits_tflite
    sound = 0.3 * np.sin(2 * np.pi * 300 * np.arange(8000) / 16000)
    soundfile.write(tmp_path / "a.wav", sound, 16000)
    (tmp_path / "m.jsonl").write_text('{"audio": "a.wav", "text": "ONE"}\n' * 3)

    def result_of(*arguments):
        assert main([*map(str, arguments), "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    assert result_of("transcribe", path, tmp_path / "a.wav", "--exit", 1)["transcripts"][0]["exit"] == 1
    assert "exit" not in result_of("transcribe", path, tmp_path / "a.wav")["transcripts"][0]
    evaluated = result_of("evaluate", path, "--manifest", tmp_path / "m.jsonl", "--exit", 1)
    assert evaluated["exits"] == [1, 1, 1] and evaluated["mean_depth"] == 2
    assert result_of("evaluate", path, "--manifest", tmp_path / "m.jsonl", "--exit-entropy", 9)["mean_depth"] == 1
    for option in ([], ["--stream"]):
        assert main(["transcribe", str(path), str(tmp_path / "a.wav"), "--exit", "9", *option]) == 2
        assert "expected an exit from 0 to 2" in capsys.readouterr().err
    assert main(["transcribe", str(path), str(tmp_path / "a.wav"), "--stream", "--exit-entropy", "1"]) == 2
    assert "--stream: expected --exit" in capsys.readouterr().err
    personalized = result_of("personalize", path, "--adapt", tmp_path / "m.jsonl", "--test", tmp_path / "m.jsonl",
                             "--out", tmp_path / "ann", "--epochs", 1)  # fmt: skip
    assert personalized["steps"] >= 1


def test_each_exit_has_its_loss(recognizer, examples):
    from tflite_asr.losses.exits import exit_weights

    losses = recognizer.exit_losses(examples)
    assert losses.shape == (3, 2) and len(set(losses.ravel().tolist())) == 6
    weights = np.asarray(exit_weights(3, recognizer.config.exit_weighting))
    assert weights @ losses == pytest.approx(recognizer.loss(examples), rel=1e-5)
    assert recognizer.exit_losses([*examples, examples[0]])[:, 2] == pytest.approx(losses[:, 0], rel=1e-5)
