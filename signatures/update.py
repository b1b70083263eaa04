"""How a training signature changes weights: its inputs, clipping, the optimizer's rule, the pull to the shipped
weights.
"""

import functools
import operator
from collections.abc import Iterable, Mapping, Sequence

import tensorflow as tf

from signatures.arena import in_arena
from signatures.optimizers import State
from signatures.order import after
from signatures.spec import group_of, one_value, value_of

LARGE_ELEMENTS = 1 << 18  # a weight whose update is worth an arena of its own: 1 MB
FINITE_BOUND = 1e30  # a norm beyond this is as useless as infinity, and its square is still finite after scaling


def is_finite(value: tf.Tensor) -> tf.Tensor:
    """[] bool; false for NaN, infinity and values close to overflow."""
    return tf.abs(value) < FINITE_BOUND


def global_norm(gradients: Iterable[tf.Tensor]) -> tf.Tensor:
    """sqrt(sum of all squares): []; 0 of none, as where every weight is frozen."""
    gradients = list(gradients)
    if not gradients:
        return tf.constant(0.0)
    # square, not x * x: XNNPACK (ai-edge-litert 2.3) crashes on a variable read times itself once any signature assigns
    # it
    return tf.sqrt(tf.reduce_sum(tf.stack([tf.reduce_sum(tf.square(gradient)) for gradient in gradients])))


def count_step(state: State, apply: tf.Tensor) -> tf.Tensor:
    """Count one more update if `apply` ([] bool) holds; the count [] int32."""
    step = state.step + tf.cast(apply, tf.int32)
    state.step.assign(step)
    return value_of(step)


class Update:
    """The inputs of a training signature besides its batch, and the update by them.

    Inputs: `learning_rate` [1]; `clip_norm` [1], the greatest norm of the gradient, 0 for none; `group_rates` [groups],
    a factor on the learning rate of each group, 0 to leave a group alone; and, where the state has the shipped
    weights, `pull` [1], towards them, 0 for none.

    Args:
        state: the variables.
        names: of the model's groups, in the order of `group_rates`.
        inputs: the signature's, by name.
    """

    def __init__(self, state: State, names: Sequence[str], inputs: dict[str, tf.Tensor]):
        learning_rate = value_of(inputs["learning_rate"])
        self._state = state
        self._clip_norm = value_of(inputs["clip_norm"])
        self._pull = value_of(inputs["pull"]) if state.shipped else tf.constant(0.0)
        split = tf.split(inputs["group_rates"], len(names))
        self._rates = {name: tf.squeeze(rate) * learning_rate for name, rate in zip(names, split)}
        of_groups = tf.reduce_sum(tf.abs(inputs["group_rates"]))
        scalars = (learning_rate, self._clip_norm, self._pull, of_groups)
        self.finite = functools.reduce(operator.and_, map(is_finite, scalars))  # [] bool

    @staticmethod
    def inputs(state: State, names: Sequence[str]) -> tuple[tf.TensorSpec, ...]:
        """The signature inputs that an update is made from."""
        return (
            one_value("learning_rate"),
            one_value("clip_norm"),
            *([one_value("pull")] if state.shipped else []),
            tf.TensorSpec([len(names)], tf.float32, name="group_rates"),
        )

    def clip(self, norm: tf.Tensor) -> tf.Tensor:
        """The factor [] that brings a gradient of norm `norm` [] to `clip_norm` if it is longer."""
        too_long = (self._clip_norm > 0.0) & (norm > self._clip_norm)
        return tf.where(too_long, self._clip_norm / tf.maximum(norm, 1e-12), 1.0)

    def apply(
        self,
        gradients: dict[str, tf.Tensor],
        scale: tf.Tensor,
        step: tf.Tensor,
        apply: tf.Tensor,
        values: Mapping[str, tf.Tensor],
    ) -> None:
        """Update weights and slots where `apply` holds, leave them bit for bit where it does not.

        w <- optimizer(w, g) - rate pull (w - w_shipped): the last term draws the weights back to what was shipped
        (L2-SP, Li et al. 2018, arXiv 1802.01483), decoupled from the optimizer as weight decay is in AdamW.

        Args:
            gradients: by tree path.
            scale: [], times every gradient.
            step: [] int32, the count of this update.
            apply: [] bool. Besides, a group of rate 0 keeps its weights and slots.
            values: of weights that were read already and are in memory in any case, by tree path; the others are read
                right before their update.
        """
        for name, gradient in gradients.items():
            if gradient.shape.num_elements() < LARGE_ELEMENTS:
                self._apply_where(name, gradient, scale, step, apply)
            else:  # in an arena: computed only if applied, and freed before the next weight is updated
                in_arena(self._moves(name, apply), lambda: self._apply(name, gradient, scale, step, values.get(name)))

    def _moves(self, name, apply):
        return apply & (self._rates[group_of(name)] > 0.0)

    def _updated(self, name, gradient, scale, step, value=None):
        """The variables that an update of this weight assigns, and their new values."""
        state = self._state
        weight, slots, rate = state.weights[name], state.slots_of(name), self._rates[group_of(name)]
        value = weight.read_value() if value is None else value
        count = tf.cast(tf.maximum(step, 1), tf.float32)
        if value.shape.num_elements() >= LARGE_ELEMENTS:
            scale = after(scale, value)  # then XNNPACK has the whole rule in one piece, with no memory in between
        new, new_slots = state.optimizer.update(
            value, gradient, scale, [slot.read_value() for slot in slots], rate, count
        )
        if state.shipped:
            new -= rate * self._pull * (value - tf.constant(state.shipped[name]))
        return zip([weight, *slots], [new, *new_slots])

    def _apply(self, name, gradient, scale, step, value):
        for variable, new in self._updated(name, gradient, scale, step, value):
            variable.assign(new)
        return tf.identity(step)

    def _apply_where(self, name, gradient, scale, step, apply):
        for variable, new in self._updated(name, gradient, scale, step):
            variable.assign(tf.where(self._moves(name, apply), new, variable.read_value()))
