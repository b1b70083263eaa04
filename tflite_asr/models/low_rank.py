"""Low-rank updates of a trained model's kernels (LoRA, Hu et al. 2022, arXiv 2106.09685)."""

import re
from collections.abc import Collection, Iterator
from typing import Any

import tensorflow as tf
import tf_keras as keras

from tflite_asr.models.speech import SpeechModel
from tflite_asr.ops.low_rank import DOWN, UP, LowRankKernel

KERNEL = re.compile(r"(.*/)?((?!depthwise_)\w+_kernel|kernel|projection)")  # names of the weights that get an update


def add_low_rank(model: SpeechModel, rank: int, groups: Collection[str]) -> None:
    """Give each kernel of some layer groups a low-rank update, which changes nothing yet.

    The factors of `encoder_0/kernel` [inputs, outputs] are `encoder_0/kernel_lora_down` [inputs, rank] and
    `encoder_0/kernel_lora_up` [rank, outputs]. Embeddings get none, nor do the recurrent kernels of the groups that
    read labels: which label follows depends on the language more than on the voice.

    Args:
        model: trained; it is changed.
        rank: of the updates. A kernel that is no larger than the factors would be gets none.
        groups: names of layer groups.
    """
    all_groups = [*model.all_groups, *(model.second_pass_groups if model.decodes else [])]
    of_labels = {group.name for group in model.label_groups}
    for group in all_groups:
        if group.name in groups:
            for layer in _layers(group):
                _update_kernels(layer, rank, recurrent=group.name not in of_labels)


def low_rank_factors(weights: Collection[str]) -> set[str]:
    """The tree paths, among these, of factors of low-rank updates."""
    return {name for name in weights if name.endswith((DOWN, UP))}


def _layers(group: keras.layers.Layer) -> Iterator[keras.layers.Layer]:
    """The group and the layers in it."""
    yield group
    for part in group.submodules:
        if isinstance(part, keras.layers.Layer):
            yield part


def _update_kernels(layer: keras.layers.Layer, rank: int, recurrent: bool) -> None:
    """Put a `LowRankKernel` in place of each kernel among the layer's own attributes, recurrent ones or not; a kernel
    may stand in a tuple with its bias."""
    for attribute, value in list(vars(layer).items()):
        if attribute == "recurrent_kernel" and not recurrent:
            continue
        if _is_updated(value, rank):
            setattr(layer, attribute, LowRankKernel(value, rank))
        elif isinstance(value, tuple) and any(_is_updated(each, rank) for each in value):
            updated = (LowRankKernel(each, rank) if _is_updated(each, rank) else each for each in value)
            setattr(layer, attribute, tuple(updated))


def _is_updated(value: Any, rank: int) -> bool:
    """Whether an attribute is a kernel that is larger than the factors of its update."""
    if not isinstance(value, tf.Variable) or KERNEL.fullmatch(value.name.removesuffix(":0")) is None:
        return False
    inputs, outputs = value.shape
    return rank * (inputs + outputs) < inputs * outputs
