"""Tune the weight of a two-pass model's second pass on development speech, and write it into NAME.json.

    tflite-asr tune-rescoring sentences.tflite --manifest speech/manifest.jsonl --where split=base_dev

Weights of the second pass from 0 to 1 are tried on the n-best that the first pass finds; the lowest word error rate
wins, then the lowest character error rate, then the weight nearest to 0. With --per-label scores are divided by the
length, which favours longer transcripts. Where the second pass decodes by itself, there is no
n-best of the first: the command searches by both passes with each weight from 0.5 to 1, and with the second pass alone
also with scores divided by the length.
`transcribe --two-pass` and `evaluate --two-pass` use what was found.
"""

import argparse

from tflite_asr.cli.arguments import add_connect, add_manifests, add_model, add_nbest, add_seed, add_threads

SUMMARY = "find how much the second pass should count"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add_model(parser)
    add_manifests(parser, "development speech")
    add_nbest(parser)
    parser.add_argument("--per-label", action="store_true", help="divide scores by the number of labels")
    add_connect(parser)
    add_seed(parser)
    add_threads(parser)


def run(args: argparse.Namespace) -> dict:
    """Run the command; returns its result, as `--json` prints it."""
    import dataclasses

    from tflite_asr.cli.arguments import check_least, check_nbest, load_clips, read_manifests
    from tflite_asr.runtime.artifact import write_description
    from tflite_asr.runtime.evaluation import examples_of
    from tflite_asr.runtime.recognizer import Recognizer
    from tflite_asr.runtime.tuning import best_of, try_rescorings

    check_least(args, connect=1, threads=1)
    recognizer = Recognizer.load(args.model, threads=args.threads)
    check_nbest(args.nbest, recognizer)
    utterances = read_manifests(args.manifest, args.where)
    corpus, clips = load_clips(utterances, recognizer.config, args.connect, args.seed)
    tried = try_rescorings(recognizer, examples_of(recognizer, corpus, clips), args.nbest, args.per_label)
    first, best = tried[0].rates, best_of(tried)
    kept = dataclasses.asdict(best.rescoring)
    write_description(dataclasses.replace(recognizer.artifact, rescoring=kept))
    return {
        "model": str(recognizer.artifact.path),
        "utterances": best.rates.utterances,
        "too_long": len(corpus.too_long),
        "too_short": len(corpus.too_short),
        **kept,
        "first_pass_wer": first.wer,
        "first_pass_cer": first.cer,
        "wer": best.rates.wer,
        "cer": best.rates.cer,
        "tried": [
            {
                "weight": t.rescoring.weight,
                "per_label": t.rescoring.per_label,
                "wer": t.rates.wer,
                "cer": t.rates.cer,
            }
            for t in tried
        ],
    }


def describe(result: dict) -> str:
    """The result as text for people."""
    return (
        f"second pass counts {result['weight']:.2f}{', scores per label' if result['per_label'] else ''}: WER "
        f"{result['wer']:.2%} on {result['utterances']} utterances, {result['first_pass_wer']:.2%} with the first pass "
        f"alone"
    )
