"""Train a base model on a server or laptop; an interrupted run goes on when the command is given again.

    tflite-asr train commands --manifest speech/manifest.jsonl --where split=base_train \\
        --development speech/manifest.jsonl --development-where split=base_dev --connect 5 --out runs/commands

Writes config.json, weights.safetensors (the average of the last weights, the best on the development speech),
history.jsonl, tensorboard/ and voices.json, by which a phone tells its owner from others, into the folder. `tflite-asr
export` makes a .tflite of it. Needs the extra `train`.

Exits can be added to a model that is trained already, and their heads trained alone or with all the rest:

    tflite-asr train commands_exits --initial runs/whole [--freeze] --exits 1,3 --manifest ... --out runs/with_exits

A deeper model, or one with a rescorer, can start from the groups that another one has learned, here the shipped one:

    tflite-asr train sentences_teacher --initial commands --manifest ... --out runs/teacher

Several machines can share the work, each started with the same command and an index of its own:

    TF_CONFIG='{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}' \\
        tflite-asr train commands --distribute multiworker --manifest ... --out runs/commands

Transcripts with case and punctuation need subwords in place of the preset's characters; `--initial` brings its own:

    tflite-asr train commands --subwords 500 --manifest ... --out runs/cased

A trained model can be fine-tuned with its weights rounded as `export --quantize aware` stores them:

    tflite-asr train commands --initial runs/commands --quantize-aware --learning-rate 2e-4 --epochs 5 \\
        --manifest ... --out runs/int8
"""

import argparse
import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tflite_asr.cli.arguments import add_connect, add_development, add_manifests, add_seed
from tflite_asr.cli.training_run import RESULTS, check_resumes, finished_row, load_speech, training_errors
from tflite_asr.config import EXIT_WEIGHTINGS, PRESETS

if TYPE_CHECKING:
    from tflite_asr.config import ModelConfig, SubwordConfig
    from tflite_asr.data.corpus import Corpus
    from tflite_asr.models.speech import SpeechModel
    from tflite_asr.training.objective import Objective
    from tflite_asr.training.settings import FitSettings
    from tflite_asr.training.workers import Workers

SUMMARY = "train a base model"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    _add_model(parser)
    add_manifests(parser, "training speech")
    parser.add_argument("--words", metavar="W,W,...", help="keep only the utterances that have just these words")
    add_development(parser)
    add_connect(parser)
    _add_schedule(parser)
    _add_variants(parser)
    parser.add_argument("--out", required=True, metavar="DIR", help="where the model is written")
    add_seed(parser)


def _add_model(parser: argparse.ArgumentParser) -> None:
    """What is trained, and which weights it starts from."""
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
        help="start from what `train` wrote there, or from an exported model; groups that it lacks are drawn at random",
    )
    parser.add_argument(
        "--trainable",
        metavar="GROUPS",
        help="train only these layer groups, by number or name, comma-separated (default: all)",
    )
    parser.add_argument("--freeze", action="store_true", help="train only what --initial does not have, its new exits")


def _add_schedule(parser: argparse.ArgumentParser) -> None:
    """How long and how fast."""
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


def _add_variants(parser: argparse.ArgumentParser) -> None:
    """Other losses, other input, several machines."""
    parser.add_argument(
        "--ctc-weight",
        type=float,
        default=0.0,
        help="of a CTC loss on a transducer's encoder, so that it learns sooner (default %(default)s)",
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
        help="compute once, for N versions of each recording, what the encoder groups below the trained ones put out: "
        "steps are several times as fast, augmentation is of N-1 draws",
    )
    parser.add_argument(
        "--noise",
        nargs="+",
        default=[],
        metavar="FILE",
        help="recordings of noise, put under half of the utterances 5 to 20 dB below the speech",
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


def run(args: argparse.Namespace) -> dict:
    import dataclasses

    from tflite_asr.cli.arguments import keep_vocabulary, read_manifests
    from tflite_asr.out_folder import check_settings

    _check_options(args)
    config, folder = _config(args), Path(args.out)
    if args.initial is not None:
        from tflite_asr.training.initial import with_origin

        config = with_origin(config, args.initial)
    _check_model(args, config)
    workers = _workers(args)
    training = read_manifests(args.manifest, args.where)
    development = read_manifests(args.development, args.development_where)
    if args.words is not None:
        training = keep_vocabulary(training, args.words)
        development = keep_vocabulary(development, args.words) if development else []
    config = dataclasses.replace(config, subwords=_subwords(args, [utterance.text for utterance in training]))
    check_resumes(folder, config)
    corpus, held_out = load_speech(
        config, training, development, noise=args.noise, leave_out_longer=True, second_pass=args.second_pass
    )
    from tflite_asr.training.initial import initial_weights

    initial = initial_weights(args.initial, config, whole=args.quantize_aware) if args.initial is not None else {}
    settings = _settings(args, config, corpus, held_out, initial)
    if check_settings(folder, settings, RESULTS) and (row := finished_row(folder, args.epochs)):
        return {"model": args.out, "utterances": len(corpus.utterances), **row, "already_trained": True}
    last = _train(args, config, corpus, held_out, initial, settings, workers)
    return {"model": args.out, "utterances": len(corpus.utterances), **last}


def _check_options(args: argparse.Namespace) -> None:
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
    if (args.freeze or args.quantize_aware) and args.initial is None:
        raise InputError(f"--{'freeze' if args.freeze else 'quantize-aware'}: expected --initial with it, got none")


def _check_model(args: argparse.Namespace, config: "ModelConfig") -> None:
    """InputError for options that are not for this model."""
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


def _train(
    args: argparse.Namespace,
    config: "ModelConfig",
    corpus: "Corpus",
    held_out: "Corpus | None",
    initial: dict,
    settings: dict,
    workers: "Workers | None",
) -> dict:
    """Train, and write what belongs to the model besides its weights; the last row of the history."""
    from tflite_asr.files import only_writer
    from tflite_asr.models.storage import copy_companions
    from tflite_asr.out_folder import check_writable, write_settings
    from tflite_asr.runtime.memory import keep_freed_memory
    from tflite_asr.training.fit import fit
    from tflite_asr.training.voices import write_voices

    folder = Path(args.out)
    check_writable(folder)
    # a large model's buffers, of one size of batches after the other, would pile up
    if config.features.kind == "log_mel":
        keep_freed_memory()
    # without --distribute the command line holds the folder already
    held = only_writer(folder) if workers is not None and workers.chief else contextlib.nullcontext()
    with held, training_errors(folder):
        if workers is None or workers.chief:
            write_settings(folder, settings)
            write_voices(folder, corpus, args.seed, initial)
            if args.initial is not None and Path(args.initial).is_dir():
                copy_companions(Path(args.initial), folder)
        options = {"initial": initial, "objective_of": _objective(args), "workers": workers}
        return fit(config, corpus, held_out, folder, _fit_settings(args), **options)


def _fit_settings(args: argparse.Namespace) -> "FitSettings":
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


def _settings(
    args: argparse.Namespace, config: "ModelConfig", corpus: "Corpus", held_out: "Corpus | None", initial: dict
) -> dict:
    """What a run has to have in common with the one that it goes on with."""
    from tflite_asr.out_folder import speech_of, weights_of

    named = (
        "connect",
        "plain_epochs",
        "steps",
        "batch",
        "learning_rate",
        "ctc_weight",
        "freeze",
        "trainable",
        "second_pass",
        "cached",
        "quantize_aware",
        "seed",
    )
    return {
        "the model": config.to_json(),
        "the speech of --manifest, --where and --words": speech_of(corpus.utterances),
        "the speech of --development": speech_of(held_out.utterances) if held_out else None,
        "--initial": weights_of(initial) if initial else None,
        "--noise": [Path(file).name for file in args.noise],
        **{f"--{name.replace('_', '-')}": getattr(args, name) for name in named},
    }


def _subwords(args: argparse.Namespace, texts: Sequence[str]) -> "SubwordConfig | None":
    """The vocabulary of --subwords, or else of --initial."""
    if args.subwords is not None:
        from tflite_asr.training.vocabulary import train_subwords

        return train_subwords(texts, args.subwords)
    if args.initial is None:
        return None
    from tflite_asr.training.initial import read_source_config

    return read_source_config(args.initial).subwords


def _workers(args: argparse.Namespace) -> "Workers | None":
    """Those of --distribute, once all of them are there."""
    if args.distribute is None:
        return None
    from tflite_asr.errors import InputError
    from tflite_asr.training.workers import workers_from_environment

    workers = workers_from_environment()
    if args.batch % workers.count:
        raise InputError(f"--batch {args.batch}: expected a multiple of the {workers.count} workers, who share it")
    return workers


def _objective(args: argparse.Namespace) -> "Callable[[SpeechModel], Objective] | None":
    """What is minimised in place of the model's own loss."""
    if not args.quantize_aware:
        return None
    from tflite_asr.training.quantize_aware import aware_loss

    return aware_loss


def _config(args: argparse.Namespace) -> "ModelConfig":
    """The preset with what the arguments say otherwise."""
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


def describe(result: dict) -> str:
    wer = f", development WER {result['development_wer']:.1%}" if "development_wer" in result else ""
    already = "already trained, " if result.get("already_trained") else ""
    return f"{result['model']}: {already}epoch {result['epoch']}, loss {result['loss_per_token']:.3f} a token{wer}"
