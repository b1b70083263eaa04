"""Greedy transducer decoding in the graph: at each encoder step the best label, until it is blank."""

from typing import TYPE_CHECKING

import tensorflow as tf

if TYPE_CHECKING:
    from tflite_asr.models.transducer import Transducer


def greedy(
    model: "Transducer",
    encoded: tf.Tensor,
    lengths: tf.Tensor,
    predicted: tf.Tensor,
    hidden: tf.Tensor,
    cell: tf.Tensor,
    max_tokens: int,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Decode from a given state of the prediction network, so that chunks continue each other.

    Args:
        model: a `Transducer`.
        encoded: [batch, steps, units] float32.
        lengths: [batch] int32, in steps.
        predicted, hidden, cell: [batch, units], as `start_labels` or an earlier call gave them.
        max_tokens: labels of a row after which the rest of it is dropped.

    Returns:
        tokens [batch, max_tokens] int32 padded with 0, their counts [batch] int32, and predicted, hidden, cell.
    """
    batch = encoded.shape[0]
    per_step = model.config.sizes.max_symbols_per_step
    zeros = tf.zeros([batch], tf.int32)

    def body(step, symbols, count, tokens, predicted, hidden, cell):
        active = step < lengths
        at = tf.minimum(step, encoded.shape[1] - 1)
        label = tf.argmax(model.joint((tf.gather(encoded, at, batch_dims=1), predicted)), axis=1, output_type=tf.int32)
        emits = active & (label != 0) & (symbols < per_step) & (count < max_tokens)
        emits_int = tf.cast(emits, tf.int32)

        def advance():
            keep = tf.expand_dims(emits, 1)
            new = model.predict_label(label, hidden, cell)
            return tuple(tf.where(keep, a, b) for a, b in zip(new, (predicted, hidden, cell)))

        predicted, hidden, cell = tf.cond(tf.reduce_any(emits), advance, lambda: (predicted, hidden, cell))
        place = tf.one_hot(count, max_tokens, dtype=tf.int32) * tf.expand_dims(emits_int, 1)
        tokens = tokens + place * tf.expand_dims(label, 1)
        symbols = (symbols + 1) * emits_int
        return step + 1 - emits_int, symbols, count + emits_int, tokens, predicted, hidden, cell

    _, _, count, tokens, *state = tf.while_loop(
        lambda step, *_: tf.reduce_any(step < lengths),
        body,
        (zeros, zeros, zeros, tf.zeros([batch, max_tokens], tf.int32), predicted, hidden, cell),
    )
    return tokens, count, *state
