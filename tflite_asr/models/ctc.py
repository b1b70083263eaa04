"""A recogniser with CTC heads over any encoder (Graves et al. 2006)."""

from collections.abc import Callable

import tensorflow as tf

from tflite_asr.config import ModelConfig
from tflite_asr.layers.ctc import CTCHead, best_path
from tflite_asr.losses.ctc import ctc_loss
from tflite_asr.models.speech import SpeechModel
from tflite_asr.ops.elementary import log_softmax


class CTC(SpeechModel):
    """Encoder groups and heads, one for each exit; `all_groups` has the heads last. Every weight belongs to exactly one of
    them."""

    def __init__(self, config: ModelConfig):
        super().__init__(config)
        self.heads = [*self.exit_heads, CTCHead(config.vocabulary_size, name="ctc")]
        self.all_groups = [*self.groups, *self.heads]
        self.build_weights()

    def join_loss(self, encoded, lengths, predicted, tokens, token_lengths, training=False):
        """CTC loss [batch] at the last exit, from the encoder's output [batch, steps, units]; there is no label history,
        `predicted` is None."""
        return ctc_loss(self.heads[-1](encoded), tokens, lengths, token_lengths)

    def stage_probabilities(self, stage: int, x, lengths):
        """One stage: x and lengths as `run_stage` takes and returns them, and log probabilities of the labels there
        [batch, steps, vocabulary]."""
        x, lengths = self.run_stage(stage, x, lengths)
        return x, lengths, log_softmax(self.heads[stage](x))

    def leave(self, frames, frame_lengths, exit, end: Callable):
        """end(logits, lengths in steps) at an exit; the groups above it are not computed.

        Args:
            frames, frame_lengths: as `encode` takes them.
            exit: [] int32, counted from 0; beyond the last is the last. None for the last.
            end: makes the same kinds of tensors at every exit.
        """
        last = len(self.stages) - 1

        def from_stage(stage, x, lengths):
            x, lengths = self.run_stage(stage, x, lengths)

            def here():
                return end(self.heads[stage](x), lengths)

            if stage == last:
                return here()
            if exit is None:
                return from_stage(stage + 1, x, lengths)
            return tf.cond(exit <= stage, here, lambda: from_stage(stage + 1, x, lengths))

        return from_stage(0, *self.front(frames, frame_lengths))

    def label_probabilities(self, frames, frame_lengths, exit=None):
        """Log probabilities of the labels [batch, steps, vocabulary], and lengths in steps [batch]."""
        return self.leave(frames, frame_lengths, exit, lambda logits, lengths: (log_softmax(logits), lengths))

    def transcribe(self, frames, frame_lengths, max_tokens: int, exit=None):
        """Greedy labels of whole utterances: tokens [batch, max_tokens] int32 padded with 0, their counts [batch]."""
        return self.leave(frames, frame_lengths, exit, lambda logits, lengths: best_path(logits, lengths, max_tokens))

    def group_steps(self) -> list[int]:
        """Input steps of each group for the longest utterance."""
        steps = self.encoder_steps()
        ends = [*self.config.exits, len(self.groups) - 1]
        return [*steps[:-1], *(steps[end + 1] for end in ends)]
