"""Export a trained model as NAME.tflite and NAME.json.

    tflite-asr export runs/commands --out commands.tflite

The file holds every signature of the README's table, from TFLite's builtin ops alone. Needs the extra `train`.
"""

import argparse
from pathlib import Path

SUMMARY = "write a trained model as a .tflite that goes on learning"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="DIR", help="what `tflite-asr train` wrote")
    parser.add_argument("--out", required=True, metavar="NAME.tflite", help="NAME.json is written beside it")
    parser.add_argument(
        "--optimizer", default="adam", choices=("sgd", "momentum", "adam"), help="of the file (default %(default)s)"
    )
    parser.add_argument(
        "--allow-flex", action="store_true", help="let ops through that need the TensorFlow library on the device"
    )


def run(args: argparse.Namespace) -> dict:
    from tflite_asr.export import export
    from tflite_asr.models.storage import load_model

    artifact = export(load_model(Path(args.model)), Path(args.out), optimizer=args.optimizer, allow_flex=args.allow_flex)
    return {
        "model": args.out,
        "bytes": artifact.bytes,
        "parameters": sum(group["parameters"] for group in artifact.groups),
        "signatures": list(artifact.signatures),
        "min_runtime": artifact.min_runtime,
    }


def describe(result: dict) -> str:
    return (
        f"{result['model']}: {result['bytes'] / 1e6:.1f} MB, {result['parameters']:,} parameters, "
        f"{len(result['signatures'])} signatures, runs on TFLite {result['min_runtime']} and later"
    )
