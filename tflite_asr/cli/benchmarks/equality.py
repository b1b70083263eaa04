"""Check that the split step trains as the whole step does.

    tflite-asr benchmark equality commands
    tflite-asr benchmark equality --preset wright2023 --parts 4 --steps 3

Both train on the same batches of noise; then their weights and optimizer slots are compared. The exit code is 0 either
way.
"""

import argparse

from tflite_asr.cli.arguments import check_learning_rate, check_least
from tflite_asr.cli.benchmarks.models import add_preset, one_model

SUMMARY = "weights after split steps against those after whole ones"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "model", nargs="?", metavar="MODEL", help="a .tflite with its .json beside it, or a shipped model"
    )
    add_preset(parser)
    parser.add_argument("--steps", type=int, default=10, metavar="S", help="of both (default %(default)s)")
    parser.add_argument("--learning-rate", type=float, default=1e-3, metavar="R", help="of both (default %(default)s)")


def run(args: argparse.Namespace) -> dict:
    """Run the command; returns its result, as `--json` prints it."""
    from tflite_asr.benchmark.equality import equality

    check_least(args, steps=1)
    check_learning_rate(args)
    with one_model(args) as path:
        return equality(path, steps=args.steps, learning_rate=args.learning_rate)


def describe(result: dict) -> str:
    """The result as text for people."""
    return (
        f"{result['parts']} parts, {result['optimizer']}, {result['steps']} steps: "
        f"weights moved by {result['weight_change']:.1e} and differ by {result['weight_difference']:.1e} of their "
        f"norm; "
        f"losses differ by {result['loss_difference']:.1e} at most"
    )
