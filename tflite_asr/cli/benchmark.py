"""Measure memory and time of training and recognition on this machine, and check that all ways of training agree.

    tflite-asr benchmark split --preset sim2019 --parts 2
    tflite-asr benchmark cached commands
    tflite-asr benchmark equality --preset commands --parts 3 --optimizer adam
    tflite-asr benchmark selector commands
    tflite-asr benchmark peers --work conformer
    tflite-asr benchmark recognition english --manifest M
    tflite-asr benchmark hotwords english --manifest M --hotwords FILE

Figures of training and recognition come from fresh processes. Nothing else heavy should run meanwhile.
`tflite-asr benchmark WHAT --help` explains each.
"""

import argparse
import importlib

SUMMARY = "measure the memory and time of training and recognition"
BENCHMARKS = ("split", "cached", "equality", "selector", "peers", "recognition", "hotwords")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    benchmarks = parser.add_subparsers(dest="benchmark", required=True, metavar="WHAT")
    for name in BENCHMARKS:
        module = importlib.import_module(f"tflite_asr.cli.benchmarks.{name}")
        benchmark = benchmarks.add_parser(
            name,
            help=module.SUMMARY,
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(benchmark)
        # of the command as well; absent here, it stays what it was there
        benchmark.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print one JSON object")
        benchmark.set_defaults(measuring=module)


def run(args: argparse.Namespace) -> dict:
    """Run the command; returns its result, as `--json` prints it."""
    return {"benchmark": args.benchmark, **args.measuring.run(args)}


def describe(result: dict) -> str:
    """The result as text for people."""
    return importlib.import_module(f"tflite_asr.cli.benchmarks.{result['benchmark']}").describe(result)
