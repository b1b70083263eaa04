import dataclasses

import numpy as np
import pytest

from tflite_asr.config import preset
from tflite_asr.runtime.batch import collate
from tflite_asr.runtime.interpreter import SignatureModel

STEPS, LEARNING_RATE, CLIP_NORM = 20, 1e-2, 20.0


def keras_steps(model, optimizer, batches):
    """Losses and weights of a plain Keras loop; an utterance with frames counts, an empty row does not."""
    import tensorflow as tf

    weights = model.named_weights()

    @tf.function(jit_compile=True)  # as training/fit.py does it
    def step(frames, frame_lengths, tokens, token_lengths):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(model.loss(frames, frame_lengths, tokens, token_lengths))
        gradients = tape.gradient(loss, list(weights.values()))
        optimizer.apply_gradients(zip(gradients, weights.values()))
        return loss, tf.linalg.global_norm(gradients)

    results = [
        step(*(tf.constant(batch[name]) for name in ("frames", "frame_lengths", "tokens", "token_lengths")))
        for batch in batches
    ]
    losses, norms = np.transpose(results)
    return losses, norms, {name.replace("/", "_"): weight.numpy() for name, weight in weights.items()}


def train_inputs(batch, *, learning_rate=LEARNING_RATE, clip_norm=CLIP_NORM, pull=0.0, rates=5 * [1.0]):
    return {
        **batch,
        "learning_rate": np.float32(learning_rate),
        "clip_norm": np.float32(clip_norm),
        "pull": np.float32(pull),
        "group_rates": np.asarray(rates, np.float32),
    }


def assert_trains_as_keras(run, model, optimizer, utterances, rounding):
    config = preset("tiny")
    batches = [collate(utterances(2, 100 + step), config) for step in range(STEPS)]
    results = [run("train", train_inputs(batch)) for batch in batches]
    losses, norms, weights = keras_steps(model, optimizer, batches)
    assert np.any(norms > CLIP_NORM) and losses[-1] < 0.9 * losses[0]  # it clipped, and it learned
    # float32 sums in another order, through three LSTMs and a lattice, fed back twenty times
    np.testing.assert_allclose([result["loss"] for result in results], losses, rtol=1e-4)
    np.testing.assert_allclose([result["gradient_norm"].item() for result in results], norms, rtol=1e-3)
    state = run("get_weights")
    assert state["step"] == STEPS
    for name, weight in weights.items():
        np.testing.assert_allclose(state[name], weight, rtol=1e-5, atol=rounding, err_msg=name)


@pytest.mark.slow
def test_twenty_adam_steps_are_twenty_keras_steps(new_tiny_model, recognizer, utterances):
    from tf_keras.optimizers import Adam

    model = new_tiny_model()
    for name, weight in model.named_weights().items():
        np.testing.assert_array_equal(recognizer.state()[name.replace("/", "_")], weight, err_msg=name)
    optimizer = Adam(LEARNING_RATE, global_clipnorm=CLIP_NORM)
    # Adam divides small gradients by their own size: the rounding of one near zero moves a weight by a thousandth of a
    # step, and there are twenty of 1e-2
    assert_trains_as_keras(recognizer.model.run, model, optimizer, utterances, rounding=2e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name, momentum", [("sgd", 0.0), ("momentum", 0.9)])
def test_twenty_steps_of_the_other_optimizers_are_keras_steps(name, momentum, new_tiny_model, utterances, tmp_path):
    from tf_keras.optimizers import SGD

    from signatures.optimizers import OPTIMIZERS, State
    from signatures.training import train_signature
    from signatures.weights import weights_signatures
    from tflite_asr.export import convert

    model = new_tiny_model()
    state = State(model.named_weights(), OPTIMIZERS[name])
    get_weights, _ = weights_signatures(model, state)
    functions = {signature.name: signature.concrete() for signature in (train_signature(model, state), get_weights)}
    path = tmp_path / "train.tflite"
    path.write_bytes(convert(functions, state))
    optimizer = SGD(LEARNING_RATE, momentum=momentum, global_clipnorm=CLIP_NORM)
    assert_trains_as_keras(SignatureModel(path).run, model, optimizer, utterances, rounding=1e-5)


def test_a_group_of_rate_zero_keeps_weights_and_slots(recognizer, utterances):
    frozen = {"encoder_0", "prediction"}
    recognizer.train_step(utterances(2, 1))  # so that the slots are not zero
    before = recognizer.state()
    for seed in (2, 3, 4):
        result = recognizer.train_step(utterances(2, seed), pull=0.1, group_rates=dict.fromkeys(frozen, 0.0))
        assert not result.skipped
    after = recognizer.state()
    group_of = {p["tensor"]: p["group"] for p in recognizer.artifact.parameters}
    for tensor, group in group_of.items():
        for name in (tensor, f"{tensor}_first_moment", f"{tensor}_second_moment"):
            assert np.any(before[name]), name
            if group in frozen:
                assert before[name].tobytes() == after[name].tobytes(), name
            else:
                assert np.any(before[name] != after[name]), name
    assert after["step"] == before["step"] + 3


def test_the_pull_takes_away_its_part_of_the_distance(recognizer, utterances):
    shipped = recognizer.state()
    for seed in (1, 2, 3):
        recognizer.train_step(utterances(2, seed), learning_rate=0.05)
    start = recognizer.state()
    rates = dict.fromkeys(recognizer.groups, 1.0) | {"encoder_1": 0.5}
    after = {}
    for pull in (0.0, 2.0):
        recognizer.set_state(start)
        recognizer.train_step(utterances(2, 4), learning_rate=0.1, pull=pull, group_rates=rates)
        after[pull] = recognizer.state()
    for parameter in recognizer.artifact.parameters:
        name = parameter["tensor"]
        expected = 0.1 * rates[parameter["group"]] * 2.0 * (start[name] - shipped[name])
        assert np.max(np.abs(expected)) > 1e-3, name
        # weights near 1 are rounded to 6e-8, several times
        np.testing.assert_allclose(after[0.0][name] - after[2.0][name], expected, rtol=1e-5, atol=1e-6, err_msg=name)
        for slot in ("first_moment", "second_moment"):  # decoupled: the optimizer does not see the pull
            np.testing.assert_array_equal(after[0.0][f"{name}_{slot}"], after[2.0][f"{name}_{slot}"])


def test_an_empty_row_counts_nothing(recognizer, utterances):
    shipped, (example,) = recognizer.state(), utterances(1, 5)
    alone = collate([example], recognizer.config)
    spoiled = {name: value.copy() for name, value in alone.items()}
    spoiled["frames"][1] = np.nan
    spoiled["tokens"][1], spoiled["token_lengths"][1] = 3, 12
    twice = collate([example, example], recognizer.config)  # the mean of two alike is the one
    results, states = [], []
    for batch in (alone, spoiled, twice):
        recognizer.set_state(shipped)
        results.append(recognizer.model.run("train", train_inputs(batch)))
        states.append(recognizer.state())
    assert results[0]["losses"][1] == 0 and results[0]["loss"] == results[0]["losses"][0] > 1
    # rows are summed together in the products that give the weights' gradients: only the order of sums differs
    for result in results[1:]:
        np.testing.assert_allclose(result["loss"], results[0]["loss"], rtol=1e-6)
        np.testing.assert_allclose(result["gradient_norm"], results[0]["gradient_norm"], rtol=1e-5)
    for parameter in recognizer.artifact.parameters:
        name = f"{parameter['tensor']}_first_moment"  # a tenth of the gradient
        scale = np.max(np.abs(states[0][name]))
        for state in states[1:]:
            np.testing.assert_allclose(state[name], states[0][name], rtol=1e-4, atol=1e-5 * scale, err_msg=name)


def spoil_frames(value):
    def change(example):
        frames = example.frames.copy()
        frames[7, 3] = value
        return dataclasses.replace(example, frames=frames), {}

    return change


SPOILED = {
    "a frame of NaN": spoil_frames(np.nan),
    "a frame of infinity": spoil_frames(np.inf),
    "a frame of minus infinity": spoil_frames(-np.inf),
    "a learning rate of NaN": lambda example: (example, {"learning_rate": np.nan}),
    "an infinite learning rate": lambda example: (example, {"learning_rate": np.inf}),
    "a pull of NaN": lambda example: (example, {"pull": np.nan}),
}


@pytest.mark.parametrize("clip_norm", [0.0, 5.0])
@pytest.mark.parametrize("name", SPOILED)
def test_a_step_that_is_not_finite_changes_nothing(name, clip_norm, recognizer, utterances):
    good, other = utterances(2, 6)
    recognizer.train_step([good, other])
    before = recognizer.state()
    example, rates = SPOILED[name](good)
    result = recognizer.train_step([example, other], clip_norm=clip_norm, **rates)
    assert result.skipped and recognizer.skipped_updates == 1
    after = recognizer.state()
    assert before.keys() == after.keys() and after["step"] == 1
    for tensor in before:
        assert before[tensor].tobytes() == after[tensor].tobytes(), tensor
    # and it was not the end
    result = recognizer.train_step([good, other], clip_norm=clip_norm)
    assert not result.skipped and np.isfinite(result.loss) and recognizer.state()["step"] == 2


@pytest.mark.parametrize("clip_norm", [0.0, 5.0])
def test_a_gradient_whose_norm_overflows_changes_nothing(clip_norm, recognizer, utterances):
    state = recognizer.state()
    state["joint_output_kernel"] = state["joint_output_kernel"] * np.float32(1e20)
    recognizer.set_state(state)
    result = recognizer.train_step(utterances(2, 6), clip_norm=clip_norm)
    assert result.skipped and np.isfinite(result.loss) and not np.isfinite(result.gradient_norm)
    after = recognizer.state()
    assert state.keys() == after.keys()
    for tensor in state:
        assert np.array_equal(state[tensor], after[tensor]), tensor


def test_loss_is_that_of_train_and_changes_nothing(recognizer, utterances):
    examples = utterances(2, 8)
    before = recognizer.state()
    loss = recognizer.model.run("loss", collate(examples, recognizer.config))
    after = recognizer.state()
    for tensor in before:
        assert before[tensor].tobytes() == after[tensor].tobytes(), tensor
    trained = recognizer.model.run("train", train_inputs(collate(examples, recognizer.config)))
    # the same sums in graphs that were optimised apart
    np.testing.assert_allclose(trained["loss"], loss["loss"], rtol=1e-5)
    np.testing.assert_allclose(trained["losses"], loss["losses"], rtol=1e-5)
    np.testing.assert_allclose(loss["loss"], loss["losses"].mean(), rtol=1e-6)
