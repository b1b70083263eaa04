import hashlib
import subprocess
import sys

import numpy as np
import pytest

from tflite_asr.errors import InputError
from tflite_asr.runtime.checkpoint import save_checkpoint
from tflite_asr.runtime.decoder import BeamSearch

# float32 through three LSTMs in two libraries
ROUNDING = {"rtol": 1e-4, "atol": 1e-4}


@pytest.fixture
def speaking(recognizer, talkative):
    """A recogniser whose weights emit labels."""
    recognizer.set_state(talkative(recognizer.state()))
    return recognizer


@pytest.fixture(scope="module")
def keras_model(new_tiny_model, talkative):
    """The same weights in Keras."""
    model = new_tiny_model()
    named = {name.replace("/", "_"): weight for name, weight in model.named_weights().items()}
    for name, value in talkative({name: weight.numpy() for name, weight in named.items()}).items():
        named[name].assign(value)
    return model


def infer(recognizer, frames):
    padded = np.zeros([1, 120, 40], np.float32)
    padded[0, : len(frames)] = frames
    result = recognizer.model.run("infer", {"frames": padded, "frame_lengths": np.asarray([len(frames)], np.int32)})
    return result["tokens"][0, : result["token_lengths"][0]].tolist()


@pytest.fixture(scope="module")
def spoken(keras_model, utterances):
    """Frames [time, 40] from which the model hears some labels, but less than it has room for; and those labels."""
    import tensorflow as tf

    model = keras_model

    @tf.function(jit_compile=True)
    def decode(frames, lengths):
        encoded, steps, _ = model.encode(frames, lengths)
        tokens, count, *_ = model.decode(encoded, steps, *model.start_labels(1), 12)
        return tokens, count

    chosen = []
    for example in utterances(60, 0):
        frames = 2 * example.frames
        padded = np.zeros([1, 120, 40], np.float32)
        padded[0, : len(frames)] = frames
        tokens, count = decode(tf.constant(padded), tf.constant([len(frames)]))
        if 2 <= count[0] <= 11:
            chosen.append((frames, tokens[0, : count[0]].numpy().tolist()))
    chosen = chosen[:8]
    assert len(chosen) == 8 and len({label for _, tokens in chosen for label in tokens}) > 5  # something to compare
    return chosen


def test_features_are_those_of_the_model_that_was_trained(recognizer, keras_model):
    random = np.random.default_rng(3)
    config = recognizer.config
    for samples in (19_440, 10_000, 401, 400, 1):
        loudness = np.linspace(0, 0.5, samples)  # from silence, where the floor rules
        sound = (loudness * random.uniform(-1, 1, samples)).astype(np.float32)
        frames = recognizer.features(sound)
        count = min(config.features.frames_of(samples) + config.tail_frames, config.sizes.max_frames)
        assert frames.shape == (count, config.features.mel_bands) and frames.dtype == np.float32
        padded = np.zeros([1, config.features.samples_of(config.sizes.max_frames)], np.float32)
        padded[0, :samples] = sound
        # logarithms of sums of some hundred float32 products, which two libraries sum in their own order
        np.testing.assert_allclose(frames, keras_model.features(padded)[0, :count], atol=2e-3, rtol=0)


@pytest.mark.parametrize("samples, message", [
    (np.zeros([19_441], np.float32), r"at most 1.2\d s, got 1.2\d s"),
    (np.zeros([2, 400], np.float32), r"one channel \[n\], got shape \[2, 400\]"),
    (np.full([400], np.nan, np.float32), "finite"),
    (np.full([400], np.inf, np.float32), "finite"),
])  # fmt: skip
def test_samples_that_do_not_fit_are_refused(samples, message, recognizer):
    with pytest.raises(InputError, match=message):
        recognizer.features(samples)


@pytest.mark.parametrize(("shape", "message"), [
    ((121, 40), r"expected frames of at most 120 x 40, got shape \[121, 40\]"),
    ((60, 39), r"expected frames \[time, 40\], got shape \[60, 39\]"),
    ((60,), r"expected frames \[time, 40\], got shape \[60\]"),
    ((1, 60, 40), r"expected frames \[time, 40\], got shape \[1, 60, 40\]"),
])  # fmt: skip
@pytest.mark.parametrize("beam", [False, True])
def test_frames_that_do_not_fit_are_refused(shape, message, beam, recognizer):
    with pytest.raises(InputError, match=message):
        recognizer.transcribe_frames(np.zeros(shape, np.float32), beam=beam)


def test_greedy_labels_are_those_of_keras(speaking, spoken):
    for frames, tokens in spoken:
        assert infer(speaking, frames) == tokens
        assert speaking.transcribe_frames(frames) == speaking.tokenizer.decode(tokens)


def test_losses_are_those_of_keras(speaking, keras_model, utterances):
    import tensorflow as tf

    examples = utterances(5, 7)  # three calls, the last half empty
    loss = tf.function(keras_model.loss, jit_compile=True)
    expected = []
    for example in examples:
        frames, tokens = np.zeros([1, 120, 40], np.float32), np.zeros([1, 12], np.int32)
        frames[0, : len(example.frames)], tokens[0, : len(example.tokens)] = example.frames, example.tokens
        lengths = [len(example.frames)], [len(example.tokens)]
        expected.append(float(loss(frames, tf.constant(lengths[0]), tokens, tf.constant(lengths[1]))[0]))
    losses = speaking.loss(examples)
    assert losses.shape == (5,) and np.std(expected) > 1
    np.testing.assert_allclose(losses, expected, **ROUNDING)


@pytest.mark.parametrize("sizes", [[1], [7], [24], [5, 60, 1], [23, 25], [1000]])
def test_a_stream_says_what_the_whole_utterance_says(sizes, speaking, spoken):
    for frames, tokens in spoken:
        chunks, start = [], 0
        while start < len(frames):
            size = sizes[len(chunks) % len(sizes)]
            chunks.append(frames[start : start + size])
            start += size
        texts = list(speaking.stream(iter(chunks)))
        assert len(texts) == -(-len(frames) // 24)  # one after each 24 frames, one after the rest
        assert texts[-1] == speaking.tokenizer.decode(tokens)
    assert list(speaking.stream([])) == []


def test_a_stream_tells_the_beginning_before_it_has_heard_the_end(speaking, spoken):
    frames = max((frames for frames, _ in spoken), key=len)
    heard = 0

    def chunks():
        nonlocal heard
        for start in range(0, len(frames), 24):
            heard = start
            yield frames[start : start + 24]

    first = next(speaking.stream(chunks()))
    assert heard == 0
    assert first == speaking.tokenizer.decode(infer(speaking, frames[:24]))


def greedy_path(recognizer, frames):
    """log probability of the one alignment that greedy decoding takes, through `predict` and `join`."""
    search, model = BeamSearch(recognizer.model, recognizer.config), recognizer.model
    padded = np.zeros([1, 120, 40], np.float32)
    padded[0, : len(frames)] = frames
    encoded = model.run("encode", {"frames": padded, "frame_lengths": np.asarray([len(frames)], np.int32)})
    state, labels, total = search.start(), [], 0.0
    for step in range(encoded["encoded_lengths"][0]):
        row = np.tile(encoded["encoded"][0, step], [search.beam, 1])
        for emitted in range(recognizer.config.sizes.max_symbols_per_step + 1):
            scores = model.run("join", {"encoded": row, "predicted": state["predicted"]})["log_probabilities"][0]
            at_bound = emitted == recognizer.config.sizes.max_symbols_per_step
            label = 0 if at_bound else int(np.argmax(scores))
            total += float(scores[label])
            if label == 0:
                break
            labels.append(label)
            inputs = {
                "tokens": np.full([search.beam], label, np.int32),
                "hidden": state["hidden"],
                "cell": state["cell"],
            }
            state = {key: value.copy() for key, value in model.run("predict", inputs).items()}
    return labels, total


def test_beam_search_lies_between_the_greedy_path_and_the_sum_of_all(speaking, spoken):
    from tflite_asr.runtime.batch import Example

    search, better = BeamSearch(speaking.model, speaking.config), 0
    for frames, tokens in spoken:
        labels, path = greedy_path(speaking, frames)
        assert labels == tokens
        nbest = search.best(frames)
        assert 1 < len(nbest) <= speaking.config.sizes.beam
        scores = [hypothesis.log_probability for hypothesis in nbest]
        assert scores == sorted(scores, reverse=True)
        assert len({hypothesis.tokens for hypothesis in nbest}) == len(nbest)
        # a beam of eight may lose the greedy path, but not on these utterances, nor all alignments of the better ones
        assert scores[0] >= path
        better += scores[0] > path + 1e-3
        for hypothesis in nbest:
            if hypothesis.tokens:
                example = Example(frames, np.asarray(hypothesis.tokens, np.int32), "")
                all_alignments = -float(speaking.loss([example])[0])
                # what the beam kept is a part of the sum; float32 losses near 30 are rounded at 1e-5 or so
                assert hypothesis.log_probability <= all_alignments + 1e-3
    assert better
    assert speaking.transcribe_frames(frames, beam=True) == speaking.tokenizer.decode(nbest[0].tokens)


def test_a_checkpoint_continues_in_a_new_process_bit_for_bit(recognizer, tiny_tflite, utterances, tmp_path):
    for seed in (1, 2):
        recognizer.train_step(utterances(2, seed), clip_norm=5.0)
    recognizer.save(tmp_path / "saved.safetensors")
    saved = recognizer.state()
    example = utterances(1, 3)[0]
    np.savez(tmp_path / "example.npz", frames=example.frames, tokens=example.tokens)
    code = """
import sys, hashlib
import numpy as np
from pathlib import Path
from tflite_asr.runtime.batch import Example
from tflite_asr.runtime.recognizer import Recognizer
folder = Path(sys.argv[2])
recognizer = Recognizer.load(sys.argv[1])
arrays = np.load(folder / "example.npz")
print(recognizer.restore(folder / "saved.safetensors"))
for _ in range(2):
    state = recognizer.state()
    print(hashlib.sha256(b"".join(state[name].tobytes() for name in sorted(state))).hexdigest())
    print(recognizer.train_step([Example(arrays["frames"], arrays["tokens"], "")]).loss)
"""
    command = [sys.executable, "-c", code, str(tiny_tflite), str(tmp_path)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    expected = ["2"]
    for _ in range(2):
        state = recognizer.state()
        expected.append(hashlib.sha256(b"".join(state[name].tobytes() for name in sorted(state))).hexdigest())
        expected.append(str(recognizer.train_step([example]).loss))
    assert output == expected

    assert recognizer.restore(tmp_path / "saved.safetensors") == 2
    for name, value in recognizer.state().items():
        assert value.tobytes() == saved[name].tobytes(), name


def another_model(path, state):
    save_checkpoint(path, state, artifact_sha256="0" * 64, step=9)


def a_tensor_less(path, state, sha):
    save_checkpoint(path, {k: v for k, v in state.items() if k != "step"}, artifact_sha256=sha, step=9)


def another_shape(path, state, sha):
    save_checkpoint(path, state | {"joint_bias": np.zeros([17], np.float32)}, artifact_sha256=sha, step=9)


def damaged(path, state, sha):
    save_checkpoint(path, state, artifact_sha256=sha, step=9)
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


REFUSED = {
    "of another model": (lambda path, state, sha: another_model(path, state), "of another model"),
    "with a tensor less": (a_tensor_less, "lacks tensors"),
    "of another shape": (another_shape, "expected joint_bias to be float32"),
    "damaged": (damaged, "damaged"),
    "not there": (lambda *_: None, "found no file"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_checkpoint_that_is_refused_changes_nothing(name, recognizer, utterances, tmp_path):
    write, message = REFUSED[name]
    path = tmp_path / "checkpoint.safetensors"
    changed = {key: value + np.ones_like(value) for key, value in recognizer.state().items()}
    write(path, changed, recognizer.artifact.tflite_sha256)
    recognizer.train_step(utterances(2, 1))
    before = recognizer.state()
    with pytest.raises(InputError, match=message):
        recognizer.restore(path)
    for key, value in recognizer.state().items():
        assert value.tobytes() == before[key].tobytes(), key


def test_training_is_refused_what_it_cannot_use(recognizer, utterances):
    with pytest.raises(InputError, match=r"no such layer group: \['encoder_9'\].*encoder_0"):
        recognizer.train_step(utterances(1, 1), group_rates={"encoder_9": 1.0})
    with pytest.raises(InputError, match="expected 1 to 2 utterances a batch, got 3"):
        recognizer.train_step(utterances(3, 1))
    with pytest.raises(InputError, match="at most 12 tokens, got 13"):
        recognizer.example(np.ones([400], np.float32), "ABCDEFGHIJKLM")
    assert recognizer.state()["step"] == 0
