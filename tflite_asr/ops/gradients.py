"""The type of functions under `tf.custom_gradient`."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

# the result, and a function from the gradient at the result to the gradients at the arguments; callers get the result
WithGradient = tuple[tf.Tensor | tuple[tf.Tensor, ...], Callable[..., Any]]
