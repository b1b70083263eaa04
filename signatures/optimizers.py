"""SGD, momentum and Adam as arithmetic on values and slots, made of builtin ops; the caller assigns the results."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import tensorflow as tf

Update = Callable[..., tuple[tf.Tensor, tuple[tf.Tensor, ...]]]


@dataclass(frozen=True)
class Optimizer:
    """A rule and the slots it keeps for each weight, all zero at first."""

    name: str
    slots: tuple[str, ...]
    # (value, gradient, scale [] of the gradient, slots, learning_rate [], step [] float32 counted from 1)
    # -> (new value, new slots); of scalars as much is made as can be before they meet what is large
    update: Update


def _sgd(value, gradient, scale, slots, learning_rate, step):
    """w <- w - lr g."""
    return value - (learning_rate * scale) * gradient, ()


def _momentum(value, gradient, scale, slots, learning_rate, step, decay=0.9):
    """m <- 0.9 m - lr g; w <- w + m (Polyak 1964)."""
    velocity = decay * slots[0] - (learning_rate * scale) * gradient
    return value + velocity, (velocity,)


def _adam(value, gradient, scale, slots, learning_rate, step, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    """Kingma and Ba 2015, algorithm 1 in the form of their section 2's last paragraph."""
    first = beta_1 * slots[0] + ((1.0 - beta_1) * scale) * gradient
    second = beta_2 * slots[1] + ((1.0 - beta_2) * scale * scale) * tf.square(gradient)
    rate = learning_rate * tf.sqrt(1.0 - tf.pow(beta_2, step)) / (1.0 - tf.pow(beta_1, step))
    return value - rate * first / (tf.sqrt(second) + epsilon), (first, second)


OPTIMIZERS = {
    "sgd": Optimizer("sgd", (), _sgd),
    "momentum": Optimizer("momentum", ("velocity",), _momentum),
    "adam": Optimizer("adam", ("first_moment", "second_moment"), _adam),
}


class State:
    """A model's trainable weights, their optimizer slots and the count of updates, as variables.

    Args:
        weights: variables by tree path.
        optimizer: whose slots to make.
        pull: whether training can draw the weights back to the values they have now. Signatures then hold these
            values as constants, which share the file's initial values but not the converter's memory: without it
            models of hundreds of MB can be exported.
    """

    def __init__(self, weights: dict[str, tf.Variable], optimizer: Optimizer, pull: bool = True):
        self.optimizer = optimizer
        self.weights = weights
        self.shipped = {name: weight.numpy() for name, weight in weights.items()} if pull else {}
        self.slots = {
            f"{name}/{slot}": tf.Variable(tf.zeros_like(weight), trainable=False, name=f"{name}/{slot}")
            for name, weight in weights.items()
            for slot in optimizer.slots
        }
        # [1]: it is an input of `set_weights`
        self.step = tf.Variable([0], trainable=False, dtype=tf.int32, name="step")

    def variables(self) -> dict[str, tf.Variable]:
        """All that a checkpoint holds, by tree path: weights, slots, step."""
        return {**self.weights, **self.slots, "step": self.step}

    def slots_of(self, name: str) -> Sequence[tf.Variable]:
        """The slots of a weight, by its tree path."""
        return [self.slots[f"{name}/{slot}"] for slot in self.optimizer.slots]
