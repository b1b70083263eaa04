"""Log-mel features in the graph, from builtin ops only, so that phone and desktop compute the same numbers.

The Fourier transform is a matrix product with the windowed DFT, restricted to the bins that the mel bands
use. It is faster in TFLite than RFFT2D and runs on every runtime. Folded at the window's middle, the matrices are half
as large, which a small int8 model's file shows.
"""

import numpy as np
import tensorflow as tf

from tflite_asr.config import FeatureConfig


def mel_filters(config: FeatureConfig) -> np.ndarray:
    """[bins, mel_bands] float32 triangular filters, Slaney's scale and area normalisation (as librosa's)."""

    def to_mel(hz):
        hz = np.asarray(hz, np.float64)
        return np.where(hz < 1000.0, hz * 3 / 200, 15 + np.log(np.maximum(hz, 1e-9) / 1000) / (np.log(6.4) / 27))

    def to_hz(mel):
        return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * (np.log(6.4) / 27)))

    edges = to_hz(np.linspace(to_mel(config.min_hz), to_mel(config.max_hz), config.mel_bands + 2))
    bins = np.arange(config.fft_size // 2 + 1) * config.sample_rate / config.fft_size
    rising = (bins[:, None] - edges[None, :-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[None, 2:] - bins[:, None]) / (edges[2:] - edges[1:-1])
    triangles = np.maximum(0.0, np.minimum(rising, falling)) * (2.0 / (edges[2:] - edges[:-2]))
    return triangles.astype(np.float32)


def log_mel_matrices(config: FeatureConfig) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Matrices that compute mel powers of a frame that is folded at its middle, for the bins of the mel bands.

    A Hann window begins with 0 and is symmetric around the middle of the rest. With the phases counted from there,
    which leaves the power as it is, a bin's real part sees only what is even around the middle, its imaginary part what
    is odd.

    Returns:
        cosines [pairs + 1, bins] float32, of the sums of the samples left and right of the middle, nearest last, and
        for an even window the middle; sines [pairs, bins], of their differences; filters [bins, mel_bands].
    """
    filters, window = mel_filters(config), config.window_samples
    used = np.flatnonzero(filters.any(axis=1))
    bins = np.arange(used[0], used[-1] + 1)
    positions = np.arange(1, window // 2 + 1)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * positions / window)
    angles = 2 * np.pi * np.outer(window / 2 - positions, bins) / config.fft_size
    pairs = _pairs(window)
    cosines, sines = np.cos(angles) * hann[:, None], (np.sin(angles) * hann[:, None])[:pairs]
    return cosines.astype(np.float32), sines.astype(np.float32), filters[bins]


def _pairs(window: int) -> int:
    """Pairs of samples at one distance from the middle of a window that begins with 0."""
    return (window - 1) // 2


def _power(framed: tf.Tensor, cosines: np.ndarray, sines: np.ndarray) -> tf.Tensor:
    """[rows, window] -> power of the windowed DFT [rows, bins]."""
    window, pairs = framed.shape[1], _pairs(framed.shape[1])
    before = tf.slice(framed, [0, 1], [-1, pairs])
    after = tf.reverse(tf.slice(framed, [0, window - pairs], [-1, pairs]), [1])
    even = before + after
    if window % 2 == 0:
        even = tf.concat([even, tf.slice(framed, [0, window // 2], [-1, 1])], axis=1)
    real, imaginary = tf.matmul(even, tf.constant(cosines)), tf.matmul(after - before, tf.constant(sines))
    return real * real + imaginary * imaginary


def log_mel(samples: tf.Tensor, config: FeatureConfig) -> tf.Tensor:
    """Log-mel frames of PCM samples: normalised log(max(mel power, floor)).

    Args:
        samples: [batch, n] float32 in [-1, 1]; n = window + (frames - 1) * hop.
        config: sizes, bands and the normalisation.

    Returns:
        [batch, frames, mel_bands] float32. Frame t covers samples [t hop, t hop + window): nothing is padded, so
        frames computed by chunks are the frames of the whole.
    """
    window, hop = config.window_samples, config.hop_samples
    batch, n = samples.shape
    if n < window or (n - window) % hop:
        raise ValueError(f"log_mel: expected window + k hop = {window} + k {hop} samples, got {n}")
    frames = (n - window) // hop + 1
    cosines, sines, filters = log_mel_matrices(config)

    spans = -(-window // hop)  # a frame is made of this many hops, the last one perhaps in part
    padded = tf.pad(samples, [[0, 0], [0, (frames - 1 + spans) * hop - n]])
    hops = tf.reshape(padded, [batch, frames - 1 + spans, hop])
    pieces = [tf.slice(hops, [0, k, 0], [batch, frames, min(hop, window - k * hop)]) for k in range(spans)]
    framed = tf.reshape(tf.concat(pieces, axis=2), [batch * frames, window])
    mel = tf.matmul(_power(framed, cosines, sines), tf.constant(filters))
    log = tf.math.log(tf.maximum(mel, config.log_floor))
    return tf.reshape((log - config.mean) / config.deviation, [batch, frames, config.mel_bands])
