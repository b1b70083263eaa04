"""`tflite-asr COMMAND ...`: finds the command's module, runs it, prints its result.

A command is a module of this package with `SUMMARY`, `add_arguments(parser)` and `run(args) -> dict`.
`run` returns what `--json` prints; `describe(result) -> str`, if the module has it, is what a person reads.
No module here imports TensorFlow or the interpreter before `run` is called, so `--help` is quick.
"""

import argparse
import importlib
import json
import sys

from tflite_asr import __version__
from tflite_asr.errors import InputError

COMMANDS = (
    "demo",
    "manifest",
    "synthesize",
    "train",
    "export",
    "inspect",
    "transcribe",
    "evaluate",
    "personalize",
)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tflite-asr",
        description="Speech recognisers in TFLite files that go on learning on the phone.",
        epilog="Start with `tflite-asr demo`; `tflite-asr COMMAND --help` explains each command.",
    )
    parser.add_argument("--version", action="version", version=f"tflite-asr {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        module = importlib.import_module(f"tflite_asr.cli.{name}")
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
        command.set_defaults(module=module)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run one command; the exit code is 0, 2 for bad input, 130 when interrupted."""
    args = build_parser().parse_args(argv)
    try:
        result = args.module.run(args)
    except InputError as error:
        print(f"tflite-asr {args.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"tflite-asr {args.command}: interrupted", file=sys.stderr)
        return 130
    if args.json:
        print(json.dumps(result))
    elif hasattr(args.module, "describe"):
        print(args.module.describe(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
