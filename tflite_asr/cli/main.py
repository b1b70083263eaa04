"""`tflite-asr COMMAND ...`: finds the command's module, runs it, prints its result.

A command is a module of this package with `SUMMARY`, `add_arguments(parser)` and `run(args) -> dict`.
`run` returns what `--json` prints; `describe(result) -> str`, if the module has it, is what a person reads.
No module here imports TensorFlow or the interpreter before `run` is called, so `--help` is quick.
"""

import argparse
import contextlib
import importlib
import json
import logging
import math
import os
import sys
from pathlib import Path
from typing import Any

from tflite_asr import __version__
from tflite_asr.cli.interruption import STOPPED, Interruption
from tflite_asr.cli.streams import prepare_streams
from tflite_asr.errors import InputError, PartlyDoneError
from tflite_asr.files import only_writer
from tflite_asr.quiet import show_everything
from tflite_asr.runtime.notices import LEVEL, QuietImport

COMMANDS = (
    "demo",
    "manifest",
    "synthesize",
    "import",
    "train",
    "average",
    "distill",
    "export",
    "inspect",
    "transcribe",
    "punctuate",
    "evaluate",
    "tune-rescoring",
    "tune-hotwords",
    "calibrate",
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
MODULES = {"import": "importing"}  # whose name is not the command's: Python has the word for itself

# packages of the extra `train`, see setup.cfg; a device does without them
TRAIN_PACKAGES = ("tensorflow", "tf_keras", "tensorflow_model_optimization", "tensorboard")


# of every option that takes F=V
WHERE = """F=V keeps the rows of a manifest whose field has that value: F=V,G=W where both hold, F=V|W one of two
values. A value that holds a comma or a bar stands in double quotes, 'speaker="Smith, John"', or has a backslash before
them."""


class _Help(argparse.RawDescriptionHelpFormatter):
    """Each command and its summary in one line: argparse forgets that commands are indented further than options."""

    def __init__(self, prog: str):
        super().__init__(prog)
        self._action_max_length = 4 + max(map(len, COMMANDS))


def build_parser() -> argparse.ArgumentParser:
    """The parser of the command line, with every command."""
    parser = argparse.ArgumentParser(
        prog="tflite-asr",
        description="Speech recognisers in TFLite files that keep learning on the phone.",
        epilog="Start with `tflite-asr demo`; `tflite-asr COMMAND --help` explains each command.",
        formatter_class=_Help,
    )
    parser.add_argument("--version", action="version", version=f"tflite-asr {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        module = importlib.import_module(f"tflite_asr.cli.{MODULES.get(name, name).replace('-', '_')}")
        command = commands.add_parser(
            name,
            help=module.SUMMARY,
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
        if any(action.metavar == "F=V" for action in command._actions):
            command.epilog = WHERE
        command.add_argument(
            "--json", action="store_true", help="print the result as one JSON object on standard output"
        )
        command.add_argument(
            "--verbose",
            action="store_true",
            help="show on standard error what libraries log: TensorFlow, TFLite, decoders of audio",
        )
        command.set_defaults(module=module)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run one command. The exit code is 0; 2 for bad input or system errors; 130 after Ctrl-C or SIGTERM."""
    program = "tflite-asr"
    prepare_streams()
    logged = logging.root.manager.disable
    with Interruption() as interruption:
        try:
            args = build_parser().parse_args(argv)
            program = interruption.program = f"tflite-asr {args.command}"
            if args.verbose:
                show_everything()
            else:
                _mute_libraries()
            _check_seed(args)
            problem, code = "", 0
            with _out(args):
                try:
                    result = args.module.run(args)
                except PartlyDoneError as error:
                    result, problem, code = error.result, str(error), 2
            _print(args, result)
            if not problem:
                return code
        except BaseException as error:
            # libraries make exceptions of their own of an interruption: whatever ends the run after it is that
            if interruption.came or isinstance(error, KeyboardInterrupt):
                interruption.ignore_more()
                problem, code = "stopped", STOPPED
            else:
                problem, code = _problem(error), 2
        finally:
            logging.disable(logged)
        print(f"{program}: {problem}", file=sys.stderr)
    return code


def command_line() -> int:
    """`main` of a process of its own. One that was stopped ends at once: libraries that were interrupted have been
    seen to end the process by the signal, code -2, while the interpreter shuts down. Files are written by then.
    """
    code = main()
    if code == STOPPED:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
    return code


def _mute_libraries() -> None:
    """Keep TensorFlow's and the TFLite runtime's own words off the terminal; child processes do so too."""
    os.environ.setdefault(LEVEL, "3")
    logging.disable(logging.WARNING)
    if "tensorflow" not in sys.modules:
        sys.meta_path.insert(0, QuietImport("tensorflow"))


def _problem(error: BaseException) -> str:
    """Bad input or a system error as one line; other errors are raised again."""
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, UnicodeEncodeError):  # a library that takes file names in UTF-8 only
        return f"expected names in UTF-8, a library cannot use {error.object!r}; rename it"
    if isinstance(error, OSError):
        return _system_error(error)
    if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] in TRAIN_PACKAGES:
        return f"needs {error.name}, which is not installed: pip install 'tflite_asr[train]'"
    raise error


def _check_seed(args: argparse.Namespace) -> None:
    """InputError unless every generator accepts the seed."""
    seed = getattr(args, "seed", None)
    if seed is not None and not 0 <= seed < 2**32:
        raise InputError(f"--seed: expected 0 to {2**32 - 1}, got {seed}")


def _out(args: argparse.Namespace) -> contextlib.AbstractContextManager:
    """Lock the folder that the command writes to; workers that share a training lock it themselves. A manifest is
    written at once at the end.
    """
    out = getattr(args, "out", None)
    if not out or args.command == "manifest" or getattr(args, "distribute", None):
        return contextlib.nullcontext()
    return only_writer(Path(out))


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


def _system_error(error: OSError) -> str:
    """A system error as one line."""
    reason = error.strerror or " ".join(str(error).split()) or type(error).__name__
    return reason if error.filename is None else f"{error.filename}: {reason}"


if __name__ == "__main__":
    sys.exit(main())
