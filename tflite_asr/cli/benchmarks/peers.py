"""The same training step whole, in parts, converted the stock TFLite way, in TensorFlow and in PyTorch.

    tflite-asr benchmark peers
    tflite-asr benchmark peers --work conformer --runtime ours_whole --runtime pytorch_eager
    tflite-asr benchmark peers --work english

The work `english` is the step that the model `english` takes on the phone, ten seconds of speech: gains and biases of
its second pass train, what is frozen is int8 in our file and the same values as floats in the others. All weights of
the other works train.

One thread each, from the same weights on the same batch, fresh alternating processes. Needs the extras `train` and, for
PyTorch, `peers`. The stock way's file runs in TensorFlow before 2.20 only: --stock-python names a Python with this
package and tensorflow==2.19.1.
"""

import argparse
import sys

from tflite_asr.cli.arguments import check_least
from tflite_asr.cli.benchmarks.models import add_counts
from tflite_asr.errors import InputError

SUMMARY = "the same training step in other runtimes"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    for option, what in (
        ("--work", "what is trained: conformer, lstm_transducer, sim2019, english"),
        ("--runtime", "who trains it"),
    ):
        parser.add_argument(option, action="append", metavar="NAME", help=f"{what}; may be repeated (default: all)")
    add_counts(parser, "work and runtime")
    parser.add_argument("--stock-python", metavar="PYTHON", help="runs the stock way's file (default: this Python)")


def run(args: argparse.Namespace) -> dict:
    """Run the command; returns its result, as `--json` prints it."""
    from tflite_asr.benchmark.peers.compare import compare
    from tflite_asr.benchmark.peers.disk import PACKAGES
    from tflite_asr.benchmark.peers.work import WORKS

    check_least(args, steps=1, runs=1)
    works, runtimes = args.work or list(WORKS), args.runtime or list(PACKAGES)
    for option, chosen, known in (("--work", works, WORKS), ("--runtime", runtimes, PACKAGES)):
        for name in chosen:
            if name not in known:
                raise InputError(f"{option}: nothing is named {name!r}; there are: {', '.join(known)}")
    return compare(
        {name: WORKS[name] for name in works},
        list(dict.fromkeys(runtimes)),
        steps=args.steps,
        runs=args.runs,
        stock_python=args.stock_python or sys.executable,
        progress=lambda line: print(line, file=sys.stderr, flush=True),
    )


def describe(result: dict) -> str:
    """The result as text for people."""
    columns = ("step_seconds", "added_private_mb", "start_rss_mb", "disk_mb", "time_to_pytorch", "memory_to_pytorch")
    shown = [name for name in columns if name in result["rows"][0]]
    lines = []
    for work, sizes in result["works"].items():
        lines.append(f"{work}: {', '.join(f'{name} {value}' for name, value in sizes.items())}")
        lines.append(f"{'':<18}" + "".join(f"{name:>19}" for name in shown))
        for row in result["rows"]:
            if row["work"] == work:
                figures = "".join(f"{row[name]:>19.3g}" for name in shown) if row["step_seconds"] else f" {row['note']}"
                lines.append(f"{row['runtime']:<18}{figures}")
    return "\n".join(lines)
