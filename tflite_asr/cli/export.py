"""Export a trained model as NAME.tflite and NAME.json.

    tflite-asr export runs/commands --out commands.tflite
    tflite-asr export --preset wright2023 --out wright2023.tflite
    tflite-asr export runs/student/stage_3 --quantize aware --trainable encoder_2 --out sentences.tflite
    tflite-asr export commands --adapters 6 --out adapted.tflite

The file holds every signature of the README's table and uses TFLite's builtin ops only. Needs the extra `train`.
With --replay, utterances for rehearsal on the device are written to NAME.replay.safetensors.
"""

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tflite_asr.cli.arguments import add_connect, add_seed, add_split, split_options
from tflite_asr.config import PRESETS
from tflite_asr.export.quantization import MIN_RUNTIMES, MODES, Quantization

if TYPE_CHECKING:
    from tflite_asr.models.speech import SpeechModel
    from tflite_asr.runtime.artifact import Artifact

LORA_RATE = 0.005  # of low-rank updates alone, five times that of whole kernels
SUMMARY = "write a trained model as a .tflite that keeps learning"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "model", nargs="?", metavar="DIR|MODEL", help="what `tflite-asr train` wrote, or a model that was exported"
    )
    what.add_argument("--preset", metavar="P", help=f"a model with random weights, to measure: {', '.join(PRESETS)}")
    parser.add_argument("--out", required=True, metavar="NAME.tflite", help="NAME.json is written beside it")
    parser.add_argument(
        "--optimizer", default="adam", choices=("sgd", "momentum", "adam"), help="of the file (default %(default)s)"
    )
    parser.add_argument(
        "--replay", action="append", default=[], metavar="M", help="manifest of speech to ship with the model"
    )
    parser.add_argument(
        "--replay-limit", type=int, default=100, metavar="N", help="utterances of it (default %(default)s)"
    )
    _add_weights(parser)
    parser.add_argument(
        "--lengths",
        type=_seconds,
        metavar="S,S,...",
        help="lengths of utterances, in seconds, that the file has signatures for, all over the same weights: an "
        "utterance costs what the shortest that holds it costs; the last one is the longest utterance (default: the "
        "model's)",
    )
    parser.add_argument(
        "--min-runtime",
        default=MIN_RUNTIMES[0],
        choices=MIN_RUNTIMES,
        help="oldest TFLite that must load the file; dense layers have a scale for each channel from 2.21 on (default "
        "%(default)s)",
    )
    add_split(parser)
    add_connect(parser)
    add_seed(parser)
    parser.add_argument(
        "--owner-views",
        action="store_true",
        help="recognise the owner slower, faster, lower and higher too, and take the likeliest text: up to five "
        "searches where the first is unsure; for short commands (default: as the exported model)",
    )
    parser.add_argument(
        "--allow-flex", action="store_true", help="allow ops that need the TensorFlow library on the device"
    )


def _add_weights(parser: argparse.ArgumentParser) -> None:
    """Which weights train on the device, and how the others are stored."""
    parser.add_argument(
        "--quantize",
        default="none",
        choices=MODES,
        help="how the weights of groups that do not train are stored: floats; int8 by TFLite's converter; int8 as "
        "quantisation-aware training rounds them; int8 on the grid that they were imported with (default %(default)s)",
    )
    parser.add_argument(
        "--trainable",
        metavar="GROUPS",
        help="groups that train on the device, by name or number: all, none, or such as 2,joint (default: all; with "
        "--quantize, none)",
    )
    parser.add_argument(
        "--bias-only",
        action="store_true",
        help="train only gains and biases of the groups that train: a few thousand numbers, for which a few minutes of "
        "speech are enough",
    )
    parser.add_argument(
        "--lora",
        type=int,
        default=0,
        metavar="RANK",
        help="add an update of this rank to each kernel of the groups that train (LoRA, Hu et al. 2022); it trains in "
        "its place, together with gains and biases; the kernels are constants, so a user's file is small",
    )
    parser.add_argument(
        "--learning-rate",
        type=float,
        metavar="R",
        help="learning rate of personalisation, unless another is given (default: the model's; with --lora "
        f"{LORA_RATE:g})",
    )
    parser.add_argument(
        "--adapters",
        type=int,
        metavar="UNITS",
        help="add a residual adapter of UNITS units behind each encoder group; unless --trainable is given, "
        "they alone train",
    )


def run(args: argparse.Namespace) -> dict:
    """Run the command; returns its result, as `--json` prints it."""
    from tflite_asr.cli.arguments import check_learning_rate, check_least, limited, load_clips, read_manifests
    from tflite_asr.export import export
    from tflite_asr.models.storage import copy_licences, load_model
    from tflite_asr.names import check_utf8
    from tflite_asr.personalization.replay import read_replay, write_replay
    from tflite_asr.runtime.voice import Mixture
    from tflite_asr.training.voices import read_voices

    check_utf8(args.out)
    check_least(args, replay_limit=1, connect=1, adapters=1, lora=0)
    if args.learning_rate is not None:
        check_learning_rate(args)
    utterances = read_manifests(args.replay, [])
    rehearsed, owner_views = [], args.owner_views  # or what was shipped with an exported model
    if args.preset is not None:
        model, voices = _random_model(args.preset, args.seed), None
    elif Path(args.model).is_dir():
        model, voices = load_model(Path(args.model)), read_voices(Path(args.model))
    else:
        model, source = _exported_model(args.model)
        voices = Mixture.from_json(source.voices) if source.voices else None
        rehearsed, owner_views = read_replay(source), owner_views or source.owner_views
    model, trainable = _as_asked(model, args)
    # before the export, so that bad speech leaves the former files alone
    corpus, clips = load_clips(utterances, model.config, args.connect, args.seed, measuring=False)
    artifact = export(
        model,
        Path(args.out),
        optimizer=args.optimizer,
        split=split_options(args),
        voices=voices,
        owner_views=owner_views,
        quantization=Quantization(args.quantize, trainable, args.min_runtime, args.bias_only, args.lora),
        allow_flex=args.allow_flex,
        progress=_show_stage,
    )
    licences = (
        copy_licences(Path(args.model), Path(args.out).parent) if args.model and Path(args.model).is_dir() else []
    )
    if args.replay:
        from tflite_asr.runtime.evaluation import examples_of
        from tflite_asr.runtime.recognizer import Recognizer

        # as the exported file's own features
        rehearsed = examples_of(Recognizer.load(args.out), corpus, limited(clips, args.replay_limit, args.seed))
    return {
        "model": args.out,
        "replay": str(write_replay(artifact, rehearsed)) if rehearsed else None,
        "licences": [str(path) for path in licences],
        "bytes": artifact.bytes,
        "parameters": sum(group["parameters"] for group in artifact.groups),
        "signatures": list(artifact.signatures),
        "min_runtime": artifact.min_runtime,
    }


def _show_stage(stage: str) -> None:
    """Print what the export does, for a person who waits."""
    if sys.stderr.isatty():
        print(stage, file=sys.stderr, flush=True)


def _as_asked(model: "SpeechModel", args: argparse.Namespace) -> "tuple[SpeechModel, str | None]":
    """The model with the adapters, learning rate and lengths of the arguments; and the groups that train."""
    from tflite_asr.layers.adapter import AdapterGroup
    from tflite_asr.models.build import with_adapters, with_lengths

    trainable = args.trainable
    if args.adapters is not None:
        model = with_adapters(model, args.adapters)
        trainable = trainable or ",".join(group.name for group in model.groups if isinstance(group, AdapterGroup))
    learning_rate = LORA_RATE if args.lora and args.learning_rate is None else args.learning_rate
    if learning_rate is not None:
        model = model.with_config(dataclasses.replace(model.config, learning_rate=learning_rate))
    if args.lengths is not None:
        model = with_lengths(model, args.lengths)
    return model, trainable


def _seconds(text: str) -> list[float]:
    """The numbers of `--lengths`, for argparse."""
    try:
        seconds = [float(part) for part in text.split(",")]
    except ValueError:
        seconds = []
    if not seconds or not all(0 < s < 3600 for s in seconds):
        raise argparse.ArgumentTypeError(f"expected seconds such as 4,12,30, got {text!r}")
    return seconds


def _random_model(name: str, seed: int) -> "SpeechModel":
    from tflite_asr.config import preset

    config = preset(name)  # before TensorFlow is loaded
    import tf_keras as keras

    from tflite_asr.models.build import build_model

    keras.utils.set_random_seed(seed)
    return build_model(config)


def _exported_model(source: str) -> "tuple[SpeechModel, Artifact]":
    """The model that an artifact was shipped with, and the artifact."""
    from tflite_asr.models.build import build_model
    from tflite_asr.runtime.artifact import read_artifact
    from tflite_asr.training.initial import exported_weights

    config, values = exported_weights(source)
    model = build_model(config)
    for name, weight in model.named_weights().items():
        weight.assign(values[name])
    return model, read_artifact(source)


def describe(result: dict) -> str:
    """The result as text for people."""
    return (
        f"{result['model']}: {result['bytes'] / 1e6:.1f} MB, {result['parameters']:,} parameters, "
        f"{len(result['signatures'])} signatures, operators of TFLite {result['min_runtime']}"
    )
