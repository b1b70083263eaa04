"""The training step as a TensorFlow user writes it: Keras layers, TensorFlow's losses and gradients.

Imported only where TensorFlow is what is measured. Rows are taken to be of full length.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
import tf_keras as keras

from tflite_asr.benchmark.peers.keras_layers import dense, given, layer_norm
from tflite_asr.benchmark.peers.keras_second_pass import KerasSecondPass
from tflite_asr.benchmark.peers.work import CLIP_NORM, LEARNING_RATE, Weights, position_bias
from tflite_asr.config import ModelConfig


class LSTMCell(keras.layers.Layer):
    """One step, given its input's part of the gates [batch, 4 cells]; with a recurrent projection where
    there is one.
    """

    def __init__(self, recurrent_kernel: np.ndarray, projection: np.ndarray | None):
        super().__init__()
        units, cells = recurrent_kernel.shape[0], recurrent_kernel.shape[1] // 4
        self.state_size, self.output_size = [units, cells], units
        self.recurrent_kernel = tf.Variable(recurrent_kernel)
        self.projection = None if projection is None else tf.Variable(projection)

    def call(self, inputs: tf.Tensor, states: Sequence[tf.Tensor]) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Gates' inputs [batch, 4 cells] and (hidden, cell) -> hidden, [hidden, cell]."""
        hidden, cell = states
        i, f, candidate, o = tf.split(inputs + tf.matmul(hidden, self.recurrent_kernel), 4, axis=1)
        cell = tf.sigmoid(f) * cell + tf.sigmoid(i) * tf.tanh(candidate)
        hidden = tf.sigmoid(o) * tf.tanh(cell)
        if self.projection is not None:
            hidden = tf.matmul(hidden, self.projection)
        return hidden, [hidden, cell]


class LSTM(tf.Module):
    """The input's part of the gates for all steps at once, Keras's recurrence, layer normalisation."""

    def __init__(self, weights: Weights, unroll: bool):
        super().__init__()
        self.inner = dense(weights["kernel"], weights["bias"])
        projection = weights["projection"] if "projection" in weights else None  # noqa: SIM401
        cell = LSTMCell(weights["recurrent_kernel"], projection)
        self.recurrence = keras.layers.RNN(cell, return_sequences=True, unroll=unroll)
        self.norm = layer_norm(weights["gain"], weights["shift"])

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        return self.norm(self.recurrence(self.inner(x)))


class FeedForward(tf.Module):
    """A conformer's feed-forward module."""

    def __init__(self, weights: Weights):
        super().__init__()
        self.norm = layer_norm(weights["gain"], weights["shift"])
        self.inner = dense(weights["inner_kernel"], weights["inner_bias"])
        self.outer = dense(weights["outer_kernel"], weights["outer_bias"])

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        return self.outer(tf.nn.silu(self.inner(self.norm(x))))


class Attention(tf.Module):
    """A conformer's self-attention module."""

    def __init__(self, weights: Weights, heads: int):
        super().__init__()
        self.heads = heads
        self.norm = layer_norm(weights["gain"], weights["shift"])
        self.query, self.key, self.value, self.outer = (
            dense(weights[f"{name}_kernel"], weights[f"{name}_bias"]) for name in ("query", "key", "value", "outer")
        )

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        batch, time, width = x.shape

        def by_head(x: tf.Tensor) -> tf.Tensor:
            return tf.transpose(tf.reshape(x, [batch, time, self.heads, width // self.heads]), [0, 2, 1, 3])

        x = self.norm(x)
        query, key, value = (by_head(project(x)) for project in (self.query, self.key, self.value))
        scores = tf.matmul(query, key, transpose_b=True) * (width // self.heads) ** -0.5
        attended = tf.matmul(tf.nn.softmax(scores + position_bias(time, self.heads)), value)
        return self.outer(tf.reshape(tf.transpose(attended, [0, 2, 1, 3]), [batch, time, width]))


class Convolution(tf.Module):
    """A conformer's convolution module."""

    def __init__(self, weights: Weights):
        super().__init__()
        self.norm = layer_norm(weights["gain"], weights["shift"])
        self.inner = dense(weights["inner_kernel"], weights["inner_bias"])
        taps, units = weights["depthwise_kernel"].shape
        kernel = weights["depthwise_kernel"].reshape(taps, units, 1)
        # Keras annotates a number, and takes (left, right)
        self.pad = keras.layers.ZeroPadding1D((taps - 1, 0))  # pyright: ignore[reportArgumentType]
        self.depthwise = given(keras.layers.DepthwiseConv1D(taps), [None, units], kernel, weights["depthwise_bias"])
        self.middle = layer_norm(weights["middle_gain"], weights["middle_shift"])
        self.outer = dense(weights["outer_kernel"], weights["outer_bias"])

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        values, gates = tf.split(self.inner(self.norm(x)), 2, axis=-1)
        x = self.depthwise(self.pad(values * tf.sigmoid(gates)))
        return self.outer(tf.nn.silu(self.middle(x)))


class Conformer(tf.Module):
    """A conformer layer."""

    def __init__(self, weights: Weights, heads: int):
        super().__init__()
        self.inner = dense(weights["kernel"], weights["bias"]) if "kernel" in weights else tf.identity
        self.feed_forward_1 = FeedForward(weights.at("feed_forward_1"))
        self.attention = Attention(weights.at("attention"), heads)
        self.convolution = Convolution(weights.at("convolution"))
        self.feed_forward_2 = FeedForward(weights.at("feed_forward_2"))
        self.norm = layer_norm(weights["gain"], weights["shift"])

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        x = self.inner(x)
        x += 0.5 * self.feed_forward_1(x)
        x += self.attention(x)
        x += self.convolution(x)
        x += 0.5 * self.feed_forward_2(x)
        return self.norm(x)


def stacked(x: tf.Tensor, factor: int) -> tf.Tensor:
    """[batch, time, d] -> [batch, time // factor, factor d]."""
    batch, time, width = x.shape
    return tf.reshape(x[:, : time // factor * factor], [batch, time // factor, factor * width])


def transducer_loss(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """logits [batch, T, U+1, vocabulary], labels [batch, U] -> [batch]; equation 16 of Graves 2012, a row of U+1 at a
    time.

    Within a row alpha(t, u) = logsumexp over v <= u of (from row t-1 at v, then labels v+1 ... u), which a cumulative
    logsumexp does at once.
    """
    log_probabilities = tf.nn.log_softmax(logits)
    blank = tf.unstack(log_probabilities[..., 0], axis=1)
    time = logits.shape[1]
    index = tf.tile(labels[:, None, :, None], [1, time, 1, 1])
    label = tf.gather(log_probabilities[:, :, :-1], index, batch_dims=3)[..., 0]
    reached = tf.unstack(tf.pad(tf.cumsum(label, axis=2), [[0, 0], [0, 0], [1, 0]]), axis=1)
    alpha = reached[0]
    for t in range(1, time):
        alpha = tf.math.cumulative_logsumexp(alpha + blank[t - 1] - reached[t], axis=1) + reached[t]
    return -(alpha + blank[-1])[:, -1]


class KerasModel(tf.Module):
    """A recogniser of `config`; `loss` is that of its training."""

    def __init__(self, config: ModelConfig, weights: Weights, unroll: bool = False):
        super().__init__()
        self.config = config
        encoder, prediction = config.encoder, config.prediction
        groups = [weights.at(f"encoder_{index}") for index in range(encoder.layers)]
        if prediction is None:
            if encoder.kind != "conformer":
                raise ValueError(f"expected a conformer encoder below CTC, got {encoder.kind}")
            self.layers = [Conformer(group, encoder.heads) for group in groups]
            head = weights.at("ctc")
            self.output = dense(head["kernel"], head["bias"])
        else:
            self.layers = [LSTM(group, unroll) for group in groups]
            first, joint = weights.at("prediction"), weights.at("joint")
            embedding = first["embedding"]
            self.embedding = given(keras.layers.Embedding(*embedding.shape), [], embedding)
            above = [weights.at(f"prediction_{index}") for index in range(1, prediction.layers)]
            self.label_layers = [LSTM(group, unroll) for group in (first.at("recurrent"), *above)]
            self.join_encoder = dense(joint["encoder_kernel"])
            self.join_prediction = dense(joint["prediction_kernel"], joint["bias"])
            self.output = dense(joint["output_kernel"], joint["output_bias"])
        weights.check(sum(variable.shape.num_elements() for variable in self.trained))

    @property
    def trained(self) -> list[tf.Variable]:
        """The variables that train: all."""
        return list(self.trainable_variables)

    def loss(self, frames: tf.Tensor, tokens: tf.Tensor) -> tf.Tensor:
        """frames [batch, time, mel_bands], tokens [batch, U] -> mean over the batch []."""
        encoder = self.config.encoder
        x = stacked(frames, encoder.stack_frames)
        for index, layer in enumerate(self.layers):
            if encoder.kind == "lstm" and index == encoder.reduce_after:
                x = stacked(x, encoder.reduction)
            x = layer(x)
        if not self.config.is_transducer:
            return tf.reduce_mean(self._ctc_loss(self.output(x), tokens))
        y = self.embedding(tf.pad(tokens, [[0, 0], [1, 0]]))
        for layer in self.label_layers:
            y = layer(y)
        lattice = tf.tanh(self.join_encoder(x)[:, :, None] + self.join_prediction(y)[:, None])
        return tf.reduce_mean(transducer_loss(self.output(lattice), tokens))

    def _ctc_loss(self, logits: tf.Tensor, tokens: tf.Tensor) -> tf.Tensor:
        batch, time, _ = logits.shape
        lengths = tf.fill([batch], time), tf.fill([batch], tokens.shape[1])
        return tf.nn.ctc_loss(tokens, logits, lengths[1], lengths[0], logits_time_major=False, blank_index=0)


class KerasStep:
    """A whole training step: `step(frames, tokens)` updates the weights and returns the loss before that []."""

    def __init__(self, config: ModelConfig, weights: Weights, unroll: bool = False):
        """`unroll`: recurrences, where there are any."""
        second = config.trains_second_pass
        self.model = KerasSecondPass(config, weights) if second else KerasModel(config, weights, unroll)
        self.variables = self.model.trained
        self.optimizer = keras.optimizers.SGD(LEARNING_RATE, global_clipnorm=CLIP_NORM)
        self.optimizer.build(self.variables)

    def __call__(self, frames: tf.Tensor, tokens: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape(watch_accessed_variables=False) as tape:  # nothing is kept for what is frozen
            tape.watch(self.variables)
            loss = self.model.loss(frames, tokens)
        self.optimizer.apply_gradients(zip(tape.gradient(loss, self.variables), self.variables))
        return loss
