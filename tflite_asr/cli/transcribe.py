"""Write down what is said in audio files.

    tflite-asr transcribe commands turn_left.wav [--checkpoint mine.safetensors] [--stream]
    tflite-asr transcribe sentences.tflite letter.wav --two-pass [--stream]
    tflite-asr transcribe english letter.wav [--hotwords names.txt]

A model whose second pass decodes by itself, such as `english`, is heard with both passes unless --greedy asks for the
first one alone.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tflite_asr.cli.arguments import add_exit, add_hotwords, add_model, add_threads, add_two_pass

if TYPE_CHECKING:
    from tflite_asr.errors import InputError
    from tflite_asr.runtime.recognizer import Recognizer

SUMMARY = "write down what is said in audio files"


def add_arguments(parser: argparse.ArgumentParser) -> None:
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
    from tflite_asr.audio.reading import Notices, read_audio
    from tflite_asr.cli.arguments import check_least, exit_policy, hotwords_of, rescoring_of
    from tflite_asr.errors import InputError, PartlyDoneError
    from tflite_asr.runtime.recognizer import Recognizer

    check_least(args, threads=1)
    policy = exit_policy(args)
    if args.stream and policy and policy.exit is None:
        raise InputError("--stream: expected --exit with it at most, how sure an utterance is shows at its end")
    recognizer = Recognizer.load(args.model, threads=args.threads)
    if args.checkpoint:
        recognizer.restore(args.checkpoint)
    rescoring = rescoring_of(args, recognizer)
    hotwords = hotwords_of(args, recognizer, greedy=args.greedy or (args.stream and rescoring is None))
    rate, most = recognizer.config.features.sample_rate, recognizer.config.max_seconds
    transcripts, failed = [], []
    with Notices() as notices:
        for path in args.audio:
            try:
                frames = recognizer.features(read_audio(Path(path), rate, max_seconds=most, notify=notices))
            except InputError as error:
                problem = _with_remedy(error, recognizer)
                failed.append({"audio": path, "problem": problem if path in problem else f"{path}: {problem}"})
                continue
            if args.stream:
                streamed = (
                    recognizer.stream_two_pass([frames], rescoring, hotwords=hotwords)
                    if rescoring
                    else recognizer.stream([frames], exit=args.exit)
                )
                *_, text = streamed
            elif rescoring or (recognizer.subwords and not args.greedy and not policy):
                text = recognizer.transcribe_two_pass(frames, rescoring, hotwords=hotwords)
            elif policy:
                text, left = recognizer.transcribe_early(frames, policy, beam=not args.greedy, hotwords=hotwords)
                transcripts.append({"audio": path, "text": text, "exit": left})
                continue
            else:
                text = recognizer.transcribe_frames(frames, beam=not args.greedy, hotwords=hotwords)
            transcripts.append({"audio": path, "text": text})
    problems = "; ".join(row["problem"] for row in failed)
    if failed and not transcripts:
        raise InputError(problems)
    if failed:
        raise PartlyDoneError(
            f"{problems}; the other {len(transcripts)} of {len(args.audio)} files are transcribed",
            {"transcripts": transcripts, "failed": failed},
        )
    return {"transcripts": transcripts}


def _with_remedy(error: "InputError", recognizer: "Recognizer") -> str:
    """What is wrong with a file; of one that is too long, which command hears it whole."""
    from tflite_asr.audio.decoding import TooLongError

    if not isinstance(error, TooLongError) or "stream" not in recognizer.artifact.signatures:
        return str(error)
    return f"{error}; `tflite-asr listen --file` hears it whole"


def describe(result: dict) -> str:
    return "\n".join(f"{row['audio']}: {row['text']}" for row in result["transcripts"])
