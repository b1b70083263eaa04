"""Compare models by their exits: the word error rate at each exit, and by the mean depth of each exit policy.

    tflite-asr exits joint.tflite two_groups.tflite six_groups.tflite \\
        --manifest commands/manifest.jsonl --where split=base_test --out runs/exits

Writes exits.md, exits.json and exits.png. A policy leaves the encoder at the first exit whose entropy is below
a threshold, or whose n-best confidence is above one; thresholds cover all measured values. Models without early exits
are shown at their depth.
"""

import argparse
import sys
from pathlib import Path

from tflite_asr.cli.arguments import add_connect, add_seed, add_threads

SUMMARY = "word error rate by exit and by depth of exit policies"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("models", nargs="+", metavar="MODEL", help="a .tflite with its .json beside it")
    parser.add_argument("--manifest", action="append", required=True, metavar="M", help="test speech; can be repeated")
    parser.add_argument("--where", action="append", default=[], metavar="F=V", help="rows to keep, as in `train`")
    parser.add_argument("--out", required=True, metavar="DIR", help="where the table and the plot are written")
    add_connect(parser)
    add_seed(parser)
    add_threads(parser)


def run(args: argparse.Namespace) -> dict:
    """Run the command; returns its result, as `--json` prints it."""
    from tflite_asr.benchmark.exits import measure_exits, read_exits, write_exits
    from tflite_asr.cli.arguments import check_least, load_clips, read_manifests
    from tflite_asr.figure import check_drawing
    from tflite_asr.out_folder import check_settings, check_writable, speech_of, write_settings
    from tflite_asr.runtime.artifact import read_artifact
    from tflite_asr.runtime.evaluation import examples_of
    from tflite_asr.runtime.recognizer import Recognizer

    check_least(args, connect=1, threads=1)
    utterances, folder = read_manifests(args.manifest, args.where), Path(args.out)
    artifacts = [read_artifact(model) for model in args.models]  # a bad one is refused before the first is measured
    configs = [artifact.config for artifact in artifacts]
    settings = {
        "the models": [artifact.tflite_sha256[:12] for artifact in artifacts],
        "the speech of --manifest and --where": speech_of(utterances),
        **{f"--{name}": getattr(args, name) for name in ("connect", "seed")},
    }
    written = all((folder / name).exists() for name in ("exits.json", "exits.md", "exits.png"))
    if check_settings(folder, settings, ["exits.json"]) and written:
        print(f"{folder}: measured already", file=sys.stderr)
        return read_exits(folder)
    check_drawing()
    check_writable(folder)
    write_settings(folder, settings)
    kept, curves, too_long, too_short = utterances, [], set(), set()
    if len({(config.min_seconds, config.max_seconds) for config in configs}) > 1:  # all are measured on the same speech
        for config in (min(configs, key=lambda of: of.max_seconds), max(configs, key=lambda of: of.min_seconds)):
            corpus, _ = load_clips(kept, config, 1, args.seed)
            kept = corpus.utterances
            too_long.update(corpus.too_long)
            too_short.update(corpus.too_short)
    for model in args.models:
        recognizer = Recognizer.load(model, threads=args.threads)
        corpus, clips = load_clips(kept, recognizer.config, args.connect, args.seed)
        too_long.update(corpus.too_long)
        too_short.update(corpus.too_short)
        curves.append(measure_exits(recognizer, examples_of(recognizer, corpus, clips)))
    return write_exits(folder, curves, too_long=len(too_long), too_short=len(too_short))


def describe(result: dict) -> str:
    """The result as text for people."""
    return f"{Path(result['table']).read_text(encoding='utf-8')}\nplot: {result['plot']}"
