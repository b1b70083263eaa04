"""Transcribe the microphone, utterance by utterance, until Ctrl-C.

    tflite-asr listen commands [--checkpoint mine.safetensors]
    tflite-asr listen commands --file turn_left.wav     # a file in place of the microphone
    tflite-asr listen commands --hotwords names.txt

An utterance ends after a silence; a model that streams shows its text during speech. The microphone needs
the extra `record`.
"""

import argparse
from typing import TYPE_CHECKING

from tflite_asr.cli.arguments import add_hotwords, add_model, add_threads

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

SUMMARY = "write down what the microphone hears"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add_model(parser)
    parser.add_argument("--file", metavar="FILE", help="an audio file of any length in place of the microphone")
    parser.add_argument("--checkpoint", metavar="C", help="what `personalize` learned")
    for rule, seconds, help in (
        ("leading-silence", 5.0, "end an utterance after this much silence at its beginning"),
        ("trailing-silence", 0.8, "after so much silence behind speech"),
        ("longest", 20.0, "when it lasts so long, or as long as the model takes"),
    ):
        parser.add_argument(
            f"--{rule}", type=float, default=seconds, metavar="S", help=f"{help} (default %(default)s s)"
        )
    add_hotwords(parser)
    add_threads(parser)


def run(args: argparse.Namespace) -> dict:
    """Run the command; returns its result, as `--json` prints it."""
    import sys

    from tflite_asr.audio.endpoints import EndpointRules
    from tflite_asr.audio.microphone import Microphone
    from tflite_asr.cli.arguments import check_least, hotwords_of
    from tflite_asr.runtime.listener import endpointer_for, listen
    from tflite_asr.runtime.recognizer import Recognizer

    check_least(args, threads=1)
    recognizer = Recognizer.load(args.model, threads=args.threads)
    if args.checkpoint:
        recognizer.restore(args.checkpoint)
    hotwords = hotwords_of(args, recognizer, greedy=False)
    rate = recognizer.config.features.sample_rate
    chunks = _file(args.file, rate) if args.file else Microphone(rate).blocks()
    rules = EndpointRules(args.leading_silence, args.trailing_silence, args.longest)
    endpointer = endpointer_for(recognizer.config, rules)
    utterances = []
    try:
        for heard in listen(recognizer, chunks, endpointer=endpointer, hotwords=hotwords, words=False):
            if sys.stderr.isatty():
                print(f"\r{heard.text}", end="\n" if heard.over else "", file=sys.stderr, flush=True)
            if heard.endpoint is not None:
                place = {name: round(getattr(heard.endpoint, name), 3) for name in ("start_seconds", "end_seconds")}
                utterances.append({**place, "rule": heard.endpoint.rule, "text": heard.text})
    except KeyboardInterrupt:  # how one stops listening
        print(file=sys.stderr)
    return {"transcripts": [row["text"] for row in utterances], "utterances": utterances}


def _file(path: str, rate: int) -> "Iterator[np.ndarray]":
    """A file's samples, block by block."""
    from tflite_asr.audio.reading import Notices, audio_blocks

    with Notices() as notices:
        yield from audio_blocks(path, rate, notify=notices)


def describe(result: dict) -> str:
    """The result as text for people."""
    return "\n".join(result["transcripts"])
