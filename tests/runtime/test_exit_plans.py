"""Training steps of a model with early exits: of all exits together, and of what is left of it at one of them."""

import numpy as np
import pytest

from tflite_asr.errors import InputError
from tflite_asr.runtime.batch import collate
from tflite_asr.runtime.recognizer import Recognizer

pytestmark = pytest.mark.slow
STEPS = 5


def trained(path, examples, plan, steps=STEPS, **options):
    """The results of some steps, and the state after them."""
    recognizer = Recognizer.load(path)
    options = {"learning_rate": 5e-3, "plan": plan, **options}
    results = [recognizer.train_step(examples[step % 2 :], **options) for step in range(steps)]
    return results, recognizer.state()


def distance(one, other):
    return np.sqrt(sum(np.sum(np.square(one[name] - other[name], dtype=np.float64)) for name in one))


def moved_groups(recognizer, before, after):
    tensors = [(p["group"], p["tensor"]) for p in recognizer.artifact.parameters]
    return {group for group, tensor in tensors if np.any(after[tensor] != before[tensor])}


def test_plans_say_what_they_train(exits_tflite):
    artifact = Recognizer.load(exits_tflite).artifact
    assert artifact.exit_depths == [1, 2, 3]
    exits = {"train": 2, "split": 2, "train_exit_0": 0, "split_exit_0": 0, "train_exit_1": 1, "split_exit_1": 1}
    assert artifact.plan_exits == exits and set(artifact.plans) == set(exits)
    updates = {name: [call["updates"] for call in plan] for name, plan in artifact.plans.items()}
    assert updates["split"] == [[], [], ["encoder_2", "ctc"], ["encoder_1", "exit_1"], ["encoder_0", "exit_0"]]
    assert updates["split_exit_1"] == [[], ["encoder_1", "exit_1"], ["encoder_0"]]
    assert updates["split_exit_0"] == updates["train_exit_0"] == [["encoder_0", "exit_0"]]


@pytest.mark.parametrize("suffix, exit", [("", 2), ("_exit_1", 1), ("_exit_0", 0)])
def test_steps_in_parts_are_whole_ones(exits_tflite, examples, suffix, exit):
    recognizer = Recognizer.load(exits_tflite)
    start = recognizer.state()
    whole, expected = trained(exits_tflite, examples, f"train{suffix}")
    results, state = trained(exits_tflite, examples, f"split{suffix}")
    for one, other in zip(results, whole):
        np.testing.assert_allclose(one.loss, other.loss, rtol=1e-5)
        np.testing.assert_allclose(one.gradient_norm, other.gradient_norm, rtol=1e-4)
    # float32 sums in another order
    assert state["step"] == STEPS and distance(state, expected) < 1e-4 * distance(start, expected)
    below = {"encoder_0", "encoder_1", "encoder_2"} if exit == 2 else {f"encoder_{group}" for group in range(exit + 1)}
    heads = {"exit_0", "exit_1", "ctc"} if exit == 2 else {f"exit_{exit}"}
    assert moved_groups(recognizer, start, state) == below | heads


def test_an_exit_alone_learns_by_its_own_loss(exits_tflite, examples):
    recognizer = Recognizer.load(exits_tflite)
    losses = recognizer.model.run("loss", collate(examples, recognizer.config))["exit_losses"]
    assert losses.shape == (3, 2)
    for exit, plan in ((0, "train_exit_0"), (1, "split_exit_1")):
        results, _ = trained(exits_tflite, examples, plan, steps=1)
        assert results[0].loss == pytest.approx(losses[exit].mean(), rel=1e-4)
    results, _ = trained(exits_tflite, examples, "split", steps=1)
    assert results[0].loss == pytest.approx(([0.3, 0.3, 1.0] @ losses).mean(), rel=1e-4)


def test_a_plan_ends_above_groups_that_are_left_alone(exits_tflite, examples):
    recognizer = Recognizer.load(exits_tflite)
    start = recognizer.state()
    rates = dict.fromkeys(["encoder_0", "exit_0"], 0.0)
    for plan in ("split", "split_exit_1"):
        assert len(recognizer.plan(plan).needed({"encoder_1"})) == len(recognizer.plan(plan).calls) - 1
        recognizer.train_step(examples, plan=plan, group_rates=rates)
    assert moved_groups(recognizer, start, recognizer.state()) == {"encoder_1", "encoder_2", "exit_1", "ctc"}


def test_a_loss_that_is_not_finite_at_one_exit_touches_none(exits_tflite, examples):
    recognizer = Recognizer.load(exits_tflite)
    state = recognizer.state()
    state["exit_0_bias"] = state["exit_0_bias"] * np.float32(np.nan)
    recognizer.set_state(state)
    result = recognizer.train_step(examples, plan="split")
    assert result.skipped and not np.isfinite(result.loss)
    for name, value in recognizer.state().items():
        np.testing.assert_array_equal(value, state[name], err_msg=name)


def test_two_passes_clip_all_exits_together(exits_tflite, examples):
    whole, expected = trained(exits_tflite, examples, "train", clip_norm=2.0)
    assert whole[0].gradient_norm > 4  # it was clipped
    _, state = trained(exits_tflite, examples, "split", clip_norm=2.0, clip_globally=True)
    _, own_norms = trained(exits_tflite, examples, "split", clip_norm=2.0)
    assert distance(state, expected) < 1e-4 * distance(own_norms, expected)


def test_the_plan_of_an_exit_that_is_not_there(exits_tflite, examples):
    with pytest.raises(
        InputError, match="no plan named 'split_exit_2'; there are: split, split_exit_0, split_exit_1, train"
    ):
        Recognizer.load(exits_tflite).train_step(examples, plan="split_exit_2")
