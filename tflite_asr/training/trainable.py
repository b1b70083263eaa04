"""Which weights a training changes, and what it minimises."""

from collections.abc import Callable, Container, Sequence

import tensorflow as tf

from signatures.spec import group_of
from tflite_asr.errors import InputError
from tflite_asr.models.group_names import select_groups
from tflite_asr.models.speech import SpeechModel
from tflite_asr.training.objective import Objective, loss_of_passes, names_of, own_loss
from tflite_asr.training.settings import FitSettings


def make_objective(
    model: SpeechModel,
    initial: Container[str],
    settings: FitSettings,
    objective_of: Callable[[SpeechModel], Objective] | None,
) -> tuple[Objective, int]:
    """The objective, and how many of the encoder's groups are cached, so that their output is computed once."""
    if objective_of is not None:
        return objective_of(model), 0
    free = trainable_weights(model, initial if settings.freeze else {}, settings.trainable)
    below = frozen_below(model, free) if settings.cached else 0
    if settings.cached or settings.second_pass:
        return loss_of_passes(model, free, second_pass=settings.second_pass, below=below), below
    return own_loss(model, free, settings.ctc_weight), below


def trainable_weights(model: SpeechModel, frozen: Container[str], trainable: str | None) -> list[tf.Variable]:
    """The weights that training changes: those of the layer groups in `trainable`, by number or name, a second pass's
    included, whose names are not in `frozen`. A decoder's embedding does not train: it is half of the decoder's
    weights, and most of its words do not occur in the speech.
    """
    names = [group.name for group in model.all_groups]
    if trainable is not None and model.decodes:
        names += [group.name for group in model.second_pass_groups]
    groups = select_groups(trainable or "all", names)
    return [
        weight
        for name, weight in model.named_weights().items()
        if group_of(name) in groups and name not in frozen and not name.endswith("decoder/embedding")
    ]


def frozen_below(model: SpeechModel, free: Sequence[tf.Variable]) -> int:
    """How many of the encoder's groups, from the first on, neither train nor are above a group that trains. A decoder
    that trains is above the groups that it attends to.
    """
    names = {group_of(name) for name in names_of(model, free)}
    lowest = min([index for index, group in enumerate(model.groups) if group.name in names], default=len(model.groups))
    if lowest > model.shared_groups and model.decodes:
        lowest = model.shared_groups  # the same files serve to train either pass
    if not lowest:
        raise InputError(
            "cached: expected the lowest encoder group to be frozen, it trains; name those that train with --trainable"
        )
    return lowest
