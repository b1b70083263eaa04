"""Measure the gain of hotwords and their cost in time, also with invented names in the list.

    tflite-asr benchmark hotwords english --manifest names/manifest.jsonl --hotwords names/names.txt

Each utterance is heard without hotwords, with the list, and with the list and --distractors names that nobody says, by
both passes where the second one decodes by itself. Time is the processor's, of one thread.
"""

import argparse

from tflite_asr.cli.arguments import add_model, add_seed, check_least

SUMMARY = "error rates and time with hotwords and without"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add_model(parser)
    parser.add_argument("--manifest", required=True, metavar="M", help="test speech")
    parser.add_argument("--where", metavar="F=V", help="rows to keep")
    parser.add_argument("--hotwords", required=True, metavar="FILE", help="phrases, one a line")
    parser.add_argument(
        "--distractors", type=int, default=1000, metavar="N", help="invented names (default %(default)s)"
    )
    add_seed(parser)


def run(args: argparse.Namespace) -> dict:
    """Run the command; returns its result, as `--json` prints it."""
    from tflite_asr.benchmark.hotwords import compare
    from tflite_asr.cli.arguments import load_clips
    from tflite_asr.data.manifest import read_manifest
    from tflite_asr.runtime.evaluation import examples_of
    from tflite_asr.runtime.recognizer import Recognizer
    from tflite_asr.text.phrases import read_phrases

    check_least(args, distractors=0)
    recognizer = Recognizer.load(args.model, threads=1)
    phrases = read_phrases(args.hotwords)
    corpus, clips = load_clips(read_manifest(args.manifest, args.where), recognizer.config, 1, args.seed)
    return compare(recognizer, examples_of(recognizer, corpus, clips), phrases, args.distractors, args.seed)


def describe(result: dict) -> str:
    """The result as text for people."""
    lines = [f"{result['utterances']} utterances, {result['weight']:g} nats a letter"]
    for row in result["ways"]:
        rates = ", ".join(
            f"{what} {row[key]:.2%}"
            for what, key in (("WER", "wer"), ("of the list's words", "hotword_wer"), ("of others", "other_wer"))
            if row[key] is not None
        )
        lines.append(
            f"{row['way']} ({row['phrases']} phrases): {rates}; {row['cpu_seconds_per_second']:.3f} s a second"
        )
    return "\n".join(lines)
