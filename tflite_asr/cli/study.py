"""Write the results of a study into an artifact: the change of the word error rate by trained layer groups.

    tflite-asr simulate my.tflite --environment mobile --subsets --manifest speech/manifest.jsonl --out runs/study
    tflite-asr study runs/study my.tflite

The table `gains` of NAME.json is replaced; `select` and `personalize --rounds` take expected gains from it.
"""

import argparse
import dataclasses
from pathlib import Path

SUMMARY = "write what a study found into the artifact, for the selector"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("study", metavar="DIR", help="what `tflite-asr simulate --subsets` wrote")
    parser.add_argument("model", metavar="MODEL", help="the .tflite that was studied; its .json is written")


def run(args: argparse.Namespace) -> dict:
    """Run the command; returns its result, as `--json` prints it."""
    from tflite_asr.runtime.artifact import read_artifact, write_description
    from tflite_asr.study.gains import read_gains

    artifact = read_artifact(args.model)
    gains = read_gains(Path(args.study), artifact)
    return {"description": str(write_description(dataclasses.replace(artifact, gains=gains))), "gains": gains}


def describe(result: dict) -> str:
    """The result as text for people."""
    lines = [f"{'WER reduction':>13}{'speakers':>10}  learned"]
    for row in result["gains"]:
        lines.append(f"{row['relative_wer_reduction']:>13.1%}{row['speakers']:>10}  {', '.join(row['groups'])}")
    return "\n".join([*lines, f"written to {result['description']}"])
