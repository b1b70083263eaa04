"""A CTC encoder with a transformer decoder as second pass (Watanabe et al. 2017, doi 10.1109/JSTSP.2017.2763455)."""

import tensorflow as tf

from tflite_asr.layers.decoder import Cache, Decoder
from tflite_asr.losses.cross_entropy import sequence_cross_entropy
from tflite_asr.models.ctc import CTC
from tflite_asr.ops.elementary import log_softmax


class CTCAttention(CTC):
    """CTC heads for the first pass, and a decoder over subwords that rescores hypotheses or decodes by itself.

    Both share the encoder's groups, all of them or, where the decoder has encoder layers of its own, all but the last
    so many. The loss that trains on the device is the first pass's; `second_pass_loss` trains the decoder on a server.
    """

    decodes = True

    def build_weights(self) -> None:
        """Make every weight, the decoder's as well."""
        super().build_weights()
        units = self.config.decoder.units
        self.decoder = Decoder(self.config.decoder, name="decoder")
        self.decoder(tf.zeros([1, 2, units]), tf.constant([2]), tf.constant([[3]]), tf.constant([1]))
        self.fixed = [*self.fixed, self.decoder]

    @property
    def shared_groups(self) -> int:
        """How many of the encoder's groups the decoder hears."""
        return len(self.groups) - self.config.decoder.encoder_layers * (2 if self.config.adapters else 1)

    def encode_for_both(self, frames, lengths):
        """What `encode` gives, and what the decoder takes: encoded [batch, steps, units], shared [batch, steps, units],
        lengths [batch] in steps."""
        return self.encode_from(0, *self.front(frames, lengths))

    def second_pass_loss(self, encoded, lengths, subwords, subword_lengths):
        """The decoder's cross entropy [batch], in nats, the end included; rows without encoder steps count as 0.

        Args:
            encoded: [batch, steps, units] float32, lengths: [batch] int32, of the shared groups.
            subwords: [batch, U] int32, subword_lengths: [batch] int32.
        """
        losses = -self.rescore(encoded, lengths, subwords, subword_lengths)
        return tf.where(lengths > 0, losses, tf.zeros_like(losses))

    def rescore(self, encoded, lengths, subwords, subword_lengths):
        """log P(subwords, end | utterance) of n hypotheses for each row of the encoder: [batch n] float32.

        Args:
            encoded: [batch, steps, units] float32, lengths: [batch] int32, of the shared groups.
            subwords: [batch n, U] int32, subword_lengths: [batch n] int32.
        """
        logits = self.decoder(encoded, lengths, subwords, subword_lengths)
        return -sequence_cross_entropy(logits, subwords, subword_lengths, end=self.config.decoder.end)

    def decode_start(self, encoded, lengths) -> Cache:
        """What `decode_step` needs of the shared groups' output [1, steps, units], lengths [1]."""
        return self.decoder.start(encoded, lengths)

    def decode_step(self, tokens, position, cache, cross, lengths) -> tuple[tf.Tensor, Cache]:
        """One subword on: log probabilities [n, vocabulary], and the rest as `layers.decoder.Decoder.step`."""
        logits, own = self.decoder.step(tokens, position, Cache(*cache), Cache(*cross), lengths)
        return log_softmax(logits), own
