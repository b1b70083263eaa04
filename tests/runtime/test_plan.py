import pytest

from tflite_asr.errors import InputError
from tflite_asr.runtime.plan import Plan

SIGNATURES = {
    "train": {"outputs": ["loss"]},
    "forward_0": {"outputs": ["lengths", "x"]},
    "head": {"outputs": ["gradient", "loss"]},
    "backward_0": {"outputs": []},
}
SPLIT = [
    {"signature": "forward_0", "takes": {}, "updates": []},
    {"signature": "head", "takes": {"x": "forward_0.x"}, "updates": ["top", "joint"]},
    {"signature": "backward_0", "takes": {"gradient": "head.gradient"}, "updates": ["bottom"]},
]
PLANS = {"train": [{"signature": "train"}], "split": SPLIT}


def test_a_plan_is_its_calls_in_order():
    plan = Plan.of("split", PLANS, SIGNATURES)
    assert [call.signature for call in plan.calls] == ["forward_0", "head", "backward_0"]
    assert plan.calls[1].takes == {"x": "forward_0.x"} and plan.calls[2].updates == ("bottom",)
    assert [call.signature for call in Plan.of("train", PLANS, SIGNATURES).calls] == ["train"]


def test_nothing_is_called_below_the_lowest_trained_group():
    plan = Plan.of("split", PLANS, SIGNATURES)
    for trained, count in (({"bottom"}, 3), ({"top", "bottom"}, 3), ({"top"}, 2), ({"joint"}, 2), (set(), 2)):
        assert len(plan.needed(trained)) == count
    assert len(Plan.of("train", PLANS, SIGNATURES).needed(set())) == 1


@pytest.mark.parametrize(
    "name, plans, message",
    [
        ("halves", PLANS, "no plan named 'halves'; there are: split, train"),
        (
            "split",
            {"split": [{"signature": "forward_7"}]},
            "calls 'forward_7', but the signatures are: backward_0, forward_0",
        ),
        ("split", {"split": SPLIT[1:]}, "head takes 'x' from 'forward_0.x', which no earlier call returns"),
        (
            "split",
            {"split": [SPLIT[0], {"signature": "head", "takes": {"x": "forward_0.y"}}]},
            "from 'forward_0.y', which no earlier call",
        ),
    ],
)
def test_a_plan_that_cannot_be_run_is_refused(name, plans, message):
    with pytest.raises(InputError, match=message):
        Plan.of(name, plans, SIGNATURES)
