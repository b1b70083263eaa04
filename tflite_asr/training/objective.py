"""Objectives: the loss that a training minimises, and the weights that it changes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import tensorflow as tf

from signatures.spec import group_of
from tflite_asr.config.heads import required
from tflite_asr.layers.ctc import CTCHead
from tflite_asr.losses.ctc import ctc_loss
from tflite_asr.models.speech import SpeechModel
from tflite_asr.models.transducer import Transducer

NO_ALIGNMENT = 1e6  # nats; a CTC loss above it says that there is none


@dataclass(frozen=True)
class Objective:
    """The objective of a training.

    `losses(frames, heard, lengths, tokens, token_lengths) -> [batch]` float32, in nats: `frames` are those of the front
    end [batch, time, width], `heard` the same after SpecAugment, which is what the trained model hears. That of
    `loss_of_passes` also takes the second pass's labels and their lengths.
    """

    losses: Callable[..., tf.Tensor]
    trained: Sequence[tf.Variable]


def own_loss(model: SpeechModel, trained: Sequence[tf.Variable], ctc_weight: float = 0.0) -> Objective:
    """The model's own loss; with a CTC weight, also a CTC loss on a transducer's encoder, which then aligns sooner. The
    CTC head, `model.auxiliary`, trains and is not kept.
    """
    if not ctc_weight:
        return Objective(lambda frames, heard, *rest: model.loss(heard, *rest, training=True), trained)
    head = add_auxiliary(model)

    def losses(frames, heard, lengths, tokens, token_lengths):
        encoded, lengths, _ = model.encode(heard, lengths, training=True)
        predicted = model.predict_labels(tokens, token_lengths, training=True)
        own = model.join_loss(encoded, lengths, predicted, tokens, token_lengths, training=True)
        return own + ctc_weight * aligned_ctc_loss(head(encoded), tokens, lengths, token_lengths)

    return Objective(losses, [*trained, *head.weights])


def loss_of_passes(
    model: SpeechModel, trained: Sequence[tf.Variable], *, second_pass: bool, below: int = 0
) -> Objective:
    """The CTC loss plus, for a second pass, the decoder's cross entropy times its `weight` (Watanabe et al. 2017,
    equation 5); the cross entropy alone if no group of the first pass trains.

    Args:
        model: a CTC model without early exits, with a decoder for the second pass.
        trained: the weights to change.
        second_pass: whether the decoder is trained as well.
        below: groups whose output stands in for the frames; they do not train.
    """
    of_second = {group.name for group in model.second_pass_groups}
    first_pass = any(group_of(name) not in of_second for name in names_of(model, trained))

    def losses(frames, heard, lengths, tokens, token_lengths, *subwords):
        x, lengths = (heard, lengths) if below else model.front(heard, lengths)
        encoded, shared, lengths = model.encode_from(below, x, lengths, training=True)
        total = tf.zeros_like(lengths, tf.float32)
        if first_pass or not second_pass:
            total += model.join_loss(encoded, lengths, None, tokens, token_lengths, training=True)
        if second_pass:
            total += required(model.config.decoder, "decoder").weight * model.second_pass_loss(
                shared, lengths, *subwords
            )
        return total

    return Objective(losses, trained)


def names_of(model: SpeechModel, weights: Sequence[tf.Variable]) -> list[str]:
    """Tree paths of some of the model's weights."""
    wanted = {id(weight) for weight in weights}
    return [name for name, weight in model.named_weights().items() if id(weight) in wanted]


def add_auxiliary(model: Transducer) -> CTCHead:
    """A CTC head on the encoder, an attribute of the model so that it is in the checkpoints of its training."""
    model.auxiliary = CTCHead(model.config.vocabulary_size)
    model.auxiliary(tf.zeros([1, 1, model.config.encoder.units]))
    return model.auxiliary


def aligned_ctc_loss(logits: tf.Tensor, tokens: tf.Tensor, lengths: tf.Tensor, token_lengths: tf.Tensor) -> tf.Tensor:
    """CTC loss [batch], 0 for labels that do not fit into the steps: there is no alignment to learn from."""
    losses = ctc_loss(logits, tokens, lengths, token_lengths)
    return tf.where(losses < NO_ALIGNMENT, losses, tf.zeros_like(losses))
