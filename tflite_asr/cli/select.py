"""Choose what this device can train: the candidates, the choice, and why the others were rejected.

    tflite-asr select commands --ram-mb 150
    tflite-asr select commands --ram-mb 150 --battery 60 --battery-floor 20 --seconds 600

A candidate is an exit, the layer groups that train, and the plan that trains them. Its memory and time are predicted
from a calibration: a short run of each plan on this device, stored for later. Energy is predicted from processor time
at an assumed 2 W per core, and battery from an assumed 4000 mAh.
"""

import argparse
from pathlib import Path

from tflite_asr.cli.arguments import add_model, add_threads

SUMMARY = "choose the sub-model that fits a budget of memory, battery and time"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    from tflite_asr.personalization.settings import Settings

    steps = Settings().epochs * Settings().epoch_steps
    add_model(parser)
    parser.add_argument(
        "--ram-mb", type=float, required=True, metavar="N", help="private memory that training may take"
    )
    parser.add_argument("--battery", type=float, metavar="P", help="current battery percent")
    parser.add_argument(
        "--battery-floor", type=float, default=0.0, metavar="P", help="battery percent that must remain (default 0)"
    )
    parser.add_argument("--seconds", type=float, metavar="S", help="that training may take")
    parser.add_argument(
        "--steps",
        type=int,
        default=steps,
        metavar="N",
        help="training steps that battery and seconds must suffice for (default %(default)s)",
    )
    parser.add_argument("--disk-mb", type=float, metavar="N", help="that training may store on disk")
    parser.add_argument("--exit", type=int, metavar="N", help="only plans that train up to this exit, counted from 0")
    parser.add_argument(
        "--calibration", metavar="FILE", help="where the calibration is kept (default: in the user's cache)"
    )
    add_threads(parser)


def run(args: argparse.Namespace) -> dict:
    """Run the command; returns its result, as `--json` prints it."""
    import dataclasses
    import sys

    from tflite_asr.cli.arguments import check_least
    from tflite_asr.personalization.calibration import calibrated, default_path
    from tflite_asr.personalization.selector import Budget, candidates, choose
    from tflite_asr.runtime.artifact import read_artifact

    check_least(args, threads=1)
    budget = Budget(args.ram_mb, args.battery, args.battery_floor, args.seconds, args.steps, args.disk_mb)
    artifact = read_artifact(args.model)
    path = Path(args.calibration) if args.calibration else default_path(artifact, args.threads)
    calibration = calibrated(artifact, path, args.threads, lambda line: print(f"notice: {line}", file=sys.stderr))
    found = candidates(artifact, calibration)
    if args.exit is not None:
        found = _at_exit(found, args.exit, artifact)
    selection = choose(found, budget)
    return {
        "model": str(artifact.path),
        "calibration": None if path is None else str(path),
        "budget": dataclasses.asdict(budget),
        "chosen": dataclasses.asdict(selection.chosen) if selection.chosen else None,
        "smallest_budget": dataclasses.asdict(selection.smallest) if selection.smallest else None,
        "candidates": [dataclasses.asdict(candidate) for candidate in found],
        "refused": [{**dataclasses.asdict(candidate), "reasons": reasons} for candidate, reasons in selection.refused],
    }


def _at_exit(found: list, exit: int, artifact) -> list:
    """The candidates of one exit."""
    from tflite_asr.errors import InputError

    names = [row["name"] for row in artifact.exits]
    if not 0 <= exit < len(names):
        raise InputError(f"--exit: expected an exit from 0 to {len(names) - 1} ({', '.join(names)}), got {exit}")
    at_exit = [candidate for candidate in found if candidate.exit == exit]
    if not at_exit:
        raise InputError(f"--exit {exit}: {artifact.path} has no plan that trains up to {names[exit]}")
    return at_exit


def describe(result: dict) -> str:
    """The result as text for people."""
    from tflite_asr.personalization.selector import Budget

    reasons = {_key(row): "; ".join(row["reasons"]) for row in result["refused"]}
    columns = {"exit": 5, "parts": 6, "peak MB": 9, "s a step": 10, "J a step": 10, "disk MB": 9, "gain": 6}
    lines = [f"{'plan':<10}" + "".join(f"{name:>{width}}" for name, width in columns.items()) + "  learns"]
    for row in result["candidates"]:
        gain = "-" if row["expected_reduction"] is None else f"{row['expected_reduction']:.0%}"
        lines += [
            f"{row['plan']:<10}{row['exit']:>5}{row['parts']:>6}{row['predicted_peak_mb']:>9.1f}"
            f"{row['predicted_step_seconds']:>10.3f}{row['predicted_step_joules']:>10.2f}"
            f"{row['predicted_disk_mb']:>9.1f}{gain:>6}  " + ", ".join(row["trainable_groups"]),
            f"  {reasons.get(_key(row), 'chosen')}",
        ]
    if result["chosen"] is None:
        smallest = result["smallest_budget"]
        lines.append(f"nothing fits; the smallest budget that would: {Budget(**smallest) if smallest else 'none'}")
    return "\n".join(lines)


def _key(row: dict) -> tuple:
    return row["plan"], tuple(row["trainable_groups"])
