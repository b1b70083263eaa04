"""Signatures of a second pass that rescores and decodes by itself: `rescore`; `decode_start` once an utterance,
`decode_step` for each token.
"""

from typing import Protocol

import tensorflow as tf

from signatures.rescore import DOES as RESCORE
from signatures.spec import LayerGroup, Signature, in_range, nan_unless, zero_unless

START = "second pass: keys and values of the encoder's output, once an utterance, for `decode_step`"
STEP = (
    "second pass: log probabilities of the next subword after each hypothesis, and this subword's keys and values; NaN "
    "for "
    "tokens, positions or lengths out of range"
)


class DecodingModel(Protocol):
    """A model whose second pass decodes; shapes as in `tflite_asr.models.attention`."""

    decoder: LayerGroup

    def encode(self, frames, lengths): ...
    def decode_start(self, encoded, lengths): ...
    def decode_step(self, tokens, position, cache, cross, lengths): ...
    def rescore(self, encoded, lengths, subwords, subword_lengths): ...


class DecoderSizes(Protocol):
    vocabulary_size: int
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

    time = encoded_shape[1]

    def checked(encoded_lengths, tokens):
        """Both with 0 for what is out of range, and what is to be added to a score: 0, or NaN where it was."""
        valid, known = in_range(encoded_lengths, 0, time), in_range(tokens, 0, sizes.vocabulary_size - 1)
        return zero_unless(valid, encoded_lengths), zero_unless(known, tokens), nan_unless(valid), nan_unless(known)

    def rescore(encoded, encoded_lengths, tokens, token_lengths):
        counted = in_range(token_lengths, 0, max_subwords)
        lengths, known_tokens, wrong, wrong_tokens = checked(encoded_lengths, tokens)
        scores = model.rescore(encoded, lengths, known_tokens, zero_unless(counted, token_lengths))
        within = tf.expand_dims(tf.range(max_subwords), 0) < tf.expand_dims(token_lengths, 1)
        wrong_tokens = tf.reduce_sum(tf.where(within, wrong_tokens, 0.0), axis=1)
        return {"log_probabilities": scores + wrong + wrong_tokens + nan_unless(counted)}

    def start(encoded, encoded_lengths):
        valid = in_range(encoded_lengths, 0, time)
        keys, values = model.decode_start(encoded, zero_unless(valid, encoded_lengths))
        return {"cross_keys": keys + nan_unless(valid), "cross_values": values}

    def step(tokens, position, keys, values, cross_keys, cross_values, encoded_lengths):
        reached = in_range(position, 0, max_subwords)
        lengths, known_tokens, wrong, wrong_tokens = checked(encoded_lengths, tokens)
        log_probabilities, own = model.decode_step(
            known_tokens, zero_unless(reached, position), (keys, values), (cross_keys, cross_values), lengths
        )
        wrong = tf.expand_dims(wrong_tokens + wrong + nan_unless(reached), 1)
        return {"log_probabilities": log_probabilities + wrong, "keys": own[0], "values": own[1]}

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
        Signature("decode_start", START, start, (encoded_spec, lengths_spec), reads=reads),
        Signature("decode_step", STEP, step, step_inputs, reads=reads),
    ]
