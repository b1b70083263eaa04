"""Rows of a manifest as WAV files of 16 bits at the rate of `commands`, which is what the Kotlin side reads.

    python android_demo/vectors/as_wav.py speech/manifest.jsonl DIR --where speaker=ann,split=adapt --limit 50

Both sides then train on the same samples: DIR/manifest.jsonl is for `tflite-asr` too.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import soundfile

sys.path.insert(0, str(Path(__file__).parents[2]))

from tflite_asr.audio.reading import Notices
from tflite_asr.cli.arguments import limited
from tflite_asr.data.manifest import Utterance, read_manifest, write_manifest
from tflite_asr.errors import InputError

SAMPLE_RATE = 16_000


def write_wavs(utterances: Sequence[Utterance], folder: Path) -> None:
    """Write 00000.wav and so on, and manifest.jsonl, in the order given."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    with Notices() as notices:
        for number, utterance in enumerate(utterances):
            name = f"{number:05d}.wav"
            samples = utterance.read(SAMPLE_RATE, notify=notices)
            soundfile.write(folder / name, samples, SAMPLE_RATE, "PCM_16")
            rows.append({"audio": name, "text": utterance.text, "speaker": utterance.speaker})
    write_manifest(folder / "manifest.jsonl", rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("manifest")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--where", help="rows to keep, such as speaker=ann,split=adapt")
    parser.add_argument("--limit", type=int, help="as many of them, drawn as `tflite-asr personalize --limit` draws")
    args = parser.parse_args()
    try:
        write_wavs(limited(read_manifest(args.manifest, args.where), args.limit, seed=0), args.folder)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
