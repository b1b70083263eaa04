"""A recogniser with a CTC head at every exit, the last one too, over any encoder."""

import tensorflow as tf

from tflite_asr.config import ModelConfig
from tflite_asr.losses.ctc import ctc_loss
from tflite_asr.models.speech import SpeechModel


class CTC(SpeechModel):
    """Encoder groups and heads; `all_groups` has the heads last. Every weight belongs to exactly one of them."""

    def __init__(self, config: ModelConfig):
        super().__init__(config)
        self.all_groups = [*self.groups, *self.heads]
        self.build_weights()

    def join_loss(
        self,
        encoded: tf.Tensor,
        lengths: tf.Tensor,
        predicted: tf.Tensor | None,
        tokens: tf.Tensor,
        token_lengths: tf.Tensor,
        training: bool = False,
    ) -> tf.Tensor:
        """CTC loss [batch] at the last exit, from the encoder's output [batch, steps, units]; there is no label
        history, `predicted` is None.
        """
        return ctc_loss(self.heads[-1](encoded), tokens, lengths, token_lengths)

    def group_steps(self) -> list[int]:
        """Input steps of each group for the longest utterance."""
        return [*self.encoder_steps()[:-1], *self.exit_steps()]
