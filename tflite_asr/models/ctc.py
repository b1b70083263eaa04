"""A recogniser with a CTC head over any encoder (Graves et al. 2006): frames in, labels of each step out."""

from tflite_asr.config import ModelConfig
from tflite_asr.layers.ctc import CTCHead, best_path
from tflite_asr.losses.ctc import ctc_loss
from tflite_asr.models.speech import SpeechModel
from tflite_asr.ops.elementary import log_softmax


class CTC(SpeechModel):
    """`all_groups` are the encoder's layer groups and, last, the head. Every weight belongs to exactly one of them."""

    def __init__(self, config: ModelConfig):
        super().__init__(config)
        self.head = CTCHead(config.vocabulary_size, name="ctc")
        self.all_groups = [*self.groups, self.head]
        self.build_weights()

    def loss(self, frames, frame_lengths, tokens, token_lengths, training=False):
        """CTC loss of each utterance: [batch] float32, in nats. Rows of frame length 0 count as 0."""
        encoded, lengths, _ = self.encode(frames, frame_lengths, training=training)
        return self.join_loss(encoded, lengths, None, tokens, token_lengths)

    def join_loss(self, encoded, lengths, predicted, tokens, token_lengths):
        """The same from the encoder's output [batch, steps, units]; there is no label history, `predicted` is None."""
        return ctc_loss(self.head(encoded), tokens, lengths, token_lengths)

    def label_probabilities(self, frames, frame_lengths):
        """Log probabilities of the labels [batch, steps, vocabulary], and lengths in steps [batch]."""
        encoded, lengths, _ = self.encode(frames, frame_lengths)
        return log_softmax(self.head(encoded)), lengths

    def transcribe(self, frames, frame_lengths, max_tokens: int):
        """Greedy labels of whole utterances: tokens [batch, max_tokens] int32 padded with 0, their counts [batch]."""
        encoded, lengths, _ = self.encode(frames, frame_lengths)
        return best_path(self.head(encoded), lengths, max_tokens)

    def group_steps(self) -> list[int]:
        """Input steps of each group for the longest utterance."""
        return self.encoder_steps()
