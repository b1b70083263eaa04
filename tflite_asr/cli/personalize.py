"""Adapt a recogniser to one voice, through the TFLite interpreter, and measure the gain.

    tflite-asr personalize commands --adapt speech/manifest.jsonl --where speaker=ann,split=adapt \\
        --test speech/manifest.jsonl --test-where speaker=ann,split=test --connect 5 --out runs/ann

With --window it learns as a phone does: utterances arrive in time order (that of the manifest, checked by the field
`time` if present). The newest are stored as features in DIR/window, the oldest are deleted.

With --rounds, the utterances arrive in N rounds. Before each round, `select` chooses what to train by the memory and
battery of the device or of a recorded trace. A round ends by --patience, or when resources run low: then the command
ends; repeat it to resume from the best weights.

--corrections with --adapt trains on corrections with a larger weight. Alone, it trains nothing and learns names that
were recognised wrongly. --unlabelled, alone or with --adapt, trains in rounds on speech that is recognised with high
confidence, and keeps the weights only if they are better on held-out speech.

Writes checkpoint.safetensors (for `transcribe` and `evaluate --checkpoint`), result.json, report.html and plots.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tflite_asr.cli.arguments import add_connect, add_model, add_seed, add_threads
from tflite_asr.cli.personalize_options import add_pace, add_rounds, add_settings, pace_of, rounds_of, settings_of
from tflite_asr.config.plans import WHOLE

if TYPE_CHECKING:
    from tflite_asr.data.corpus import Corpus
    from tflite_asr.personalization.speech import Speech
    from tflite_asr.runtime.recognizer import Recognizer

SUMMARY = "adapt a recogniser to a voice"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add_model(parser)
    parser.add_argument("--adapt", metavar="M", help="manifest of the speech to learn from")
    parser.add_argument("--where", metavar="F=V", help="its rows to keep, such as speaker=ann,split=adapt")
    parser.add_argument(
        "--corrections",
        metavar="M",
        help="manifest of speech that was recognised wrongly: `text` is the intended text, `heard`, if present, the "
        "recognised one; names in it are hotwords from now on",
    )
    parser.add_argument(
        "--unlabelled", metavar="M", help="manifest of speech without transcripts to learn from as well"
    )
    parser.add_argument("--unlabelled-where", metavar="F=V", help="its rows to keep")
    parser.add_argument("--test", required=True, metavar="M", help="manifest of the speech to measure on")
    parser.add_argument("--test-where", metavar="F=V", help="its rows to keep")
    parser.add_argument(
        "--limit", type=int, metavar="N", help="learn from N clips only, drawn by seed, of different texts first"
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="where results are written")
    parser.add_argument("--checkpoint", metavar="C", help="start from the checkpoint of an earlier run")
    add_connect(parser)
    add_settings(parser)
    add_pace(parser)
    add_rounds(parser)
    add_seed(parser)
    add_threads(parser)


def run(args: argparse.Namespace) -> dict:
    """Run the command; returns its result, as `--json` prints it."""
    from tflite_asr.audio.reading import Notices
    from tflite_asr.cli.arguments import check_least
    from tflite_asr.data.corpus import Corpus
    from tflite_asr.data.manifest import read_manifest
    from tflite_asr.personalization.session import run_session
    from tflite_asr.runtime.memory import give_back_freed_memory
    from tflite_asr.runtime.recognizer import Recognizer

    check_least(args, connect=1, limit=1, threads=1)
    settings, pace, make_rounds = settings_of(args, args.connect), pace_of(args), rounds_of(args)
    if (args.plan != WHOLE or make_rounds) and not args.keep_memory:
        give_back_freed_memory()
    rows = _speech(args)
    test = read_manifest(args.test, args.test_where)
    recognizer = Recognizer.load(args.model, threads=args.threads, return_memory=not args.keep_memory)
    if args.checkpoint:
        recognizer.restore(args.checkpoint)
    with Notices() as notices:
        adapt_corpus = Corpus([row for some in rows.values() for row in some], recognizer.config, notices)
        test_corpus = Corpus(test, recognizer.config, notices, measuring=True)
    return run_session(
        recognizer,
        _learned(args, recognizer, adapt_corpus, rows),
        (test_corpus, test_corpus.utterances),
        settings,
        Path(args.out),
        voice=args.where or args.adapt or args.unlabelled_where or args.unlabelled or args.corrections,
        pace=pace,
        rounds=make_rounds(recognizer.artifact) if make_rounds else None,
    )


def _speech(args: argparse.Namespace) -> dict[str, list]:
    """The rows of --adapt, --corrections and --unlabelled, by these names."""
    import sys

    from tflite_asr.cli.arguments import limited
    from tflite_asr.data.manifest import read_manifest
    from tflite_asr.errors import InputError

    if args.adapt is args.corrections is args.unlabelled is None:
        raise InputError("expected --adapt, --corrections or --unlabelled, got none")
    for name in ("corrections", "unlabelled"):
        if getattr(args, name) is not None and args.rounds is not None:
            raise InputError(f"--{name}: expected no --rounds with it")
    if args.unlabelled is not None and args.window is not None:
        raise InputError("--unlabelled: expected no --window with it")
    if args.adapt is None and args.window is not None:
        raise InputError("--window: expected --adapt with it, got none")
    where = args.where if args.adapt else None
    rows = {
        "adapt": limited(read_manifest(args.adapt, where), args.limit, args.seed) if args.adapt else [],
        "corrections": read_manifest(args.corrections) if args.corrections else [],
        "unlabelled": [],
    }
    corrected = {row.where for row in rows["corrections"]}
    rows["adapt"] = [row for row in rows["adapt"] if row.where not in corrected]
    if args.unlabelled:
        places = {row.where for row in (*rows["adapt"], *rows["corrections"])}
        speech = read_manifest(args.unlabelled, args.unlabelled_where, transcribed=False)
        rows["unlabelled"] = [row for row in speech if row.where not in places]
        texts = sum("text" in row.extra for row in speech)
        if texts:
            print(f"notice: --unlabelled: the texts of {texts} rows are ignored", file=sys.stderr)
    return rows


def _learned(args: argparse.Namespace, recognizer: "Recognizer", corpus: "Corpus", rows: dict[str, list]) -> "Speech":
    """The `Speech` to learn from; prints which corrections are refused."""
    import sys

    from tflite_asr.errors import InputError
    from tflite_asr.personalization.corrections import Corrections, check_corrections
    from tflite_asr.personalization.speech import Speech

    places = {name: {row.where for row in speech} for name, speech in rows.items()}
    loaded = {name: [u for u in corpus.utterances if u.where in some] for name, some in places.items()}
    for name in ("adapt", "corrections", "unlabelled"):
        if getattr(args, name) is not None and not loaded[name]:
            raise InputError(
                f"--{name}: expected speech, none is left: too short, or given in another manifest as well"
            )
    corrections = Corrections()
    if rows["corrections"]:
        corrections = check_corrections(recognizer, corpus, loaded["corrections"])
        for line in corrections.refused:
            print(f"notice: left out: {line}", file=sys.stderr)
    speech = Speech(corpus, loaded["adapt"], corrections, loaded["unlabelled"])
    if not speech.trains and not corrections.phrases:
        raise InputError(
            f"{len(corrections.utterances)} of {len(rows['corrections'])} corrections can be learned from, and none of "
            f"them teaches a name that is not known; give --adapt as well, to train on them"
        )
    return speech


def describe(result: dict) -> str:
    """The result as text for people."""
    return "\n".join(
        [
            f"{'':<26}{'before':>9}{'after':>9}",
            f"{'word error rate':<26}{result['wer_before']:>9.1%}{result['wer_after']:>9.1%}",
            f"{'character error rate':<26}{result['cer_before']:>9.1%}{result['cer_after']:>9.1%}",
            f"relative WER reduction    {result['relative_wer_reduction']:>9.0%}",
            *_describe_corrections(result.get("corrections")),
            *_describe_unlabelled(result.get("unlabelled")),
            f"steps                     {result['steps']:>9}",
            f"seconds of training       {result['seconds']:>9.0f}",
            f"peak memory, MB           {result['peak_rss_mb']:>9.0f}",
            *(
                f"round {row['round']}: WER {row['best_wer']:.1%} on validation, {row['stopped_because']}"
                for row in result.get("rounds", [])
            ),
            f"stopped: {result['stopped_because']}",
            f"checkpoint: {result['checkpoint']}",
            f"report: {result['report']}",
        ]
    )


def _describe_corrections(corrections: dict | None) -> list[str]:
    if not corrections or not corrections["utterances"]:
        return []
    names = ", ".join(corrections["phrases"]) or "none"
    return [f"corrections               {corrections['utterances']:>9}", f"names learned: {names}"]


def _describe_unlabelled(unlabelled: dict | None) -> list[str]:
    if not unlabelled:
        return []
    rounds = unlabelled["rounds"]
    refused = ", ".join(f"{count} {why}" for why, count in rounds[-1].items() if why != "kept") if rounds else ""
    kept = rounds[-1]["kept"] if rounds else 0
    return [
        f"without transcripts       {unlabelled['utterances']:>9}",
        f"learned from in the last round: {kept}" + (f"; left out: {refused}" if refused else ""),
        f"validated by {unlabelled['validated_by']}: "
        + ("better weights are kept" if unlabelled["learned"] else "no better, the weights stay as they were"),
    ]
