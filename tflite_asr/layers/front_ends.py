"""Front ends: samples to frames, the output of the signature `features` and the input of the first layer group."""

from typing import Any

import tensorflow as tf
import tf_keras as keras

from tflite_asr.config import FeatureConfig, StemConfig
from tflite_asr.ops.elementary import length_mask
from tflite_asr.ops.log_mel import log_mel
from tflite_asr.ops.product import product

EPSILON = 1e-5  # floor of the group normalisation's variance


class LogMel(keras.layers.Layer):
    """Log-mel frames, without weights."""

    counts_samples = False  # a frame depends on its own samples alone
    makes = "log-mel frames"

    def __init__(self, config: FeatureConfig, **kwargs: Any):
        super().__init__(**kwargs)
        self.config = config

    def call(self, samples: tf.Tensor, counts: tf.Tensor | None = None) -> tf.Tensor:
        """samples [batch, n] float32 -> log-mel frames [batch, frames, mel_bands]."""
        return log_mel(samples, self.config)


class WaveformStem(keras.layers.Layer):
    """Three convolutions on the samples (Jeffries et al. 2024, arXiv 2410.15608, section 3): tanh and group
    normalisation behind the first, gelu behind the others. Written as products, which TFLite computes as fast and
    stores as int8.
    """

    makes = "frames of a waveform stem"
    counts_samples = True  # the normalisation's statistics are those of the whole utterance

    def __init__(self, config: StemConfig, **kwargs: Any):
        super().__init__(**kwargs)
        self.config = config

    def build(self, input_shape: tf.TensorShape) -> None:
        """Create the weights."""
        units = self.config.units
        self.gain = self.add_weight("gain", [units], initializer="ones")
        self.shift = self.add_weight("shift", [units], initializer="zeros")
        self.kernels = [
            self.add_weight(f"conv_{index}_kernel", shape, initializer="glorot_uniform")
            for index, shape in ((1, [127, units]), (2, [7 * units, 2 * units]), (3, [3 * 2 * units, units]))
        ]
        self.biases = [
            self.add_weight(f"conv_{index}_bias", [size], initializer="zeros")
            for index, size in ((2, 2 * units), (3, units))
        ]
        super().build(input_shape)

    def call(self, samples: tf.Tensor, counts: tf.Tensor) -> tf.Tensor:
        """Frames of utterances, each as if it stood alone.

        Args:
            samples: [batch, n] float32 in [-1, 1]; zeros past the counts.
            counts: [batch] int32, samples of each row.

        Returns:
            [batch, frames, units] float32, `StemConfig.frames_of(n)` frames; those past a row's own are of no use.
        """
        x = tf.tanh(product(windows(tf.expand_dims(samples, 2), 127, 64), self.kernels[0]))
        x = self._normalized(x, tf.maximum(0, (counts - 127) // 64 + 1))
        x = tf.nn.gelu(product(windows(x, 7, 3), self.kernels[1]) + self.biases[0], approximate=False)
        return tf.nn.gelu(product(windows(x, 3, 2), self.kernels[2]) + self.biases[1], approximate=False)

    def _normalized(self, x: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        """Group normalisation with one group (Wu and He 2018): mean and variance over the valid steps and
        all channels.
        """
        mask = tf.expand_dims(tf.cast(length_mask(lengths, x.shape[1]), tf.float32), 2)
        values = tf.reshape(tf.cast(tf.maximum(lengths, 1), tf.float32) * x.shape[2], [-1, 1, 1])
        centered = x - tf.reduce_sum(x * mask, axis=[1, 2], keepdims=True) / values
        variance = tf.reduce_sum(tf.square(centered * mask), axis=[1, 2], keepdims=True) / values
        return centered * tf.math.rsqrt(variance + EPSILON) * self.gain + self.shift


def windows(x: tf.Tensor, size: int, stride: int) -> tf.Tensor:
    """The windows that a convolution without padding multiplies its kernel with.

    Args:
        x: [batch, steps, channels] float32.
        size: steps of the kernel.
        stride: steps from one window to the next, at most `size`.

    Returns:
        [batch, (steps - size) // stride + 1, size channels], tap by tap.
    """
    batch, steps, channels = x.shape
    count, spans = (steps - size) // stride + 1, -(-size // stride)
    rows = count - 1 + spans  # of `stride` steps each, of which a window takes `spans`, the last one perhaps in part
    x = tf.pad(x, [[0, 0], [0, max(0, rows * stride - steps)], [0, 0]])
    x = tf.reshape(tf.slice(x, [0, 0, 0], [-1, rows * stride, -1]), [batch, rows, stride * channels])
    widths = [min(stride, size - span * stride) * channels for span in range(spans)]
    return tf.concat([tf.slice(x, [0, span, 0], [batch, count, width]) for span, width in enumerate(widths)], axis=2)


def make_front_end(config: FeatureConfig | StemConfig) -> LogMel | WaveformStem:
    """The front end that a configuration describes, named `stem` where it has weights."""
    return WaveformStem(config, name="stem") if config.kind == "stem" else LogMel(config, name="log_mel")
