"""Write the manifest of an unpacked public corpus: one JSON object a line with audio, text, speaker, duration and other
fields of the corpus, such as `split`, to filter by.

    tflite-asr manifest librispeech LibriSpeech/dev-clean
    tflite-asr manifest commonvoice cv-corpus-17.0/en --split validated --out validated.jsonl

LibriSpeech's texts stay as they are. Common Voice's are converted to upper case without punctuation, except for the
apostrophe inside a word; clips whose sentence is then empty are skipped.
"""

import argparse
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from tflite_asr.errors import InputError

SUMMARY = "write the manifest of LibriSpeech or Common Voice"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("corpus", choices=("librispeech", "commonvoice"), help="the layout of DIR")
    parser.add_argument("folder", metavar="DIR", help="the corpus or a subset; of Common Voice, one language")
    parser.add_argument("--split", help="table of Common Voice to read (default train)")
    parser.add_argument("--out", metavar="FILE", help="the manifest (default DIR/manifest.jsonl or DIR/SPLIT.jsonl)")


def run(args: argparse.Namespace) -> dict:
    """Run the command; returns its result, as `--json` prints it."""
    from tqdm import tqdm

    from tflite_asr.audio.reading import Notices
    from tflite_asr.data.corpora import common_voice_rows, librispeech_rows
    from tflite_asr.data.manifest import write_manifest

    notices = Notices()
    if args.corpus == "librispeech":
        if args.split is not None:
            raise InputError("--split is of Common Voice alone; of LibriSpeech, give the folder of the subset")
        rows, name = librispeech_rows(args.folder, notices), "manifest.jsonl"
    else:
        split = args.split or "train"
        rows, name = common_voice_rows(args.folder, split, notices), f"{split}.jsonl"
    manifest = Path(args.out) if args.out else Path(args.folder) / name
    with notices:
        found = list(tqdm(rows, desc=args.corpus, unit="clip", disable=None))
        kept = [row for row in found if row["text"]]
        for row in kept:
            if any(character.isdigit() for character in row["text"]):
                notices(
                    "texts with digits, which models of letters refuse; spell them out or leave the rows out",
                    row["audio"],
                )
    if not kept:
        raise InputError(f"{args.folder}: expected clips with a transcript, got none")
    write_manifest(manifest, relative_rows(kept, manifest.parent))
    return {
        "manifest": str(manifest),
        "utterances": len(kept),
        "skipped": len(found) - len(kept),
        "speakers": len({row["speaker"] for row in kept}),
        "hours": round(sum(row["duration"] for row in kept) / 3600, 4),
    }


def describe(result: dict) -> str:
    """The result as text for people."""
    line = "{manifest}: {utterances} utterances of {speakers} speakers, {hours} h".format(**result)
    return f"{line}; {result['skipped']} without words skipped" if result["skipped"] else line


def relative_rows(rows: Iterable[dict], folder: Path) -> Iterator[dict]:
    """The rows with their audio paths relative to the manifest's folder.

    A path that goes up from a folder reached through a link goes up from where the link leads, so there links are
    resolved.
    """
    for row in rows:
        path = os.path.relpath(row["audio"], folder)
        if os.pardir in Path(path).parts:
            path = os.path.relpath(os.path.realpath(row["audio"]), os.path.realpath(folder))
        yield {**row, "audio": Path(path).as_posix()}
