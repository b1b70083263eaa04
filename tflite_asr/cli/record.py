"""Record your own voice: read prompts aloud, listen to each recording, and keep or repeat it.

    tflite-asr record --prompts sentences.txt --out speech/mine --speaker me
    tflite-asr personalize commands --adapt speech/mine/manifest.jsonl --test ... --out runs/me

Repeat the command to continue with the next prompt. With --from-folder, files replace the microphone, in the order of
their names; numbers in names are sorted as numbers. The microphone needs the extra `record`.
"""

import argparse
from pathlib import Path

SUMMARY = "record your own voice into a manifest"
SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--prompts", required=True, metavar="FILE", help="what to say, a line each")
    parser.add_argument("--out", required=True, metavar="DIR", help="where audio and manifest.jsonl are written")
    parser.add_argument("--speaker", default="me", metavar="NAME", help="for the manifest (default %(default)s)")
    parser.add_argument(
        "--from-folder", metavar="DIR", help="take audio files in the order of their names, no microphone"
    )
    parser.add_argument(
        "--sample-rate", type=int, default=16000, metavar="HZ", help="of the files (default %(default)s)"
    )


def run(args: argparse.Namespace) -> dict:
    """Run the command; returns its result, as `--json` prints it."""
    from tflite_asr.audio.recordings import Recordings, read_prompts
    from tflite_asr.cli.arguments import check_least
    from tflite_asr.errors import InputError

    check_least(args, sample_rate=8000)
    if not args.speaker.strip():
        raise InputError("--speaker: expected a name, got an empty one")
    recordings = Recordings(Path(args.out), read_prompts(Path(args.prompts)), args.speaker, args.sample_rate)
    if args.from_folder:
        _take_files(recordings, Path(args.from_folder))
    else:
        _ask(recordings)
    return {
        "manifest": str(recordings.manifest),
        "utterances": len(recordings.rows),
        "left": len(recordings.prompts) - len(recordings.rows),
        "seconds": round(sum(row["duration"] for row in recordings.rows), 2),
    }


def describe(result: dict) -> str:
    """The result as text for people."""
    return "{manifest}: {utterances} recordings, {seconds} s; {left} prompts left".format(**result)


def _take_files(recordings, folder: Path) -> None:
    """All files are read and checked before any is kept."""
    from tflite_asr.audio.reading import Notices, read_audio
    from tflite_asr.audio.recordings import files_in_order, problem_of
    from tflite_asr.errors import InputError

    files = files_in_order(folder, SUFFIXES)
    if len(files) != len(recordings.prompts):
        raise InputError(
            f"--from-folder {folder}: expected {len(recordings.prompts)} audio files, one a prompt, got {len(files)}"
        )
    with Notices() as notices:
        takes = [read_audio(path, recordings.sample_rate, notify=notices) for path in files[len(recordings.rows) :]]
    for path, samples in zip(files[len(recordings.rows) :], takes):
        problem = problem_of(samples, recordings.sample_rate)
        if problem:
            raise InputError(f"{path}: {problem}; record it again")
    for samples in takes:
        recordings.keep(samples)


def _ask(recordings) -> None:
    """Prompt by prompt until all are recorded, or the speaker has had enough."""
    import sys

    from tflite_asr.audio.microphone import Microphone
    from tflite_asr.audio.recordings import problem_of
    from tflite_asr.errors import InputError

    if not sys.stdin.isatty():
        raise InputError("expected a terminal to ask and answer in; use --from-folder to take files")
    microphone = Microphone(recordings.sample_rate)
    while recordings.next_prompt is not None:
        print(f"\n{len(recordings.rows) + 1}/{len(recordings.prompts)}   {recordings.next_prompt}", file=sys.stderr)
        if _answer("Enter: record, q: stop here", "q") == "q":
            return
        samples = _record(microphone)
        problem = problem_of(samples, recordings.sample_rate)
        if problem:
            print(problem, file=sys.stderr)
            continue
        while (answer := _answer("Enter: keep, p: play, a: again, q: stop here", "paq")) == "p":
            microphone.play(samples)
        if answer == "q":
            return
        if not answer:
            recordings.keep(samples)


def _record(microphone):
    """Samples until Enter is pressed, the level shown meanwhile."""
    import sys
    import threading

    import numpy as np

    from tflite_asr.audio.microphone import show_level

    print("speak; Enter when done", file=sys.stderr)
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.readline(), ended.set()), daemon=True).start()
    taken, blocks = [], microphone.blocks()
    for block in blocks:
        taken.append(block)
        show_level(block)
        if ended.is_set():
            break
    blocks.close()
    print(file=sys.stderr)
    return np.concatenate(taken)


def _answer(question: str, letters: str) -> str:
    """One of the letters, or nothing for Enter alone; asked until it is."""
    import sys

    while True:
        print(f"{question} > ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        answer = line.strip().lower()
        if not line:  # the terminal was closed
            return "q"
        if answer == "" or (answer in letters and len(answer) == 1):
            return answer
