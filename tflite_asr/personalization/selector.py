"""Chooses the sub-model to train: a pure function of candidates and a budget. It never reads the device.

    choose(candidates(artifact, calibration), Budget(ram_mb=150))

A candidate is an exit, the layer groups that learn, and the plan that trains them; what it takes comes from the
calibration of this device, what it is expected to gain from the table `gains` in NAME.json.
"""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

from tflite_asr.errors import InputError
from tflite_asr.personalization.calibration import Calibration
from tflite_asr.personalization.settings import Settings
from tflite_asr.runtime.artifact import Artifact
from tflite_asr.runtime.plan import Plan

# Assumed: no phone tells what a step draws. A core of a phone at work, and a battery of 4000 mAh at 3.85 V.
CORE_WATTS = 2.0
BATTERY_JOULES = 4.0 * 3.85 * 3600
SCALE_BYTES = 4  # beside each step of an activation that is stored in 8 bits
ROUND_STEPS = Settings().epochs * Settings().epoch_steps  # that a personalisation takes at most


@dataclass(frozen=True)
class Candidate:
    """One way to train, its cost and its expected gain."""

    exit: int  # of the artifact's, counted from 0
    trainable_groups: tuple[str, ...]  # in the artifact's order
    plan: str
    parts: int  # in which the plan cuts the step
    calls: int  # of signatures, in one step
    batch: int
    trainable_parameters: int
    predicted_peak_mb: float  # private memory of the process
    predicted_step_seconds: float
    predicted_step_joules: float
    expected_reduction: float | None  # relative, of the WER; None: the artifact has no table of gains
    predicted_disk_mb: float = 0.0  # that a personalisation stores on disk while it trains


@dataclass(frozen=True)
class Budget:
    """What training may take; None does not limit."""

    ram_mb: float  # private memory of the process
    battery_percent: float | None = None
    battery_floor_percent: float = 0.0  # what is to be left of it
    seconds: float | None = None
    steps: int = ROUND_STEPS  # that battery and seconds have to do for
    disk_mb: float | None = None

    def __post_init__(self):
        battery, seconds, disk = self.battery_percent, self.seconds, self.disk_mb
        for name, good, expected in (
            ("ram_mb", 0 < self.ram_mb < math.inf, "more than 0"),
            ("battery_percent", battery is None or 0 < battery <= 100, "more than 0, at most 100"),
            ("battery_floor_percent", 0 <= self.battery_floor_percent <= 100, "0 to 100"),
            ("seconds", seconds is None or 0 < seconds < math.inf, "more than 0"),
            ("steps", self.steps >= 1, "1 or more"),
            ("disk_mb", disk is None or 0 <= disk < math.inf, "0 or more"),
        ):
            if not good:
                raise InputError(f"budget: {name}: expected {expected}, got {getattr(self, name)}")

    def __str__(self) -> str:
        limits = [f"{self.ram_mb:g} MB of RAM"]
        if self.battery_percent is not None:
            limits.append(f"battery from {self.battery_percent:g}% to {self.battery_floor_percent:g}%")
        if self.seconds is not None:
            limits.append(f"{self.seconds:g} s")
        for_steps = f" for {self.steps} steps" if len(limits) > 1 else ""
        disk = f", {self.disk_mb:g} MB on disk" if self.disk_mb is not None else ""
        return ", ".join(limits) + for_steps + disk


@dataclass(frozen=True)
class Selection:
    """The choice, and why the others were rejected."""

    chosen: Candidate | None  # None: nothing fits
    refused: list[tuple[Candidate, list[str]]]  # all but the chosen one, with reasons
    smallest: Budget | None  # nothing fits: the least that one would fit into, if any does


def candidates(artifact: Artifact, calibration: Calibration) -> list[Candidate]:
    """The candidates of the artifact: each plan up to each call that trains groups, and the sets of groups in its table
    of gains.
    """
    found = []
    for name in artifact.plans:
        plan = Plan.of(name, artifact.plans, artifact.signatures)
        for groups in _trainable(plan, artifact):
            calls = plan.needed(groups)
            cost = calibration.plans[name]
            found.append(
                Candidate(
                    exit=_exit(name, artifact),
                    trainable_groups=tuple(group["name"] for group in artifact.groups if group["name"] in groups),
                    plan=name,
                    parts=plan.parts,
                    calls=len(calls),
                    batch=_batch(plan, artifact),
                    trainable_parameters=sum(g["parameters"] for g in artifact.groups if g["name"] in groups),
                    predicted_peak_mb=cost.peak_mb(len(calls)),
                    predicted_step_seconds=cost.seconds(len(calls)),
                    predicted_step_joules=cost.cpu_seconds(len(calls)) * CORE_WATTS,
                    expected_reduction=expected_reduction(artifact.gains, groups),
                    predicted_disk_mb=_disk_mb(plan, artifact),
                )
            )
    return found


def expected_reduction(gains: Sequence[dict], groups: set[str]) -> float | None:
    """Relative WER reduction that training these groups gave in earlier runs; for groups that were not tried, the most
    that any of them that were tried gave; None without any table."""
    if not gains:
        return None
    for row in gains:
        if set(row["groups"]) == groups:
            return row["relative_wer_reduction"]
    return max((row["relative_wer_reduction"] for row in gains if set(row["groups"]) < groups), default=0.0)


def choose(found: Sequence[Candidate], budget: Budget, exit_losses: Sequence[float] | None = None) -> Selection:
    """Choose, among the candidates that fit, the one with the largest expected gain; among equals the fastest, then the
    smallest.

    Less of a budget never chooses a candidate that needs more of it: the order of the candidates does not depend on it.

    Args:
        found: at least one.
        budget: of this round.
        exit_losses: the loss of each exit on the owner's validation utterances; without them the last exit is the best.
    """
    reasons = [_too_much(candidate, budget) for candidate in found]
    fitting = [candidate for candidate, why in zip(found, reasons) if not why]
    if not fitting:
        return Selection(None, list(zip(found, reasons)), _enough(found, budget))
    chosen = min(fitting, key=lambda candidate: tuple(_criteria(candidate, exit_losses).values()))
    refused = [
        (candidate, why or [_why_less(candidate, chosen, exit_losses)])
        for candidate, why in zip(found, reasons)
        if candidate is not chosen
    ]
    return Selection(chosen, refused, None)


def _trainable(plan: Plan, artifact: Artifact) -> list[set[str]]:
    """The sets of groups that a plan can train."""
    offered: list[set[str]] = []
    for call in plan.calls:
        if call.updates:
            offered.append({*call.updates, *(offered[-1] if offered else ())})
    for row in artifact.gains:
        groups = set(row["groups"])
        if groups <= offered[-1] and groups not in offered:
            offered.append(groups)
    return offered


def _exit(plan: str, artifact: Artifact) -> int:
    """The exit that a plan trains up to."""
    last = len(artifact.exits) - 1
    exit = artifact.plan_exits.get(plan, last)
    if not 0 <= exit <= last:
        raise InputError(f"{artifact.path}: plan {plan!r}: expected an exit from 0 to {last}, got {exit}; export again")
    return exit


def _disk_mb(plan: Plan, artifact: Artifact) -> float:
    """What the plan `cached` stores for a personalisation with the default settings, all strings as long as can be."""
    if not plan.cached:
        return 0.0
    settings = Settings()
    _, above = plan.at_first_update()
    shapes = [t["shape"] for t in artifact.signatures[above.signature]["inputs"] if t["name"] in above.takes]
    row_bytes = sum(steps * (width + SCALE_BYTES) for _, steps, width in (s for s in shapes if len(s) == 3))
    strings = settings.epoch_steps * _batch(plan, artifact) * settings.epochs // settings.cached_uses
    return strings * row_bytes / 1e6


def _batch(plan: Plan, artifact: Artifact) -> int:
    shapes = [t["shape"] for t in artifact.signatures[plan.calls[0].signature]["inputs"] if t["name"] == "frames"]
    return shapes[0][0]


def _needs(candidate: Candidate, budget: Budget) -> dict[str, tuple[float, float]]:
    """The candidate's needs and the budget's limits, by the budget's fields."""
    needs = {"ram_mb": (candidate.predicted_peak_mb, budget.ram_mb)}
    if budget.battery_percent is not None:
        percent = 100 * candidate.predicted_step_joules * budget.steps / BATTERY_JOULES
        needs["battery_percent"] = budget.battery_floor_percent + percent, budget.battery_percent
    if budget.seconds is not None:
        needs["seconds"] = candidate.predicted_step_seconds * budget.steps, budget.seconds
    if budget.disk_mb is not None:
        needs["disk_mb"] = candidate.predicted_disk_mb, budget.disk_mb
    return needs


def _too_much(candidate: Candidate, budget: Budget) -> list[str]:
    """Why it does not fit."""
    reasons = {
        "ram_mb": "needs {0:.1f} MB of RAM, the budget is {1:g} MB",
        "battery_percent": "needs a battery of {0:.1f}% for {2} steps down to {3:g}%, it is at {1:g}%",
        "seconds": "needs {0:.0f} s for {2} steps, the budget is {1:g} s",
        "disk_mb": "stores {0:.1f} MB on disk, the budget is {1:g} MB",
    }
    return [
        reasons[name].format(needed, has, budget.steps, budget.battery_floor_percent)
        for name, (needed, has) in _needs(candidate, budget).items()
        if needed > has
    ]


def _enough(found: Sequence[Candidate], budget: Budget) -> Budget | None:
    """The budget raised as little as any candidate takes, by the figure that has to grow most; None where more than a
    full battery would be needed for each."""
    raised = []
    for candidate in found:
        needs = _needs(candidate, budget)
        if needs.get("battery_percent", (0, 0))[0] <= 100:
            more = {name: float(math.ceil(needed)) for name, (needed, has) in needs.items() if needed > has}
            raised.append(
                (max(needed / max(has, 1e-9) for needed, has in needs.values()), dataclasses.replace(budget, **more))
            )
    return min(raised, key=lambda pair: pair[0])[1] if raised else None


def _criteria(candidate: Candidate, exit_losses: Sequence[float] | None) -> dict[str, float]:
    """The sort key of candidates that fit, most important first; less is better."""
    reduction = candidate.expected_reduction or 0.0
    if exit_losses is None:
        gain = {"exit": -candidate.exit, "expected WER reduction": -reduction}
    else:
        gain = {"expected loss": exit_losses[candidate.exit] * (1 - reduction)}
    return {
        **gain,
        "parameters that learn": -candidate.trainable_parameters,
        "seconds a step": candidate.predicted_step_seconds,
        "peak MB": candidate.predicted_peak_mb,
    }


def _why_less(candidate: Candidate, chosen: Candidate, exit_losses: Sequence[float] | None) -> str:
    ours, theirs = _criteria(candidate, exit_losses), _criteria(chosen, exit_losses)
    for name in ours:
        if ours[name] != theirs[name]:
            less, more = (f"{abs(value):,.7g}" for value in (ours[name], theirs[name]))
            return f"fits, but another is better: {name} {less} against {more}"
    return "fits, and is as good as the chosen one"
