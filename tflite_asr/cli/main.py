"""`tflite-asr COMMAND ...`: finds the command's module, runs it, prints its result.

A command is a module of this package with `SUMMARY`, `add_arguments(parser)` and `run(args) -> dict`.
`run` returns what `--json` prints; `describe(result) -> str`, if the module has it, is what a person reads.
No module here imports TensorFlow or the interpreter before `run` is called, so `--help` is quick.
"""

import argparse
import importlib
import json
import logging
import math
import os
import sys
from typing import Any

from tflite_asr import __version__
from tflite_asr.errors import InputError
from tflite_asr.runtime.notices import LEVEL

COMMANDS = (
    "demo",
    "manifest",
    "synthesize",
    "train",
    "distill",
    "export",
    "inspect",
    "transcribe",
    "evaluate",
    "tune-rescoring",
    "select",
    "exits",
    "personalize",
    "benchmark",
    "compare",
    "simulate",
    "study",
    "record",
    "listen",
)


# packages of the extra `train`, see setup.cfg; a device does without them
TRAIN_PACKAGES = ("tensorflow", "tf_keras", "tensorflow_model_optimization", "tensorboard")


class _Help(argparse.RawDescriptionHelpFormatter):
    """Each command and its summary in one line: argparse forgets that commands are indented further than options."""

    def __init__(self, prog: str):
        super().__init__(prog)
        self._action_max_length = 4 + max(map(len, COMMANDS))


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tflite-asr",
        description="Speech recognisers in TFLite files that go on learning on the phone.",
        epilog="Start with `tflite-asr demo`; `tflite-asr COMMAND --help` explains each command.",
        formatter_class=_Help,
    )
    parser.add_argument("--version", action="version", version=f"tflite-asr {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        module = importlib.import_module(f"tflite_asr.cli.{name.replace('-', '_')}")
        command = commands.add_parser(
            name,
            help=module.SUMMARY,
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
        command.add_argument(
            "--json", action="store_true", help="print the result as one JSON object on standard output"
        )
        command.add_argument(
            "--verbose", action="store_true", help="show what TensorFlow and the TFLite runtime log on standard error"
        )
        command.set_defaults(module=module)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run one command; the exit code is 0, 2 for bad input or what the system refuses, 130 when interrupted."""
    args = build_parser().parse_args(argv)
    logged = logging.root.manager.disable
    if not args.verbose:
        os.environ.setdefault(LEVEL, "3")  # child processes have it too
        logging.disable(logging.WARNING)
    try:
        result = args.module.run(args)
        _print(args, result)
        return 0
    except KeyboardInterrupt:
        problem, code = "interrupted", 130
    except InputError as error:
        problem, code = str(error), 2
    except OSError as error:
        problem, code = _told(error), 2
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in TRAIN_PACKAGES:
            raise
        problem, code = f"needs {error.name}, which is not installed: pip install 'tflite_asr[train]'", 2
    finally:
        logging.disable(logged)
    print(f"tflite-asr {args.command}: {problem}", file=sys.stderr)
    return code


def _print(args: argparse.Namespace, result: dict) -> None:
    try:
        if args.json:
            print(json.dumps(_finite(result)), flush=True)
        elif hasattr(args.module, "describe"):
            print(args.module.describe(result), flush=True)
    except OSError as error:
        # what is left in the buffer would fail once more when Python exits
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):  # a reader such as `head` that has seen enough
            raise OSError(error.errno, error.strerror, "standard output") from None


def _finite(value: Any) -> Any:
    """The same with null for figures that JSON does not have: NaN and infinity."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _told(error: OSError) -> str:
    """What the system refused, in one line."""
    reason = error.strerror or " ".join(str(error).split()) or type(error).__name__
    return reason if error.filename is None else f"{error.filename}: {reason}"


if __name__ == "__main__":
    sys.exit(main())
