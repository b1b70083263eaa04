"""The options of `tflite-asr train`."""

import argparse
from typing import TYPE_CHECKING

from tflite_asr.config import EXIT_WEIGHTINGS, PRESETS

if TYPE_CHECKING:
    from tflite_asr.config import ModelConfig
    from tflite_asr.training.settings import FitSettings


def add_model(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the model and of the weights that it starts from."""
    parser.add_argument("preset", metavar="PRESET", help=f"which model: {', '.join(PRESETS)}")
    parser.add_argument("--layers", type=int, metavar="N", help="encoder groups, in place of the preset's")
    parser.add_argument(
        "--exits",
        metavar="N,N,...|none",
        help="encoder groups, from 0, with an exit behind them, in place of the preset's",
    )
    parser.add_argument(
        "--exit-weighting", choices=EXIT_WEIGHTINGS, help="of the exits' losses, in place of the preset's"
    )
    parser.add_argument(
        "--subwords",
        type=int,
        metavar="N",
        help="spell in N subwords of the training texts, case and punctuation kept, in place of characters",
    )
    parser.add_argument(
        "--initial",
        metavar="DIR|MODEL",
        help="start from a folder of `train` or from an exported model; groups that it lacks are drawn at random",
    )
    parser.add_argument(
        "--initial-groups",
        metavar="GROUPS",
        help="take only these layer groups from --initial, by name, or none: then the front end alone (default: all)",
    )
    parser.add_argument(
        "--trainable",
        metavar="GROUPS",
        help="train only these layer groups, by number or name, comma-separated (default: all)",
    )
    parser.add_argument("--freeze", action="store_true", help="train only what --initial does not have, its new exits")


def add_schedule(parser: argparse.ArgumentParser) -> None:
    """Declare the options of epochs, steps and learning rate."""
    parser.add_argument("--epochs", type=int, default=45, help="default %(default)s")
    parser.add_argument(
        "--plain-epochs",
        type=int,
        default=0,
        metavar="N",
        help="the first N hear the speech as it is, without augmentation: a start for sentences (default %(default)s)",
    )
    parser.add_argument("--steps", type=int, default=200, help="of an epoch (default %(default)s)")
    parser.add_argument("--batch", type=int, default=32, help="utterances a step (default %(default)s)")
    parser.add_argument("--learning-rate", type=float, default=2e-3, help="the highest (default %(default)s)")


def add_variants(parser: argparse.ArgumentParser) -> None:
    """Declare the options of losses, input and several machines."""
    parser.add_argument(
        "--ctc-weight",
        type=float,
        default=0.0,
        help="weight of a CTC loss on a transducer's encoder, so that it learns sooner (default %(default)s)",
    )
    parser.add_argument(
        "--second-pass",
        action="store_true",
        help="train by the loss of the decoder as well; texts have case and punctuation, see `tflite-asr punctuate`",
    )
    parser.add_argument(
        "--cached",
        type=int,
        default=0,
        metavar="N",
        help="compute once, for N versions of each recording, the output of the encoder groups below the trained ones: "
        "steps are several times as fast, augmentation is of N-1 draws",
    )
    parser.add_argument(
        "--noise",
        nargs="+",
        default=[],
        metavar="FILE",
        help="recordings of noise, added to half of the utterances 5 to 20 dB below the speech",
    )
    parser.add_argument(
        "--quantize-aware",
        action="store_true",
        help="fine-tune --initial with its weights rounded as `export --quantize aware` stores them",
    )
    parser.add_argument(
        "--distribute",
        choices=["multiworker"],
        help="share each batch with other machines, which TF_CONFIG names; all see --out",
    )


def check_options(args: argparse.Namespace) -> None:
    """InputError for values out of range and options that miss another."""
    from tflite_asr.cli.arguments import check_learning_rate, check_least
    from tflite_asr.errors import InputError
    from tflite_asr.names import check_utf8

    check_utf8(args.out)
    check_least(
        args, layers=1, subwords=1, connect=1, epochs=1, plain_epochs=0, steps=1, batch=1, ctc_weight=0, cached=0
    )
    check_learning_rate(args)
    if args.development_where and not args.development:
        raise InputError("--development-where: expected --development with it, got none")
    needing = {"freeze": args.freeze, "quantize-aware": args.quantize_aware, "initial-groups": args.initial_groups}
    for name, given in needing.items():
        if given and args.initial is None:
            raise InputError(f"--{name}: expected --initial with it, got none")


def check_model(args: argparse.Namespace, config: "ModelConfig") -> None:
    """InputError for options that this model does not have."""
    from tflite_asr.errors import InputError

    if args.freeze and not config.exits:
        raise InputError("--freeze: expected --exits that are to be trained, got none")
    if args.ctc_weight and (config.exits or not config.is_transducer):
        raise InputError(
            f"--ctc-weight: expected a transducer without early exits, {config.name} has CTC heads of its own"
        )
    if args.second_pass and not (config.decoder and config.decoder.subwords):
        raise InputError(
            f"--second-pass: expected a model with a decoder and its subwords, {config.name} has none; import it as "
            f"--initial"
        )
    if args.second_pass and config.exits:
        raise InputError("--second-pass: expected a model without early exits; train them afterwards, with --freeze")
    if args.cached and (
        config.is_transducer or config.exits or args.connect > 1 or args.distribute or args.quantize_aware
    ):
        raise InputError(
            "--cached: expected a CTC model without early exits, trained without --connect, --distribute and "
            "--quantize-aware"
        )
    if args.quantize_aware and (args.freeze or args.ctc_weight):
        raise InputError(
            "--quantize-aware: expected neither --freeze nor --ctc-weight with it, it fine-tunes the whole model"
        )


def config_of(args: argparse.Namespace) -> "ModelConfig":
    """The preset's configuration with the changes that the arguments ask for."""
    import dataclasses

    from tflite_asr.config import preset
    from tflite_asr.errors import InputError

    config = preset(args.preset)
    changes = {}
    if args.layers is not None:
        changes["encoder"] = dataclasses.replace(config.encoder, layers=args.layers)
    if args.exits is not None:
        try:
            changes["exits"] = () if args.exits == "none" else tuple(int(group) for group in args.exits.split(","))
        except ValueError:
            raise InputError(f"--exits {args.exits}: expected numbers of encoder groups such as 1,3, or none") from None
    if args.exit_weighting is not None:
        changes["exit_weighting"] = args.exit_weighting
    return dataclasses.replace(config, **changes)


def fit_settings_of(args: argparse.Namespace) -> "FitSettings":
    """The `FitSettings` that the arguments ask for."""
    from tflite_asr.training.settings import FitSettings

    return FitSettings(
        connect_up_to=args.connect,
        batch=args.batch,
        epochs=args.epochs,
        steps_per_epoch=args.steps,
        plain_epochs=args.plain_epochs,
        learning_rate=args.learning_rate,
        ctc_weight=args.ctc_weight,
        seed=args.seed,
        freeze=args.freeze,
        trainable=args.trainable,
        second_pass=args.second_pass,
        cached=args.cached,
    )
