"""A two-pass model that trains by the loss of its second pass."""

import dataclasses

import tensorflow as tf
import tf_keras as keras

from signatures.spec import in_range
from tflite_asr.config import ModelConfig
from tflite_asr.config.heads import required
from tflite_asr.models.attention import CTCAttention
from tflite_asr.models.row_weights import nan_outside, nan_without_labels


class SecondPass:
    """The shared encoder groups, the decoder's encoder layers and the decoder, with its cross entropy as the loss.
    Groups and weights are the model's own. It has the interface that `signatures` needs for training.

    Args:
        model: whose second pass decodes.
    """

    def __init__(self, model: CTCAttention):
        self._model = model
        self.config = of_second_pass(model.config)
        self._decoder_config = required(self.config.decoder, "decoder")
        self.groups = [*model.groups[: model.shared_groups], *model.decoder_groups]
        self.all_groups = [*self.groups, model.decoder]
        self.label_groups: list[keras.layers.Layer] = []
        self.inner_exits: dict[str, keras.layers.Layer] = {}
        self.label_inputs = model.label_inputs
        self.saving, self.restoring = model.saving, model.restoring
        self.front = model.front

    def named_weights(self) -> dict[str, tf.Variable]:
        """The weights of these groups by tree path."""
        return self._model.weights_of(self.all_groups)

    def batch_inputs(self) -> tuple[tf.TensorSpec, ...]:
        """The arguments of `loss`, at the fixed sizes; tokens are subwords."""
        frames, frame_lengths, _, token_lengths = self._model.batch_inputs()
        tokens = tf.TensorSpec([self.config.sizes.batch, self.config.max_labels], tf.int32, "tokens")
        return frames, frame_lengths, tokens, token_lengths

    def row_weights(
        self, frames: tf.Tensor, frame_lengths: tf.Tensor, tokens: tf.Tensor, token_lengths: tf.Tensor
    ) -> tf.Tensor:
        """[batch] float32: 1 for an utterance, 0 for a row without frames, NaN for one with invalid lengths or
        subwords."""
        return self.check_labels(nan_outside(frame_lengths, frames.shape[1]), tokens, token_lengths)

    def check_labels(self, row_weights: tf.Tensor, tokens: tf.Tensor, token_lengths: tf.Tensor) -> tf.Tensor:
        """`row_weights` [batch], NaN for utterances whose subwords are invalid; start and end are none."""
        decoder = self._decoder_config
        labels = self._known(tokens) & (tokens != decoder.start) & (tokens != decoder.end)
        return nan_without_labels(row_weights, labels, token_lengths)

    def _known(self, tokens: tf.Tensor) -> tf.Tensor:
        """bool of the same shape: which of the token ids are in the vocabulary."""
        return in_range(tokens, 0, self._decoder_config.vocabulary_size - 1)

    def loss(
        self, frames: tf.Tensor, frame_lengths: tf.Tensor, tokens: tf.Tensor, token_lengths: tf.Tensor
    ) -> tf.Tensor:
        """Cross entropy of each utterance's subwords and end: [batch] float32, in nats."""
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
        """The same from the output of the last group, [batch, steps, units]; `predicted` is None."""
        known_tokens = tf.where(self._known(tokens), tokens, 0)  # nothing is read past the embedding
        losses = self._model.decoder.cross_entropy(encoded, lengths, known_tokens, token_lengths)
        return tf.where(lengths > 0, losses, tf.zeros_like(losses))

    def exit_losses(
        self, frames: tf.Tensor, frame_lengths: tf.Tensor, tokens: tf.Tensor, token_lengths: tf.Tensor
    ) -> tf.Tensor:
        """[1, batch]: there are no early exits."""
        return tf.expand_dims(self.loss(frames, frame_lengths, tokens, token_lengths), 0)

    def joint_loss(self, exit_losses: tf.Tensor) -> tf.Tensor:
        """[1, batch] -> [batch]."""
        return tf.squeeze(exit_losses, 0)

    def group_steps(self) -> list[int]:
        """Input steps of each group for the longest utterance; of the decoder its subwords, the start included."""
        steps = self._model.encoder_steps()[: self._model.shared_groups + 1]
        return [*steps, *[steps[-1]] * (len(self.groups) - len(steps)), self.config.max_labels + 1]


def of_second_pass(config: ModelConfig) -> ModelConfig:
    """The configuration of a file whose second pass trains on the device."""
    return dataclasses.replace(config, decoder=dataclasses.replace(required(config.decoder, "decoder"), trains=True))
