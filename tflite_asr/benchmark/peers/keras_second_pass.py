"""The second pass of `english` as a TensorFlow user writes it: the frozen encoder below, transformer layers with rotary
positions, a decoder over subwords.

Imported only where TensorFlow is what is measured. Rows are taken to be of full length.
"""

import numpy as np
import tensorflow as tf
import tf_keras as keras

from tflite_asr.benchmark.peers.keras_layers import dense, given, layer_norm
from tflite_asr.benchmark.peers.work import Weights, rotary_angles
from tflite_asr.config import DecoderConfig, ModelConfig
from tflite_asr.config.heads import required


class Rotary(tf.Module):
    """Rotary positions: neighbouring dimensions are a pair, the first `rotary` ones turn."""

    def __init__(self, steps: int, rotary: int):
        super().__init__()
        self.rotary = rotary
        angles = rotary_angles(steps, rotary)
        self.cosine, self.sine = np.cos(angles), np.sin(angles)

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """[batch, heads, steps, size] -> the same shape."""
        turning, rest = tf.split(x, [self.rotary, x.shape[-1] - self.rotary], axis=-1)
        even, odd = tf.unstack(tf.reshape(turning, [*x.shape[:-1], self.rotary // 2, 2]), axis=-1)
        turned = tf.stack([even * self.cosine - odd * self.sine, odd * self.cosine + even * self.sine], axis=-1)
        return tf.concat([tf.reshape(turned, turning.shape), rest], axis=-1)


class Attention(tf.Module):
    """A residual branch: layer normalisation, then multi-head attention within x, or to another sequence."""

    def __init__(self, weights: Weights, heads: int, rotary: Rotary | None = None, causal: bool = False):
        super().__init__()
        self.heads, self.rotary, self.causal = heads, rotary, causal
        self.norm = layer_norm(weights["gain"])
        self.query, self.key, self.value, self.outer = (
            dense(weights[f"{name}_kernel"]) for name in ("query", "key", "value", "outer")
        )

    def __call__(self, x: tf.Tensor, source: tf.Tensor | None = None) -> tf.Tensor:
        """x [batch, steps, units], source [batch, time, units] or None for x itself -> the shape of x."""
        x = self.norm(x)
        source = x if source is None else source
        query, key, value = map(self._by_head, (self.query(x), self.key(source), self.value(source)))
        if self.rotary is not None:
            query, key = self.rotary(query), self.rotary(key)
        scores = tf.matmul(query, key, transpose_b=True) * query.shape[-1] ** -0.5
        if self.causal:
            steps = x.shape[1]
            scores += np.where(np.tri(steps, dtype=bool), 0.0, -1e9).astype(np.float32)
        attended = tf.transpose(tf.matmul(tf.nn.softmax(scores), value), [0, 2, 1, 3])
        return self.outer(tf.reshape(attended, x.shape))

    def _by_head(self, x: tf.Tensor) -> tf.Tensor:
        """[batch, steps, units] -> [batch, heads, steps, size]."""
        batch, steps, units = x.shape
        return tf.transpose(tf.reshape(x, [batch, steps, self.heads, units // self.heads]), [0, 2, 1, 3])


class FeedForward(tf.Module):
    """A residual branch: layer normalisation, dense, gelu or a gate of silu, dense."""

    def __init__(self, weights: Weights, gated: bool = False):
        super().__init__()
        self.gated = gated
        self.norm = layer_norm(weights["gain"])
        self.inner = dense(weights["inner_kernel"], weights["inner_bias"])
        self.outer = dense(weights["outer_kernel"], weights["outer_bias"])

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """[batch, steps, units] -> the same shape."""
        x = self.inner(self.norm(x))
        if self.gated:
            values, gates = tf.split(x, 2, axis=-1)
            return self.outer(values * tf.nn.silu(gates))
        return self.outer(tf.nn.gelu(x))


class EncoderLayer(tf.Module):
    """A transformer encoder layer; the last one normalises its output."""

    def __init__(self, weights: Weights, heads: int, rotary: Rotary):
        super().__init__()
        self.attention = Attention(weights.at("attention"), heads, rotary)
        self.feed_forward = FeedForward(weights.at("feed_forward"))
        self.norm = layer_norm(weights["gain"]) if "gain" in weights else tf.identity

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """[batch, time, units] -> the same shape."""
        x += self.attention(x)
        x += self.feed_forward(x)
        return self.norm(x)


class DecoderLayer(tf.Module):
    """A transformer decoder layer."""

    def __init__(self, weights: Weights, heads: int, rotary: Rotary):
        super().__init__()
        self.self_attention = Attention(weights.at("self_attention"), heads, rotary, causal=True)
        self.cross_attention = Attention(weights.at("cross_attention"), heads)
        self.feed_forward = FeedForward(weights.at("feed_forward"), gated=True)

    def __call__(self, x: tf.Tensor, encoded: tf.Tensor) -> tf.Tensor:
        """x [batch, steps, units], encoded [batch, time, units] -> the shape of x."""
        x += self.self_attention(x)
        x += self.cross_attention(x, encoded)
        return x + self.feed_forward(x)


class Decoder(tf.Module):
    """The decoder; its embedding is also the output layer."""

    def __init__(self, config: DecoderConfig, weights: Weights, labels: int):
        super().__init__()
        self.start, self.end = config.start, config.end
        rotary = Rotary(labels + 1, config.rotary)
        embedding = weights["embedding"]
        self.embedding = given(keras.layers.Embedding(*embedding.shape), [], embedding)
        self.layers = [
            DecoderLayer(weights.at(f"layer_{index}"), config.heads, rotary) for index in range(config.layers)
        ]
        self.norm = layer_norm(weights["gain"])

    def loss(self, encoded: tf.Tensor, tokens: tf.Tensor) -> tf.Tensor:
        """encoded [batch, time, units], tokens [batch, U] -> cross entropy of tokens and end, [batch]."""
        x = self.embedding(tf.pad(tokens, [[0, 0], [1, 0]], constant_values=self.start))
        for layer in self.layers:
            x = layer(x, encoded)
        logits = tf.matmul(self.norm(x), self.embedding.embeddings, transpose_b=True)
        targets = tf.pad(tokens, [[0, 0], [0, 1]], constant_values=self.end)
        return tf.reduce_sum(tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits), axis=1)


class KerasSecondPass(tf.Module):
    """The shared encoder layers, the second pass's own, and the decoder. Gains and biases of the latter two train."""

    def __init__(self, config: ModelConfig, weights: Weights):
        super().__init__()
        encoder, decoder = config.encoder, required(config.decoder, "decoder")
        if encoder.kind != "transformer":
            raise ValueError(f"expected a transformer encoder below a decoder, got {encoder.kind}")
        rotary = Rotary(config.sizes.max_frames, encoder.rotary)
        own = decoder.encoder_layers

        def layers(name: str, count: int) -> list[EncoderLayer]:
            groups = [weights.at(f"{name}_{index}") for index in range(count)]
            return [EncoderLayer(group, encoder.heads, rotary) for group in groups]

        self.shared = layers("encoder", encoder.layers - own)
        self.own = layers("decoder_encoder", own)
        self.decoder = Decoder(decoder, weights.at("decoder"), config.max_labels)
        weights.check(sum(variable.shape.num_elements() for variable in self.trained))

    @property
    def trained(self) -> list[tf.Variable]:
        """The variables that train."""
        parts = (*self.own, self.decoder)
        return [variable for part in parts for variable in part.trainable_variables if variable.shape.rank == 1]

    def loss(self, frames: tf.Tensor, tokens: tf.Tensor) -> tf.Tensor:
        """frames [batch, time, units], tokens [batch, U] -> mean over the batch []."""
        x = frames
        for layer in (*self.shared, *self.own):
            x = layer(x)
        return tf.reduce_mean(self.decoder.loss(x, tokens))
