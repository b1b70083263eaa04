"""Personalise to many speakers on a server and under a phone's conditions, and compare the gains.

    tflite-asr simulate --environment both --manifest speech/manifest.jsonl --where "speaker=ann|bob" \\
        --connect 5 --out runs/study
    tflite-asr simulate --config study.toml --engine ray --out runs/study

server: all of a speaker's data in shuffled epochs, large batches, Adam, through Keras. mobile: a sliding window, small
batches, the TFLite runtime, interruptions from a resource trace. Options override the file's settings. Adaptation and
test rows are those of split pers_adapt and pers_test; a speaker without them is tested on the last rows. With
--hold-out-words the summary also has, by run, `said` and `unsaid`: the words adapted to and those held out.

Writes speakers/NAME/RUN.json, summary.json and report.html; repeat the command to resume.
"""

import argparse
from pathlib import Path

from tflite_asr.cli.arguments import add_manifests

SUMMARY = "compare personalisation on a server and on a phone over many speakers"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("model", nargs="?", metavar="MODEL", help="default commands, or what the config says")
    parser.add_argument("--config", metavar="TOML", help="the description of a study, see docs/commands.md")
    parser.add_argument("--environment", choices=("server", "mobile", "both"), help="default both")
    add_manifests(parser, "the speakers' speech", required=False)
    parser.add_argument("--connect", type=int, default=1, metavar="N", help="join clips into strings of up to N")
    parser.add_argument("--others", metavar="M", help="speech of others, to measure forgetting")
    parser.add_argument("--others-where", metavar="F=V", help="its rows to keep")
    parser.add_argument(
        "--adapters",
        metavar="MODEL",
        help="also train adapters or low-rank updates alone, of the model as `export --adapters` or `--lora` made it",
    )
    parser.add_argument(
        "--subsets", action="store_true", help="also compare what to train: joint, encoder, biases, ..."
    )
    parser.add_argument(
        "--hold-out-words",
        type=float,
        metavar="SHARE",
        help="never adapt to this share of each speaker's words, such as 0.5, and measure them separately",
    )
    parser.add_argument("--trace", metavar="FILE", help="the phone's resources, JSON Lines; they interrupt training")
    parser.add_argument(
        "--engine", choices=("local", "ray"), default="local", help="ray: the cluster at RAY_ADDRESS, or here"
    )
    parser.add_argument(
        "--workers", type=int, default=1, metavar="N", help="runs at the same time here (default %(default)s)"
    )
    parser.add_argument("--seed", type=int, help="seed of all random draws (default 0)")
    parser.add_argument("--out", required=True, metavar="DIR", help="where results are written")


def run(args: argparse.Namespace) -> dict:
    """Run the command; returns its result, as `--json` prints it."""
    from tflite_asr.cli.arguments import check_least
    from tflite_asr.study.run import run_study

    check_least(args, workers=1, connect=1)
    return run_study(_study(args), Path(args.out), engine=args.engine, workers=args.workers)


def _study(args: argparse.Namespace):
    """The `Study` that the config file and the options describe together."""
    import dataclasses

    from tflite_asr.errors import InputError
    from tflite_asr.study.plan import PhoneSettings, Speech, Study, check_study, read_study

    given = read_study(Path(args.config)) if args.config else {}
    for name in ("model", "environment", "seed", "hold_out_words"):
        if getattr(args, name) is not None:
            given[name] = getattr(args, name)
    if args.subsets:
        given["subsets"] = True
    if args.adapters is not None:
        given["adapters"] = args.adapters
    if args.manifest:
        wheres = args.where * len(args.manifest) if len(args.where) == 1 else args.where or [""] * len(args.manifest)
        if len(wheres) != len(args.manifest):
            raise InputError(
                f"expected no --where, one, or one for each --manifest ({len(args.manifest)}), got {len(wheres)}"
            )
        given["speech"] = tuple(Speech(*each, args.connect) for each in zip(args.manifest, wheres))
    elif args.where:
        raise InputError("--where: expected --manifest with it, got none")
    if args.others:
        given["others"] = Speech(args.others, args.others_where or "", args.connect)
    elif args.others_where:
        raise InputError("--others-where: expected --others with it, got none")
    if args.trace:
        given["phone"] = dataclasses.replace(given.get("phone", PhoneSettings()), trace=args.trace)
    if not given.get("speech"):
        raise InputError("expected the speakers' speech: give --manifest, or [[speech]] in --config")
    study = Study(**given)
    check_study(study)
    return study


def describe(result: dict) -> str:
    """The result as text for people."""
    lines = [f"{'':<24}{'speakers':>9}{'before':>9}{'after':>9}{'reduction':>11}   95% interval"]
    for run, pooled in result.items():
        if isinstance(pooled, dict):
            interval = pooled["interval"]
            lines.append(
                f"{run:<24}{pooled['speakers']:>9}{pooled['wer_before']:>9.1%}{pooled['wer_after']:>9.1%}"
                f"{pooled['relative_wer_reduction']:>11.1%}"
                + (f"   {interval[0]:.1%} to {interval[1]:.1%}" if interval else "")
            )
            for words in ("said", "unsaid"):
                if words in pooled:
                    rates = pooled[words]
                    lines.append(
                        f"  {f'{words} words':<31}{rates['wer_before']:>9.1%}{rates['wer_after']:>9.1%}"
                        f"{rates['relative_wer_reduction']:>11.1%}"
                    )
    if result["kept"] is not None:
        lines.append(f"kept on the phone: {result['kept']:.1%} of the server's gain")
    if result["peak_private_mb"] is not None:
        lines.append(
            f"memory {result['peak_private_mb']:.0f} MB private, window {result['disk_bytes_max']} bytes at most"
        )
    return "\n".join([*lines, f"report: {result['report']}"])
