"""Layers of torch.nn with given weights. Imported only where PyTorch is what is measured."""

import numpy as np
import torch
from torch import nn


def parameter(array: np.ndarray) -> nn.Parameter:
    """A parameter with a copy of these values."""
    return nn.Parameter(torch.from_numpy(np.ascontiguousarray(array)))


def linear(kernel: np.ndarray, bias: np.ndarray | None = None) -> nn.Linear:
    """A linear layer with these weights."""
    layer = nn.Linear(*kernel.shape, bias=bias is not None, device="meta")
    layer.weight = parameter(kernel.T)
    if bias is not None:
        layer.bias = parameter(bias)
    return layer


def layer_norm(gain: np.ndarray, shift: np.ndarray | None = None) -> nn.LayerNorm:
    """Layer normalisation with these weights."""
    layer = nn.LayerNorm(gain.shape[0], eps=1e-5, bias=shift is not None, device="meta")
    layer.weight = parameter(gain)
    if shift is not None:
        layer.bias = parameter(shift)
    return layer
