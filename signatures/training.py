"""`train`: one whole training step, forward, backward and update in one call.

It is the reference that a split step must equal.
"""

from collections.abc import Sequence

import tensorflow as tf

from signatures.optimizers import State
from signatures.spec import Signature, TrainableModel, group_of, mean_loss, scalar

DOES = "one whole training step; a loss, gradient or rate that is not finite changes nothing and is told as `skipped`"
FINITE_BOUND = 1e30  # a norm beyond this is as useless as infinity, and its square is still finite after scaling


def is_finite(value: tf.Tensor) -> tf.Tensor:
    """[] bool; false for NaN, infinity and what is about to become it."""
    return tf.abs(value) < FINITE_BOUND


def apply_updates(
    state: State,
    gradients: dict[str, tf.Tensor],
    rates: dict[str, tf.Tensor],
    pull: tf.Tensor,
    apply: tf.Tensor,
) -> None:
    """Update weights and slots where `apply` holds, leave them bit for bit where it does not.

    w <- optimizer(w, g) - rate pull (w - w_shipped): the last term draws the weights back to what was shipped
    (L2-SP, Li et al. 2018, arXiv 1802.01483), decoupled from the optimizer as weight decay is in AdamW.

    Args:
        state: the variables.
        gradients: by tree path.
        rates: learning rate of each layer group, []; a group of rate 0 keeps its weights and slots.
        pull: [].
        apply: [] bool.
    """
    step = state.step + tf.cast(apply, tf.int32)
    state.step.assign(step)
    for name, gradient in gradients.items():
        weight, slots = state.weights[name], state.slots_of(name)
        rate = rates[group_of(name)]
        value, old_slots = weight.read_value(), [slot.read_value() for slot in slots]
        new, new_slots = state.optimizer.update(
            value, gradient, old_slots, rate, tf.cast(tf.maximum(step, 1), tf.float32)
        )
        new -= rate * pull * (value - tf.constant(state.shipped[name]))
        moves = apply & (rate > 0.0)
        weight.assign(tf.where(moves, new, value))
        for slot, old_slot, new_slot in zip(slots, old_slots, new_slots):
            slot.assign(tf.where(moves, new_slot, old_slot))


def global_norm(gradients: Sequence[tf.Tensor]) -> tf.Tensor:
    """sqrt(sum of all squares): []."""
    # square, not x * x: XNNPACK (ai-edge-litert 2.3) crashes on a variable read times itself once any signature assigns it
    return tf.sqrt(tf.reduce_sum(tf.stack([tf.reduce_sum(tf.square(gradient)) for gradient in gradients])))


def train_signature(model: TrainableModel, state: State) -> Signature:
    """The signature `train`.

    Inputs: the batch; `learning_rate` []; `clip_norm` [], the greatest global norm of the gradient, 0 for none;
    `pull` [], towards the shipped weights, 0 for none; `group_rates` [groups], a factor on the learning rate of each
    group, 0 to leave a group alone.

    Outputs: `loss` [] before the update, `losses` [batch], `gradient_norm` [] before clipping, `skipped` [] int32: 1
    when loss, gradient, learning rate or pull was not finite, in which case nothing was changed.
    """
    names = [group.name for group in model.all_groups]
    batch_inputs = model.batch_inputs()

    def train(*, learning_rate, clip_norm, pull, group_rates, **batch):
        with tf.GradientTape() as tape:
            loss, losses = mean_loss(model, [batch[spec.name] for spec in batch_inputs])
        gradients = dict(zip(state.weights, tape.gradient(loss, list(state.weights.values()))))
        norm = global_norm(list(gradients.values()))
        finite = is_finite(loss) & is_finite(norm) & is_finite(learning_rate) & is_finite(pull)
        scale = tf.where((clip_norm > 0.0) & (norm > clip_norm), clip_norm / tf.maximum(norm, 1e-12), 1.0)
        gradients = {name: gradient * scale for name, gradient in gradients.items()}
        rates = {name: tf.squeeze(rate) * learning_rate for name, rate in zip(names, tf.split(group_rates, len(names)))}
        apply_updates(state, gradients, rates, pull, finite)
        skipped = 1 - tf.cast(finite, tf.int32)
        return {"loss": loss, "losses": losses, "gradient_norm": norm, "skipped": skipped}

    inputs = (
        *batch_inputs,
        scalar("learning_rate"),
        scalar("clip_norm"),
        scalar("pull"),
        tf.TensorSpec([len(names)], tf.float32, name="group_rates"),
    )
    return Signature("train", DOES, train, inputs, reads=tuple(names), writes=tuple(names))
