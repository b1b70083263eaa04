"""`get_weights` and `set_weights`: trainable and optimizer tensors out and in; the host writes the file."""

import tensorflow as tf

from signatures.optimizers import State
from signatures.spec import Signature, TrainableModel


def tensor_key(path: str) -> str:
    """The name of a tensor at a signature: `encoder_0/kernel` -> `encoder_0_kernel`."""
    return path.replace("/", "_")


def weights_signatures(model: TrainableModel, state: State) -> tuple[Signature, Signature]:
    """`get_weights`: nothing in, every tensor of the state out. `set_weights`: the same tensors in, `step` [1] out."""
    groups = tuple(group.name for group in model.all_groups)
    variables = {tensor_key(path): variable for path, variable in state.variables().items()}

    def get_weights():
        return {key: tf.identity(variable) for key, variable in variables.items()}

    def set_weights(**tensors):
        for key, variable in variables.items():
            variable.assign(tensors[key])
        return {"step": tf.identity(tensors["step"])}

    inputs = tuple(tf.TensorSpec(variable.shape, variable.dtype, name=key) for key, variable in variables.items())
    return (
        Signature(
            "get_weights", "trainable and optimizer tensors out, for a checkpoint", get_weights, (), reads=groups
        ),
        Signature("set_weights", "the same tensors in, from a checkpoint", set_weights, inputs, writes=groups),
    )
