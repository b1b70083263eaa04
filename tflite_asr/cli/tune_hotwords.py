"""Tune the weight of hotwords on development speech, and write it into the model's NAME.json.

    tflite-asr tune-hotwords english --manifest names/manifest.jsonl --where split=names_dev --hotwords names/names.txt

Weights from 0 to 3 nats a letter are tried with the list; the lowest word error rate over all words wins, then the
weight nearest to 0. A list as long as those that will be used, most of whose phrases are not said, shows what a weight
does to other words. Both passes are used where the second one decodes by itself, or with --two-pass. `--hotwords` of
other commands uses what was found.
"""

import argparse

from tflite_asr.cli.arguments import add_connect, add_model, add_seed, add_threads, add_two_pass

SUMMARY = "find how much hotwords should count"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add_model(parser)
    parser.add_argument("--manifest", required=True, metavar="M", help="development speech")
    parser.add_argument("--where", metavar="F=V", help="rows to keep, such as split=dev")
    parser.add_argument("--hotwords", required=True, metavar="FILE", help="phrases, one a line")
    add_two_pass(parser)
    add_connect(parser)
    add_seed(parser)
    add_threads(parser)


def run(args: argparse.Namespace) -> dict:
    """Run the command; returns its result, as `--json` prints it."""
    import dataclasses

    from tflite_asr.cli.arguments import check_least, check_nbest, load_clips
    from tflite_asr.data.manifest import read_manifest
    from tflite_asr.errors import InputError
    from tflite_asr.runtime.artifact import write_description
    from tflite_asr.runtime.evaluation import examples_of
    from tflite_asr.runtime.hotword_tuning import best_weight, try_weights
    from tflite_asr.runtime.recognizer import Recognizer
    from tflite_asr.text.phrases import read_phrases

    check_least(args, connect=1, threads=1)
    recognizer = Recognizer.load(args.model, threads=args.threads)
    phrases = read_phrases(args.hotwords)
    recognizer.hotwords(phrases)  # refuses letters that the model lacks before anything is heard
    both = args.two_pass or recognizer.subwords is not None
    if args.nbest is not None and not both:
        raise InputError("--nbest: expected --two-pass with it, got none")
    check_nbest(args.nbest, recognizer)
    rescoring = dataclasses.replace(recognizer.rescoring, nbest=args.nbest) if both else None
    corpus, clips = load_clips(read_manifest(args.manifest, args.where), recognizer.config, args.connect, args.seed)
    tried = try_weights(recognizer, examples_of(recognizer, corpus, clips), phrases, rescoring)
    best = best_weight(tried)
    write_description(dataclasses.replace(recognizer.artifact, hotwords={"weight": best.weight}))
    return {
        "model": str(recognizer.artifact.path),
        "utterances": best.rates.utterances,
        "phrases": len(phrases),
        "too_long": len(corpus.too_long),
        "too_short": len(corpus.too_short),
        "without": tried[0].to_json(),
        **best.to_json(),
        "tried": [one.to_json() for one in tried],
    }


def describe(result: dict) -> str:
    """The result as text for people."""
    return (
        f"a hotword counts {result['weight']:.2f} nats a letter: WER {result['wer']:.2%} on {result['utterances']} "
        f"utterances, {result['without']['wer']:.2%} without"
    )
