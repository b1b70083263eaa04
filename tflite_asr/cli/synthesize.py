"""Make a corpus of synthetic speech with eSpeak NG: DIR/audio/SPEAKER/NNNN.flac and DIR/manifest.jsonl.

Every speaker says every line of --text, or every word of --words or --digits; with --strings, each speaker says
random strings of one to five of the words instead. The same arguments give the same files.

    tflite-asr synthesize --digits --strings 40 --speakers 20 --out digits

With --atypical the speakers speak slowly and unevenly, with imprecise consonants, shaky pitch and breath. The manifest
marks this simulation. It can also be applied to recorded speech:

    tflite-asr synthesize --atypical --manifest speech/manifest.jsonl --where speaker=ann --out atypical

Synthetic speech needs the package `espeakng_loader`: pip install tflite_asr[voices]
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tflite_asr.errors import InputError
from tflite_asr.files import read_text

SUMMARY = "make a corpus of synthetic speech"

DIGITS = ("ZERO", "ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE")
LONGEST_STRING = 5  # words


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--text", metavar="FILE", help="say the lines of this file")
    source.add_argument("--words", metavar="WORD,WORD,...", help="say these words")
    source.add_argument("--digits", action="store_true", help="say the words ZERO to NINE")
    source.add_argument("--manifest", metavar="M", help="change this recorded speech; with --atypical")
    parser.add_argument("--where", metavar="F=V", help="rows of --manifest to keep")
    parser.add_argument("--atypical", action="store_true", help="simulate atypical speech")
    parser.add_argument("--strings", type=int, metavar="N", help="each speaker says N random strings of the words")
    parser.add_argument("--speakers", type=int, default=10, metavar="N", help="how many speakers (default %(default)s)")
    parser.add_argument("--takes", type=int, default=1, metavar="K", help="takes of each text (default %(default)s)")
    parser.add_argument(
        "--words-per-minute",
        metavar="N-N",
        help="range of the speakers' rates, such as 80-130 for slow readers (default 120-200)",
    )
    parser.add_argument("--sample-rate", type=int, default=16000, metavar="HZ", help="of the files (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of speakers, strings and takes (default %(default)s)")
    parser.add_argument("--out", required=True, metavar="DIR", help="a new or empty folder")


def run(args: argparse.Namespace) -> dict:
    """Run the command; returns its result, as `--json` prints it."""
    import soundfile

    if args.where is not None and args.manifest is None:
        raise InputError("--where: expected --manifest with it, got none")
    if args.strings is not None and (args.text is not None or args.manifest is not None):
        raise InputError("--strings joins words: give --words or --digits")
    for option, value, lowest in (
        ("--strings", args.strings, 1),
        ("--takes", args.takes, 1),
        ("--sample-rate", args.sample_rate, 8000),
    ):
        if value is not None and value < lowest:
            raise InputError(f"{option}: expected {lowest} or more, got {value}")
    try:
        rows = _change(args) if args.manifest is not None else _speak(args)
    except soundfile.LibsndfileError as error:  # a rate that FLAC does not have, a full disk
        raise InputError(
            f"{args.out}: expected to write FLAC files at {args.sample_rate} Hz: {error.error_string}"
        ) from None
    return {
        "manifest": str(Path(args.out) / "manifest.jsonl"),
        "utterances": len(rows),
        "speakers": len({row["speaker"] for row in rows}),
        "hours": round(sum(row["duration"] for row in rows) / 3600, 4),
        "simulated": rows[0].get("simulated"),
    }


def _speak(args: argparse.Namespace) -> list[dict]:
    from tqdm import tqdm

    from tflite_asr.data.synthetic import SyntheticSpeaker, draw_speakers, write_corpus

    texts, speakers = _texts(args), draw_speakers(args.speakers, args.seed, **_rates(args))

    def said_by(speaker: SyntheticSpeaker) -> Iterator[str]:
        own = texts if args.strings is None else _strings(texts, args.strings, [args.seed, *speaker.id.encode()])
        for text in own:
            yield from [text] * args.takes

    return write_corpus(
        args.out,
        speakers,
        said_by,
        args.sample_rate,
        args.seed,
        progress=lambda speakers: tqdm(speakers, desc="synthesize", unit="speaker", disable=None),
        atypical=args.atypical,
    )


def _change(args: argparse.Namespace) -> list[dict]:
    from tqdm import tqdm

    from tflite_asr.audio.reading import Notices
    from tflite_asr.data.atypical import atypical_rows
    from tflite_asr.data.corpus_folder import write_folder
    from tflite_asr.data.manifest import read_manifest

    if not args.atypical:
        raise InputError("--manifest: expected --atypical, which says what to do with the speech")
    utterances = tqdm(read_manifest(args.manifest, args.where), desc="synthesize", unit="utterance", disable=None)
    with Notices() as notices:
        return write_folder(
            args.out, lambda folder: atypical_rows(folder, utterances, args.sample_rate, args.seed, notices)
        )


def describe(result: dict) -> str:
    """The result as text for people."""
    return "{manifest}: {utterances} utterances of {speakers} {0} speakers, {hours} h".format(
        result["simulated"] or "synthetic", **result
    )


def _texts(args: argparse.Namespace) -> list[str]:
    """The lines or words to say."""
    if args.digits:
        return list(DIGITS)
    if args.words is not None:
        source, parts = "--words", args.words.split(",")
    else:
        source = args.text
        parts = read_text(args.text).splitlines()
    texts = [part.strip() for part in parts if part.strip()]
    if not texts:
        raise InputError(f"{source}: expected something to say, got nothing")
    return texts


def _rates(args: argparse.Namespace) -> dict[str, tuple[int, int]]:
    """The rates of --words-per-minute, if given, for `draw_speakers`."""
    if args.words_per_minute is None:
        return {}
    slowest, _, fastest = args.words_per_minute.partition("-")
    if not (slowest.isdecimal() and fastest.isdecimal()):
        raise InputError(f"--words-per-minute: expected two rates such as 80-130, got {args.words_per_minute}")
    return {"words_per_minute": (int(slowest), int(fastest))}


def _strings(words: list[str], count: int, seed: list[int]) -> list[str]:
    """Random strings of 1 to `LONGEST_STRING` words; a word can come again."""
    random = np.random.default_rng(seed)
    lengths = random.integers(1, LONGEST_STRING, count, endpoint=True)
    return [" ".join(random.choice(words, length)) for length in lengths]
