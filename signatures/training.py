"""`train`: one whole training step, forward, backward and update in one call.

It is the reference that a split step must equal.
"""

from collections.abc import Sequence

import tensorflow as tf

from signatures.optimizers import State
from signatures.spec import Signature, TrainableModel, group_of, mean_loss
from signatures.update import Update, count_step, global_norm, is_finite

DOES = (
    "one whole training step; invalid lengths or labels, or a loss, gradient or rate that is not finite, change "
    "nothing and are told as `skipped`"
)


def train_signature(
    model: TrainableModel, state: State, rates: Sequence[str] | None = None, name: str = "train"
) -> Signature:
    """The signature `train`, for a model whose weights are among those of the state.

    Args:
        rates: the groups that `group_rates` are for; None: the model's.

    Inputs: the batch and those of `Update`; `clip_norm` is the greatest global norm of the gradient.

    Outputs: `loss` [] before the update, `losses` [batch], `gradient_norm` [1] before clipping, `skipped` [] int32: 1
    when loss, gradient or an input of `Update` was not finite, in which case nothing was changed. An utterance whose
    lengths or labels are invalid has loss NaN.
    """
    names = [group.name for group in model.all_groups]
    rates = rates or names
    weights = {path: weight for path, weight in state.weights.items() if group_of(path) in names}
    batch_inputs = model.batch_inputs()

    def train(**inputs):
        update = Update(state, rates, inputs)
        with tf.GradientTape() as tape:
            loss, losses = mean_loss(model, [inputs[spec.name] for spec in batch_inputs])
        gradients = dict(zip(weights, tape.gradient(loss, list(weights.values()))))
        norm = global_norm(gradients.values())
        finite = is_finite(loss) & is_finite(norm) & update.finite
        update.apply(gradients, update.clip(norm), count_step(state, finite), finite, values={})
        return {
            "loss": loss,
            "losses": losses,
            "gradient_norm": tf.reshape(norm, [1]),
            "skipped": 1 - tf.cast(finite, tf.int32),
        }

    inputs = (*batch_inputs, *Update.inputs(state, rates))
    writes = {group_of(path) for path in weights}
    return Signature(name, DOES, train, inputs, tuple(names), tuple(group for group in names if group in writes))
