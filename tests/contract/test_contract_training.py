"""docs/signatures.md, "Training" and "Weights": batches, rates, plans, what is skipped."""

from pathlib import Path

import numpy as np
import pytest
from contract_host import Host, changed

ALIGNED = 1e25  # losses from here on mean that no alignment exists


def only(group: str, names: set[str]) -> set[str]:
    return {name for name in names if name.startswith(group + "_")}


def norm_of(results: list[dict]) -> float:
    return float(np.sqrt(sum(result["gradient_norm"][0] ** 2 for result in results if "gradient_norm" in result)))


def test_empty_rows_count_nothing(commands):
    batch = commands.batch(rows=2)
    expected = commands.run("loss", **batch)
    assert expected["losses"].shape == (4,) and (expected["losses"][:2] > 1).all()
    assert not expected["losses"][2:].any()
    assert expected["loss"].shape == () and expected["loss"] == pytest.approx(expected["losses"][:2].mean())
    assert expected["exit_losses"].shape == (1, 4)
    batch["frames"][2:], batch["tokens"][2:], batch["token_lengths"][2:] = np.nan, 99, -5  # in empty rows
    batch["frames"][:, 120:], batch["tokens"][:2, 6:] = np.nan, -3  # past the lengths
    np.testing.assert_array_equal(commands.run("loss", **batch)["losses"], expected["losses"])


def test_rows_do_not_meet(commands):
    batch, alone = commands.batch(rows=2), commands.batch(rows=1)
    for name, value in alone.items():
        value[0] = batch[name][0]
    losses = commands.run("loss", **batch)["losses"]
    np.testing.assert_allclose(commands.run("loss", **alone)["losses"][0], losses[0], rtol=1e-6)


def test_invalid_rows_are_nan_and_train_nothing(commands):
    for name, place, value in (
        ("tokens", (0, 1), 29),
        ("tokens", (0, 1), 0),  # blank is no label
        ("token_lengths", 0, 49),
        ("frame_lengths", 0, 601),
        ("frame_lengths", 0, -1),
    ):
        batch = commands.batch(rows=2)
        batch[name][place] = value
        losses = commands.run("loss", **batch)
        assert np.isnan(losses["losses"][0]) and np.isfinite(losses["losses"][1]) and np.isnan(losses["loss"])
        before = commands.weights()
        assert commands.run("train", **batch, **commands.rates())["skipped"] == 1
        assert not changed(before, commands.weights())


def test_a_ctc_loss_without_an_alignment_is_enormous():
    ctc = Host("early", Path(__file__).parents[2] / "android_demo" / "vectors")
    batch = ctc.batch(rows=1, frames=6, labels=8)
    assert ctc.run("loss", **batch)["losses"][0] > ALIGNED
    batch = ctc.batch(rows=1, frames=100, labels=8)
    assert ctc.run("loss", **batch)["losses"][0] < 1e4


def test_a_step_lowers_the_loss_and_tells_the_one_before(commands):
    batch = commands.batch(rows=2)
    before = commands.run("loss", **batch)
    outputs = commands.run("train", **batch, **commands.rates(1e-3))
    assert outputs["loss"].shape == () and outputs["skipped"].shape == () and outputs["gradient_norm"].shape == (1,)
    assert outputs["loss"] == pytest.approx(float(before["loss"]), rel=1e-5) and outputs["skipped"] == 0
    assert commands.run("loss", **batch)["loss"] < before["loss"]


def test_a_batch_without_utterances_counts_a_step(commands):
    commands.run("train", **commands.batch(rows=2), **commands.rates())
    before = commands.weights()
    outputs = commands.run("train", **commands.batch(rows=0), **commands.rates())
    after = commands.weights()
    assert (outputs["loss"], outputs["skipped"]) == (0, 0) and after["step"] == before["step"] + 1
    assert "encoder_0_kernel" in changed(before, after)  # by Adam's momentum


@pytest.mark.parametrize("plan", ["train", "split"])
def test_group_rates_stand_in_the_order_of_the_groups(commands, plan):
    batch = commands.batch(rows=2)
    commands.run("train", **batch, **commands.rates())  # so that there are slots to move
    for index, group in enumerate(commands.groups):
        rates = commands.rates()
        rates["group_rates"] = np.float32([float(other == index) for other in range(len(commands.groups))])
        before = commands.weights()
        commands.run_plan(plan, batch | rates)
        moved = changed(before, commands.weights()) - {"step"}
        assert moved and moved == only(group, moved)
        assert {name for name in moved if name.endswith("_moment")} == only(
            group, {name for name in before if name.endswith("_moment")}
        )


def test_the_rate_of_a_group_is_a_factor(commands):
    batch, shipped = commands.batch(rows=2), commands.weights()
    moves = []
    for rates in (commands.rates(2e-3, encoder_1=0.5), commands.rates(1e-3)):
        commands.run("set_weights", **shipped)
        commands.run("train", **batch, **rates)
        moves.append(commands.weights()["encoder_1_bias"] - shipped["encoder_1_bias"])
    np.testing.assert_array_equal(*moves)


@pytest.mark.parametrize("rate", [0.0, -1.0])
def test_a_learning_rate_that_is_not_positive_moves_nothing_but_the_step(commands, rate):
    before = commands.weights()
    commands.run("train", **commands.batch(rows=2), **commands.rates(rate))
    assert changed(before, commands.weights()) == {"step"}


@pytest.mark.parametrize("name", ["learning_rate", "clip_norm", "pull", "group_rates"])
def test_a_rate_that_is_not_finite_is_skipped(commands, name):
    rates = commands.rates()
    rates[name][0] = np.inf
    before = commands.weights()
    assert commands.run("train", **commands.batch(rows=2), **rates)["skipped"] == 1
    assert not changed(before, commands.weights())


def momentum_norm(before, after, group=None) -> float:
    """Norm of the gradient that an Adam step from zero slots was given: its first moment is a tenth of it."""
    names = [n for n in before if n.endswith("_first_moment") and (group is None or n.startswith(f"{group}_"))]
    return float(np.sqrt(sum(np.sum(np.square(10.0 * after[name].astype(np.float64))) for name in names)))


def test_clip_norm_bounds_the_gradient_of_all_groups(commands):
    batch, before = commands.batch(rows=2), commands.weights()
    outputs = commands.run("train", **batch, **commands.rates(clip_norm=1.0))["gradient_norm"][0]
    assert outputs > 10  # before clipping
    assert momentum_norm(before, commands.weights()) == pytest.approx(1, rel=1e-4)
    for clip_norm in (0.0, -1.0, 1e6):
        commands.run("set_weights", **before)
        commands.run("train", **batch, **commands.rates(clip_norm=clip_norm))
        assert momentum_norm(before, commands.weights()) == pytest.approx(outputs, rel=1e-4)


def test_global_norm_0_clips_each_group_by_its_own_norm(commands):
    batch, before = commands.batch(rows=2), commands.weights()
    commands.run_plan("split", batch | commands.rates(clip_norm=1.0), global_norm=0)
    after = commands.weights()
    for group in commands.groups:
        assert momentum_norm(before, after, group) == pytest.approx(1, rel=1e-3), group


def test_global_norm_below_0_measures_and_above_0_clips(commands):
    batch, before = commands.batch(rows=2) | commands.rates(clip_norm=1.0), commands.weights()
    results = commands.run_plan("split", batch, global_norm=-1)
    assert not changed(before, commands.weights())  # neither is the step counted
    commands.run_plan("split", batch, global_norm=norm_of(results))
    by_parts = commands.weights()
    commands.run("set_weights", **before)
    outputs = commands.run("train", **batch)
    assert norm_of(results) == pytest.approx(outputs["gradient_norm"][0], rel=1e-4)
    assert momentum_norm(before, by_parts) == pytest.approx(1, rel=1e-4)
    for name, value in commands.weights().items():
        np.testing.assert_allclose(by_parts[name], value, rtol=1e-3, atol=1e-5)


def test_the_plan_by_parts_is_the_whole_step(commands):
    batch, before = commands.batch(rows=2) | commands.rates(), commands.weights()
    results = commands.run_plan("split", batch)
    by_parts = commands.weights()
    commands.run("set_weights", **before)
    outputs = commands.run_plan("train", batch)[0]
    head = next(result for result in results if "loss" in result)
    assert (
        head["proceed"].shape == () and head["proceed"] == 1 and head["loss"] == pytest.approx(float(outputs["loss"]))
    )
    after = commands.weights()
    assert by_parts["step"] == after["step"] == before["step"] + 1
    for name, value in after.items():
        np.testing.assert_allclose(by_parts[name], value, rtol=1e-3, atol=1e-5)


def test_the_plan_says_when_to_stop_and_going_on_does_no_harm(commands):
    batch, before = commands.batch(rows=2), commands.weights()
    batch["tokens"][0, 0] = 29
    results = commands.run_plan("split", batch | commands.rates())
    head = next(result for result in results if "proceed" in result)
    assert head["proceed"] == 0 and head["skipped"] == 1
    assert all(result["skipped"] == 1 for result in results if "skipped" in result)
    assert not changed(before, commands.weights())


def test_a_plan_may_end_after_the_last_group_that_is_to_train(commands):
    batch, before = commands.batch(rows=2) | commands.rates(), commands.weights()
    plan = commands.description["plans"]["split"]
    assert [bool(call["updates"]) for call in plan] == [False, True, True]
    commands.description["plans"]["split"] = plan[:2]
    commands.run_plan("split", batch)
    moved = changed(before, commands.weights())
    assert {name for name in moved if name.startswith(tuple(plan[1]["updates"]))} == moved - {"step"}


def test_pull_draws_the_weights_back_to_the_shipped_ones(commands):
    batch, shipped = commands.batch(rows=2), commands.weights()
    for _ in range(3):
        commands.run("train", **batch, **commands.rates(1e-3))
    away = commands.weights()
    moves = []
    for pull in (0.0, 5.0):
        commands.run("set_weights", **away)
        commands.run("train", **batch, **commands.rates(1e-2, pull=pull))
        moves.append(commands.weights()["encoder_0_kernel"])
    drawn = -1e-2 * 5.0 * (away["encoder_0_kernel"] - shipped["encoder_0_kernel"])
    np.testing.assert_allclose(moves[1] - moves[0], drawn, atol=1e-6)


def test_set_weights_puts_back_what_get_weights_gave(commands):
    batch, shipped = commands.batch(rows=2), commands.weights()
    commands.run("train", **batch, **commands.rates())
    learned, loss = commands.weights(), commands.run("loss", **batch)["loss"]
    assert commands.run("set_weights", **shipped)["step"] == shipped["step"] == 0
    assert not changed(shipped, commands.weights())
    commands.run("set_weights", **learned)
    assert commands.run("loss", **batch)["loss"] == loss


def test_parameters_has_a_value_a_group(commands):
    commands.run("train", **commands.batch(rows=2), **commands.rates(encoder_1=0))
    found, groups = commands.run("parameters"), commands.description["groups"]
    for key in ("parameters", "bytes", "activation_bytes"):
        assert found[key].tolist() == [group[key] for group in groups] and found[key].dtype == np.int32
    assert found["weight_norm"].shape == found["distance"].shape == (len(groups),)
    assert [bool(distance) for distance in found["distance"]] == [name != "encoder_1" for name in commands.groups]
    bias = [v for n, v in commands.weights().items() if n.startswith("encoder_0_") and not n.endswith("moment")]
    norm = np.sqrt(sum(np.sum(np.square(value)) for value in bias))
    assert found["weight_norm"][0] == pytest.approx(norm, rel=1e-5)


def test_frozen_groups_ignore_their_rate(english):
    weights = english.weights()
    batch = english.batch(rows=1, frames=100)
    rates = english.rates()
    rates["group_rates"][:] = 0
    rates["group_rates"][english.groups.index("encoder_0")] = 1  # frozen: it has no tensor in `state`
    outputs = english.run("train", **batch, **rates)
    assert outputs["skipped"] == 0 and changed(weights, english.weights()) == {"step"}
    english.run("set_weights", **weights)
