"""Signatures of a second pass that rescores and decodes by itself: `rescore`; `decode_start` once an utterance, `decode_step` for each token."""

from typing import Protocol

import tensorflow as tf

from signatures.rescore import DOES as RESCORE
from signatures.spec import LayerGroup, Signature

START = "second pass: keys and values of the encoder's output, once an utterance, for `decode_step`"
STEP = "second pass: log probabilities of the next subword after each hypothesis, and this subword's keys and values"


class DecodingModel(Protocol):
    """A model whose second pass decodes; shapes as in `tflite_asr.models.attention`."""

    decoder: LayerGroup

    def encode(self, frames, lengths): ...
    def decode_start(self, encoded): ...
    def decode_step(self, tokens, position, cache, cross, lengths): ...
    def rescore(self, encoded, lengths, subwords, subword_lengths): ...


class DecoderSizes(Protocol):
    layers: int
    heads: int
    units: int


def decoding_signatures(
    model: DecodingModel, sizes: DecoderSizes, *, frame_width: int, max_frames: int, max_subwords: int, hypotheses: int
) -> list[Signature]:
    """`rescore`, `decode_start` and `decode_step`, of one utterance at a time.

    The cache is the host's: [layers, hypotheses, heads, max_subwords, units / heads] keys and values, of which a step
    reads those before `position` and puts out those of its own token, to be written there.
    """

    encoded_shape = model.encode(tf.zeros([1, max_frames, frame_width]), tf.zeros([1], tf.int32))[0].shape
    encoded_spec = tf.TensorSpec(encoded_shape, tf.float32, "encoded")
    lengths_spec = tf.TensorSpec([1], tf.int32, "encoded_lengths")

    def cache(rows: int, length: int, prefix: str = "") -> tuple[tf.TensorSpec, ...]:
        shape = [sizes.layers, rows, sizes.heads, length, sizes.units // sizes.heads]
        return tuple(tf.TensorSpec(shape, tf.float32, f"{prefix}{name}") for name in ("keys", "values"))

    def rescore(encoded, encoded_lengths, tokens, token_lengths):
        return {"log_probabilities": model.rescore(encoded, encoded_lengths, tokens, token_lengths)}

    def start(encoded):
        keys, values = model.decode_start(encoded)
        return {"cross_keys": keys, "cross_values": values}

    def step(tokens, position, keys, values, cross_keys, cross_values, encoded_lengths):
        log_probabilities, own = model.decode_step(tokens, position, (keys, values), (cross_keys, cross_values), encoded_lengths)
        return {"log_probabilities": log_probabilities, "keys": own[0], "values": own[1]}

    step_inputs = (
        tf.TensorSpec([hypotheses], tf.int32, "tokens"),
        tf.TensorSpec([1], tf.int32, "position"),
        *cache(hypotheses, max_subwords),
        *cache(1, encoded_shape[1], "cross_"),
        lengths_spec,
    )
    rescore_inputs = (
        encoded_spec,
        lengths_spec,
        tf.TensorSpec([hypotheses, max_subwords], tf.int32, "tokens"),
        tf.TensorSpec([hypotheses], tf.int32, "token_lengths"),
    )
    reads = (model.decoder.name,)
    return [
        Signature("rescore", RESCORE, rescore, rescore_inputs, reads=reads),
        Signature("decode_start", START, start, (encoded_spec,), reads=reads),
        Signature("decode_step", STEP, step, step_inputs, reads=reads),
    ]
