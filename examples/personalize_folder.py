"""Personalise a shipped recogniser on a folder of recordings, and transcribe one of them before and after.

    python examples/personalize_folder.py recordings/ --model commands --out runs/me

Each audio file has its text in a .txt file of the same name, or is named as what is said in it (turn_left.wav).
"""

import argparse
from pathlib import Path

from tflite_asr import InputError, Recognizer, Settings, personalize
from tflite_asr.audio.reading import read_audio
from tflite_asr.personalization.library import utterances_of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recordings", type=Path)
    parser.add_argument("--model", default="commands")
    parser.add_argument("--epochs", type=int, default=Settings().epochs)
    parser.add_argument("--out", type=Path, default=Path("runs/me"))
    args = parser.parse_args()

    recognizer = Recognizer.load(args.model)
    first = utterances_of(args.recordings)[0]
    samples = read_audio(first.audio, recognizer.config.features.sample_rate)
    before = recognizer.transcribe(samples)
    result = personalize(recognizer, args.recordings, args.out, settings=Settings(epochs=args.epochs))
    print(f"said    {first.text}")
    print(f"before  {before}")
    print(f"after   {recognizer.transcribe(samples)}")
    print(f"word error rate {result['wer_before']:.1%} -> {result['wer_after']:.1%}; {result['report']}")


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        raise SystemExit(str(error)) from None
