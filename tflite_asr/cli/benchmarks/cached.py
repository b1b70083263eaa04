"""The upper layer groups trained from stored outputs of the lower ones (plan `cached`) against the same without.

    tflite-asr benchmark cached commands
    tflite-asr benchmark cached --preset wright2023

A preset is cut below its top group unless --parts or --part-sizes says otherwise. Both run in fresh processes by
turns; the figures are medians.
"""

import argparse

from tflite_asr.cli.arguments import check_least
from tflite_asr.cli.benchmarks.models import add_counts, add_preset, one_model

SUMMARY = "time of training the upper groups from stored outputs of the lower ones"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "model", nargs="?", metavar="MODEL", help="a .tflite with its .json beside it, or a shipped model"
    )
    add_preset(parser)
    add_counts(parser, "plan")


def run(args: argparse.Namespace) -> dict:
    """Run the command; returns its result, as `--json` prints it."""
    from tflite_asr.benchmark.cached import compare_cached
    from tflite_asr.config import preset

    check_least(args, steps=1, runs=1)
    if args.preset is not None and args.parts == "auto" and args.part_sizes is None:
        args.part_sizes = f"{preset(args.preset).encoder.layers - 1},1"
    with one_model(args) as path:
        return compare_cached(path, steps=args.steps, runs=args.runs)


def describe(result: dict) -> str:
    """The result as text for people."""
    uncached, cached = result["uncached"], result["cached"]
    lines = [
        f"trained: {', '.join(result['trained_groups'])}",
        f"{'':<20}{'uncached':>10}{'cached':>10}",
        f"{'seconds a step':<20}{uncached['step_seconds']:>10.3g}{cached['step_seconds']:>10.3g}",
        f"{'peak private, MB':<20}{uncached['peak_private_mb']:>10.3g}{cached['peak_private_mb']:>10.3g}",
        f"a cached step takes {result['time_ratio']:.2f} of the time of one that is not",
    ]
    for bits, row in result["stored"].items():
        lines.append(
            f"{bits:>2} bits: {row['bytes_per_second'] / 1000:.1f} kB for a second of speech, losses within "
            f"{row['loss_difference']:.1e}"
        )
    return "\n".join(lines)
