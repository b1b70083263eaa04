"""Train a base model on a server or laptop. Repeat the command to resume an interrupted run.

    tflite-asr train commands --manifest speech/manifest.jsonl --where split=base_train \\
        --development speech/manifest.jsonl --development-where split=base_dev --connect 5 --out runs/commands

Writes config.json, weights.safetensors (the average of the last weights, the best on the development speech),
history.jsonl, tensorboard/ and voices.json, by which a phone recognises its owner's voice, into the folder. `tflite-asr
export` makes a .tflite of it. Needs the extra `train`.

Exits can be added to a trained model; their heads train alone or with the rest:

    tflite-asr train commands_exits --initial runs/whole [--freeze] --exits 1,3 --manifest ... --out runs/with_exits

A deeper model, or one with a rescorer, can start from the groups of a trained model, here the shipped one:

    tflite-asr train sentences_teacher --initial commands --manifest ... --out runs/teacher

Several machines can share the work. Start each with the same command and its own index:

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
from tflite_asr.cli.train_options import (
    add_model,
    add_schedule,
    add_variants,
    check_model,
    check_options,
    config_of,
    fit_settings_of,
)
from tflite_asr.cli.training_run import RESULTS, check_resumes, finished_row, load_speech, training_errors

if TYPE_CHECKING:
    from tflite_asr.config import ModelConfig, SubwordConfig
    from tflite_asr.data.corpus import Corpus
    from tflite_asr.models.speech import SpeechModel
    from tflite_asr.training.objective import Objective
    from tflite_asr.training.workers import Workers

SUMMARY = "train a base model"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add_model(parser)
    add_manifests(parser, "training speech")
    parser.add_argument("--words", metavar="W,W,...", help="keep only utterances that consist of these words")
    add_development(parser)
    add_connect(parser)
    add_schedule(parser)
    add_variants(parser)
    parser.add_argument("--out", required=True, metavar="DIR", help="where the model is written")
    add_seed(parser)


def run(args: argparse.Namespace) -> dict:
    """Run the command; returns its result, as `--json` prints it."""
    import dataclasses

    from tflite_asr.cli.arguments import keep_vocabulary, read_manifests
    from tflite_asr.out_folder import check_settings

    check_options(args)
    config, folder = config_of(args), Path(args.out)
    if args.initial is not None:
        from tflite_asr.training.initial import with_origin

        config = with_origin(config, args.initial)
    check_model(args, config)
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

    options = {"whole": args.quantize_aware, "groups": args.initial_groups}
    initial = initial_weights(args.initial, config, **options) if args.initial is not None else {}
    settings = _settings(args, config, corpus, held_out, initial)
    if check_settings(folder, settings, RESULTS) and (row := finished_row(folder, args.epochs)):
        return {"model": args.out, "utterances": len(corpus.utterances), **row, "already_trained": True}
    last = _train(args, config, corpus, held_out, initial, settings, workers)
    return {"model": args.out, "utterances": len(corpus.utterances), **last}


def _train(
    args: argparse.Namespace,
    config: "ModelConfig",
    corpus: "Corpus",
    held_out: "Corpus | None",
    initial: dict,
    settings: dict,
    workers: "Workers | None",
) -> dict:
    """Train, and write the model's files besides its weights. Returns the last row of the history."""
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
        return fit(config, corpus, held_out, folder, fit_settings_of(args), **options)


def _settings(
    args: argparse.Namespace, config: "ModelConfig", corpus: "Corpus", held_out: "Corpus | None", initial: dict
) -> dict:
    """The settings that a resumed run must share with the run that it resumes."""
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
    """The workers of --distribute, once all of them have joined."""
    if args.distribute is None:
        return None
    from tflite_asr.errors import InputError
    from tflite_asr.training.workers import workers_from_environment

    workers = workers_from_environment()
    if args.batch % workers.count:
        raise InputError(f"--batch {args.batch}: expected a multiple of the {workers.count} workers, who share it")
    return workers


def _objective(args: argparse.Namespace) -> "Callable[[SpeechModel], Objective] | None":
    """The objective in place of the model's own loss, if any."""
    if not args.quantize_aware:
        return None
    from tflite_asr.training.quantize_aware import aware_loss

    return aware_loss


def describe(result: dict) -> str:
    """The result as text for people."""
    wer = f", development WER {result['development_wer']:.1%}" if "development_wer" in result else ""
    already = "already trained, " if result.get("already_trained") else ""
    return f"{result['model']}: {already}epoch {result['epoch']}, loss {result['loss_per_token']:.3f} a token{wer}"
