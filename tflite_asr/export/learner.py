"""Which part of a model trains on the device: layer groups of the first pass, or of a second pass that decodes."""

from collections.abc import Sequence

import tensorflow as tf

from signatures.spec import group_of
from tflite_asr.errors import InputError
from tflite_asr.export.quantization import Quantization
from tflite_asr.models.low_rank import low_rank_factors
from tflite_asr.models.second_pass import SecondPass
from tflite_asr.models.speech import SpeechModel

Weights = dict[str, tf.Variable]  # by tree path


def trainable_groups(model: SpeechModel, quantization: Quantization) -> list[str]:
    """The names of the groups that train on the device: of the first pass or, where they are named, of a second pass
    that decodes.

    Raises:
        InputError: a group that the model does not have, or groups of both passes.
    """
    first = [group.name for group in model.all_groups]
    if not model.decodes or quantization.trainable in (None, "all", "none"):
        return quantization.trainable_groups(first)
    second = [group.name for group in model.second_pass_groups]
    chosen = quantization.trainable_groups([*first, *second])
    of_first = [name for name in chosen if name in first[model.shared_groups :]]
    if of_first and (of_second := [name for name in chosen if name in second]):
        raise InputError(
            f"--trainable {quantization.trainable}: expected groups of one pass, got {', '.join(of_first)} of the "
            f"first and {', '.join(of_second)} of the second; the device trains one of them"
        )
    return chosen


def divide_weights(model: SpeechModel, trainable: Sequence[str], quantization: Quantization) -> tuple[Weights, Weights]:
    """The weights that train on the device, and the weights that do not."""
    weights = model.named_weights()
    factors = low_rank_factors(weights)
    live = {
        name: weight
        for name, weight in weights.items()
        if group_of(name) in trainable and (name in factors or quantization.trains(name, weight))
    }
    return live, {name: weight for name, weight in weights.items() if name not in live}


def learner_of(model: SpeechModel, trainable: Sequence[str]) -> SpeechModel | SecondPass:
    """The model as it trains: its second pass when groups of that are trainable, otherwise itself.

    Raises:
        InputError: the second pass has no subwords to make labels of.
    """
    if model.decodes and {group.name for group in model.second_pass_groups} & {*trainable}:
        if model.config.decoder is None or model.config.decoder.subwords is None:
            raise InputError("--trainable: expected a second pass with its subwords to learn from, it has none")
        return SecondPass(model)
    return model
