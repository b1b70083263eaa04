"""Add case and punctuation to the transcripts of a manifest, as a recogniser with cased output recognises the speech.

    tflite-asr punctuate runs/moonshine.tflite --manifest speech/manifest.jsonl --where split=base_train --out
    cased.jsonl

The transcripts keep their words. Words that the recogniser recognises as well are written as it writes them, with its
commas, capitals and digits. `tflite-asr train --second-pass` trains on such texts. MODEL is an exported file whose
second pass decodes by itself. Recordings that are too long for it are left out, with a notice.
"""

import argparse
from pathlib import Path

from tflite_asr.cli.arguments import add_model, add_threads

SUMMARY = "give transcripts case and punctuation"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add_model(parser)
    parser.add_argument("--manifest", required=True, metavar="M", help="JSON Lines: audio, text, speaker, ...")
    parser.add_argument("--where", metavar="F=V", help="rows to keep, such as speaker=ann|bob,split=test")
    parser.add_argument(
        "--out", required=True, metavar="FILE", help="the manifest to write; its paths lead to the same audio"
    )
    add_threads(parser)


def run(args: argparse.Namespace) -> dict:
    """Run the command; returns its result, as `--json` prints it."""
    from tqdm import tqdm

    from tflite_asr.audio.reading import Notices
    from tflite_asr.cli.arguments import check_least
    from tflite_asr.cli.manifest import relative_rows
    from tflite_asr.data.corpus import Corpus
    from tflite_asr.data.manifest import read_manifest, row_of, write_manifest
    from tflite_asr.errors import InputError
    from tflite_asr.runtime.recognizer import Recognizer
    from tflite_asr.text.casing import with_case_of

    check_least(args, threads=1)
    recognizer, out = Recognizer.load(args.model, threads=args.threads), Path(args.out)
    if recognizer.subwords is None:
        raise InputError(
            f"{recognizer.artifact.path}: expected a model whose second pass decodes into cased text, it has none"
        )
    with Notices() as notices:
        corpus = Corpus(read_manifest(args.manifest, args.where), recognizer.config, notices, measuring=True)
    rows, agreed = [], 0
    for utterance in tqdm(corpus.utterances, desc="recognising", unit="utterance", disable=None):
        frames = recognizer.features(corpus.samples(utterance))
        written = recognizer.transcribe_two_pass(frames)
        text = with_case_of(utterance.text, written)
        rows.append({**row_of(utterance), "text": text})
        agreed += text == written
    write_manifest(out, relative_rows(rows, out.parent))
    return {
        "manifest": str(out),
        "utterances": len(rows),
        "heard_alike": agreed,
        "too_long": len(corpus.too_long),
        "too_short": len(corpus.too_short),
    }


def describe(result: dict) -> str:
    """The result as text for people."""
    return "{manifest}: {utterances} utterances, {heard_alike} of them heard word for word".format(**result)
