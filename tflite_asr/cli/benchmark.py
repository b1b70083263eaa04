"""Measure on this machine what a way of training costs.

    tflite-asr benchmark split --preset sim2019 --parts 2
    tflite-asr benchmark split commands
    tflite-asr benchmark split --preset commands --sweep --out runs/sweep
    tflite-asr benchmark peers --work conformer

split: whole and split step run in fresh processes by turns; the figures are medians. A preset is exported first, with
random weights and SGD, which needs the extra `train`.

peers: the same training step whole, split, converted the stock TFLite way, in TensorFlow and in PyTorch, one thread
each, from the same weights on the same batch. Needs the extras `train` and, for PyTorch, `peers`. The stock
way's file runs in TensorFlow before 2.20 only: --stock-python names a Python with this package and tensorflow==2.19.1.

Nothing else heavy should run meanwhile.
"""

import argparse
import sys
from pathlib import Path

from tflite_asr.cli.arguments import add_split, check_least, split_options
from tflite_asr.errors import InputError

SUMMARY = "measure the memory and time of training"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what",
        choices=("split", "peers"),
        help="split: the step in parts against the whole step; peers: both against other runtimes",
    )
    parser.add_argument("model", nargs="?", metavar="MODEL", help="a .tflite with its .json beside it, or the name `commands`")
    parser.add_argument("--preset", metavar="P", help="in place of MODEL: a configuration, exported with random weights")
    add_split(parser)
    parser.add_argument(
        "--optimizer", default="sgd", choices=("sgd", "momentum", "adam"), help="of a preset (default %(default)s)"
    )
    parser.add_argument("--steps", type=int, default=3, metavar="S", help="timed in each process (default %(default)s)")
    parser.add_argument("--runs", type=int, default=3, metavar="R", help="processes for each plan or runtime (default %(default)s)")
    parser.add_argument("--keep-memory", action="store_true", help="let the C allocator keep what a call freed")
    parser.add_argument("--sweep", action="store_true", help="over parts, and over 2 to 24 layers; needs --preset and --out")
    parser.add_argument("--out", metavar="DIR", help="where --sweep writes its table and plot")
    for option, what in (("--work", "what is trained: conformer, lstm_transducer, sim2019"), ("--runtime", "who trains it")):
        parser.add_argument(option, action="append", metavar="NAME", help=f"peers: {what}; may be repeated (default: all)")
    parser.add_argument("--stock-python", metavar="PYTHON", help="peers: runs the stock way's file (default: this Python)")


def run(args: argparse.Namespace) -> dict:
    import tempfile

    from tflite_asr.benchmark.split import compare
    from tflite_asr.runtime.artifact import find

    check_least(args, steps=1, runs=1)
    if args.what == "peers":
        return _run_peers(args)
    if args.work or args.runtime or args.stock_python:
        raise InputError("--work, --runtime and --stock-python are of `benchmark peers`")
    if (args.model is None) == (args.preset is None):
        raise InputError("expected either MODEL or --preset")
    counts = {"steps": args.steps, "runs": args.runs, "keep_memory": args.keep_memory}
    if args.model is not None:
        if args.sweep or args.parts != "auto" or args.part_sizes is not None or args.keep != "auto":
            raise InputError("a MODEL is cut as it was exported; --sweep, --parts, --part-sizes and --keep need --preset")
        return compare(find(args.model), **counts)
    from tflite_asr.config import preset

    config = preset(args.preset)
    if args.sweep:
        if args.out is None:
            raise InputError("--sweep: expected --out DIR for the table and the plot")
        from tflite_asr.benchmark.sweep import sweep
        from tflite_asr.export import SplitOptions

        def make(config, parts, folder):
            return _export(config, SplitOptions(parts, None, args.keep), args.optimizer, folder)

        return sweep(config, make, Path(args.out), **counts)
    options = split_options(args)
    with tempfile.TemporaryDirectory() as folder:
        return compare(_export(config, options, args.optimizer, Path(folder)), **counts)


def _run_peers(args: argparse.Namespace) -> dict:
    from tflite_asr.benchmark.peers.compare import compare
    from tflite_asr.benchmark.peers.disk import PACKAGES
    from tflite_asr.benchmark.peers.work import WORKS

    for option in ("model", "preset", "part_sizes", "sweep", "out", "keep_memory"):
        if getattr(args, option):
            raise InputError(f"peers: expected no {option.replace('_', '-')}, its works are given; --work picks among them")
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


def _export(config, split, optimizer: str, folder: Path) -> Path:
    """Export in a process of its own, so that TensorFlow's memory is gone when the measuring starts."""
    import multiprocessing

    path = folder / f"{config.name}.tflite"
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        pool.apply(export_untrained, (config, split, optimizer, path))
    return path


def export_untrained(config, split, optimizer: str, path: Path) -> None:
    """Export a model of random weights, with what training needs, and see it written out."""
    import os

    import tf_keras as keras

    from tflite_asr.export import export
    from tflite_asr.models.build import build_model

    keras.utils.set_random_seed(0)
    export(build_model(config), path, optimizer=optimizer, split=split, inference=False, pull=False)
    with path.open("rb") as file:  # pages not yet written out would count as the measuring process's own
        os.fsync(file.fileno())


def describe(result: dict) -> str:
    if "rows" in result:
        return _describe_peers(result)
    if "table" in result:
        return f"{Path(result['table']).read_text(encoding='utf-8')}\nplot: {result['plot']}"
    lines = [f"{'':<30}{'whole':>10}{'split':>10}"]
    for name, unit in (
        ("added_private_mb", "training adds, MB"),
        ("peak_private_mb", "peak private, MB"),
        ("peak_rss_mb", "peak resident, MB"),
        ("step_seconds", "seconds a step"),
    ):
        lines.append(f"{unit:<30}{result['whole'][name]:>10.3g}{result['split'][name]:>10.3g}")
    return "\n".join(
        [
            *lines,
            f"in {result['parts']} parts, {result['calls']} calls: training adds {result['memory_reduction']:.0%} less memory "
            f"({result['total_memory_reduction']:.0%} in total) for {result['time_increase']:+.0%} time",
            f"floor {result['floor_mb']:.0f} MB (weights, optimizer state, largest part's activations), "
            f"split is {result['split_to_floor']:.2f} times it",
        ]
    )


def _describe_peers(result: dict) -> str:
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
