"""Train a base model on a server or laptop; an interrupted run goes on when the command is given again.

    tflite-asr train commands --manifest speech/manifest.jsonl --where split=base_train \\
        --development speech/manifest.jsonl --development-where split=base_dev --connect 5 --out runs/commands

Writes config.json, weights.safetensors (the average of the last weights, the best on the development speech),
history.jsonl, tensorboard/ and voices.json, by which a phone tells its owner from others, into the folder. `tflite-asr export` makes a .tflite of it. Needs the extra `train`.

A trained model can be fine-tuned with its weights rounded as an int8 file stores them:

    tflite-asr train commands --quantize-aware runs/commands --manifest ... --learning-rate 2e-4 --epochs 5 --out runs/int8
"""

import argparse
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tflite_asr.cli.arguments import add_connect, add_seed
from tflite_asr.config import PRESETS

if TYPE_CHECKING:
    from tflite_asr.config import ModelConfig

SUMMARY = "train a base model"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("preset", metavar="PRESET", help=f"which model: {', '.join(PRESETS)}")
    parser.add_argument("--manifest", action="append", required=True, metavar="M", help="training speech; can be repeated")
    parser.add_argument(
        "--where", action="append", default=[], metavar="F=V", help="rows to keep: one for all manifests or one for each"
    )
    parser.add_argument("--words", metavar="W,W,...", help="keep only the utterances that have just these words")
    parser.add_argument("--development", action="append", default=[], metavar="M", help="speech to choose the best weights by")
    parser.add_argument("--development-where", action="append", default=[], metavar="F=V", help="its rows to keep")
    add_connect(parser)
    parser.add_argument("--epochs", type=int, default=45, help="default %(default)s")
    parser.add_argument("--steps", type=int, default=200, help="of an epoch (default %(default)s)")
    parser.add_argument("--batch", type=int, default=32, help="utterances a step (default %(default)s)")
    parser.add_argument("--learning-rate", type=float, default=2e-3, help="the highest (default %(default)s)")
    parser.add_argument(
        "--ctc-weight", type=float, default=0.0, help="of a CTC loss on a transducer's encoder, so that it learns sooner (default %(default)s)"
    )
    parser.add_argument(
        "--quantize-aware", metavar="DIR", help="fine-tune the model in DIR, its weights rounded as `export --quantize aware` stores them"
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="where the model is written")
    add_seed(parser)


def run(args: argparse.Namespace) -> dict:
    from tflite_asr.audio.reading import Notices
    from tflite_asr.cli.arguments import check_learning_rate, check_least, keep_vocabulary, read_manifests
    from tflite_asr.config import preset
    from tflite_asr.data.corpus import Corpus
    from tflite_asr.errors import InputError

    check_least(args, connect=1, epochs=1, steps=1, batch=1, ctc_weight=0, seed=0)
    check_learning_rate(args)
    if args.development_where and not args.development:
        raise InputError("--development-where: expected --development with it, got none")
    config, folder = preset(args.preset), Path(args.out)
    if args.ctc_weight and not config.prediction:
        raise InputError(f"--ctc-weight: expected a transducer, {config.name} has CTC heads of its own")
    if args.ctc_weight and args.quantize_aware is not None:
        raise InputError("--quantize-aware: expected no --ctc-weight with it, what is fine-tuned is aligned already")
    check_resumes(folder, config)
    training = read_manifests(args.manifest, args.where)
    development = read_manifests(args.development, args.development_where)
    if args.words is not None:
        training = keep_vocabulary(training, args.words)
        development = keep_vocabulary(development, args.words) if development else []
    with Notices() as notices:
        corpus = Corpus(training, config, notices)
        held_out = Corpus(development, config, notices) if development else None
    from tflite_asr.training.fit import fit
    from tflite_asr.training.voices import write_voices

    initial, objective_of = _rounded(args.quantize_aware, config)
    folder.mkdir(parents=True, exist_ok=True)
    with training_errors(folder):
        write_voices(folder, corpus, args.seed)
        last = fit(
            config,
            corpus,
            held_out,
            folder,
            connect_up_to=args.connect,
            batch=args.batch,
            epochs=args.epochs,
            steps_per_epoch=args.steps,
            learning_rate=args.learning_rate,
            ctc_weight=args.ctc_weight,
            seed=args.seed,
            initial=initial,
            objective_of=objective_of,
        )
    return {"model": args.out, "utterances": len(training), **last}


def _rounded(folder: str | None, config: "ModelConfig") -> "tuple[dict, Callable | None]":
    """Weights to start from and the objective, of quantisation-aware training; nothing and None without it."""
    if folder is None:
        return {}, None
    from tflite_asr.errors import InputError
    from tflite_asr.models.storage import load_model
    from tflite_asr.training.quantize_aware import aware_loss

    model = load_model(Path(folder))
    if model.config != config:
        raise InputError(f"{folder}: expected the preset {config.name}, got another model")
    return {name: weight.numpy() for name, weight in model.named_weights().items()}, aware_loss


@contextlib.contextmanager
def training_errors(folder: Path) -> Iterator[None]:
    """TensorFlow's words for a full disk, a folder that cannot be written, a file of resume/ that is gone or torn, as an
    InputError."""
    from tensorflow import errors

    from tflite_asr.errors import InputError

    try:
        yield
    except (errors.ResourceExhaustedError, errors.PermissionDeniedError, errors.NotFoundError, errors.DataLossError) as error:
        raise InputError(f"{folder}: cannot train into it: {' '.join(error.message.split())}") from None


def check_resumes(folder: Path, config: "ModelConfig") -> None:
    """InputError when the folder holds another model than the one to train: it would be overwritten."""
    import json

    from tflite_asr.config import ModelConfig
    from tflite_asr.errors import InputError

    path = folder / "config.json"
    if not path.exists():
        return
    try:
        found = ModelConfig.from_json(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:  # InputError among them
        raise InputError(f"{path}: not the description of a model ({error}); give another --out or remove it") from None
    if found != config:
        raise InputError(f"{path}: expected the preset {config.name}, got another model; give another --out or remove it")


def describe(result: dict) -> str:
    wer = f", development WER {result['development_wer']:.1%}" if "development_wer" in result else ""
    return f"{result['model']}: epoch {result['epoch']}, loss {result['loss_per_token']:.3f} a token{wer}"
