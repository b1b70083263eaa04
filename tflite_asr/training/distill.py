"""A two-pass teacher to a smaller student in three stages (Dawalatabad et al. 2021, arXiv 2201.02741, section 3).

1. The student's transducer learns from the teacher's: transducer loss + beta KL over the lattice.
2. Its encoder is frozen and shared, its rescorer learns from the teacher's: (1 - alpha) CE + alpha KL over the labels.
3. All of it is trained together by all of these losses.

Each stage is a folder as `fit` writes it, OUT/stage_1 and so on; a stage starts from the weights of the one before.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from tflite_asr.config import ModelConfig, SubwordConfig
from tflite_asr.config.heads import required
from tflite_asr.data.corpus import Corpus
from tflite_asr.errors import InputError
from tflite_asr.files import read_text
from tflite_asr.losses.cross_entropy import guided_attention, sequence_cross_entropy
from tflite_asr.losses.distillation import collapse, sequence_distillation, transducer_distillation
from tflite_asr.losses.transducer import transducer_loss
from tflite_asr.models.storage import load_model
from tflite_asr.models.two_pass import TwoPass
from tflite_asr.training.fit import fit
from tflite_asr.training.objective import Objective, add_auxiliary, aligned_ctc_loss
from tflite_asr.training.settings import FitSettings

STAGES = (1, 2, 3)


@dataclass(frozen=True)
class Weights:
    """Weights of the losses."""

    alpha: float = 0.5  # of the teacher's part in the rescorer's loss
    beta: float = 50.0  # of the lattice's KL, a mean over nodes, beside the transducer loss, a sum over the utterance
    ctc: float = 0.0  # of CTC on the student's encoder in stage 1, which aligns sooner


def distill(
    teacher: TwoPass,
    student: ModelConfig,
    stages: Mapping[int, FitSettings],
    training: Corpus,
    development: Corpus | None,
    folder: Path,
    *,
    weights: Weights = Weights(),
    initial: dict[str, np.ndarray] | None = None,
) -> dict:
    """Run stages, or resume an interrupted run of the same folder, between stages or within one.

    Args:
        teacher: trained.
        student: the same vocabulary, features and step length, other sizes.
        stages: of `STAGES`, in their order, and how to train each; the one before the first must be finished in the
            folder.
        training, development: speech; see `fit`. Stage 2 leaves the first pass alone, so it keeps the last weights.
        folder: where to write.
        weights: of the losses.
        initial: weights that stage 1 starts from, by tree path.

    Returns:
        the last row of the last stage's history.

    Raises:
        InputError: teacher and student do not fit, or a stage is missing.
    """
    check_pair(teacher.config, student)
    check_stages(folder, [*stages])
    row: dict = {}
    for stage, settings in stages.items():
        if stage > 1:
            before = load_model(stage_folder(folder, stage - 1))
            initial = {name: weight.numpy() for name, weight in before.named_weights().items()}
        row = fit(
            student,
            training,
            development if stage != 2 else None,
            stage_folder(folder, stage),
            settings,
            initial=initial,
            objective_of=lambda model: stage_objective(stage, model, teacher, weights),
        )
    return row


def stage_folder(folder: Path, stage: int) -> Path:
    """The folder of a stage."""
    return folder / f"stage_{stage}"


def check_pair(teacher: ModelConfig, student: ModelConfig) -> None:
    """InputError unless the student can learn from the teacher: the same labels at the same steps of the
    same features.
    """
    for config, who in ((teacher, "teacher"), (student, "student")):
        if not config.rescorer:
            raise InputError(f"{who} {config.name}: expected a two-pass model, it has no rescorer")
    for what, of_teacher, of_student in (
        ("characters", teacher.characters, student.characters),
        ("subwords", teacher.subwords, student.subwords),
        ("features", teacher.features, student.features),
        ("feature frames in an encoder step", teacher.encoder.frames_per_step, student.encoder.frames_per_step),
    ):
        if of_teacher != of_student:
            raise InputError(
                f"expected a student with the teacher's {what}, got {_shown(of_student)} in {student.name} and "
                f"{_shown(of_teacher)} in {teacher.name}"
            )


def _shown(value: object) -> str:
    return f"{len(value.pieces)} pieces" if isinstance(value, SubwordConfig) else repr(value)


def check_stages(folder: Path, stages: Sequence[int]) -> None:
    """InputError unless they follow each other and the stage before the first is finished."""
    if not stages or list(stages) != list(range(stages[0], stages[-1] + 1)) or not set(stages) <= set(STAGES):
        raise InputError(
            f"expected stages such as 1,2,3 or 2,3 in their order, got {','.join(map(str, stages)) or 'none'}"
        )
    before = stages[0] - 1
    if not before:
        return
    path = stage_folder(folder, before) / "history.jsonl"
    try:
        last = json.loads(read_text(path).splitlines()[-1])
        epoch, of = last["epoch"], last["of"]
    except (ValueError, LookupError, TypeError):
        raise InputError(
            f"stage {stages[0]} starts from stage {before}, which is not in {folder}; run it first"
        ) from None
    if epoch < of:
        raise InputError(
            f"{path}: stage {before} ended after epoch {epoch} of {of}; finish it before stage {stages[0]}"
        )


def stage_objective(stage: int, student: TwoPass, teacher: TwoPass, weights: Weights) -> Objective:
    """The objective of a stage. The teacher gets the frames as they are, the student after SpecAugment."""
    head = add_auxiliary(student) if stage == 1 and weights.ctc else None

    def losses(frames, heard, lengths, tokens, token_lengths):
        labels = tokens, token_lengths
        taught, _, _ = teacher.encode(frames, lengths)
        encoded, lengths, _ = student.encode(heard, lengths, training=stage != 2)
        if stage == 2:
            return rescorer_loss(student, teacher, tf.stop_gradient(encoded), taught, lengths, *labels, weights.alpha)
        total = first_pass_loss(student, teacher, encoded, taught, lengths, *labels, weights.beta)
        if head:
            total += weights.ctc * aligned_ctc_loss(head(encoded), tokens, lengths, token_lengths)
        if stage == 3:
            second = rescorer_loss(student, teacher, encoded, taught, lengths, *labels, weights.alpha)
            total += required(student.config.rescorer, "rescorer").weight * second
        return total

    rescorer = {weight.ref() for weight in student.rescorer.weights}
    trained = [w for w in student.named_weights().values() if stage == 3 or (w.ref() in rescorer) == (stage == 2)]
    return Objective(losses, [*trained, *(head.weights if head else [])])


def first_pass_loss(
    student: TwoPass,
    teacher: TwoPass,
    encoded: tf.Tensor,
    taught: tf.Tensor,
    lengths: tf.Tensor,
    tokens: tf.Tensor,
    token_lengths: tf.Tensor,
    beta: float,
) -> tf.Tensor:
    """Transducer loss + beta KL over the lattice: [batch], in nats.

    Args:
        encoded, taught: output of the student's and the teacher's encoder, [batch, steps, units].
        lengths: [batch] int32, of both.
        tokens: [batch, U] int32; token_lengths: [batch] int32.
    """
    targets = teacher.joint((taught, teacher.predict_labels(tokens, token_lengths)), lattice=True)
    kept = tf.stop_gradient(collapse(targets, tokens, token_lengths))
    logits = student.joint((encoded, student.predict_labels(tokens, token_lengths, training=True)), lattice=True)
    divergence = transducer_distillation(kept, collapse(logits, tokens, token_lengths), lengths, token_lengths)
    return transducer_loss(logits, tokens, lengths, token_lengths) + beta * divergence


def rescorer_loss(
    student: TwoPass,
    teacher: TwoPass,
    encoded: tf.Tensor,
    taught: tf.Tensor,
    lengths: tf.Tensor,
    tokens: tf.Tensor,
    token_lengths: tf.Tensor,
    alpha: float,
) -> tf.Tensor:
    """(1 - alpha) cross entropy + alpha KL over the labels, and guided attention: [batch], in nats; see
    `first_pass_loss` for the arguments. Rows without encoder steps count as 0."""
    targets, _ = teacher.rescorer(taught, lengths, tokens, token_lengths)
    logits, attention = student.rescorer(encoded, lengths, tokens, token_lengths, training=True)
    losses = (1 - alpha) * sequence_cross_entropy(logits, tokens, token_lengths)
    losses += alpha * sequence_distillation(targets, logits, token_lengths)
    losses += guided_attention(attention, lengths, token_lengths)
    return tf.where(lengths > 0, losses, tf.zeros_like(losses))
