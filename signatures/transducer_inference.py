"""Signatures for beam search over a transducer."""

from collections.abc import Sequence
from typing import Protocol

import tensorflow as tf

from signatures.inference import INVALID
from signatures.spec import LayerGroup, Signature, in_range, minus_one_unless, nan_unless, zero_unless


class Transducer(Protocol):
    """Shapes as in `tflite_asr.models.transducer`."""

    groups: Sequence[LayerGroup]
    label_groups: Sequence[LayerGroup]
    joint: LayerGroup

    def encode(self, frames: tf.Tensor, lengths: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Frames and their lengths -> the encoder's output [1, steps, units], its lengths, and more."""
        ...

    def start_labels(self, batch: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The prediction network before any label: output, hidden and cell state."""
        ...

    def predict_label(
        self, token: tf.Tensor, hidden: tf.Tensor, cell: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """One label on: output, hidden and cell state."""
        ...

    def join(self, encoded: tf.Tensor, predicted: tf.Tensor) -> tf.Tensor:
        """Log probabilities [batch, vocabulary] of the next label."""
        ...

    def has_labels(self, tokens: tf.Tensor) -> tf.Tensor:
        """bool of the same shape: which tokens are in the vocabulary."""
        ...


def transducer_signatures(model: Transducer, *, frame_width: int, max_frames: int, beam: int) -> list[Signature]:
    """`encode`, `predict`, `join`, of one utterance at a time; `predict` and `join` take `beam` hypotheses at once.
    Labels start from what `predict` makes of blank (0) and zeros.
    """
    encoder = tuple(group.name for group in model.groups)
    head = (*(group.name for group in model.label_groups), model.joint.name)
    # shapes of the state, from the model itself: nothing is written twice
    predicted_spec, hidden_spec, cell_spec = (
        tf.TensorSpec(tensor.shape, tf.float32, name=name)
        for name, tensor in zip(("predicted", "hidden", "cell"), model.start_labels(1))
    )
    steps = model.encode(tf.zeros([1, max_frames, frame_width]), tf.zeros([1], tf.int32))[0].shape[1:]

    def encode(frames, frame_lengths):
        valid = in_range(frame_lengths, 0, max_frames)
        encoded, lengths, _ = model.encode(frames, zero_unless(valid, frame_lengths))
        return {"encoded": encoded, "encoded_lengths": minus_one_unless(valid, lengths)}

    def predict(tokens, hidden, cell):
        results = dict(zip(("predicted", "hidden", "cell"), model.predict_label(tokens, hidden, cell)))
        invalid = tf.expand_dims(nan_unless(model.has_labels(tokens)), 1)
        return {name: result + invalid for name, result in results.items()}

    def join(encoded, predicted):
        return {"log_probabilities": model.join(encoded, predicted)}

    frames_spec = tf.TensorSpec([1, max_frames, frame_width], tf.float32, name="frames")
    lengths_spec = tf.TensorSpec([1], tf.int32, name="frame_lengths")

    def rows(spec):
        return tf.TensorSpec([beam, spec.shape[1]], tf.float32, name=spec.name)

    tokens_spec = tf.TensorSpec([beam], tf.int32, name="tokens")
    encoded_spec = tf.TensorSpec([beam, steps[1]], tf.float32, name="encoded")
    return [
        Signature(
            "encode",
            f"frames to encoder output, for beam search; {INVALID}",
            encode,
            (frames_spec, lengths_spec),
            reads=encoder,
        ),
        Signature(
            "predict",
            "prediction network: one label on, for each hypothesis; NaN for a label out of range",
            predict,
            (tokens_spec, rows(hidden_spec), rows(cell_spec)),
            reads=head,
        ),
        Signature(
            "join",
            "joint network: log probabilities of the next label, for each hypothesis",
            join,
            (encoded_spec, rows(predicted_spec)),
            reads=head,
        ),
    ]
