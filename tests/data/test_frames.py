"""Changes of log-mel frames against the same changes of the waveform, through the features the model is given."""

import numpy as np
import pytest
import tensorflow as tf

from tflite_asr.config import ModelConfig, preset
from tflite_asr.data.augment import vary_speed
from tflite_asr.data.frames import NOISE_FREEDOM, STEM_SPEEDS, joined, played_faster, silence, vary_frames, without_tail
from tflite_asr.ops.log_mel import log_mel

CONFIG: ModelConfig = preset("tiny")
FEATURES = CONFIG.features


def features(samples):
    whole = FEATURES.frames_of(len(samples))
    return log_mel(tf.constant(samples[None, : FEATURES.samples_of(whole)]), FEATURES).numpy()[0]


def sweep(seconds=1.0):
    """A voice-like sound whose harmonics glide."""
    time = np.arange(round(seconds * FEATURES.sample_rate)) / FEATURES.sample_rate
    phase = 2 * np.pi * (150 * time + 60 * time**2)
    return (0.05 * sum(np.sin(k * phase) / k for k in range(1, 12))).astype(np.float32)


@pytest.mark.parametrize("speed", [0.82, 1.0, 1.2])
def test_speed_is_that_of_the_waveform(speed):
    expected, got = features(vary_speed(sweep(), speed)), played_faster(features(sweep()), speed, FEATURES)
    assert abs(len(expected) - len(got)) <= 2
    shared = min(len(expected), len(got))
    error = np.abs(expected[:shared] - got[:shared]).mean()
    unchanged = np.abs(expected[: min(shared, 80)] - features(sweep())[: min(shared, 80)]).mean()
    # bands are wider than harmonics, so some of what lies between them is lost; most of the change is not
    assert error < (0.35 * unchanged if speed != 1 else 1e-6), (error, unchanged)


def test_joined_frames_are_those_of_joined_samples():
    """But for the windows that reach over a seam: two hops and a half long, so at most three at each side."""
    pieces = [sweep(0.4), sweep(0.3)]
    gap = 10
    cut = [piece[: FEATURES.samples_of(FEATURES.frames_of(len(piece)))] for piece in pieces]
    hop = FEATURES.hop_samples
    # frames stand at multiples of the hop: pieces of whole frames leave window - hop samples between
    between = np.zeros(gap * hop - (FEATURES.window_samples - hop), np.float32)
    expected = features(np.concatenate([cut[0], between, cut[1]]))
    got = joined([features(cut[0]), features(cut[1])], [gap], FEATURES)
    assert expected.shape == got.shape
    first = FEATURES.frames_of(len(cut[0]))
    np.testing.assert_allclose(got[:first], expected[:first], atol=1e-4)
    np.testing.assert_allclose(got[first + gap :], expected[first + gap :], atol=1e-4)
    inside = slice(first + 3, first + gap - 3)
    np.testing.assert_allclose(got[inside], expected[inside], atol=1e-4)
    assert np.all(got[inside] == silence(FEATURES))


def test_the_tail_is_taken_off_and_speech_is_not():
    spoken = features(sweep(0.5))
    tail = np.full([CONFIG.tail_frames, 40], silence(FEATURES), np.float32)
    with_tail = np.concatenate([spoken, np.round(tail * 24) / 24])  # as it comes back from eight bits
    np.testing.assert_array_equal(without_tail(with_tail, CONFIG), spoken)
    np.testing.assert_array_equal(without_tail(spoken, CONFIG), spoken)
    assert len(without_tail(tail[:5], CONFIG)) == 1


@pytest.mark.parametrize("seed", range(10))
def test_varied_frames_stay_speech(seed):
    frames = features(sweep())
    varied = vary_frames(frames, FEATURES, np.random.default_rng(seed))
    assert varied.dtype == np.float32 and np.isfinite(varied).all() and varied.min() >= silence(FEATURES)
    assert len(frames) / 1.2 - 1 <= len(varied) <= len(frames) / 0.82 + 61
    assert varied.max() < frames.max() + 1.0
    np.testing.assert_array_equal(varied, vary_frames(frames, FEATURES, np.random.default_rng(seed)))


def test_noise_under_frames_is_as_white_noise_is():
    """Flat over the bands, and fluctuating from frame to frame as a band of few bins does."""
    random = np.random.default_rng(0)
    noise = features((0.1 * random.standard_normal(16000)).astype(np.float32))
    power = np.exp(noise * FEATURES.deviation + FEATURES.mean)
    assert power.mean(axis=0).std() / power.mean() < 0.1
    fluctuation = (power.std(axis=0) / power.mean(axis=0)).mean()
    # narrow bands have fewer bins, wide ones more
    assert fluctuation == pytest.approx(np.sqrt(2 / NOISE_FREEDOM), rel=0.35)


def test_a_stems_frames_are_joined_by_the_silence_before_them_and_moved_in_time():
    stem = preset("tiny_english").features
    one, two = (np.random.default_rng(seed).normal(size=[20, 16]).astype(np.float32) for seed in (1, 2))
    both = joined([one, two], [3], stem)
    np.testing.assert_array_equal(both, np.concatenate([one, two[:1], two[:1], two[:1], two]))
    lengths = {len(vary_frames(one, stem, np.random.default_rng(seed))) for seed in range(40)}
    assert min(lengths) >= 20 / STEM_SPEEDS[1] - 1 and max(lengths) <= 20 / STEM_SPEEDS[0] + 1 and len(lengths) > 3
    ramp = np.arange(20, dtype=np.float32)[:, None].repeat(16, axis=1)
    varied = vary_frames(ramp, stem, np.random.default_rng(3))
    steps = np.diff(varied[:-2, 0])
    np.testing.assert_allclose(steps, steps[0], atol=1e-4)  # linear in time
