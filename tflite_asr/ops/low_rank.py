"""A kernel with a low-rank update: W + A B, of which only A and B train (LoRA, Hu et al. 2022, arXiv 2106.09685)."""

import tensorflow as tf

DOWN, UP = "_lora_down", "_lora_up"  # behind the name of a kernel
SCALE = 4.0  # of A, against values that keep the variance of the inputs


class LowRankKernel(tf.Module):
    """Replaces a kernel of a layer.

    `ops.product` multiplies by the factors one after the other, so W + A B is not computed for it. A loop over time
    multiplies by W + A B, which `ops.product.merged` computes once per call.

    Args:
        kernel: W [inputs, outputs], which does not train.
        rank: of the update. A [inputs, rank] is drawn at random, B [rank, outputs] is zeros, so that the update changes
            nothing yet. Adam moves each value by about the learning rate; with a larger A, W + A B moves faster and A
            itself turns more slowly.
    """

    def __init__(self, kernel: tf.Variable, rank: int):
        super().__init__()
        inputs, outputs = kernel.shape
        name = kernel.name.removesuffix(":0")
        self.kernel = kernel
        self.down = tf.Variable(tf.random.normal([inputs, rank], stddev=SCALE * inputs**-0.5), name=f"{name}{DOWN}")
        self.up = tf.Variable(tf.zeros([rank, outputs]), name=f"{name}{UP}")

    @property
    def shape(self) -> tf.TensorShape:
        """The shape of W."""
        return self.kernel.shape
