"""Symmetric int8 with a scale per column of a matrix: the form of frozen weights in an export and of quantisation-aware
training.
"""

import math
from collections.abc import Sequence

import numpy as np

SMALLEST_ELEMENTS = 512  # smaller weights stay floats: their scales would weigh as much as is saved
LEVELS = 127  # of int8 on either side of 0


def becomes_int8(shape: Sequence[int]) -> bool:
    """Whether a weight of this shape is stored as int8; vectors and small matrices stay floats."""
    return len(shape) > 1 and math.prod(shape) >= SMALLEST_ELEMENTS


def quantize(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Round a weight [..., columns] to int8.

    Returns:
        int8 values of the same shape and scales [columns] float32, whose product is about the weight; None for a weight
        that stays floats.
    """
    if not becomes_int8(weight.shape):
        return None
    top = np.max(np.abs(weight), axis=tuple(range(weight.ndim - 1)))
    scales = np.where(top > 0, top / LEVELS, 1.0).astype(np.float32)
    return np.clip(np.round(weight / scales), -LEVELS, LEVELS).astype(np.int8), scales
