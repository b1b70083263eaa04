"""Compare two-pass models: export each without training, tune it on development speech, measure it on test speech.

    tflite-asr compare teacher=runs/teacher scratch=runs/scratch distilled=runs/student/stage_3 int8=runs/aware:aware \\
        --development speech/manifest.jsonl --development-where split=base_dev \\
        --test speech/manifest.jsonl --test-where split=base_test --out runs/table

A run is NAME=DIR, or NAME=DIR:QUANTIZE with a value of `export --quantize`. DIR/NAME.tflite are files without training
signatures. Each is measured in a process of its own, on one thread. With --keras, TensorFlow also recognises the test
speech, before conversion and quantisation, and the table has both word error rates. Prints Markdown; needs the extra
`train`.
"""

import argparse
import json
import re
import sys
from pathlib import Path

from tflite_asr.errors import InputError
from tflite_asr.export.quantization import MODES

TABLE = "compare.json"
SUMMARY = "export, tune and measure two-pass models side by side"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "runs", nargs="+", metavar="NAME=DIR[:Q]", help="what `train` or `distill` wrote, and how to store it"
    )
    parser.add_argument("--development", required=True, metavar="M", help="speech to tune rescoring on")
    parser.add_argument("--development-where", metavar="F=V", help="its rows to keep")
    parser.add_argument("--test", required=True, metavar="M", help="speech to measure on")
    parser.add_argument("--test-where", metavar="F=V", help="its rows to keep")
    parser.add_argument("--keras", action="store_true", help="also measure before conversion")
    parser.add_argument("--out", required=True, metavar="DIR", help="where the .tflite files are written")


def run(args: argparse.Namespace) -> dict:
    """Run the command; returns its result, as `--json` prints it."""
    from tflite_asr.names import check_utf8

    check_utf8(args.out)
    runs = [_parsed(text) for text in args.runs]
    if len({name for name, _, _ in runs}) < len(runs):
        raise InputError(f"expected each name once, got {', '.join(name for name, _, _ in runs)}")
    from tflite_asr.benchmark.compressed import Run, Speech, compare
    from tflite_asr.files import read_text, write_whole
    from tflite_asr.models.storage import read_model
    from tflite_asr.out_folder import check_settings, check_writable, speech_of, weights_of, write_settings

    development, test = Speech(args.development, args.development_where), Speech(args.test, args.test_where)
    folder = Path(args.out)
    settings = {
        "the runs": [[name, mode, weights_of(read_model(path)[1])] for name, path, mode in runs],
        "the speech of --development": speech_of(development.utterances()),
        "the speech of --test": speech_of(test.utterances()),
        "--keras": args.keras,
    }
    if check_settings(folder, settings, [TABLE]):
        print(f"{folder}: compared already", file=sys.stderr)
        return json.loads(read_text(folder / TABLE, "the table of a run"))
    check_writable(folder)
    write_settings(folder, settings)
    result = {"rows": compare([Run(*each) for each in runs], development, test, folder, keras=args.keras)}
    write_whole(folder / TABLE, (json.dumps(result, indent=1) + "\n").encode())
    return result


def _parsed(text: str) -> tuple[str, Path, str]:
    """NAME=DIR[:QUANTIZE]"""
    name, equals, rest = text.partition("=")
    folder, colon, mode = rest.rpartition(":")
    if not colon:
        folder, mode = rest, "none"
    if not equals or not folder or not re.fullmatch(r"[\w-]+", name) or mode not in MODES:
        raise InputError(
            f"{text!r}: expected NAME=DIR or NAME=DIR:Q with Q of {', '.join(MODES)}, such as teacher=runs/teacher"
        )
    return name, Path(folder), mode


def describe(result: dict) -> str:
    """The result as text for people."""
    keras = "keras_rescored_wer" in result["rows"][0]
    lines = [
        "| model | parameters | file, MB | first-pass WER | rescored WER | CER | seconds a second of speech | peak "
        "memory, MB |" + keras * " first pass, Keras | rescored, Keras |",
        "|---|---|---|---|---|---|---|---|" + keras * "---|---|",
    ]
    lines += [
        f"| {row['name']} | {row['parameters']:,} | {row['bytes'] / 1e6:.2f} | {row['first_pass_wer']:.1%} | "
        f"{row['rescored_wer']:.1%} | {row['rescored_cer']:.1%} | {row['seconds_per_second']:.3f} | "
        f"{row['peak_private_mb']:.0f} |"
        + (f" {row['keras_first_pass_wer']:.1%} | {row['keras_rescored_wer']:.1%} |" if keras else "")
        for row in result["rows"]
    ]
    return "\n".join(lines)
