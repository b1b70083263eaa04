"""Watch a shipped recogniser learn a new voice on this machine, through the TFLite interpreter.

    tflite-asr demo
    tflite-asr demo --model my_model.tflite
    tflite-asr demo --adapt my_recordings/manifest.jsonl --connect 5

By default the voice is synthetic: eSpeak NG whispers strings of digits, unlike any training voice of `commands`, or
speaks sentences with a French accent if the model's texts have case. With --adapt the voice is yours: two thirds of
your clips are for training, the rest for the test.
"""

import argparse
from pathlib import Path

from tflite_asr.cli.arguments import add_seed, add_threads
from tflite_asr.cli.personalize import describe

SUMMARY = "start here: a shipped recogniser learns a new voice"
__all__ = ["SUMMARY", "add_arguments", "describe", "run"]

TEST_SHARE = 0.33
EPOCHS = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--model", default="commands", help="a shipped model or a file (default %(default)s)")
    parser.add_argument("--adapt", metavar="M", help="manifest of your own speech in place of the synthetic voice")
    parser.add_argument("--where", metavar="F=V", help="its rows to keep")
    parser.add_argument(
        "--connect", type=int, default=1, metavar="N", help="join clips into strings of up to N (default: as they are)"
    )
    parser.add_argument(
        "--out", default="runs/demo", metavar="DIR", help="where results are written (default %(default)s)"
    )
    add_seed(parser)
    add_threads(parser)


def run(args: argparse.Namespace) -> dict:
    """Run the command; returns its result, as `--json` prints it."""
    import sys

    from tflite_asr.audio.reading import Notices
    from tflite_asr.cli.arguments import check_least
    from tflite_asr.data.corpus import Corpus
    from tflite_asr.data.manifest import read_manifest
    from tflite_asr.personalization.session import run_session
    from tflite_asr.personalization.settings import Settings
    from tflite_asr.personalization.speech import Speech
    from tflite_asr.personalization.trainer import split
    from tflite_asr.runtime.recognizer import Recognizer

    check_least(args, connect=1, threads=1)
    out = Path(args.out)
    recognizer = Recognizer.load(args.model, threads=args.threads)
    if args.adapt is not None:
        utterances, voice = read_manifest(args.adapt, args.where), args.where or args.adapt
    else:
        from tflite_asr.data.demo_voice import ACCENT, WHISPER, speak_demo

        demo_voice = ACCENT if recognizer.config.cased else WHISPER
        print(f"making recordings of {demo_voice.description} ...", file=sys.stderr)
        manifest = speak_demo(demo_voice, out / "voice", recognizer.config.features.sample_rate, args.seed)
        utterances, voice = read_manifest(manifest), demo_voice.description
    with Notices() as notices:
        corpus = Corpus(utterances, recognizer.config, notices)
    adapt, test = split(corpus.utterances, TEST_SHARE, args.seed)
    settings = Settings(connect=args.connect, seed=args.seed, epochs=EPOCHS)
    return run_session(recognizer, Speech(corpus, adapt), (corpus, test), settings, out, voice=voice)
