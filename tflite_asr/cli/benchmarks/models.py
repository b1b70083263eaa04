"""The models to measure: exported artifacts, or a preset that is exported first."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tflite_asr.cli.arguments import add_split, split_options
from tflite_asr.errors import InputError


def add_preset(parser: argparse.ArgumentParser) -> None:
    """--preset, how it is cut, and its optimizer."""
    parser.add_argument(
        "--preset", metavar="P", help="a configuration, exported with random weights (needs the extra `train`)"
    )
    add_split(parser)
    parser.add_argument(
        "--optimizer", default="sgd", choices=("sgd", "momentum", "adam"), help="of a preset (default %(default)s)"
    )


def add_counts(parser: argparse.ArgumentParser, of: str) -> None:
    """--steps and --runs."""
    parser.add_argument("--steps", type=int, default=3, metavar="S", help="timed in each process (default %(default)s)")
    parser.add_argument(
        "--runs", type=int, default=3, metavar="R", help=f"processes for each {of} (default %(default)s)"
    )


def check_one_model(args: argparse.Namespace) -> None:
    """InputError unless there is either a MODEL, taken as it is, or a preset."""
    if (args.model is None) == (args.preset is None):
        raise InputError("expected either MODEL or --preset")
    if args.model is not None and (args.parts != "auto" or args.part_sizes is not None or args.keep != "auto"):
        raise InputError("a MODEL is cut as it was exported; --parts, --part-sizes and --keep need --preset")


@contextmanager
def one_model(args: argparse.Namespace) -> Iterator[Path]:
    """The .tflite of MODEL, or of the preset for as long as the block runs."""
    from tflite_asr.runtime.artifact import find

    check_one_model(args)
    if args.model is not None:
        yield find(args.model)
    else:
        with exported_preset(args) as path:
            yield path


@contextmanager
def exported_preset(args: argparse.Namespace) -> Iterator[Path]:
    """The .tflite of the preset for as long as the block runs."""
    import tempfile

    from tflite_asr.benchmark.untrained import export_apart
    from tflite_asr.config import preset

    config, options = preset(args.preset), split_options(args)
    with tempfile.TemporaryDirectory() as folder:
        yield export_apart(config, options, args.optimizer, Path(folder))
