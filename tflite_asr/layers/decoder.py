"""The second pass of a CTC encoder: a transformer decoder over subwords (Vaswani et al. 2017, section 3; gated and with
rotary positions as in Jeffries et al. 2024, arXiv 2410.15608).
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import tensorflow as tf
import tf_keras as keras

from tflite_asr.config import DecoderConfig
from tflite_asr.layers.transformer import Attention, FeedForward, RotaryAttention
from tflite_asr.ops.attention import MASKED, cross_attention, padding_bias
from tflite_asr.ops.elementary import layer_norm, length_mask, softmax, with_end, zero_padding
from tflite_asr.ops.gradients import WithGradient
from tflite_asr.ops.linear_cross_entropy import linear_cross_entropy
from tflite_asr.ops.product import product, saved_product
from tflite_asr.ops.rotary import rotate


class Cache(NamedTuple):
    """Keys and values, side by side for all layers."""

    keys: tf.Tensor  # [layers, rows, heads, steps, size] float32
    values: tf.Tensor  # the same shape


class CrossAttention(Attention):
    """Attention from a sequence of labels to the encoder's output."""

    def call(self, x: tf.Tensor, encoded: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        """x [batch n, U, units], n sequences for each row of encoded [batch, time, units] with lengths [batch] ->
        [batch n, U, units]."""
        query = saved_product(layer_norm(x, self.gain), self.query)
        query = tf.reshape(query, [encoded.shape[0], -1, self.units])
        attended = cross_attention(query, *self.keys_and_values(encoded), lengths, self.heads)
        return saved_product(tf.reshape(attended, x.shape), self.outer)

    def keys_and_values(self, encoded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Keys and values of the encoder's output: [batch, time, units] each."""
        return saved_product(encoded, self.key), saved_product(encoded, self.value)


class DecoderLayer(keras.layers.Layer):
    """Causal self-attention, attention to the encoder's output, gated feed forward; each is added to its input."""

    def __init__(self, config: DecoderConfig, **kwargs: Any):
        super().__init__(**kwargs)
        units, heads = config.units, config.heads
        self.self_attention = RotaryAttention(units, heads, config.rotary, causal=True, name="self_attention")
        self.cross_attention = CrossAttention(units, heads, name="cross_attention")
        self.feed_forward = FeedForward(units, config.feed_forward, gated=True, name="feed_forward")

    def call(self, x: tf.Tensor, x_lengths: tf.Tensor, encoded: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        """x [batch n, U, units] with x_lengths [batch n], n sequences for each row of encoded [batch, time, units] with
        lengths [batch] -> [batch n, U, units]."""
        x += self.self_attention(x, x_lengths)
        x += self.cross_attention(x, encoded, lengths)
        return x + self.feed_forward(x)


class Decoder(keras.layers.Layer):
    """The decoder: subwords and the encoder's output in, the next subword out. The embedding is also the output layer
    (Press and Wolf 2017, arXiv 1608.05859).
    """

    def __init__(self, config: DecoderConfig, **kwargs: Any):
        super().__init__(**kwargs)
        self.config = config
        self.layers = [DecoderLayer(config, name=f"layer_{index}") for index in range(config.layers)]

    def build(self, input_shape: tf.TensorShape) -> None:
        """Create the weights."""
        shape = [self.config.vocabulary_size, self.config.units]
        self.embedding = self.add_weight(
            "embedding", shape, initializer=keras.initializers.RandomNormal(stddev=shape[1] ** -0.5)
        )
        self.gain = self.add_weight("gain", [self.config.units], initializer="ones")
        super().build(input_shape)

    def call(self, encoded: tf.Tensor, lengths: tf.Tensor, tokens: tf.Tensor, token_lengths: tf.Tensor) -> tf.Tensor:
        """Logits of the next token of given sequences (teacher forcing).

        Args:
            encoded: [batch, time, units] float32, lengths: [batch] int32, of the encoder.
            tokens: [batch n, U] int32, n sequences for each row of the encoder; token_lengths: [batch n] int32.

        Returns:
            [batch n, U+1, vocabulary], after the start and 0, 1, ... U tokens.
        """
        return self.logits(self._outputs(encoded, lengths, tokens, token_lengths))

    def cross_entropy(
        self, encoded: tf.Tensor, lengths: tf.Tensor, tokens: tf.Tensor, token_lengths: tf.Tensor
    ) -> tf.Tensor:
        """-log P(tokens, end | utterance) of given sequences: [batch n] float32, in nats; arguments as of `call`. The
        logits of all subwords are never in memory at once, see `linear_cross_entropy`.
        """
        outputs = layer_norm(self._outputs(encoded, lengths, tokens, token_lengths), self.gain)
        rows, width = outputs.shape[:2]
        valid = length_mask(token_lengths + 1, width)
        outputs = tf.where(tf.expand_dims(valid, 2), outputs, tf.zeros_like(outputs))
        targets = with_end(tokens, token_lengths, self.config.end)
        flat = tf.reshape(outputs, [rows * width, self.config.units])
        losses = linear_cross_entropy(flat, self.embedding, tf.reshape(targets, [-1]))
        losses = tf.reshape(losses, [rows, width])
        return tf.reduce_sum(tf.where(valid, losses, tf.zeros_like(losses)), axis=1)

    def _outputs(
        self, encoded: tf.Tensor, lengths: tf.Tensor, tokens: tf.Tensor, token_lengths: tf.Tensor
    ) -> tf.Tensor:
        """Output of the last layer, [batch n, U+1, units]; arguments as of `call`."""
        started = tf.concat([tf.fill([tokens.shape[0], 1], self.config.start), tokens], axis=1)
        counts = token_lengths + 1
        encoded = zero_padding(encoded, lengths)
        x = zero_padding(self.embed(started), counts)
        for layer in self.layers:
            x = layer(x, counts, encoded, lengths)
        return x

    def activation_elements(self, steps: int) -> int:
        """Values saved for backward, per utterance of `steps` subwords: those of each layer's branches, and the output.
        Those of cross-attention over the encoder's steps are not counted.
        """
        attention = 2 * 6 * self.config.units
        feed_forward = 2 * self.config.units + 3 * self.config.feed_forward
        return steps * (self.config.layers * (attention + feed_forward) + self.config.units)

    def embed(self, tokens: tf.Tensor) -> tf.Tensor:
        """tokens [batch, U] int32 -> [batch, U, units]; by a product where the embedding is to have a gradient."""
        return _lookup(self.embedding, tokens)

    def logits(self, x: tf.Tensor) -> tf.Tensor:
        """[..., units] -> [..., vocabulary]."""
        return product_transposed(layer_norm(x, self.gain), self.embedding)

    def start(self, encoded: tf.Tensor, lengths: tf.Tensor) -> Cache:
        """Keys and values of the encoder's output [1, time, units], lengths [1], for all layers, with one row."""
        encoded = zero_padding(encoded, lengths)
        layers = [self._by_head(layer.cross_attention.keys_and_values(encoded)) for layer in self.layers]
        return Cache(*(tf.stack(tensors) for tensors in zip(*layers)))

    def step(
        self, tokens: tf.Tensor, position: tf.Tensor, cache: Cache, cross: Cache, lengths: tf.Tensor
    ) -> tuple[tf.Tensor, Cache]:
        """One token on, for each of several hypotheses of one utterance.

        Args:
            tokens: [n] int32, the last token of each; `config.start` at first.
            position: [1] int32, its number, from 0.
            cache: of the tokens before, [layers, n, heads, steps, size]; ignored from `position` on.
            cross: as `start` gives it.
            lengths: [1] int32, steps of the encoder's output.

        Returns:
            logits [n, vocabulary], and keys and values of this token [layers, n, heads, 1, size].
        """
        x = self.embed(tf.expand_dims(tokens, 1))
        steps = cache.keys.shape[3]
        # of the cache the tokens before this one, and this one itself, which stands behind them
        before = tf.where(tf.range(steps) < position, 0.0, MASKED)
        bias = tf.reshape(tf.concat([before, [0.0]], axis=0), [1, 1, 1, steps + 1])
        positions = tf.cast(position, tf.float32)
        own = []
        for index, layer in enumerate(self.layers):
            attention = layer.self_attention
            normalized = layer_norm(x, attention.gain)
            key, value = self._by_head((product(normalized, attention.key), product(normalized, attention.value)))
            key = rotate(key, positions, self.config.rotary)
            query = rotate(self._heads(product(normalized, attention.query)), positions, self.config.rotary)
            own.append((key, value))
            keys = tf.concat([_layer(cache.keys, index), key], axis=2)
            values = tf.concat([_layer(cache.values, index), value], axis=2)
            x += product(self._attend(query, keys, values, bias), attention.outer)
            attention = layer.cross_attention
            query = self._heads(product(layer_norm(x, attention.gain), attention.query))
            # the hypotheses as queries of one row: they share the encoder's keys
            query = tf.transpose(query, [2, 1, 0, 3])
            attended = self._attend(
                query,
                _layer(cross.keys, index),
                _layer(cross.values, index),
                padding_bias(lengths, cross.keys.shape[3]),
            )
            x += product(tf.transpose(attended, [1, 0, 2]), attention.outer)
            x += layer.feed_forward(x)
        keys, values = (tf.stack(tensors) for tensors in zip(*own))
        return self.logits(tf.squeeze(x, 1)), Cache(keys, values)

    def _by_head(self, tensors: Iterable[tf.Tensor]) -> tuple[tf.Tensor, ...]:
        return tuple(self._heads(tensor) for tensor in tensors)

    def _heads(self, x: tf.Tensor) -> tf.Tensor:
        """[rows, steps, units] -> [rows, heads, steps, size]."""
        rows, steps, units = x.shape
        heads = self.config.heads
        return tf.transpose(tf.reshape(x, [rows, steps, heads, units // heads]), [0, 2, 1, 3])

    def _attend(self, query: tf.Tensor, keys: tf.Tensor, values: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
        """[rows, heads, queries, size] -> [rows, queries, units]."""
        rows, _, queries, size = query.shape
        weights = softmax(tf.matmul(query * size**-0.5, keys, transpose_b=True) + bias)
        attended = tf.transpose(tf.matmul(weights, values), [0, 2, 1, 3])
        return tf.reshape(attended, [rows, queries, self.config.units])


def _layer(tensor: tf.Tensor, index: int) -> tf.Tensor:
    """One layer of [layers, ...]."""
    return tf.squeeze(
        tf.slice(tensor, [index, *[0] * (tensor.shape.rank - 1)], [1, *[-1] * (tensor.shape.rank - 1)]), 0
    )


@tf.custom_gradient
def _lookup(embedding: tf.Tensor, tokens: tf.Tensor) -> WithGradient:
    """Rows of the embedding [vocabulary, units] by tokens [batch, U]; `gather` has no gradient in TFLite, a product
    with one-hot tokens has.
    """

    def gradient(dy):
        one_hot = tf.one_hot(tf.reshape(tokens, [-1]), embedding.shape[0])
        return tf.matmul(one_hot, tf.reshape(dy, [-1, dy.shape[-1]]), transpose_a=True), None

    return tf.gather(embedding, tokens), gradient


@tf.custom_gradient
def product_transposed(x: tf.Tensor, kernel: tf.Tensor) -> WithGradient:
    """x kernel^T: [..., d] times [e, d] -> [..., e], for a kernel that is also read by rows."""
    rows = tf.reshape(x, [1, -1, x.shape[-1]])
    y = tf.raw_ops.BatchMatMulV2(x=rows, y=kernel, adj_x=False, adj_y=True)

    def gradient(dy):
        flat = tf.reshape(dy, [-1, dy.shape[-1]])
        dx = tf.reshape(tf.matmul(flat, kernel), x.shape)
        return dx, tf.matmul(flat, tf.reshape(x, [-1, x.shape[-1]]), transpose_a=True)

    return tf.reshape(y, [*x.shape[:-1], kernel.shape[0]]), gradient
