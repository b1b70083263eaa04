"""A CTC encoder with a transformer decoder as second pass (Watanabe et al. 2017, doi 10.1109/JSTSP.2017.2763455)."""

import tensorflow as tf

from tflite_asr.layers.decoder import Cache, Decoder
from tflite_asr.losses.cross_entropy import sequence_cross_entropy
from tflite_asr.models.ctc import CTC


class CTCAttention(CTC):
    """CTC heads for the first pass, and a decoder over subwords that rescores hypotheses or decodes by itself.

    The loss that trains on the device is the first pass's; `second_pass_loss` trains the decoder on a server.
    """


    def build_weights(self) -> None:
        """Make every weight, the decoder's as well."""
        decoder = self.config.decoder
        self.decoder = Decoder(decoder, self.max_subwords, name="decoder")
        self.all_groups = [*self.all_groups, self.decoder]
        super().build_weights()
        self.decoder(tf.zeros([1, 2, decoder.units]), tf.constant([2]), tf.constant([[3]]), tf.constant([1]))

    @property
    def max_subwords(self) -> int:
        """Most subwords of a decoded utterance of the longest size."""
        return self.config.max_subwords

    def second_pass_loss(self, encoded, lengths, subwords, subword_lengths):
        """The decoder's cross entropy [batch], in nats, the end included; rows without encoder steps count as 0.

        Args:
            encoded: [batch, steps, units] float32, lengths: [batch] int32, of the encoder.
            subwords: [batch, U] int32, subword_lengths: [batch] int32.
        """
        losses = -self.rescore(encoded, lengths, subwords, subword_lengths)
        return tf.where(lengths > 0, losses, tf.zeros_like(losses))

    def rescore(self, encoded, lengths, subwords, subword_lengths):
        """log P(subwords, end | utterance) of n hypotheses for each row of the encoder: [batch n] float32.

        Args:
            encoded: [batch, steps, units] float32, lengths: [batch] int32, as `encode` gives them.
            subwords: [batch n, U] int32, subword_lengths: [batch n] int32.
        """
        logits = self.decoder(encoded, lengths, subwords, subword_lengths)
        return -sequence_cross_entropy(logits, subwords, subword_lengths, end=self.config.decoder.end)

    def decode_start(self, encoded) -> Cache:
        """What `decode_step` needs of the encoder's output [1, steps, units]."""
        return self.decoder.start(encoded)

    def decode_step(self, tokens, position, cache: Cache, cross: Cache, lengths) -> tuple[tf.Tensor, Cache]:
        """One subword on; see `layers.decoder.Decoder.step`."""
        return self.decoder.step(tokens, position, cache, cross, lengths)

    def group_steps(self) -> list[int]:
        """Input steps of each group for the longest utterance; the decoder's are those of the encoder's output."""
        return [*super().group_steps(), self.encoder_steps()[-1]]
