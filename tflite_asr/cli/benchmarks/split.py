"""The step in parts against the whole step: memory and time.

    tflite-asr benchmark split --preset sim2019 --parts 2
    tflite-asr benchmark split english --seconds 10
    tflite-asr benchmark split --preset commands --sweep --out runs/sweep

Both run in fresh processes, alternating; the figures are medians.
"""

import argparse
import sys
from pathlib import Path

from tflite_asr.cli.arguments import check_least
from tflite_asr.cli.benchmarks.models import add_counts, add_preset, check_one_model, one_model
from tflite_asr.errors import InputError

SUMMARY = "memory and time of the step in parts against the whole step"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "model", nargs="?", metavar="MODEL", help="a .tflite with its .json beside it, or a shipped model"
    )
    add_preset(parser)
    add_counts(parser, "plan")
    parser.add_argument(
        "--seconds",
        type=float,
        metavar="S",
        help="length of the utterances (default: the longest that the model takes)",
    )
    parser.add_argument("--keep-memory", action="store_true", help="let the C allocator keep freed memory")
    parser.add_argument(
        "--sweep", action="store_true", help="over parts, and over 2 to 24 layers; needs --preset and --out"
    )
    parser.add_argument("--out", metavar="DIR", help="where --sweep writes its table and plot")


def run(args: argparse.Namespace) -> dict:
    """Run the command; returns its result, as `--json` prints it."""
    from tflite_asr.benchmark.split import compare

    check_least(args, steps=1, runs=1)
    counts = {"steps": args.steps, "runs": args.runs, "keep_memory": args.keep_memory}
    if args.sweep:
        return _sweep(args, counts)
    with one_model(args) as path:
        return compare(path, **counts, seconds=args.seconds)


def _sweep(args: argparse.Namespace, counts: dict) -> dict:
    from tflite_asr.config import preset

    check_one_model(args)
    if args.preset is None or args.out is None:
        raise InputError("--sweep: expected --preset, and --out DIR for the table and the plot")
    config = preset(args.preset)
    if config.exits:
        raise InputError(
            f"--sweep: expected a preset without early exits, which have their place in the depth, got {args.preset}"
        )
    from tflite_asr.benchmark.sweep import sweep
    from tflite_asr.benchmark.untrained import export_apart
    from tflite_asr.export import SplitOptions

    def make(config, parts, folder):
        return export_apart(config, SplitOptions(parts, None, args.keep), args.optimizer, folder)

    return sweep(config, make, Path(args.out), progress=lambda line: print(line, file=sys.stderr, flush=True), **counts)


def describe(result: dict) -> str:
    """The result as text for people."""
    if "table" in result:
        return f"{Path(result['table']).read_text(encoding='utf-8')}\nplot: {result['plot']}"
    lines = [f"{'':<30}{'whole':>10}{'split':>10}"]
    for name, unit in (
        ("added_private_mb", "training adds, MB"),
        ("settled_added_mb", "after the first step, MB"),
        ("arena_mb", "stays between steps, MB"),
        ("peak_private_mb", "peak private, MB"),
        ("peak_rss_mb", "peak resident, MB"),
        ("step_seconds", "seconds a step"),
    ):
        lines.append(f"{unit:<30}{result['whole'][name]:>10.3g}{result['split'][name]:>10.3g}")
    lines.append(
        f"split against whole, in {result['calls']} calls: memory that training adds "
        f"{-result['memory_reduction']:+.0%}, peak private {-result['total_memory_reduction']:+.0%}, time "
        f"{result['time_increase']:+.0%}"
    )
    if "floor_mb" in result:
        lines.append(
            f"floor {result['floor_mb']:.0f} MB (weights, optimizer state, largest part's activations), "
            f"split is {result['split_to_floor']:.2f} times it"
        )
    return "\n".join(lines)
