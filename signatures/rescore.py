"""`rescore`: the second pass over the hypotheses that a first pass found."""

from typing import Protocol

import tensorflow as tf

from signatures.spec import LayerGroup, Signature, in_range, invalid_as_nan, nan_unless, zero_unless

DOES = (
    "second pass: log probability of each hypothesis, its end included, given the encoder's output; NaN where lengths "
    "or labels are invalid"
)


class RescoringModel(Protocol):
    """A model with a second pass; shapes as in `tflite_asr.models.two_pass`."""

    rescorer: LayerGroup

    def encode(self, frames: tf.Tensor, lengths: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Frames and their lengths -> the encoder's output [1, steps, units], and more."""
        ...

    def rescore(self, encoded: tf.Tensor, lengths: tf.Tensor, tokens: tf.Tensor, token_lengths: tf.Tensor) -> tf.Tensor:
        """Log probability [hypotheses] of each hypothesis with its end."""
        ...

    def check_labels(self, row_weights: tf.Tensor, tokens: tf.Tensor, token_lengths: tf.Tensor) -> tf.Tensor:
        """`row_weights` of hypotheses with valid labels, NaN for the others."""
        ...


def rescore_signature(
    model: RescoringModel, *, frame_width: int, max_frames: int, max_tokens: int, hypotheses: int
) -> Signature:
    """The signature `rescore`: `encoded` and `encoded_lengths` as `encode` gives them, and `tokens` [hypotheses,
    max_tokens] padded with 0 with their `token_lengths`; `log_probabilities` [hypotheses] out."""
    steps = model.encode(tf.zeros([1, max_frames, frame_width]), tf.zeros([1], tf.int32))[0].shape

    def rescore(encoded, encoded_lengths, tokens, token_lengths):
        valid = in_range(encoded_lengths, 0, steps[1])
        scores = model.rescore(encoded, zero_unless(valid, encoded_lengths), tokens, token_lengths)
        scores = invalid_as_nan(scores, model.check_labels(tf.ones([hypotheses]), tokens, token_lengths))
        return {"log_probabilities": scores + nan_unless(valid)}

    inputs = (
        tf.TensorSpec(steps, tf.float32, name="encoded"),
        tf.TensorSpec([1], tf.int32, name="encoded_lengths"),
        tf.TensorSpec([hypotheses, max_tokens], tf.int32, name="tokens"),
        tf.TensorSpec([hypotheses], tf.int32, name="token_lengths"),
    )
    return Signature("rescore", DOES, rescore, inputs, reads=(model.rescorer.name,))
