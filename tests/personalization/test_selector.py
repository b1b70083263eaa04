"""What is chosen for which budget; the costs are made up, the artifact is the shipped one."""

import dataclasses

import numpy as np
import pytest

from tflite_asr.errors import InputError
from tflite_asr.personalization.calibration import Calibration, CallCost, PlanCost
from tflite_asr.personalization.selector import (
    BATTERY_JOULES,
    CORE_WATTS,
    Budget,
    Candidate,
    candidates,
    choose,
    expected_reduction,
)
from tflite_asr.runtime.artifact import read_artifact

TOP = ("encoder_2", "encoder_3", "prediction", "joint")
ALL = ("encoder_0", "encoder_1", *TOP)
WHOLE = PlanCost(50.0, (CallCost("train", 0.3, 0.5, 90.0, 88.0),))
PARTS = PlanCost(
    50.0,
    (
        CallCost("forward_0", 0.05, 0.1, 10.0, 4.0),
        CallCost("head", 0.2, 0.3, 40.0, 6.0),
        CallCost("backward_0", 0.15, 0.2, 44.0, 8.0),
    ),
)
CACHED = PlanCost(50.0, (CallCost("forward_0", 0.01, 0.02, 10.0, 4.0), CallCost("head", 0.2, 0.3, 40.0, 6.0)))


@pytest.fixture(scope="module")
def artifact():
    return read_artifact("commands")


@pytest.fixture(scope="module")
def found(artifact):
    return candidates(
        artifact, Calibration(artifact.tflite_sha256, {}, {"train": WHOLE, "split": PARTS, "cached": CACHED})
    )


def candidate(**values):
    values = {"exit": 0, "groups": 3, "peak": 100.0, "seconds": 1.0, "gain": None, **values}
    return Candidate(
        values["exit"],
        tuple(f"g{index}" for index in range(values["groups"])),
        *("split", 2, 3, 4),
        values["groups"] * 10,
        values["peak"],
        values["seconds"],
        values["seconds"] * CORE_WATTS,
        values["gain"],
    )


# --- candidates ---


def test_every_plan_is_offered_up_to_every_call_that_trains(found):
    offered = [(c.plan, c.trainable_groups, c.calls, c.parts, c.batch, c.exit) for c in found]
    assert offered == [
        ("train", ALL, 1, 1, 4, 0),
        ("split", TOP, 2, 2, 4, 0),
        ("split", ALL, 3, 2, 4, 0),
        ("cached", TOP, 2, 1, 4, 0),
    ]
    assert [c.predicted_step_seconds for c in found] == pytest.approx([0.3, 0.25, 0.4, 0.21])
    assert [c.predicted_step_joules for c in found] == pytest.approx(
        [0.5 * CORE_WATTS, 0.4 * CORE_WATTS, 0.6 * CORE_WATTS, 0.32 * CORE_WATTS]
    )
    assert [c.predicted_disk_mb > 0 for c in found] == [False, False, False, True]
    # 8 different epochs of 25 batches of 4 rows, each 200 steps of 192 values and a scale
    assert found[-1].predicted_disk_mb == pytest.approx(800 * 200 * 196 / 1e6)


def test_the_peak_is_that_of_steps_that_are_repeated():
    """Against memory that is followed call by call over four steps: a call has its arena from its first time on."""
    random = np.random.default_rng(0)
    for _ in range(200):
        arenas, extra = random.integers(0, 50, [2, random.integers(1, 7)])
        cost = PlanCost(
            30.0,
            tuple(
                CallCost(f"c{i}", 1.0, 1.0, float(arenas[: i + 1].sum() + extra[i]), float(arenas[: i + 1].sum()))
                for i in range(len(arenas))
            ),
        )
        for count in range(1, len(arenas) + 1):
            there, peak = np.zeros(count), 0
            for _ in range(4):
                for call in range(count):
                    there[call] = arenas[call]
                    peak = max(peak, there.sum() + extra[call])
            assert cost.peak_mb(count) == 30 + peak


def test_sets_of_groups_that_the_table_has_are_offered_too(artifact):
    gains = [{"groups": ["joint"], "relative_wer_reduction": 0.4, "speakers": 2}]
    calibration = Calibration("", {}, {"train": WHOLE, "split": PARTS, "cached": CACHED})
    offered = candidates(dataclasses.replace(artifact, gains=gains), calibration)
    joint = [c for c in offered if c.trainable_groups == ("joint",)]
    assert [(c.plan, c.calls, c.expected_reduction) for c in joint] == [
        ("train", 1, 0.4),
        ("split", 2, 0.4),
        ("cached", 2, 0.4),
    ]
    assert all(c.expected_reduction == 0.4 for c in offered), "what trains more than the joint network gains as much"


def test_a_plan_trains_up_to_its_exit(artifact):
    exits = [{"name": "exit_1", "group": "encoder_1"}, {"name": "final", "group": "encoder_3"}]
    plans = {
        **artifact.plans,
        "early": [{"signature": "forward_0", "takes": {}, "updates": ["encoder_0", "encoder_1"]}],
    }
    early = PlanCost(50.0, PARTS.calls[:1])
    calibration = Calibration("", {}, {"train": WHOLE, "split": PARTS, "cached": CACHED, "early": early})
    early_exits = dataclasses.replace(artifact, exits=exits, plans=plans, plan_exits={"early": 0})
    assert {c.plan: c.exit for c in candidates(early_exits, calibration)} == {
        "train": 1,
        "split": 1,
        "cached": 1,
        "early": 0,
    }
    with pytest.raises(InputError, match="plan 'early': expected an exit from 0 to 1, got 2; export again"):
        candidates(dataclasses.replace(early_exits, plan_exits={"early": 2}), calibration)


def test_what_is_expected_of_groups():
    gains = [
        {"groups": ["a"], "relative_wer_reduction": 0.3},
        {"groups": ["a", "b"], "relative_wer_reduction": 0.2},
        {"groups": ["b", "c"], "relative_wer_reduction": 0.5},
    ]
    assert expected_reduction(gains, {"a", "b"}) == 0.2, "as measured"
    assert expected_reduction(gains, {"a", "b", "c"}) == 0.5, "the best of what is in it"
    assert expected_reduction(gains, {"c"}) == 0.0
    assert expected_reduction([], {"a"}) is None


# --- the choice ---


@pytest.mark.parametrize(
    "ram, plan, groups", [(1000, "train", ALL), (139, "split", ALL), (94, "split", ALL), (93, "cached", TOP)]
)
def test_all_groups_if_they_fit_and_then_the_fastest(found, ram, plan, groups):
    chosen = choose(found, Budget(ram)).chosen
    assert (chosen.plan, chosen.trainable_groups) == (plan, groups)


def test_without_room_on_disk_nothing_is_stored(found):
    for disk, plan in ((None, "cached"), (32, "cached"), (31, "split"), (0, "split")):
        chosen = choose(found, Budget(93, disk_mb=disk)).chosen
        assert (chosen.plan, chosen.trainable_groups) == (plan, TOP)
    refused = {c.plan: why for c, why in choose(found, Budget(1000, disk_mb=5)).refused}
    assert refused["cached"] == ["stores 31.4 MB on disk, the budget is 5 MB"]
    assert choose(found[3:], Budget(1000, disk_mb=5)).smallest == Budget(1000, disk_mb=32)
    assert str(Budget(100, seconds=5, disk_mb=0)) == "100 MB of RAM, 5 s for 1000 steps, 0 MB on disk"


def test_what_does_not_fit_is_told_with_every_reason(found):
    selection = choose(found[:3], Budget(93, seconds=240, steps=1000))
    assert selection.chosen is None
    assert [why for _, why in selection.refused] == [
        ["needs 140.0 MB of RAM, the budget is 93 MB", "needs 300 s for 1000 steps, the budget is 240 s"],
        ["needs 250 s for 1000 steps, the budget is 240 s"],
        ["needs 94.0 MB of RAM, the budget is 93 MB", "needs 400 s for 1000 steps, the budget is 240 s"],
    ]
    assert selection.smallest == Budget(93, seconds=250, steps=1000), "the least that has to be added to"


def test_what_fits_and_is_not_chosen_is_told_why(found):
    (top, less), (all_in_parts, slower), _ = choose(found, Budget(200)).refused
    assert top.trainable_groups == TOP and less == [
        "fits, but another is better: parameters that learn 885,341 against 1,422,173"
    ]
    assert all_in_parts.calls == 3 and slower == ["fits, but another is better: seconds a step 0.4 against 0.3"]


def test_the_table_of_gains_decides_before_the_number_of_parameters():
    small, large = candidate(groups=1, gain=0.5, peak=50.0), candidate(groups=5, gain=0.4)
    selection = choose([large, small], Budget(1000))
    assert selection.chosen is small
    assert selection.refused == [(large, ["fits, but another is better: expected WER reduction 0.4 against 0.5"])]


def test_the_owners_losses_decide_between_exits():
    early, late = candidate(exit=0, gain=0.5), candidate(exit=1, gain=0.5)
    assert choose([early, late], Budget(1000)).chosen is late, "without them the last exit is the best"
    assert choose([early, late], Budget(1000), [3.0, 4.0]).chosen is early
    assert choose([early, late], Budget(1000), [3.0, 2.0]).chosen is late
    learns_more = candidate(exit=0, gain=0.9)
    assert choose([learns_more, late], Budget(1000), [3.0, 2.0]).chosen is learns_more, "0.3 after training against 1.0"


def test_energy_counts_from_the_floor_of_the_battery():
    steps = 1000
    one = candidate(seconds=0.05 * BATTERY_JOULES / CORE_WATTS / steps)  # 5% of a full battery
    for battery, floor, fits in (
        (26, 20, True),
        (25, 20, True),
        (24, 20, False),
        (19, 20, False),
        (99, 95, False),
        (6, 0, True),
    ):
        selection = choose([one], Budget(1000, battery, floor, steps=steps))
        assert (selection.chosen is one) == fits, (battery, floor)
    assert choose([one], Budget(1000, 24, 20, steps=steps)).smallest == Budget(1000, 25, 20, steps=steps)
    assert choose([one], Budget(1000, 100, 96, steps=steps)).smallest is None, "no battery has more than 100%"


def random_candidates(random):
    return [
        candidate(
            exit=int(random.integers(3)),
            groups=int(random.integers(1, 6)),
            peak=float(random.integers(20, 300)) + random.choice([0.0, 0.37]),
            seconds=float(random.integers(1, 9)) / 4,
            gain=None if random.random() < 0.2 else float(random.integers(10)) / 10,
        )
        for _ in range(random.integers(1, 12))
    ]


@pytest.mark.parametrize("seed", range(40))
def test_less_never_chooses_what_needs_more(seed):
    """Of memory, and of time; what is chosen fits; where nothing fits, the smallest budget is enough and is
    the least.
    """
    random = np.random.default_rng(seed)
    found = random_candidates(random)
    losses = random.uniform(0.5, 5, 3).tolist() if random.random() < 0.5 else None
    before = None
    for ram in range(320, 0, -3):
        selection = choose(found, Budget(ram), losses)
        assert len(selection.refused) == len(found) - (selection.chosen is not None)
        assert all(reasons for _, reasons in selection.refused)
        least = min(c.predicted_peak_mb for c in found)
        assert (selection.chosen is not None) == (least <= ram)
        if selection.chosen:
            assert selection.chosen.predicted_peak_mb <= ram
            assert before is None or selection.chosen.predicted_peak_mb <= before
            before = selection.chosen.predicted_peak_mb
        else:
            assert least <= selection.smallest.ram_mb < least + 1
            assert choose(found, selection.smallest, losses).chosen is not None
    before = None
    for seconds in range(3000, 0, -50):
        chosen = choose(found, Budget(1000, seconds=seconds), losses).chosen
        if chosen:
            assert before is None or chosen.predicted_step_seconds <= before
            before = chosen.predicted_step_seconds
        else:
            before = 0.0


@pytest.mark.parametrize(
    "values, message",
    [
        ((0,), "ram_mb: expected more than 0, got 0"),
        ((-5,), "ram_mb: expected more than 0, got -5"),
        ((float("nan"),), "ram_mb"),
        ((float("inf"),), "ram_mb"),
        ((100, 0), "battery_percent: expected more than 0, at most 100, got 0"),
        ((100, 101), "battery_percent"),
        ((100, 50, -1), "battery_floor_percent: expected 0 to 100, got -1"),
        ((100, 50, 101), "battery_floor_percent"),
        ((100, None, 0, 0), "seconds: expected more than 0, got 0"),
        ((100, None, 0, -3), "seconds"),
        ((100, None, 0, None, 0), "steps: expected 1 or more, got 0"),
        ((100, None, 0, None, 1, -1), "disk_mb: expected 0 or more, got -1"),
    ],
)
def test_budgets_that_cannot_be(values, message):
    with pytest.raises(InputError) as caught:
        Budget(*values)
    assert message in str(caught.value)
