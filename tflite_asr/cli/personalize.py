"""Adapt a recogniser to one voice, through the TFLite interpreter, and measure what it gained.

    tflite-asr personalize commands --adapt speech/manifest.jsonl --where speaker=ann,split=adapt \\
        --test speech/manifest.jsonl --test-where speaker=ann,split=test --connect 5 --out runs/ann

With --window it learns as a phone does: utterances come in the order of time (of the manifest's rows, checked by their
field `time` where they have one), the newest are kept as features in DIR/window, the oldest are forgotten.

With --rounds the utterances come in N rounds. Before each, `select` chooses what to train from the memory and battery
that the device has, or that a recorded trace says. A round ends by --patience, or when the device runs low: then the
command ends, and the same command goes on from the best weights.

--corrections may come with --adapt, and counts more, or alone: then nothing is trained, and the names that were heard
wrong are learned alone. --unlabelled, alone or with --adapt, learns from what the recogniser is sure of, in rounds, and
keeps the weights only if held-out speech says that they are better.

Writes checkpoint.safetensors (for `transcribe` and `evaluate --checkpoint`), result.json, report.html and plots.
"""

import argparse
from pathlib import Path

from tflite_asr.cli.arguments import add_connect, add_model, add_seed, add_threads

SUMMARY = "adapt a recogniser to a voice"
BATTERY_FLOOR_PERCENT, RAM_FLOOR_MB = 20.0, 200.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model(parser)
    parser.add_argument("--adapt", metavar="M", help="manifest of the speech to learn from")
    parser.add_argument("--where", metavar="F=V", help="its rows to keep, such as speaker=ann,split=adapt")
    parser.add_argument(
        "--corrections",
        metavar="M",
        help="manifest of speech that was heard wrong: `text` is what was meant, `heard`, where it is there, what was "
        "written; names in it are expected from now on",
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
    parser.add_argument("--checkpoint", metavar="C", help="go on from what an earlier run learned")
    add_connect(parser)
    add_settings(parser)
    add_pace(parser)
    add_rounds(parser)
    add_seed(parser)
    add_threads(parser)


def add_settings(parser: argparse.ArgumentParser) -> None:
    """How to train; the defaults are those of `Settings`."""
    from tflite_asr.personalization.settings import FEW_PULL, Settings

    default = Settings()
    group = parser.add_argument_group("training")
    group.add_argument("--epochs", type=int, default=default.epochs, help="at most (default %(default)s)")
    group.add_argument("--learning-rate", type=float, help="at first (default: the model's own)")
    group.add_argument(
        "--patience", type=int, default=default.patience, help="epochs without a gain (default %(default)s)"
    )
    group.add_argument(
        "--pull",
        type=float,
        help=f"towards the shipped weights (default: {FEW_PULL:g} where fewer than {default.least_to_hold_out} "
        "utterances are learned from, else 0)",
    )
    group.add_argument(
        "--replay", type=int, default=default.replay, help="shipped utterances in each batch (default %(default)s)"
    )
    group.add_argument("--freeze", default="", metavar="G,G,...", help="layer groups to leave alone, such as joint")
    group.add_argument(
        "--plan",
        default=default.plan,
        help="train: the whole step in one call; split: in parts, with less memory; cached: the upper groups alone, "
        "from stored outputs of the lower ones (default %(default)s)",
    )
    group.add_argument(
        "--keep-memory", action="store_true", help="let the C allocator keep what a call freed: faster, larger"
    )
    group.add_argument("--no-augment", action="store_true", help="train on the recordings exactly as they are")


def add_pace(parser: argparse.ArgumentParser) -> None:
    """The sliding window; the defaults are those of `Pace`."""
    from tflite_asr.personalization.settings import Pace

    default = Pace()
    group = parser.add_argument_group("sliding window", "with --window; --epochs and --patience then mean nothing")
    group.add_argument("--window", type=int, metavar="W", help="keep W utterances at most, and train as they come")
    for name, unit, means in (
        ("window_bytes", "B", "that they take on disk at most"),
        ("stride", "S", "new utterances before it trains again"),
        ("steps", "N", "steps that it then takes"),
    ):
        help = f"{means} (default {getattr(default, name)})"
        group.add_argument(f"--{name.replace('_', '-')}", type=int, metavar=unit, help=help)


def pace_of(args: argparse.Namespace):
    """The `Pace` that the arguments ask for; None without --window."""
    from tflite_asr.cli.arguments import check_least
    from tflite_asr.errors import InputError
    from tflite_asr.personalization.settings import Pace

    given = {name: getattr(args, name) for name in ("window", "window_bytes", "stride", "steps")}
    given = {name: value for name, value in given.items() if value is not None}
    check_least(args, window=1, window_bytes=1, stride=1, steps=1)
    if given and args.window is None:
        raise InputError(f"--{next(iter(given)).replace('_', '-')}: expected --window with it, got none")
    return Pace(**given) if given else None


def add_rounds(parser: argparse.ArgumentParser) -> None:
    """Rounds; how a device that runs low is told."""
    group = parser.add_argument_group("rounds", "with --rounds; --epochs and --patience are then those of a round")
    group.add_argument(
        "--rounds", type=int, metavar="N", help="in which the utterances come; the selector looks before each"
    )
    group.add_argument(
        "--resource-trace", metavar="FILE", help="replay this in place of the device's memory and battery"
    )
    group.add_argument(
        "--battery-floor",
        type=float,
        metavar="P",
        help=f"percent at which training stops (default {BATTERY_FLOOR_PERCENT:g})",
    )
    group.add_argument(
        "--ram-floor-mb", type=float, metavar="N", help=f"available memory at which it stops (default {RAM_FLOOR_MB:g})"
    )


def rounds_of(args: argparse.Namespace):
    """A function artifact -> the `Rounds` that the arguments ask for, which may measure the device; None without
    --rounds.
    """
    import sys

    from tflite_asr.cli.arguments import check_least
    from tflite_asr.errors import InputError
    from tflite_asr.personalization.calibration import calibrated, default_path
    from tflite_asr.personalization.resources import Limits, ResourceProbe, ResourceTrace, read_trace
    from tflite_asr.personalization.rounds import Rounds

    check_least(args, rounds=1, battery_floor=0, ram_floor_mb=0)
    if args.rounds is None:
        for name in ("resource_trace", "battery_floor", "ram_floor_mb"):
            if getattr(args, name) is not None:
                raise InputError(f"--{name.replace('_', '-')}: expected --rounds with it, got none")
        return None
    if args.window is not None or args.freeze or args.plan != "train":
        raise InputError(
            "--rounds: expected no --window, --freeze and --plan with it; the selector chooses what to train"
        )
    battery = BATTERY_FLOOR_PERCENT if args.battery_floor is None else args.battery_floor
    if battery > 100:
        raise InputError(f"--battery-floor: expected 0 to 100, got {battery:g}")
    ram = RAM_FLOOR_MB if args.ram_floor_mb is None else args.ram_floor_mb
    trace = read_trace(Path(args.resource_trace)) if args.resource_trace else None

    def make(artifact) -> Rounds:
        def notice(line: str) -> None:
            print(f"notice: {line}", file=sys.stderr)

        calibration = calibrated(artifact, default_path(artifact, args.threads), args.threads, notice)
        source = ResourceTrace(trace) if trace else ResourceProbe()
        return Rounds(args.rounds, source, Limits(ram, battery), calibration)

    return make


def settings_of(args: argparse.Namespace, connect: int):
    """The `Settings` that the arguments ask for."""
    from tflite_asr.cli.arguments import check_learning_rate, check_least
    from tflite_asr.personalization.settings import Settings

    check_least(args, epochs=1, patience=1, pull=0, replay=0)
    if args.learning_rate is not None:
        check_learning_rate(args)
    return Settings(
        epochs=args.epochs,
        learning_rate=args.learning_rate,
        patience=args.patience,
        pull=args.pull,
        replay=args.replay,
        group_rates={name.strip(): 0.0 for name in args.freeze.split(",") if name.strip()},
        augment=not args.no_augment,
        plan=args.plan,
        connect=connect,
        seed=args.seed,
    )


def run(args: argparse.Namespace) -> dict:
    from tflite_asr.audio.reading import Notices
    from tflite_asr.cli.arguments import check_least
    from tflite_asr.data.corpus import Corpus
    from tflite_asr.data.manifest import read_manifest
    from tflite_asr.personalization.session import run_session
    from tflite_asr.runtime.memory import give_back_freed_memory
    from tflite_asr.runtime.recognizer import Recognizer

    check_least(args, connect=1, limit=1, threads=1)
    settings, pace, make_rounds = settings_of(args, args.connect), pace_of(args), rounds_of(args)
    if (args.plan != "train" or make_rounds) and not args.keep_memory:
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


def _learned(args: argparse.Namespace, recognizer, corpus, rows: dict[str, list]):
    """The `Speech` to learn from; says which corrections are refused."""
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
