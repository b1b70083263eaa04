"""The waveform stem, against convolutions written as loops."""

from statistics import NormalDist

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from tflite_asr.config import FeatureConfig, StemConfig
from tflite_asr.layers.front_ends import make_front_end, windows

CONFIG = StemConfig(units=6)


@pytest.fixture(scope="module")
def stem():
    keras.utils.set_random_seed(5)
    stem = make_front_end(CONFIG)
    stem(tf.zeros([1, 895]), tf.constant([895]))
    random = np.random.default_rng(5)
    for weight in stem.weights:
        weight.assign_add(0.2 * random.standard_normal(weight.shape))
    return stem


def convolution(x, kernel, size, stride):
    rows = (len(x) - size) // stride + 1
    return np.asarray([x[t * stride : t * stride + size].reshape(-1) @ kernel for t in range(rows)])


def gelu(x):
    return x * np.vectorize(NormalDist().cdf)(x)


def frames_of(samples, stem):
    """Of one utterance without padding, in float64."""
    weights = {w.name.split("/")[-1].removesuffix(":0"): w.numpy().astype(np.float64) for w in stem.weights}
    x = np.tanh(convolution(samples[:, None].astype(np.float64), weights["conv_1_kernel"], 127, 64))
    x = (x - x.mean()) / np.sqrt(x.var() + 1e-5) * weights["gain"] + weights["shift"]
    x = gelu(convolution(x, weights["conv_2_kernel"], 7, 3) + weights["conv_2_bias"])
    return gelu(convolution(x, weights["conv_3_kernel"], 3, 2) + weights["conv_3_bias"])


def test_each_utterance_of_a_batch_is_as_if_it_stood_alone(stem):
    random = np.random.default_rng(6)
    counts = [895, 3000, 2048]
    samples = np.zeros([3, 3000], np.float32)
    for row, count in enumerate(counts):
        samples[row, :count] = random.uniform(-1, 1, count)
    found = stem(tf.constant(samples), tf.constant(counts)).numpy()
    for row, count in enumerate(counts):
        expected = frames_of(samples[row, :count], stem)
        assert len(expected) == CONFIG.frames_of(count)
        # float32 through three products of some tens to some hundreds of terms
        np.testing.assert_allclose(found[row, : len(expected)], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("steps", "size", "stride"), [(895, 127, 64), (13, 7, 3), (9, 3, 2), (4, 3, 3), (127, 127, 64)]
)
def test_windows_are_what_a_convolution_sees(steps, size, stride):
    x = np.random.default_rng(7).standard_normal([2, steps, 3]).astype(np.float32)
    kernel = np.random.default_rng(8).standard_normal([size, 3, 4]).astype(np.float32)
    expected = tf.nn.conv1d(x, kernel, stride, "VALID").numpy()
    found = windows(tf.constant(x), size, stride).numpy() @ kernel.reshape(-1, 4)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("samples", [894, 895, 1278, 1279, 16_000, 48_001])
def test_frames_are_counted_as_the_convolutions_count_them(samples):
    first = (samples - 127) // 64 + 1
    assert CONFIG.frames_of(samples) == max(0, ((first - 7) // 3 + 1 - 3) // 2 + 1)


@pytest.mark.parametrize("frames", [1, 2, 415])
def test_samples_of_frames_are_the_fewest_that_make_them(frames):
    samples = CONFIG.samples_of(frames)
    assert (CONFIG.frames_of(samples), CONFIG.frames_of(samples - 1)) == (frames, frames - 1)


def test_log_mel_needs_no_counts():
    front_end = make_front_end(FeatureConfig())
    assert front_end(tf.zeros([1, 400])).shape == [1, 1, 40] and not front_end.counts_samples and not front_end.weights
