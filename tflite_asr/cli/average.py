"""Average the weights of two trained models, one of which was fine-tuned from the other.

    tflite-asr average runs/imported runs/tuned --share 0.5 --out runs/between

Fine-tuning on little speech makes a model better at that speech and worse at other speech. Weights between the two
models are often nearly as good on the new speech and as good on the old (Wortsman et al. 2022, arXiv 2109.01903).
Evaluate several shares on development speech of both kinds.

The models have the same configuration. Grids and licences of the first go into --out, voices of the second. Needs the
extra `train`.
"""

import argparse
from pathlib import Path

SUMMARY = "average the weights of a model and of one fine-tuned from it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("first", metavar="DIR", help="a model's folder, such as one that `import` wrote")
    parser.add_argument("second", metavar="DIR", help="a folder that `train --initial` of the first one wrote")
    parser.add_argument(
        "--share",
        type=float,
        default=0.5,
        metavar="S",
        help="share of the second one's weights, 0 to 1 (default %(default)s)",
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="where the average is written: a new folder")


def run(args: argparse.Namespace) -> dict:
    """Run the command; returns its result, as `--json` prints it."""
    import dataclasses

    from tflite_asr.errors import InputError
    from tflite_asr.files import write_whole
    from tflite_asr.importing.moonshine import check_out
    from tflite_asr.models.storage import copy_companions, read_model, save_model

    if not 0 <= args.share <= 1:
        raise InputError(f"--share: expected 0 to 1, got {args.share}")
    folders = first, second = Path(args.first), Path(args.second)
    out = Path(args.out)
    check_out(out)
    (config, weights), (other, others) = map(read_model, folders)
    names = {name: value.shape for name, value in weights.items()}
    if names != {name: value.shape for name, value in others.items()}:
        raise InputError(
            f"{second}: expected the weights of {first}, got others; average a model with one tuned from it"
        )
    if dataclasses.replace(other, name=config.name, licences=config.licences) != config:
        raise InputError(f"{second}: expected the configuration of {first}, got another")
    changed = [name for name, value in weights.items() if (value != others[name]).any()]
    for name in changed:
        weights[name] = ((1 - args.share) * weights[name] + args.share * others[name]).astype(weights[name].dtype)
    save_model(out, config, weights)
    copy_companions(first, out)
    voices = second / "voices.json"
    if voices.is_file():
        write_whole(out / "voices.json", voices.read_bytes())
    return {"model": str(out), "share": args.share, "weights": len(weights), "averaged": len(changed)}


def describe(result: dict) -> str:
    """The result as text for people."""
    return (
        f"{result['model']}: {result['averaged']} of {result['weights']} weights averaged, {result['share']:.0%} of "
        "the second model's; the others are the same in both"
    )
