"""Measure the word error rate of a model on a manifest.

    tflite-asr evaluate commands --manifest speech/manifest.jsonl --where split=base_test,corpus=fsdd --connect 5
    tflite-asr evaluate english --two-pass --manifest letters/manifest.jsonl
    tflite-asr evaluate english --two-pass --manifest names/manifest.jsonl --hotwords names/names.txt

Without --two-pass, the first pass is measured. With --hotwords, error rates are also given separately for listed words
and for all others; --hotword-weight 0 measures both without hotwords.
"""

import argparse
from typing import TYPE_CHECKING

from tflite_asr.cli.arguments import add_connect, add_exit, add_hotwords, add_model, add_seed, add_threads, add_two_pass

if TYPE_CHECKING:
    from tflite_asr.runtime.evaluation import Evaluation
    from tflite_asr.runtime.recognizer import Recognizer

SUMMARY = "measure the word error rate on a manifest"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add_model(parser)
    parser.add_argument("--manifest", required=True, metavar="M", help="JSON Lines: audio, text, speaker, ...")
    parser.add_argument("--where", metavar="F=V", help="rows to keep, such as speaker=ann|bob,split=test")
    parser.add_argument("--words", metavar="W,W,...", help="keep only utterances that consist of these words")
    parser.add_argument("--checkpoint", metavar="C", help="what `personalize` learned")
    parser.add_argument(
        "--any-voice", action="store_true", help="use what was learned for other voices than the owner's too"
    )
    parser.add_argument("--greedy", action="store_true", help="the best label at each step: quicker than beam search")
    parser.add_argument(
        "--normalize",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="ignore case, punctuation and the spelling of numbers (default: for models whose texts have case)",
    )
    parser.add_argument(
        "--times",
        action="store_true",
        help="also measure errors of word times, against the extent of the clips (--connect)",
    )
    parser.add_argument(
        "--confidence", action="store_true", help="also measure how well confidences separate correct from wrong words"
    )
    add_two_pass(parser)
    add_exit(parser)
    add_hotwords(parser)
    add_connect(parser)
    add_seed(parser)
    add_threads(parser)


def run(args: argparse.Namespace) -> dict:
    """Run the command; returns its result, as `--json` prints it."""
    import dataclasses

    from tflite_asr.cli.arguments import (
        check_least,
        exit_policy,
        hotwords_of,
        keep_vocabulary,
        load_clips,
        rescoring_of,
    )
    from tflite_asr.data.manifest import read_manifest
    from tflite_asr.runtime.evaluation import evaluate, examples_of
    from tflite_asr.runtime.recognizer import Recognizer
    from tflite_asr.runtime.word_evaluation import judge_words

    check_least(args, connect=1, threads=1)
    policy = exit_policy(args)
    recognizer = Recognizer.load(args.model, threads=args.threads)
    if args.normalize is not None:
        recognizer.normalize = args.normalize
    if args.checkpoint:
        recognizer.restore(args.checkpoint)
        if args.any_voice:
            recognizer.owner = None
    rescoring = rescoring_of(args, recognizer)
    hotwords = hotwords_of(args, recognizer, greedy=args.greedy)
    utterances = read_manifest(args.manifest, args.where)
    if args.words is not None:
        utterances = keep_vocabulary(utterances, args.words)
    corpus, clips = load_clips(utterances, recognizer.config, args.connect, args.seed)
    examples = examples_of(recognizer, corpus, clips)
    result = evaluate(recognizer, examples, beam=not args.greedy, policy=policy, rescoring=rescoring, hotwords=hotwords)
    judgements = {}
    if args.times or args.confidence:
        second_pass = rescoring is not None and recognizer.config.decoder is not None
        judged = judge_words(recognizer, corpus, clips, examples, result.hypotheses, second_pass=second_pass)
        judgements |= judged.times() if args.times else {}
        judgements |= judged.confidence() if args.confidence else {}
    return {
        "model": str(recognizer.artifact.path),
        "checkpoint": args.checkpoint,
        **dataclasses.asdict(result.rates),
        "too_long": len(corpus.too_long),
        "normalized": recognizer.normalize,
        "first_pass_alone": bool(recognizer.subwords) and rescoring is None,
        "too_short": len(corpus.too_short),
        "owner_utterances": result.owner_utterances,
        **judgements,
        **_exits(recognizer, result),
        **_hotwords(args.hotwords, recognizer, result),
    }


def _exits(recognizer: "Recognizer", result: "Evaluation") -> dict:
    """How deep the encoder was run, if a policy chooses the exit."""
    if result.exits is None:
        return {}
    depths = recognizer.artifact.exit_depths
    return {"exits": result.exits, "mean_depth": sum(depths[exit] for exit in result.exits) / len(result.exits)}


def _hotwords(path: str | None, recognizer: "Recognizer", result: "Evaluation") -> dict:
    """Error rates over the words of a list of phrases and over all others."""
    if path is None:
        return {}
    from tflite_asr.metrics import split_error_rates
    from tflite_asr.text.phrases import read_phrases

    phrases = [phrase.text for phrase in read_phrases(path)]
    rates = split_error_rates(result.references, result.hypotheses, phrases, normalize=recognizer.normalize)
    return {"hotword_wer": rates.listed_wer, "other_wer": rates.other_wer, "hotword_words": rates.listed_words}


def describe(result: dict) -> str:
    """The result as text for people."""
    left_out = f"; {result['too_long']} recordings longer than the model takes left out" if result["too_long"] else ""
    left_out += f"; {result['too_short']} recordings too short for a word left out" if result["too_short"] else ""
    left_out += _describe_hotwords(result)
    alone = (
        "\nThis is the first pass alone. Transcription uses both passes; measure them with --two-pass"
        if result["first_pass_alone"]
        else ""
    )
    return (
        f"WER {result['wer']:.2%}, CER {result['cer']:.2%} on {result['utterances']} utterances, {result['words']} "
        f"words "
        f"({result['substitutions']} substituted, {result['deletions']} deleted, {result['insertions']} "
        f"inserted){left_out}{alone}{_of_words(result)}"
    )


def _describe_hotwords(result: dict) -> str:
    if "hotword_wer" not in result:
        return ""
    if result["hotword_wer"] is None:
        return "; no reference word is in the list"
    other = "none" if result["other_wer"] is None else f"{result['other_wer']:.2%}"
    return (
        f"; WER of the {result['hotword_words']} words in the list {result['hotword_wer']:.2%}, of all others {other}"
    )


def _of_words(result: dict) -> str:
    """The results of --times and --confidence, one per line."""
    lines = []
    for name in ("start", "end"):
        if result.get(f"{name}_error_ms_median") is not None:
            lines.append(
                f"{name}s of {result[f'timed_{name}s']} words: median error "
                f"{result[f'{name}_error_ms_median']:.0f} ms, {result[f'{name}_within_200_ms']:.1%} within 200 ms"
            )
    if "ece" in result:
        area = "not defined" if result["auroc"] is None else f"{result['auroc']:.3f}"
        lines.append(
            f"confidence: AUROC {area}, ECE {result['ece']:.3f} ({result['right_words']} of {result['judged_words']} "
            f"words right)"
        )
    return "".join(f"\n{line}" for line in lines)
