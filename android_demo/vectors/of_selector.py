"""Which plan Python chooses for a hundred budgets, and why not the others: three artifacts with made-up costs."""

import dataclasses

import numpy as np

from tflite_asr.personalization.calibration import Calibration, CallCost, PlanCost
from tflite_asr.personalization.resources import Limits, Resources
from tflite_asr.personalization.selector import Budget, Candidate, candidates, choose
from tflite_asr.runtime.artifact import Artifact

BUDGETS = (36, 32, 32)  # of each artifact
WHOLE = PlanCost(50.5, (CallCost("train", 0.31, 0.52, 90.25, 88.0),))
PARTS = PlanCost(
    50.5,
    (
        CallCost("forward_0", 0.0512, 0.1, 10.0, 4.0),
        CallCost("head", 0.2, 0.305, 40.0, 6.0),
        CallCost("backward_0", 0.15, 0.2, 44.75, 8.0),
    ),
)
CACHED = PlanCost(50.5, (CallCost("forward_0", 0.0102, 0.02, 10.0, 4.0), CallCost("head", 0.2, 0.305, 40.0, 6.0)))
GAINS = [
    {"groups": ["joint"], "relative_wer_reduction": 0.25, "speakers": 3},
    {"groups": ["encoder_3", "prediction", "joint"], "relative_wer_reduction": 0.625, "speakers": 3},
    {"groups": ["encoder_0", "encoder_1", "encoder_2", "encoder_3"], "relative_wer_reduction": 0.5, "speakers": 3},
]


def selections(artifact: Artifact) -> dict:
    """For each artifact its candidates and, by budget, the choice."""
    plans = {"train": WHOLE, "split": PARTS, "cached": CACHED}
    early = {
        **artifact.plans,
        "early": [{"signature": "forward_0", "takes": {}, "updates": ["encoder_0", "encoder_1"]}],
    }
    exits = [{"name": "exit_1", "group": "encoder_1"}, {"name": "final", "group": "encoder_3"}]
    artifacts = (
        (artifact, plans),
        (dataclasses.replace(artifact, gains=GAINS), plans),
        (
            dataclasses.replace(artifact, exits=exits, plans=early, plan_exits={"early": 0}),
            {**plans, "early": PlanCost(50.5, (CallCost("forward_0", 0.06, 0.11, 12.5, 5.0),))},
        ),
    )
    random = np.random.default_rng(100)
    rows = []
    for (described, costs), count in zip(artifacts, BUDGETS):
        calibration = Calibration(artifact.tflite_sha256, {}, costs)
        found = candidates(described, calibration)
        rows.append(
            {
                "artifact": _without_what_selection_reads_not(described),
                "calibration": calibration.to_json(),
                "candidates": [dataclasses.asdict(candidate) for candidate in found],
                "budgets": [_selection(found, random, len(described.exits)) for _ in range(count)],
            }
        )
    return {"artifacts": rows, "refusals": refusals()}


def refusals() -> list[dict]:
    """What limits say of readings."""
    limits = Limits(200, 30, 42.5, only_charging=False)
    fine = Resources(0, 500, 50, False, 30)
    readings = [
        fine,
        dataclasses.replace(fine, available_ram_mb=199.6),
        dataclasses.replace(fine, battery_percent=29.5),
        dataclasses.replace(fine, battery_percent=5, charging=True),
        dataclasses.replace(fine, battery_percent=None),
        dataclasses.replace(fine, temperature_c=43.25),
        dataclasses.replace(fine, temperature_c=None),
    ]
    rows = [(limits, reading) for reading in readings]
    rows.append((dataclasses.replace(limits, only_charging=True), fine))
    return [
        {
            "limits": dataclasses.asdict(limits),
            "reading": {key: value for key, value in dataclasses.asdict(reading).items() if key != "cores"},
            "refusal": limits.refusal(reading),
        }
        for limits, reading in rows
    ]


def _selection(found: list[Candidate], random: np.random.Generator, exits: int) -> dict:
    """A budget drawn at random, often one that is just enough or too little for a candidate, and the choice."""
    peak = found[random.integers(len(found))].predicted_peak_mb
    budget = Budget(
        ram_mb=round(float(random.choice([peak, peak - 0.01, random.uniform(40, 160)])), 2),
        battery_percent=None if random.random() < 0.4 else int(random.integers(1, 101)),
        battery_floor_percent=float(random.choice([0, 12.5, 20, 97])),
        seconds=None if random.random() < 0.6 else round(float(random.uniform(30, 400)), 1),
        steps=int(random.choice([1, 400, 1000])),
        disk_mb=None if random.random() < 0.5 else float(random.choice([0, 20.5, 31.36, 40])),
    )
    losses = random.uniform(0.5, 4, exits).round(3).tolist() if exits > 1 and random.random() < 0.7 else None
    selection = choose(found, budget, losses)
    return {
        "budget": dataclasses.asdict(budget),
        "told": str(budget),
        "exit_losses": losses,
        "chosen": None if selection.chosen is None else found.index(selection.chosen),
        "refused": [{"reasons": reasons} for _, reasons in selection.refused],
        "smallest": dataclasses.asdict(selection.smallest) if selection.smallest else None,
    }


def _without_what_selection_reads_not(artifact: Artifact) -> dict:
    called = {call["signature"] for plan in artifact.plans.values() for call in plan}
    values = artifact.to_json() | {"state": [], "voices": None}
    values["signatures"] = {name: values["signatures"][name] for name in sorted(called)}
    return values
