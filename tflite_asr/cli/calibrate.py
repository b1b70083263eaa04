"""Calibrate word confidences and word times on development speech, and write the calibration into NAME.json.

    tflite-asr calibrate commands.tflite --manifest speech/manifest.jsonl --where split=base_dev --connect 5

The command tries measures of confidence, by posterior or entropy of a word's tokens, at several temperatures, and keeps
the one with the lowest cross entropy between confidence and correctness. The delays are the medians by which the first
and last tokens are emitted after the speech of a clip begins and ends, so --connect joins single words.
`transcribe --json`, `evaluate --times` and `evaluate --confidence` use the calibration. Do not calibrate on training
speech, since models are more confident on it.
"""

import argparse

from tflite_asr.cli.arguments import add_connect, add_manifests, add_model, add_seed, add_threads

SUMMARY = "find how sure a model's words are, and how late they come"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add_model(parser)
    add_manifests(parser, "development speech")
    add_connect(parser)
    add_seed(parser)
    add_threads(parser)


def run(args: argparse.Namespace) -> dict:
    """Run the command; returns its result, as `--json` prints it."""
    import dataclasses

    from tflite_asr.cli.arguments import check_least, load_clips, read_manifests
    from tflite_asr.runtime.artifact import write_description
    from tflite_asr.runtime.evaluation import evaluate_transcripts, examples_of
    from tflite_asr.runtime.recognizer import Recognizer
    from tflite_asr.runtime.word_evaluation import calibrated, every_measure, judge_words, try_measures
    from tflite_asr.runtime.words import Calibration

    check_least(args, connect=1, threads=1)
    recognizer = Recognizer.load(args.model, threads=args.threads)
    utterances = read_manifests(args.manifest, args.where)
    corpus, clips = load_clips(utterances, recognizer.config, args.connect, args.seed)
    examples = examples_of(recognizer, corpus, clips)
    texts = evaluate_transcripts(recognizer, examples).hypotheses
    measures = every_measure()
    judged = judge_words(recognizer, corpus, clips, examples, texts, calibration=Calibration(), measures=measures)
    tried = try_measures(judged, measures)
    kept = calibrated(judged, tried)
    write_description(dataclasses.replace(recognizer.artifact, calibration=dataclasses.asdict(kept)))
    return {
        "model": str(recognizer.artifact.path),
        "utterances": len(clips),
        **dataclasses.asdict(kept),
        "judged_words": len(judged.right),
        "right_words": sum(judged.right),
        "auroc": tried[0].auroc,
        "ece": tried[0].ece,
        "tried": [
            {**dataclasses.asdict(one.measure), "cross_entropy": one.cross_entropy, "auroc": one.auroc, "ece": one.ece}
            for one in tried
        ],
    }


def describe(result: dict) -> str:
    """The result as text for people."""
    return (
        f"confidence: {result['measure']} over the tokens' {result['over']} at temperature {result['temperature']:g}, "
        f"AUROC {result['auroc']:.3f}, ECE {result['ece']:.3f} on {result['judged_words']} words, "
        f"{result['right_words']} of them right; words begin {1000 * result['start_delay_seconds']:.0f} ms before "
        f"their first token comes and end {-1000 * result['end_delay_seconds']:.0f} ms after their last"
    )
