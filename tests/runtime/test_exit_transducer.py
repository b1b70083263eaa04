"""A transducer with a CTC exit below it, exported, against the same in Keras."""

import dataclasses

import numpy as np
import pytest

from tflite_asr.config import preset
from tflite_asr.losses.exits import BESIDES
from tflite_asr.runtime.batch import collate
from tflite_asr.runtime.exits import ExitPolicy, entropy
from tflite_asr.runtime.prefix_beam import best_path
from tflite_asr.runtime.recognizer import Recognizer

pytestmark = pytest.mark.slow
TINY = preset("tiny")
CONFIG = dataclasses.replace(
    TINY, encoder=dataclasses.replace(TINY.encoder, layers=2), exits=(0,), exit_weighting="sandwich"
)


@pytest.fixture(scope="module")
def model():
    import tf_keras as keras

    from tflite_asr.models.build import build_model

    keras.utils.set_random_seed(3)
    model = build_model(CONFIG)
    weights = model.named_weights()
    for name, scale in (("exit_0/kernel", 4), ("joint/encoder_kernel", 3), ("joint/output_kernel", 6)):
        weights[name].assign(scale * weights[name])
    for name, blank in (("exit_0/bias", 5), ("joint/output_bias", 13)):  # labels and blanks in turn
        weights[name].assign(np.eye(1, CONFIG.vocabulary_size, dtype=np.float32)[0] * blank)
    return model


@pytest.fixture(scope="module")
def path(model, tmp_path_factory):
    from tflite_asr.export import SplitOptions, export

    path = tmp_path_factory.mktemp("transducer") / "transducer.tflite"
    export(model, path, optimizer="sgd", split=SplitOptions(parts=2))
    return path


def test_each_exit_says_what_keras_says_there(path, model, examples):
    import tensorflow as tf

    recognizer = Recognizer.load(path)
    decode = recognizer.tokenizer.decode
    assert [exit["name"] for exit in recognizer.artifact.exits] == ["exit_0", "final"]
    for example in examples:
        frames, lengths = tf.constant(example.frames[None]), tf.constant([len(example.frames)])
        x, steps = model.run_stage(0, *model.front(frames, lengths))
        expected = model.label_probabilities(0, x)[0, : steps[0]].numpy()
        early = decode(best_path(expected)[:12])
        tokens, count = model.transcribe(frames, lengths, 12)
        late = decode(tokens[0, : count[0]].numpy())
        assert early != late and len(early) > 1 and len(late) > 1
        assert recognizer.transcribe_early(example.frames, ExitPolicy(exit=0)) == (early, 0)
        assert recognizer.transcribe_early(example.frames, ExitPolicy(exit=1)) == (late, 1)
        assert recognizer.transcribe_frames(example.frames) == late
        sure = entropy(expected)
        for threshold, said in ((sure * 1.01, (early, 0)), (sure * 0.99, (late, 1))):
            assert recognizer.transcribe_early(example.frames, ExitPolicy(entropy_below=threshold)) == said
        beam = recognizer.transcribe_frames(example.frames, beam=True)
        assert recognizer.transcribe_early(example.frames, ExitPolicy(entropy_below=0.0), beam=True) == (beam, 1)
        assert recognizer.transcribe_early(example.frames, ExitPolicy(exit=1), beam=True) == (beam, 1)
        for exit, said in ((0, early), (1, late)):
            *_, streamed = recognizer.stream(np.split(example.frames, [24, 50]), exit=exit)
            assert streamed[:12] == said  # a stream has no bound on its labels


def test_the_joint_loss_is_of_ctc_and_transducer(path, model, examples):
    import tensorflow as tf

    from tflite_asr.losses.ctc import ctc_loss
    from tflite_asr.models.exits import SubModel

    recognizer = Recognizer.load(path)
    batch = {name: tf.constant(value) for name, value in collate(examples, CONFIG).items()}
    labels = batch["tokens"], batch["token_lengths"]
    x, lengths = model.run_stage(0, *model.front(batch["frames"], batch["frame_lengths"]))
    ctc = ctc_loss(model.heads[0](x), labels[0], lengths, labels[1])
    x, lengths, _ = model.encode(batch["frames"], batch["frame_lengths"])
    transducer = model.join_loss(x, lengths, model.predict_labels(*labels), *labels)
    np.testing.assert_allclose(SubModel(model, 0).loss(**batch), ctc, rtol=1e-5)
    found = recognizer.model.run("loss", collate(examples, CONFIG))
    np.testing.assert_allclose(found["exit_losses"], [ctc, transducer], rtol=1e-3)
    np.testing.assert_allclose(found["losses"], BESIDES * ctc + transducer, rtol=1e-3)


@pytest.mark.parametrize("suffix, groups", [("", 5), ("_exit_0", 2)])
def test_steps_in_parts_are_whole_ones(path, examples, suffix, groups):
    states, losses = {}, {}
    for plan in ("train", "split"):
        recognizer = Recognizer.load(path)
        start = recognizer.state()
        losses[plan] = [
            recognizer.train_step(examples, learning_rate=2e-3, plan=f"{plan}{suffix}").loss for _ in range(4)
        ]
        states[plan] = recognizer.state()
    np.testing.assert_allclose(losses["split"], losses["train"], rtol=1e-5)
    assert losses["train"][-1] < losses["train"][0]
    for name, value in states["train"].items():
        np.testing.assert_allclose(states["split"][name], value, rtol=1e-4, atol=1e-5, err_msg=name)
    moved = {
        p["group"] for p in recognizer.artifact.parameters if np.any(start[p["tensor"]] != states["split"][p["tensor"]])
    }
    assert len(moved) == groups
