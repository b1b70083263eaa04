"""Keras layers with given weights. Imported only where TensorFlow is what is measured."""

from collections.abc import Sequence

import numpy as np
import tf_keras as keras


def dense(kernel: np.ndarray, bias: np.ndarray | None = None) -> keras.layers.Layer:
    """A dense layer with these weights."""
    layer = keras.layers.Dense(kernel.shape[1], use_bias=bias is not None)
    return given(layer, kernel.shape[:1], kernel, bias)


def layer_norm(gain: np.ndarray, shift: np.ndarray | None = None) -> keras.layers.Layer:
    """Layer normalisation with these weights."""
    layer = keras.layers.LayerNormalization(epsilon=1e-5, center=shift is not None)
    return given(layer, [None, *gain.shape], gain, shift)


def given(
    layer: keras.layers.Layer, input_shape: Sequence[int | None], *arrays: np.ndarray | None
) -> keras.layers.Layer:
    """A layer with these weights; `input_shape` is without the batch."""
    layer.build([None, *input_shape])
    layer.set_weights([array for array in arrays if array is not None])
    return layer
