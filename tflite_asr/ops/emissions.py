"""The log probabilities that the transducer loss needs, without holding the joint network's lattice in memory.

The joint network's hidden values are [batch, T, U+1, units] and their logits [batch, T, U+1, vocabulary]; the loss
needs two log probabilities per node. So forward processes slices of time one after another, and backward computes each
slice again.
"""

import tensorflow as tf

from signatures.order import after
from tflite_asr.ops.product import dense, input_gradient, kernel_gradient

SLICE_NODES = 2048  # of the lattice, at once
MOST_SLICES = 8  # since each is a piece of the graph


def _sizes(batch: int, time: int, width: int) -> list[int]:
    """Steps of each slice of time."""
    slices = min(MOST_SLICES, time, -(-batch * time * width // SLICE_NODES))
    return [time * (index + 1) // slices - time * index // slices for index in range(slices)]


@tf.custom_gradient
def emissions(
    encoder: tf.Tensor, prediction: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor, one_hot: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """log softmax(tanh(encoder + prediction) kernel + bias) of blank and of the next label, at every node (t, u).

    Args:
        encoder: [batch, T, units] float32.
        prediction: [batch, U+1, units].
        kernel: [units, vocabulary].
        bias: [vocabulary].
        one_hot: [batch, U+1, vocabulary], the label after u; it has no gradient.

    Returns:
        blank and label, each [batch, T, U+1]; label 0 is blank.
    """
    batch, time, _ = encoder.shape
    sizes = _sizes(batch, time, prediction.shape[1])
    across_time = tf.expand_dims(one_hot, 1)

    def nodes(piece, prediction):
        """Hidden values and log probabilities of one slice of `encoder`."""
        hidden = tf.tanh(tf.expand_dims(piece, 2) + tf.expand_dims(prediction, 1))
        return hidden, tf.nn.log_softmax(dense(hidden, kernel, bias))

    def of_labels(log_probabilities):
        blank = tf.squeeze(tf.slice(log_probabilities, [0, 0, 0, 0], [-1, -1, -1, 1]), axis=3)
        return blank, tf.reduce_sum(log_probabilities * across_time, axis=3)

    def gradient(d_blank, d_label):
        is_blank = tf.one_hot(0, kernel.shape[1])
        d_pieces, others, earlier = [], [], d_blank
        for piece, *down in zip(*(tf.split(tensor, sizes, axis=1) for tensor in (encoder, d_blank, d_label))):
            hidden, log_probabilities = nodes(piece, after(prediction, earlier))
            d_blank, d_label = (tf.expand_dims(tensor, 3) for tensor in down)
            # d log softmax: what comes down less its sum times the probabilities
            d_logits = d_blank * is_blank + d_label * across_time - tf.exp(log_probabilities) * (d_blank + d_label)
            d_hidden = input_gradient(d_logits, kernel) * (1.0 - hidden * hidden)
            d_pieces.append(tf.reduce_sum(d_hidden, axis=2))
            earlier = kernel_gradient(hidden, d_logits)  # one slice at a time
            others.append((tf.reduce_sum(d_hidden, axis=1), earlier, tf.reduce_sum(d_logits, axis=[0, 1, 2])))
        return [tf.concat(d_pieces, axis=1), *map(tf.add_n, zip(*others)), None]

    pieces = [of_labels(nodes(piece, prediction)[1]) for piece in tf.split(encoder, sizes, axis=1)]
    blank, label = (tf.concat(parts, axis=1) for parts in zip(*pieces))
    return (blank, label), gradient
