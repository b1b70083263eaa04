"""Compare the predictions of `select` with measurements of every candidate in fresh processes.

    tflite-asr benchmark selector commands my.tflite --preset wright2023 --parts 4

Each candidate is measured in processes of its own.
"""

import argparse
from contextlib import nullcontext

from tflite_asr.cli.arguments import check_least
from tflite_asr.cli.benchmarks.models import add_counts, add_preset, exported_preset
from tflite_asr.errors import InputError

SUMMARY = "predicted memory and time of every candidate against measured ones"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "models", nargs="*", metavar="MODEL", help="a .tflite with its .json beside it, or a shipped model"
    )
    add_preset(parser)
    add_counts(parser, "candidate")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="of the interpreter (default %(default)s)")


def run(args: argparse.Namespace) -> dict:
    """Run the command; returns its result, as `--json` prints it."""
    from tflite_asr.benchmark.selector import compare_predictions
    from tflite_asr.runtime.artifact import find

    check_least(args, steps=1, runs=1, threads=1)
    if not args.models and args.preset is None:
        raise InputError("expected MODELs, --preset or both")
    paths = [find(model) for model in args.models]
    with nullcontext() if args.preset is None else exported_preset(args) as exported:
        paths += [exported] if exported else []
        return compare_predictions(paths, steps=args.steps, runs=args.runs, threads=args.threads)


def describe(result: dict) -> str:
    """The result as text for people."""
    lines = []
    for model in result["models"]:
        lines += [
            model["model"],
            f"{'plan':<10}{'calls':>6}{'peak MB':>9}{'predicted':>10}{'s a step':>10}{'predicted':>10}  learns",
        ]
        lines += [
            f"{row['plan']:<10}{row['calls']:>6}{row['measured_peak_mb']:>9.1f}{row['predicted_peak_mb']:>10.1f}"
            f"{row['measured_step_seconds']:>10.3f}{row['predicted_step_seconds']:>10.3f}  "
            f"{', '.join(row['trainable_groups'])}"
            for row in model["candidates"]
        ]
    return "\n".join(
        [*lines, f"worst errors: memory {result['worst_memory_error']:.1%}, time {result['worst_time_error']:.1%}"]
    )
