"""What a training minimises, and which weights it changes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import tensorflow as tf

from tflite_asr.layers.ctc import CTCHead
from tflite_asr.losses.ctc import ctc_loss
from tflite_asr.models.attention import CTCAttention
from tflite_asr.models.speech import SpeechModel
from tflite_asr.models.transducer import Transducer

NO_ALIGNMENT = 1e6  # nats; a CTC loss above it says that there is none


@dataclass(frozen=True)
class Objective:
    """Of one training.

    `losses(frames, heard, lengths, tokens, token_lengths) -> [batch]` float32, in nats: `frames` are those of the front end
    [batch, time, width], `heard` the same after SpecAugment, which is what the trained model hears. That of `both_passes`
    also takes the second pass's labels and their lengths.
    """

    losses: Callable[..., tf.Tensor]
    trained: Sequence[tf.Variable]


def own_loss(model: SpeechModel, trained: Sequence[tf.Variable], ctc_weight: float = 0.0) -> Objective:
    """The model's own loss; with a weight, of a transducer, CTC on its encoder as well, which aligns sooner. The CTC head
    is made as `model.auxiliary`; it is trained and then not kept."""
    if not ctc_weight:
        return Objective(lambda frames, heard, *rest: model.loss(heard, *rest, training=True), trained)
    head = add_auxiliary(model)

    def losses(frames, heard, lengths, tokens, token_lengths):
        encoded, lengths, _ = model.encode(heard, lengths, training=True)
        predicted = model.predict_labels(tokens, token_lengths, training=True)
        own = model.join_loss(encoded, lengths, predicted, tokens, token_lengths, training=True)
        return own + ctc_weight * aligned_ctc_loss(head(encoded), tokens, lengths, token_lengths)

    return Objective(losses, [*trained, *head.weights])


def both_passes(model: CTCAttention, trained: Sequence[tf.Variable]) -> Objective:
    """CTC and, by the decoder's `weight`, the cross entropy of the decoder (Watanabe et al. 2017, equation 5)."""

    def losses(frames, heard, lengths, tokens, token_lengths, subwords, subword_lengths):
        encoded, lengths, _ = model.encode(heard, lengths, training=True)
        first = model.join_loss(encoded, lengths, None, tokens, token_lengths, training=True)
        second = model.second_pass_loss(encoded, lengths, subwords, subword_lengths)
        return first + model.config.decoder.weight * second

    return Objective(losses, trained)


def add_auxiliary(model: Transducer) -> CTCHead:
    """A CTC head on the encoder, an attribute of the model so that it is in the checkpoints of its training."""
    model.auxiliary = CTCHead(model.config.vocabulary_size)
    model.auxiliary(tf.zeros([1, 1, model.config.encoder.units]))
    return model.auxiliary


def aligned_ctc_loss(logits, tokens, lengths, token_lengths):
    """CTC loss [batch], 0 for labels that do not fit into the steps: there is no alignment to learn from."""
    losses = ctc_loss(logits, tokens, lengths, token_lengths)
    return tf.where(losses < NO_ALIGNMENT, losses, tf.zeros_like(losses))
