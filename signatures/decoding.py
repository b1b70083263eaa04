"""Signatures of a second pass that rescores and decodes by itself: `rescore`; `decode_start` once an utterance,
`decode_step` for each token.
"""

from dataclasses import dataclass
from typing import Protocol

import tensorflow as tf

from signatures.rescore import DOES as RESCORE
from signatures.spec import LayerGroup, Signature, in_range, nan_unless, zero_unless

START = "second pass: keys and values of the encoder's output, once an utterance, for `decode_step`"
STEP = (
    "second pass: log probabilities of the next subword after each hypothesis, and this subword's keys and values; NaN "
    "for tokens, positions or lengths out of range"
)


class DecodingModel(Protocol):
    """A model whose second pass decodes; shapes as in `tflite_asr.models.attention`."""

    decoder: LayerGroup

    def encode(self, frames: tf.Tensor, lengths: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Frames [1, time, width] and lengths [1] -> the encoder's output [1, steps, units], and more."""
        ...

    def decode_start(self, encoded: tf.Tensor, lengths: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Keys and values of the encoder's output, for `decode_step`."""
        ...

    def decode_step(
        self,
        tokens: tf.Tensor,
        position: tf.Tensor,
        cache: tuple[tf.Tensor, tf.Tensor],
        cross: tuple[tf.Tensor, tf.Tensor],
        lengths: tf.Tensor,
    ) -> tuple[tf.Tensor, tuple[tf.Tensor, tf.Tensor]]:
        """Log probabilities [n, vocabulary] of the next subword, and this subword's keys and values."""
        ...

    def rescore(
        self, encoded: tf.Tensor, lengths: tf.Tensor, subwords: tf.Tensor, subword_lengths: tf.Tensor
    ) -> tf.Tensor:
        """Log probability [n] of each hypothesis with its end."""
        ...


class DecoderSizes(Protocol):
    """The sizes of a decoder, which its configuration has."""

    @property
    def vocabulary_size(self) -> int:
        """The number of subwords."""
        ...

    @property
    def layers(self) -> int:
        """The number of layers."""
        ...

    @property
    def heads(self) -> int:
        """Attention heads of a layer."""
        ...

    @property
    def units(self) -> int:
        """The width of a layer."""
        ...


def decoding_signatures(
    model: DecodingModel, sizes: DecoderSizes, *, frame_width: int, max_frames: int, max_subwords: int, hypotheses: int
) -> list[Signature]:
    """`rescore`, `decode_start` and `decode_step`, of one utterance at a time.

    The host keeps the cache of keys and values [layers, hypotheses, heads, max_subwords, units / heads]. A step reads
    those before `position` and returns those of its own token, for the host to write there.
    """
    encoded = model.encode(tf.zeros([1, max_frames, frame_width]), tf.zeros([1], tf.int32))[0].shape
    functions = _Functions(model, encoded[1], sizes.vocabulary_size, max_subwords)
    encoder_specs = (
        tf.TensorSpec(encoded, tf.float32, "encoded"),
        tf.TensorSpec([1], tf.int32, "encoded_lengths"),
    )
    rescore_specs = (
        *encoder_specs,
        tf.TensorSpec([hypotheses, max_subwords], tf.int32, "tokens"),
        tf.TensorSpec([hypotheses], tf.int32, "token_lengths"),
    )
    step_specs = (
        tf.TensorSpec([hypotheses], tf.int32, "tokens"),
        tf.TensorSpec([1], tf.int32, "position"),
        *_cache_specs(sizes, hypotheses, max_subwords),
        *_cache_specs(sizes, 1, encoded[1], "cross_"),
        encoder_specs[1],
    )
    reads = (model.decoder.name,)
    return [
        Signature("rescore", RESCORE, functions.rescore, rescore_specs, reads=reads),
        Signature("decode_start", START, functions.start, encoder_specs, reads=reads),
        Signature("decode_step", STEP, functions.step, step_specs, reads=reads),
    ]


def _cache_specs(sizes: DecoderSizes, rows: int, length: int, prefix: str = "") -> tuple[tf.TensorSpec, ...]:
    """Keys and values [layers, rows, heads, length, units / heads]."""
    shape = [sizes.layers, rows, sizes.heads, length, sizes.units // sizes.heads]
    return tuple(tf.TensorSpec(shape, tf.float32, f"{prefix}{name}") for name in ("keys", "values"))


@dataclass(frozen=True)
class _Functions:
    """The functions of the signatures; an input out of range makes its outputs NaN."""

    model: DecodingModel
    encoded_steps: int
    vocabulary_size: int
    max_subwords: int

    def rescore(self, encoded: tf.Tensor, encoded_lengths: tf.Tensor, tokens: tf.Tensor, token_lengths: tf.Tensor):
        """Log probability of each hypothesis [hypotheses]."""
        counted = in_range(token_lengths, 0, self.max_subwords)
        lengths, known_tokens, wrong, wrong_tokens = self._checked(encoded_lengths, tokens)
        scores = self.model.rescore(encoded, lengths, known_tokens, zero_unless(counted, token_lengths))
        within = tf.expand_dims(tf.range(self.max_subwords), 0) < tf.expand_dims(token_lengths, 1)
        wrong_tokens = tf.reduce_sum(tf.where(within, wrong_tokens, 0.0), axis=1)
        return {"log_probabilities": scores + wrong + wrong_tokens + nan_unless(counted)}

    def start(self, encoded: tf.Tensor, encoded_lengths: tf.Tensor):
        """Keys and values of the encoder's output."""
        valid = in_range(encoded_lengths, 0, self.encoded_steps)
        keys, values = self.model.decode_start(encoded, zero_unless(valid, encoded_lengths))
        return {"cross_keys": keys + nan_unless(valid), "cross_values": values}

    def step(
        self,
        tokens: tf.Tensor,
        position: tf.Tensor,
        keys,
        values,
        cross_keys: tf.Tensor,
        cross_values: tf.Tensor,
        encoded_lengths: tf.Tensor,
    ):
        """Log probabilities of the next subword [hypotheses, vocabulary], keys and values of this one."""
        reached = in_range(position, 0, self.max_subwords)
        lengths, known_tokens, wrong, wrong_tokens = self._checked(encoded_lengths, tokens)
        log_probabilities, own = self.model.decode_step(
            known_tokens, zero_unless(reached, position), (keys, values), (cross_keys, cross_values), lengths
        )
        wrong = tf.expand_dims(wrong_tokens + wrong + nan_unless(reached), 1)
        return {"log_probabilities": log_probabilities + wrong, "keys": own[0], "values": own[1]}

    def _checked(self, encoded_lengths, tokens):
        """Both with 0 for values out of range, and for each a term to add to scores: 0, or NaN for such values."""
        valid = in_range(encoded_lengths, 0, self.encoded_steps)
        known = in_range(tokens, 0, self.vocabulary_size - 1)
        return zero_unless(valid, encoded_lengths), zero_unless(known, tokens), nan_unless(valid), nan_unless(known)
