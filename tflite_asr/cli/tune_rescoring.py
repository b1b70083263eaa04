"""Find how much a two-pass model's second pass should count, on development speech, and write it into its NAME.json.

    tflite-asr tune-rescoring sentences.tflite --manifest speech/manifest.jsonl --where split=base_dev

Weights of the second pass from 0 to 1 are tried on the n-best that the first pass finds, with and without dividing scores
by the length; the lowest word error rate wins, then the lowest character error rate, then the weight nearest to 0.
`transcribe --two-pass` and `evaluate --two-pass` use what was found.
"""

import argparse

from tflite_asr.cli.arguments import add_connect, add_model, add_nbest, add_seed, add_threads

SUMMARY = "find how much the second pass should count"
WEIGHTS = tuple(step / 20 for step in range(21))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model(parser)
    parser.add_argument("--manifest", required=True, metavar="M", help="development speech")
    parser.add_argument("--where", metavar="F=V", help="rows to keep, such as split=dev")
    add_nbest(parser)
    add_connect(parser)
    add_seed(parser)
    add_threads(parser)


def run(args: argparse.Namespace) -> dict:
    import dataclasses

    from tqdm import tqdm

    from tflite_asr.cli.arguments import check_least, check_nbest, load_clips
    from tflite_asr.data.manifest import read_manifest
    from tflite_asr.metrics import error_rates
    from tflite_asr.runtime.artifact import write_description
    from tflite_asr.runtime.evaluation import examples_of
    from tflite_asr.runtime.recognizer import Recognizer
    from tflite_asr.runtime.second_pass import Rescoring

    check_least(args, connect=1, seed=0, threads=1)
    recognizer = Recognizer.load(args.model, threads=args.threads)
    check_nbest(args.nbest, recognizer)
    corpus, clips = load_clips(read_manifest(args.manifest, args.where), recognizer.config, args.connect, args.seed)
    examples = examples_of(recognizer, corpus, clips)
    found = [
        recognizer.candidates(example.frames)
        for example in tqdm(examples, desc="recognising", unit="utterance", disable=None, leave=False)
    ]
    tried = []
    for weight in WEIGHTS:
        for per_label in (False, True):
            rescoring = Rescoring(weight, per_label, args.nbest)
            texts = [recognizer.tokenizer.decode(rescoring.best(candidates).tokens) for candidates in found]
            tried.append((rescoring, error_rates([example.text for example in examples], texts)))
    first = next(rates for rescoring, rates in tried if rescoring.weight == 0 and not rescoring.per_label)
    best, rates = min(tried, key=lambda one: (one[1].wer, one[1].cer, one[0].weight, one[0].per_label))
    artifact = dataclasses.replace(recognizer.artifact, rescoring=dataclasses.asdict(best))
    write_description(artifact)
    return {
        "model": str(artifact.path),
        "utterances": len(examples),
        **dataclasses.asdict(best),
        "first_pass_wer": first.wer,
        "first_pass_cer": first.cer,
        "wer": rates.wer,
        "cer": rates.cer,
        "tried": [{"weight": r.weight, "per_label": r.per_label, "wer": e.wer, "cer": e.cer} for r, e in tried],
    }


def describe(result: dict) -> str:
    return (
        f"second pass counts {result['weight']:.2f}{', scores per label' if result['per_label'] else ''}: WER "
        f"{result['wer']:.2%} on {result['utterances']} utterances, {result['first_pass_wer']:.2%} with the first pass alone"
    )
