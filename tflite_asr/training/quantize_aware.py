"""Quantisation-aware training: weights are rounded as an int8 export stores them, by
tensorflow-model-optimization's QuantizeConfig on layer groups.

Rounding is in the forward pass, gradients go past it to the float weights (Jacob et al. 2018, arXiv 1712.05877, section
3). The scheme is that of `tflite_asr.models.int8_columns`: symmetric int8, a scale for each column of a matrix; vectors
stay floats.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras as keras

from tflite_asr.models.int8_columns import LEVELS, becomes_int8
from tflite_asr.models.speech import SpeechModel
from tflite_asr.training.objective import Objective


class ColumnQuantizer(tfmot.quantization.keras.quantizers.Quantizer):
    """A matrix [..., columns] as `models.int8_columns` rounds it: symmetric int8, a scale for each column from its
    largest value.

    All gradients pass. The library's own per-channel quantizer takes some of the largest values, which a column's scale
    depends on, for values outside of the range, and gives them none.
    """

    def build(self, tensor_shape: tf.TensorShape, name: str, layer: keras.layers.Layer) -> dict:
        """Create the quantizer's weights: none."""
        return {}

    def __call__(self, inputs: tf.Tensor, training: bool, weights: dict, **kwargs: Any) -> tf.Tensor:
        top = tf.reduce_max(tf.abs(inputs), axis=list(range(inputs.shape.rank - 1)))
        scales = tf.where(top > 0, top / LEVELS, tf.ones_like(top))
        rounded = tf.clip_by_value(tf.round(inputs / scales), -LEVELS, LEVELS) * scales
        return inputs + tf.stop_gradient(rounded - inputs)

    def get_config(self) -> dict:
        """The arguments to make it again: none."""
        return {}


class GroupQuantizeConfig(tfmot.quantization.keras.QuantizeConfig):
    """The matrices of one layer group, and of the layers in it: int8 with a scale a column. Activations stay floats.

    Of every kind of group: which of its weights are matrices is found, not written down. An object serves one group.
    """

    def __init__(self):
        self._places: list[tuple[Any, str, Any]] | None = None

    def get_weights_and_quantizers(self, layer: keras.layers.Layer) -> list[tuple[tf.Variable, ColumnQuantizer]]:
        """(matrix, quantizer) of each matrix that an export stores as int8."""
        return [(weight, ColumnQuantizer()) for weight in layer.weights if becomes_int8(weight.shape)]

    def set_quantize_weights(self, layer: keras.layers.Layer, quantize_weights: Sequence[tf.Tensor]) -> None:
        """Replace the layer's matrices by tensors; called with the matrices themselves, it restores them."""
        matrices = [matrix for matrix, _ in self.get_weights_and_quantizers(layer)]
        others = {matrix.ref(): tensor for matrix, tensor in zip(matrices, quantize_weights, strict=True)}
        places = self._places
        if places is None:
            places = self._places = [
                (vars(inner), name, value)
                for inner in layer._flatten_layers()
                for name, value in vars(inner).items()
                if not name.startswith("_") and _with(value, others) is not value
            ]
        for attributes, name, value in places:
            # past Keras' bookkeeping, which would take a replaced weight for deleted
            attributes[name] = _with(value, others)

    def get_activations_and_quantizers(self, layer: keras.layers.Layer) -> list:
        """Activations to quantise: none."""
        return []

    def set_quantize_activations(self, layer: keras.layers.Layer, quantize_activations: Sequence[tf.Tensor]) -> None:
        """Accept no activations, since none are quantised."""
        if quantize_activations:
            raise ValueError(f"{layer.name}: expected no activations, they are not quantised")

    def get_output_quantizers(self, layer: keras.layers.Layer) -> list:
        """Quantizers of the output: none."""
        return []

    def get_config(self) -> dict:
        """The arguments to make it again: none."""
        return {}


def _with(value: Any, others: Mapping[Any, tf.Tensor]) -> Any:
    """An attribute with other tensors for the weights in it, however deep in tuples and lists; itself if
    none changes.
    """
    if isinstance(value, tf.Variable):
        return others.get(value.ref(), value)
    if isinstance(value, tuple | list):
        items = [_with(item, others) for item in value]
        if any(new is not old for new, old in zip(items, value)):
            return tuple(items) if isinstance(value, tuple) else items
    return value


@contextmanager
def rounded(groups: Sequence[keras.layers.Layer]) -> Iterator[None]:
    """Within the block the groups compute with rounded matrices."""
    configs = [(GroupQuantizeConfig(), group) for group in groups]
    for config, group in configs:
        pairs = config.get_weights_and_quantizers(group)
        config.set_quantize_weights(group, [quantizer(matrix, True, weights={}) for matrix, quantizer in pairs])
    try:
        yield
    finally:
        for config, group in configs:
            config.set_quantize_weights(group, [matrix for matrix, _ in config.get_weights_and_quantizers(group)])


def aware_loss(model: SpeechModel) -> Objective:
    """The model's own loss with its matrices rounded to int8."""

    def losses(frames, heard, *rest):
        with rounded(model.all_groups):
            return model.loss(heard, *rest, training=True)

    return Objective(losses, list(model.named_weights().values()))
