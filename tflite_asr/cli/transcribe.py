"""Transcribe audio files.

    tflite-asr transcribe commands turn_left.wav [--checkpoint mine.safetensors] [--stream]
    tflite-asr transcribe sentences.tflite letter.wav --two-pass [--stream]
    tflite-asr transcribe english letter.wav [--hotwords names.txt]

A model whose second pass decodes by itself, such as `english`, is heard with both passes unless --greedy asks for the
first one alone. A recording longer than the model takes is cut at pauses; each utterance comes with its times. --json
has each word with its times and its confidence.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tflite_asr.cli.arguments import add_exit, add_hotwords, add_model, add_threads, add_two_pass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy as np

    from tflite_asr.runtime.exits import ExitPolicy
    from tflite_asr.runtime.recognizer import Recognizer

SUMMARY = "write down what is said in audio files"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add_model(parser)
    parser.add_argument("audio", nargs="+", metavar="FILE", help="WAV, FLAC, Ogg or MP3")
    parser.add_argument("--checkpoint", metavar="C", help="what `personalize` learned")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--greedy", action="store_true", help="the best label at each step: quicker than beam search")
    how.add_argument("--stream", action="store_true", help="greedily and by chunks, as a microphone would give them")
    add_two_pass(parser)
    add_exit(parser)
    add_hotwords(parser)
    add_threads(parser)


def run(args: argparse.Namespace) -> dict:
    """Run the command; returns its result, as `--json` prints it."""
    from tflite_asr.audio.decoding import TooLongError
    from tflite_asr.audio.reading import Notices, audio_blocks, read_audio
    from tflite_asr.cli.arguments import check_least, exit_policy
    from tflite_asr.errors import InputError, PartlyDoneError
    from tflite_asr.runtime.recognizer import Recognizer

    check_least(args, threads=1)
    policy = exit_policy(args)
    if args.stream and policy and policy.exit is None:
        raise InputError("--stream: expected --exit with it at most, how sure an utterance is shows at its end")
    recognizer = Recognizer.load(args.model, threads=args.threads)
    if args.checkpoint:
        recognizer.restore(args.checkpoint)
    hear = _hearing(args, recognizer, policy)
    rate, most = recognizer.config.features.sample_rate, recognizer.config.max_seconds
    transcripts, failed = [], []
    with Notices() as notices:
        for path in args.audio:
            try:
                try:
                    heard = hear(read_audio(Path(path), rate, max_seconds=most, notify=notices))
                except TooLongError:
                    heard = _hear_long(hear, recognizer, audio_blocks(Path(path), rate, notify=notices))
            except InputError as error:
                failed.append({"audio": path, "problem": str(error) if path in str(error) else f"{path}: {error}"})
                continue
            transcripts.append({"audio": path, **heard})
    problems = "; ".join(row["problem"] for row in failed)
    if failed and not transcripts:
        raise InputError(problems)
    if failed:
        raise PartlyDoneError(
            f"{problems}; the other {len(transcripts)} of {len(args.audio)} files are transcribed",
            {"transcripts": transcripts, "failed": failed},
        )
    return {"transcripts": transcripts}


def _hearing(
    args: argparse.Namespace, recognizer: "Recognizer", policy: "ExitPolicy | None"
) -> "Callable[[np.ndarray], dict]":
    """A function samples [n] -> the row of an utterance, transcribed as the arguments ask."""
    import dataclasses

    from tflite_asr.cli.arguments import hotwords_of, rescoring_of

    rescoring = rescoring_of(args, recognizer)
    hotwords = hotwords_of(args, recognizer, greedy=args.greedy or (args.stream and rescoring is None))

    decodes = recognizer.subwords is not None and not args.greedy and not args.stream and not policy

    def transcribe(frames: "np.ndarray") -> dict:
        if args.stream:
            streamed = (
                recognizer.stream_two_pass([frames], rescoring, hotwords=hotwords)
                if rescoring
                else recognizer.stream([frames], exit=args.exit)
            )
            *_, text = streamed
            return {"text": text}
        if rescoring or decodes:
            return {"text": recognizer.transcribe_two_pass(frames, rescoring, hotwords=hotwords)}
        if policy:
            text, left = recognizer.transcribe_early(frames, policy, beam=not args.greedy, hotwords=hotwords)
            return {"text": text, "exit": left}
        return {"text": recognizer.transcribe_frames(frames, beam=not args.greedy, hotwords=hotwords)}

    def hear(samples: "np.ndarray") -> dict:
        frames = recognizer.features(samples)
        row = transcribe(frames)
        if args.json:
            words = recognizer.timed_words(frames, row["text"], samples=samples, second_pass=decodes)
            row["words"] = [_rounded(dataclasses.asdict(word)) for word in words]
        return row

    return hear


def _rounded(row: dict) -> dict:
    """The same with thousandths."""
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in row.items()}


def _hear_long(hear: "Callable[[np.ndarray], dict]", recognizer: "Recognizer", blocks: "Iterable[np.ndarray]") -> dict:
    """The row of a recording that is longer than the model takes: its utterances, cut at pauses."""
    from tflite_asr.audio.segments import speech_segments
    from tflite_asr.runtime.listener import endpointer_for

    rate = recognizer.config.features.sample_rate
    segments = []
    for segment in speech_segments(blocks, rate, endpointer_for(recognizer.config)):
        start, row = segment.endpoint.start_seconds, hear(segment.samples)
        for word in row.get("words", []):  # from the beginning of the recording
            word |= {name: word[name] + start for name in ("start_seconds", "end_seconds")}
            word |= _rounded(word)
        place = {"start_seconds": start, "end_seconds": segment.endpoint.end_seconds}
        segments.append({**_rounded(place), **row})
    return {"text": " ".join(row["text"] for row in segments if row["text"]), "segments": segments}


def describe(result: dict) -> str:
    """The result as text for people."""
    lines = []
    for row in result["transcripts"]:
        lines += [
            f"{row['audio']} {segment['start_seconds']:.1f}-{segment['end_seconds']:.1f} s: {segment['text']}"
            for segment in row.get("segments", [])
            if segment["text"]
        ] or [f"{row['audio']}: {row['text']}"]
    return "\n".join(lines)
