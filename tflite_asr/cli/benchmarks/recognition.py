"""Measure time and memory of recognition, in a fresh process.

    tflite-asr benchmark recognition english --manifest M --where split=base_dev --utterances 6

--utterances recordings are taken, from the shortest to the longest in equal steps of rank; 1 takes the shortest. Each
is recognised from samples to text by beam search, by the first pass alone and, where there is a second one, by both.
"""

import argparse

from tflite_asr.cli.arguments import add_model, check_least

SUMMARY = "time and memory of recognition, by length of the utterance"
PASSES = {"first_pass": "first pass", "both_passes": "both passes"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add_model(parser)
    parser.add_argument("--manifest", required=True, metavar="M", help="speech to recognise")
    parser.add_argument("--where", metavar="F=V", help="rows to keep")
    parser.add_argument(
        "--utterances", type=int, default=6, metavar="N", help="recordings to recognise (default %(default)s)"
    )
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="of the interpreter (default %(default)s)")


def run(args: argparse.Namespace) -> dict:
    """Run the command; returns its result, as `--json` prints it."""
    import numpy as np

    from tflite_asr.benchmark.recognition_cost import recognition_cost
    from tflite_asr.cli.arguments import load_clips
    from tflite_asr.data.manifest import read_manifest
    from tflite_asr.runtime.artifact import find, read_artifact

    check_least(args, utterances=1, threads=1)
    config = read_artifact(args.model).config
    corpus, clips = load_clips(read_manifest(args.manifest, args.where), config, 1, 0)
    by_length = sorted((corpus.assemble(clip) for clip in clips), key=len)
    ranks = np.linspace(0, len(by_length) - 1, min(args.utterances, len(by_length))).round().astype(int)
    path = find(args.model)
    return {
        "model": str(path),
        "threads": args.threads,
        **recognition_cost(path, [by_length[rank] for rank in ranks], args.threads),
    }


def describe(result: dict) -> str:
    """The result as text for people."""
    passes = {name: title for name, title in PASSES.items() if f"{name}_seconds_per_second" in result}
    lines = [f"{'seconds of speech':>18}" + "".join(f"{title:>14}" for title in passes.values())]
    for row in result["rows"]:
        lines.append(
            f"{row['speech_seconds']:>18.1f}" + "".join(f"{row[f'{name}_seconds']:>12.2f} s" for name in passes)
        )
    rates = [f"{title} {result[f'{name}_seconds_per_second']:.3f}" for name, title in passes.items()]
    return "\n".join(
        [
            *lines,
            f"seconds for a second of speech: {', '.join(rates)}",
            f"loaded in {result['load_seconds']:.2f} s; private memory: {result['base_private_mb']:.0f} MB before, "
            f"{result['loaded_private_mb']:.0f} MB loaded, {result['peak_private_mb']:.0f} MB at most",
        ]
    )
