"""Measure on this machine what a way of training costs.

    tflite-asr benchmark split --preset sim2019 --parts 2
    tflite-asr benchmark split commands
    tflite-asr benchmark split --preset commands --sweep --out runs/sweep
    tflite-asr benchmark selector commands my.tflite --preset wright2023 --parts 4

split: whole and split step run in fresh processes by turns; the figures are medians. A preset is exported first, with
random weights and SGD, which needs the extra `train`. selector: what `select` predicts of every candidate, against the
same in fresh processes. Nothing else heavy should run meanwhile.
"""

import argparse
from pathlib import Path

from tflite_asr.cli.arguments import add_split, check_least, split_options
from tflite_asr.errors import InputError

SUMMARY = "measure the memory and time of training"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what", choices=("split", "selector"), help="split: the step in parts against the whole step; selector: its predictions"
    )
    parser.add_argument("models", nargs="*", metavar="MODEL", help="a .tflite with its .json beside it, or the name `commands`")
    parser.add_argument("--preset", metavar="P", help="a configuration, exported with random weights; for split in place of MODEL")
    add_split(parser)
    parser.add_argument(
        "--optimizer", default="sgd", choices=("sgd", "momentum", "adam"), help="of a preset (default %(default)s)"
    )
    parser.add_argument("--steps", type=int, default=3, metavar="S", help="timed in each process (default %(default)s)")
    parser.add_argument("--runs", type=int, default=3, metavar="R", help="processes for each plan or candidate (default %(default)s)")
    parser.add_argument("--keep-memory", action="store_true", help="let the C allocator keep what a call freed")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="for selector (default %(default)s)")
    parser.add_argument("--sweep", action="store_true", help="over parts, and over 2 to 24 layers; needs --preset and --out")
    parser.add_argument("--out", metavar="DIR", help="where --sweep writes its table and plot")


def run(args: argparse.Namespace) -> dict:
    check_least(args, steps=1, runs=1, threads=1)
    return _selector(args) if args.what == "selector" else _split(args)


def _selector(args: argparse.Namespace) -> dict:
    import tempfile

    from tflite_asr.benchmark.selector import compare_predictions
    from tflite_asr.config import preset
    from tflite_asr.runtime.artifact import find

    if not (args.models or args.preset) or args.sweep or args.keep_memory:
        raise InputError("benchmark selector: expected MODELs or --preset, without --sweep and --keep-memory")
    paths = [find(model) for model in args.models]
    with tempfile.TemporaryDirectory() as folder:
        if args.preset is not None:
            paths.append(_export(preset(args.preset), split_options(args), args.optimizer, Path(folder)))
        return compare_predictions(paths, steps=args.steps, runs=args.runs, threads=args.threads)


def _split(args: argparse.Namespace) -> dict:
    import tempfile

    from tflite_asr.benchmark.split import compare
    from tflite_asr.runtime.artifact import find

    if len(args.models) + (args.preset is not None) != 1:
        raise InputError("expected either MODEL or --preset")
    counts = {"steps": args.steps, "runs": args.runs, "keep_memory": args.keep_memory}
    if args.models:
        if args.sweep or args.parts != "auto" or args.part_sizes is not None or args.keep != "auto":
            raise InputError("a MODEL is cut as it was exported; --sweep, --parts, --part-sizes and --keep need --preset")
        return compare(find(args.models[0]), **counts)
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
    if "table" in result:
        return f"{Path(result['table']).read_text(encoding='utf-8')}\nplot: {result['plot']}"
    if "models" in result:
        return _predictions(result)
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


def _predictions(result: dict) -> str:
    lines = []
    for model in result["models"]:
        lines += [model["model"], f"{'plan':<10}{'calls':>6}{'peak MB':>9}{'predicted':>10}{'s a step':>10}{'predicted':>10}  learns"]
        lines += [
            f"{row['plan']:<10}{row['calls']:>6}{row['measured_peak_mb']:>9.1f}{row['predicted_peak_mb']:>10.1f}"
            f"{row['measured_step_seconds']:>10.3f}{row['predicted_step_seconds']:>10.3f}  {', '.join(row['trainable_groups'])}"
            for row in model["candidates"]
        ]
    return "\n".join([*lines, f"worst errors: memory {result['worst_memory_error']:.1%}, time {result['worst_time_error']:.1%}"])
