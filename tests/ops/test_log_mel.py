import dataclasses

import librosa
import numpy as np
import pytest
import tensorflow as tf

from tflite_asr.config import FeatureConfig
from tflite_asr.ops.log_mel import log_mel, mel_filters

CONFIG = FeatureConfig()
WIDE = FeatureConfig(mel_bands=80, min_hz=0.0, max_hz=8_000.0)
FRAMES = 30


def voice(rows=2, frames=FRAMES, seed=0):
    """Noise over a gliding tone: power in every band, so that no band is rounding alone."""
    n = CONFIG.samples_of(frames)
    random = np.random.default_rng(seed)
    glide = np.sin(2 * np.pi * np.cumsum(np.linspace(150, 3000, n)) / CONFIG.sample_rate)
    return (0.3 * glide + 0.05 * random.standard_normal([rows, n])).astype(np.float32)


def mel_power(samples, config):
    """The mel power that log_mel took the logarithm of."""
    values = log_mel(tf.constant(samples), config).numpy().astype(np.float64)
    return np.exp(values * config.deviation + config.mean)


def librosa_filters(config):
    return librosa.filters.mel(
        sr=config.sample_rate,
        n_fft=config.fft_size,
        n_mels=config.mel_bands,
        fmin=config.min_hz,
        fmax=config.max_hz,
        htk=False,
        norm="slaney",
    )


@pytest.mark.parametrize("config", [CONFIG, WIDE], ids=["narrow", "wide"])
def test_filters_are_librosas(config):
    # librosa builds them in float32: 1e-6 of the highest weight
    expected = librosa_filters(config).T
    filters = mel_filters(config)
    assert filters.dtype == np.float32 and filters.shape == (257, config.mel_bands)
    np.testing.assert_allclose(filters, expected, rtol=0, atol=1e-6 * expected.max())
    assert filters.any(axis=0).all()


@pytest.mark.parametrize("config", [CONFIG, WIDE], ids=["narrow", "wide"])
def test_power_is_librosas(config):
    samples = voice()
    # librosa centres the window in the transform's 512 samples: shifted by 56, its frames cover ours
    edge = (config.fft_size - config.window_samples) // 2
    expected = librosa.feature.melspectrogram(
        y=np.pad(samples, [(0, 0), (edge, edge)]),
        sr=config.sample_rate,
        n_fft=config.fft_size,
        win_length=config.window_samples,
        hop_length=config.hop_samples,
        window="hann",
        center=False,
        power=2.0,
        n_mels=config.mel_bands,
        fmin=config.min_hz,
        fmax=config.max_hz,
        htk=False,
        norm="slaney",
    ).transpose(0, 2, 1)
    assert expected.shape == (2, FRAMES, config.mel_bands)
    assert expected.min() > 2 * config.log_floor  # the floor hides nothing here
    # sums of 400 float32 products, then a logarithm and back
    np.testing.assert_allclose(mel_power(samples, config), expected, rtol=1e-4)


def test_silence_is_the_floor():
    values = log_mel(tf.zeros([1, CONFIG.samples_of(3)]), CONFIG)
    expected = (np.log(CONFIG.log_floor) - CONFIG.mean) / CONFIG.deviation
    np.testing.assert_allclose(values, np.full([1, 3, CONFIG.mel_bands], expected), rtol=1e-6)


def test_normalisation_is_of_the_logarithm():
    samples = tf.constant(voice(rows=1, frames=4))
    plain = dataclasses.replace(CONFIG, mean=0.0, deviation=1.0)
    expected = (log_mel(samples, plain) - CONFIG.mean) / CONFIG.deviation
    np.testing.assert_allclose(log_mel(samples, CONFIG), expected, rtol=1e-5, atol=1e-6)


def test_a_tone_is_loudest_in_its_own_band():
    filters = mel_filters(CONFIG)
    for hertz in (200.0, 1000.0, 3000.0):
        tone = 0.5 * np.sin(2 * np.pi * hertz * np.arange(CONFIG.samples_of(5)) / CONFIG.sample_rate)
        loudest = mel_power(tone[None].astype(np.float32), CONFIG)[0].argmax(axis=1)
        peaks = filters.argmax(axis=0) * CONFIG.sample_rate / CONFIG.fft_size
        # within two bins of the transform
        assert np.abs(peaks[loudest] - hertz).max() <= 2 * CONFIG.sample_rate / CONFIG.fft_size


@pytest.mark.parametrize("frames_of_chunk", [1, 7, 12])
def test_frames_by_chunks_are_the_frames_of_the_whole(frames_of_chunk):
    samples = voice()
    whole = log_mel(tf.constant(samples), CONFIG).numpy()
    chunks = []
    for start in range(0, FRAMES, frames_of_chunk):
        frames = min(frames_of_chunk, FRAMES - start)
        first = start * CONFIG.hop_samples
        chunks.append(log_mel(tf.constant(samples[:, first : first + CONFIG.samples_of(frames)]), CONFIG))
    # the matrix product may sum in another order for another number of rows
    np.testing.assert_allclose(np.concatenate(chunks, axis=1), whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize("window, hop", [(400, 160), (320, 160), (400, 400), (100, 160)])
def test_frames_cover_hop_and_window_whatever_their_ratio(window, hop):
    config = dataclasses.replace(CONFIG, window_samples=window, hop_samples=hop)
    samples = voice(rows=1)[:, : config.samples_of(5)]
    whole = log_mel(tf.constant(samples), config).numpy()
    assert whole.shape == (1, 5, CONFIG.mel_bands)
    for t in range(5):
        alone = log_mel(tf.constant(samples[:, t * hop : t * hop + window]), config)
        np.testing.assert_allclose(whole[:, t : t + 1], alone, rtol=0, atol=1e-5)


def test_sizes_are_those_the_configuration_computes():
    for frames in (1, 2, 17):
        n = CONFIG.samples_of(frames)
        assert CONFIG.frames_of(n) == frames
        assert CONFIG.frames_of(n - 1) == frames - 1
        assert log_mel(tf.zeros([1, n]), CONFIG).shape == (1, frames, CONFIG.mel_bands)
