"""Compress a two-pass model: a smaller student learns from a trained teacher in three stages.

    tflite-asr train sentences_teacher --manifest speech/manifest.jsonl --out runs/teacher
    tflite-asr distill --teacher runs/teacher --student sentences_student --stages 1,2,3 \\
        --manifest speech/manifest.jsonl --where split=base_train --out runs/student

1: the student's transducer from the teacher's; 2: its rescorer from the teacher's, its encoder frozen; 3: all together.
Writes DIR/stage_1, stage_2 and stage_3, each a model that `tflite-asr export` takes. Repeat the command to resume an
interrupted run. Needs the extra `train`.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tflite_asr.cli.arguments import add_connect, add_development, add_manifests, add_seed
from tflite_asr.cli.training_run import RESULTS, check_resumes, finished_row, load_speech, training_errors
from tflite_asr.errors import InputError

if TYPE_CHECKING:
    from tflite_asr.training.settings import FitSettings

SUMMARY = "train a smaller model from a trained one"
LEARNING_RATES = {1: 2e-3, 2: 2e-3, 3: 1e-3}  # the highest of each stage


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--teacher", required=True, metavar="DIR", help="what `tflite-asr train` wrote")
    parser.add_argument("--student", required=True, metavar="PRESET", help="a smaller two-pass model")
    parser.add_argument("--initial", metavar="DIR|MODEL", help="what stage 1 starts from; see `train --initial`")
    parser.add_argument("--stages", default="1,2,3", metavar="N,N,...", help="which, in order (default %(default)s)")
    add_manifests(parser, "training speech")
    add_development(parser)
    add_connect(parser)
    parser.add_argument("--epochs", default="20,5,5", metavar="N,N,...", help="of each stage (default %(default)s)")
    parser.add_argument(
        "--plain-epochs", type=int, default=0, metavar="N", help="of stage 1; see `train --plain-epochs`"
    )
    parser.add_argument("--steps", type=int, default=200, help="of an epoch (default %(default)s)")
    parser.add_argument("--batch", type=int, default=16, help="utterances a step (default %(default)s)")
    parser.add_argument(
        "--alpha", type=float, default=0.5, help="the teacher's part in the rescorer's loss (default %(default)s)"
    )
    parser.add_argument(
        "--beta",
        type=float,
        default=50.0,
        help="weight of the lattice's mean KL in addition to the transducer loss (default %(default)s)",
    )
    parser.add_argument(
        "--ctc-weight",
        type=float,
        default=0.0,
        help="weight of a CTC loss on the student's encoder in stage 1 (default %(default)s)",
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="where the stages are written")
    add_seed(parser)


def run(args: argparse.Namespace) -> dict:
    """Run the command; returns its result, as `--json` prints it."""
    import dataclasses

    from tflite_asr.cli.arguments import read_manifests
    from tflite_asr.config import preset

    stages, epochs = _schedule(args)
    folder = Path(args.out)
    from tflite_asr.models.storage import load_model
    from tflite_asr.training.distill import check_pair, check_stages, stage_folder
    from tflite_asr.training.initial import initial_weights, with_origin

    teacher = load_model(Path(args.teacher))
    student = dataclasses.replace(preset(args.student), subwords=teacher.config.subwords)
    if args.initial is not None:
        student = with_origin(student, args.initial)
    check_pair(teacher.config, student)
    check_stages(folder, stages)
    for stage in stages:
        check_resumes(stage_folder(folder, stage), student)
    training = read_manifests(args.manifest, args.where)
    development = read_manifests(args.development, args.development_where)
    corpus, held_out = load_speech(student, training, development)
    initial = initial_weights(args.initial, student) if args.initial is not None else None
    settings = _settings(args, student, teacher, corpus, held_out, initial)
    result = {"model": str(stage_folder(folder, stages[-1])), "utterances": len(corpus.utterances)}
    schedule = dict(zip(stages, epochs))
    if done := _finished(folder, schedule, settings):
        return {**result, **done, "already_trained": True}
    return {**result, **_train(args, teacher, student, schedule, corpus, held_out, initial, settings)}


def _schedule(args: argparse.Namespace) -> tuple[list[int], list[int]]:
    """The stages and the epochs of each; InputError for options that are out of range or do not fit."""
    from tflite_asr.cli.arguments import check_least
    from tflite_asr.names import check_utf8

    check_utf8(args.out)
    check_least(args, connect=1, plain_epochs=0, steps=1, batch=1, beta=0, ctc_weight=0)
    if not 0 <= args.alpha <= 1:
        raise InputError(f"--alpha: expected 0 to 1, got {args.alpha}")
    if args.development_where and not args.development:
        raise InputError("--development-where: expected --development with it, got none")
    stages, epochs = _numbers("--stages", args.stages), _numbers("--epochs", args.epochs)
    if len(epochs) != len(stages):
        raise InputError(f"--epochs {args.epochs}: expected one number for each of the stages {args.stages}")
    if args.initial is not None and stages[0] != 1:
        raise InputError(f"--initial: expected stage 1 with it, stage {stages[0]} starts from stage {stages[0] - 1}")
    return stages, epochs


def _finished(folder: Path, schedule: dict[int, int], settings: dict) -> dict | None:
    """The last row of the history if every stage has done its epochs with these settings."""
    from tflite_asr.out_folder import check_settings
    from tflite_asr.training.distill import stage_folder

    rows = []
    for stage, epochs in schedule.items():
        same = check_settings(stage_folder(folder, stage), settings, RESULTS)
        rows.append(finished_row(stage_folder(folder, stage), epochs) if same else None)
    return rows[-1] if all(rows) else None


def _train(args, teacher, student, schedule: dict[int, int], corpus, held_out, initial: dict | None, settings) -> dict:
    """Run the stages; the last row of the last one's history."""
    from tflite_asr.out_folder import check_writable, write_settings
    from tflite_asr.runtime.memory import keep_freed_memory
    from tflite_asr.training.distill import Weights, distill, stage_folder
    from tflite_asr.training.voices import write_voices

    folder = Path(args.out)
    for stage in schedule:
        check_writable(stage_folder(folder, stage))
        write_settings(stage_folder(folder, stage), settings)
    keep_freed_memory()
    with training_errors(folder):
        final = stage_folder(folder, [*schedule][-1])
        final.mkdir(parents=True, exist_ok=True)
        write_voices(final, corpus, args.seed)
        stages = {stage: _fit_settings(args, stage, epochs) for stage, epochs in schedule.items()}
        weights = Weights(args.alpha, args.beta, args.ctc_weight)
        return distill(teacher, student, stages, corpus, held_out, folder, weights=weights, initial=initial)


def _fit_settings(args: argparse.Namespace, stage: int, epochs: int) -> "FitSettings":
    from tflite_asr.training.settings import FitSettings

    return FitSettings(
        connect_up_to=args.connect,
        batch=args.batch,
        epochs=epochs,
        steps_per_epoch=args.steps,
        plain_epochs=args.plain_epochs if stage == 1 else 0,
        learning_rate=LEARNING_RATES[stage],
        seed=args.seed,
    )


def _settings(args: argparse.Namespace, student, teacher, corpus, held_out, initial: dict | None) -> dict:
    """The settings that a resumed stage must share with the stage that it resumes, besides its epochs."""
    from tflite_asr.out_folder import speech_of, weights_of

    named = ("plain_epochs", "steps", "batch", "connect", "alpha", "beta", "ctc_weight", "seed")
    return {
        "the model": student.to_json(),
        "--teacher": weights_of({name: weight.numpy() for name, weight in teacher.named_weights().items()}),
        "--initial": weights_of(initial) if initial else None,
        "the speech of --manifest and --where": speech_of(corpus.utterances),
        "the speech of --development": speech_of(held_out.utterances) if held_out else None,
        **{f"--{name.replace('_', '-')}": getattr(args, name) for name in named},
    }


def _numbers(option: str, given: str) -> list[int]:
    try:
        numbers = [int(number) for number in given.split(",")]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 1:
        raise InputError(f"{option} {given}: expected whole numbers above 0 such as 1,2,3")
    return numbers


def describe(result: dict) -> str:
    """The result as text for people."""
    from tflite_asr.cli.train import describe

    return describe(result)
