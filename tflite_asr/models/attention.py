"""A CTC encoder with a transformer decoder as second pass (Watanabe et al. 2017, doi 10.1109/JSTSP.2017.2763455)."""

import tensorflow as tf
import tf_keras as keras

from tflite_asr.config.heads import required
from tflite_asr.layers.decoder import Cache, Decoder
from tflite_asr.layers.groups import decoder_encoder_groups
from tflite_asr.models.ctc import CTC
from tflite_asr.ops.elementary import log_softmax


class CTCAttention(CTC):
    """CTC heads for the first pass, and a decoder over subwords that rescores hypotheses or decodes by itself.

    Both share the encoder's groups: all of them, or all but the last ones if the decoder has encoder layers of its own.
    `loss` is the first pass's; `models.second_pass.SecondPass` is the same model with the second pass's.
    """

    decodes = True

    def build_weights(self) -> None:
        """Create every weight, those of the second pass included."""
        super().build_weights()
        config = required(self.config.decoder, "decoder")
        encoded, lengths = tf.zeros([1, 2, config.units]), tf.constant([2])
        self.decoder_groups = decoder_encoder_groups(self.config)
        self.decoder = Decoder(config, name="decoder")
        self.decoder(self.decoder_input(encoded, lengths), lengths, tf.constant([[3]]), tf.constant([1]))

    @property
    def second_pass_groups(self) -> list[keras.layers.Layer]:
        """Layer groups of the second pass alone: the decoder's encoder layers, and the decoder."""
        return [*self.decoder_groups, self.decoder]

    @property
    def shared_groups(self) -> int:
        """The number of encoder groups that both passes share."""
        own = required(self.config.decoder, "decoder").encoder_layers
        return len(self.groups) - own * (2 if self.config.adapters else 1)

    def named_weights(self) -> dict[str, tf.Variable]:
        """Every weight by its tree path; the second pass's behind those of the first."""
        return super().named_weights() | self.weights_of(self.second_pass_groups)

    def encode_for_both(self, frames: tf.Tensor, lengths: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The output of `encode` and the decoder's input: encoded [batch, steps, units], shared [batch, steps, units],
        lengths [batch] in steps."""
        return self.encode_from(0, *self.front(frames, lengths))

    def second_pass_loss(
        self, encoded: tf.Tensor, lengths: tf.Tensor, subwords: tf.Tensor, subword_lengths: tf.Tensor
    ) -> tf.Tensor:
        """The decoder's cross entropy [batch], in nats, the end included; rows without encoder steps count as 0.

        Args:
            encoded: [batch, steps, units] float32, lengths: [batch] int32, of the shared groups.
            subwords: [batch, U] int32, subword_lengths: [batch] int32.
        """
        losses = -self.rescore(encoded, lengths, subwords, subword_lengths)
        return tf.where(lengths > 0, losses, tf.zeros_like(losses))

    def rescore(
        self, encoded: tf.Tensor, lengths: tf.Tensor, subwords: tf.Tensor, subword_lengths: tf.Tensor
    ) -> tf.Tensor:
        """log P(subwords, end | utterance) of n hypotheses for each row of the encoder: [batch n] float32.

        Args:
            encoded: [batch, steps, units] float32, lengths: [batch] int32, of the shared groups.
            subwords: [batch n, U] int32, subword_lengths: [batch n] int32.
        """
        return -self.decoder.cross_entropy(self.decoder_input(encoded, lengths), lengths, subwords, subword_lengths)

    def decode_start(self, encoded: tf.Tensor, lengths: tf.Tensor) -> Cache:
        """The encoder's keys and values for `decode_step`, from the shared groups' output [1, steps, units]."""
        return self.decoder.start(self.decoder_input(encoded, lengths), lengths)

    def decoder_input(self, encoded: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        """The shared groups' output [batch, steps, units], lengths [batch], through the decoder's encoder layers."""
        for group in self.decoder_groups:
            encoded, _, _ = group(encoded, lengths)
        return encoded

    def decode_step(
        self,
        tokens: tf.Tensor,
        position: tf.Tensor,
        cache: tuple[tf.Tensor, tf.Tensor],
        cross: tuple[tf.Tensor, tf.Tensor],
        lengths: tf.Tensor,
    ) -> tuple[tf.Tensor, Cache]:
        """One subword on: log probabilities [n, vocabulary], and the rest as `layers.decoder.Decoder.step`."""
        logits, own = self.decoder.step(tokens, position, Cache(*cache), Cache(*cross), lengths)
        return log_softmax(logits), own
