"""The two-pass model: a streaming transducer, and an attention decoder that rescores its n-best on the same encoder
(Sainath et al. 2019, arXiv 1908.10992)."""

import tensorflow as tf

from tflite_asr.config.heads import required
from tflite_asr.layers.rescorer import Rescorer
from tflite_asr.losses.cross_entropy import guided_attention, sequence_cross_entropy
from tflite_asr.models.transducer import Transducer


class TwoPass(Transducer):
    """A transducer whose `all_groups` end in a rescorer; trained, on a server or a phone, by both passes' losses."""

    def build_weights(self) -> None:
        """Create every weight, those of the rescorer included."""
        rescorer = required(self.config.rescorer, "rescorer")
        self.rescorer = Rescorer(
            self.config.vocabulary_size,
            rescorer.embedding,
            rescorer.units,
            rescorer.heads,
            self.config.sizes.max_tokens,
            rescorer.dropout,
            name="rescorer",
        )
        self.all_groups = [*self.all_groups, self.rescorer]
        super().build_weights()

    def first_pass_loss(
        self,
        encoded: tf.Tensor,
        lengths: tf.Tensor,
        predicted: tf.Tensor | None,
        tokens: tf.Tensor,
        token_lengths: tf.Tensor,
    ) -> tf.Tensor:
        """The transducer's loss [batch], in nats."""
        return super().join_loss(encoded, lengths, predicted, tokens, token_lengths)

    def second_pass_loss(
        self,
        encoded: tf.Tensor,
        lengths: tf.Tensor,
        tokens: tf.Tensor,
        token_lengths: tf.Tensor,
        training: bool = False,
    ) -> tf.Tensor:
        """The rescorer's cross entropy [batch], in nats; while training the base model, its attention is guided as
        well. Rows without encoder steps count as 0.
        """
        logits, weights = self.rescorer(encoded, lengths, tokens, token_lengths, training=training)
        losses = sequence_cross_entropy(logits, tokens, token_lengths)
        if training:
            losses += guided_attention(weights, lengths, token_lengths)
        return tf.where(lengths > 0, losses, tf.zeros_like(losses))

    def join_loss(
        self,
        encoded: tf.Tensor,
        lengths: tf.Tensor,
        predicted: tf.Tensor | None,
        tokens: tf.Tensor,
        token_lengths: tf.Tensor,
        training: bool = False,
    ) -> tf.Tensor:
        """Both passes' losses [batch], from the output of the last encoder group and of the last label group."""
        first = self.first_pass_loss(encoded, lengths, predicted, tokens, token_lengths)
        second = self.second_pass_loss(encoded, lengths, tokens, token_lengths, training=training)
        return first + required(self.config.rescorer, "rescorer").weight * second

    def continue_labels(
        self, stage: int, x: tf.Tensor, lengths: tf.Tensor, memory: dict[str, tf.Tensor], max_tokens: int
    ) -> tuple[tf.Tensor, tf.Tensor, dict[str, tf.Tensor]]:
        """See `SpeechModel`; adds the encoder's output for the second pass at the end."""
        tokens, count, changed = super().continue_labels(stage, x, lengths, memory, max_tokens)
        return tokens, count, {**changed, "encoded": x, "encoded_lengths": lengths}

    def rescore(self, encoded: tf.Tensor, lengths: tf.Tensor, tokens: tf.Tensor, token_lengths: tf.Tensor) -> tf.Tensor:
        """log P(labels | utterance) of n hypotheses at once, the end included: [n] float32.

        Args:
            encoded: [1, steps, units] float32, lengths: [1] int32, as `encode` gives them.
            tokens: [n, U] int32, token_lengths: [n] int32.
        """
        logits, _ = self.rescorer(encoded, lengths, tokens, token_lengths)
        return -sequence_cross_entropy(logits, tokens, token_lengths)

    def group_steps(self) -> list[int]:
        """Input steps of each group for the longest utterance; the rescorer's are those of the encoder's output."""
        return [*super().group_steps(), self.encoder_steps()[-1]]
