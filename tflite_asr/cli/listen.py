"""Write down what the microphone hears, by chunks of a quarter of a second, until Ctrl-C.

    tflite-asr listen commands [--checkpoint mine.safetensors]
    tflite-asr listen commands --file turn_left.wav     # a file in place of the microphone
    tflite-asr listen commands --hotwords names.txt

With --hotwords each utterance is heard once more when it is over, whole and by beam search.
The microphone needs the extra `record`.
"""

import argparse

from tflite_asr.cli.arguments import add_hotwords, add_model, add_threads

SUMMARY = "write down what the microphone hears"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model(parser)
    parser.add_argument("--file", metavar="FILE", help="an audio file of any length in place of the microphone")
    parser.add_argument("--checkpoint", metavar="C", help="what `personalize` learned")
    add_hotwords(parser)
    add_threads(parser)


def run(args: argparse.Namespace) -> dict:
    import sys

    from tflite_asr.audio.microphone import BLOCK_SECONDS, Microphone
    from tflite_asr.audio.reading import Notices, read_audio
    from tflite_asr.cli.arguments import check_least, hotwords_of
    from tflite_asr.runtime.listener import listen
    from tflite_asr.runtime.recognizer import Recognizer

    check_least(args, threads=1)
    recognizer = Recognizer.load(args.model, threads=args.threads)
    if args.checkpoint:
        recognizer.restore(args.checkpoint)
    hotwords = hotwords_of(args, recognizer, greedy=False)
    rate = recognizer.config.features.sample_rate
    if args.file:
        with Notices() as notices:
            samples = read_audio(args.file, rate, notify=notices)
        block = int(BLOCK_SECONDS * rate)
        chunks = (samples[first : first + block] for first in range(0, len(samples), block))
    else:
        chunks = Microphone(rate).blocks()
    transcripts = []
    try:
        for text, over in listen(recognizer, chunks, hotwords=hotwords):
            if sys.stderr.isatty():
                print(f"\r{text}", end="\n" if over else "", file=sys.stderr, flush=True)
            if over:
                transcripts.append(text)
    except KeyboardInterrupt:  # how one stops listening
        print(file=sys.stderr)
    return {"transcripts": transcripts}


def describe(result: dict) -> str:
    return "\n".join(result["transcripts"])
