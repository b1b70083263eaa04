"""The part of a model below one of its early exits, which trains alone."""

import tensorflow as tf
import tf_keras as keras

from tflite_asr.losses.ctc import ctc_loss
from tflite_asr.models.speech import SpeechModel


class SubModel:
    """The groups below an early exit and its head, which are the model's own. It has the interface that `signatures`
    needs for training.

    Args:
        model: with early exits.
        exit: counted from 0; the last is not an early one.
    """

    def __init__(self, model: SpeechModel, exit: int):
        self._model = model
        self.head = model.heads[exit]
        self.groups = [group for stage in model.stages[: exit + 1] for group in stage]
        self.all_groups = [*self.groups, self.head]
        self.label_groups: list[keras.layers.Layer] = []
        self.inner_exits: dict[str, keras.layers.Layer] = {}
        self.label_inputs = model.label_inputs
        self.saving, self.restoring = model.saving, model.restoring
        self.front, self.batch_inputs = model.front, model.batch_inputs
        self.row_weights, self.check_labels = model.row_weights, model.check_labels

    def named_weights(self) -> dict[str, tf.Variable]:
        """The model's weights of these groups by tree path."""
        names = {group.name for group in self.all_groups}
        return {path: weight for path, weight in self._model.named_weights().items() if path.split("/")[0] in names}

    def loss(
        self, frames: tf.Tensor, frame_lengths: tf.Tensor, tokens: tf.Tensor, token_lengths: tf.Tensor
    ) -> tf.Tensor:
        """CTC loss of each utterance at the exit: [batch] float32, in nats."""
        x, lengths = self.front(frames, frame_lengths)
        for group in self.groups:
            x, lengths, _ = group(x, lengths)
        return self.join_loss(x, lengths, None, tokens, token_lengths)

    def join_loss(
        self,
        encoded: tf.Tensor,
        lengths: tf.Tensor,
        predicted: tf.Tensor | None,
        tokens: tf.Tensor,
        token_lengths: tf.Tensor,
    ) -> tf.Tensor:
        """The same from the output of the last group."""
        return ctc_loss(self.head(encoded), tokens, lengths, token_lengths)

    def group_steps(self) -> list[int]:
        """Input steps of each group for the longest utterance."""
        return self._model.encoder_steps()[: len(self.all_groups)]
