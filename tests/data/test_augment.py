import numpy as np
import pytest
import tensorflow as tf

from tflite_asr.data.augment import EDGE_SECONDS, LEVELS_DB, SPEEDS, add_noise, vary_recording, vary_speed
from tflite_asr.training.spec_augment import spec_augment

RATE = 16_000
ROWS, TIME, BANDS = 48, 100, 40
LENGTHS = np.resize([100, 73, 40, 10, 1, 0], ROWS).astype(np.int32)
SEED = tf.constant([1, 0])


def tone(seconds=1.0, hertz=440.0):
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


@pytest.mark.parametrize("speed", SPEEDS)
def test_speed_changes_duration_and_pitch_together(speed):
    samples = vary_speed(tone(), speed)
    assert samples.dtype == np.float32
    assert len(samples) == pytest.approx(RATE / speed, abs=2)
    loudest = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))).argmax() * RATE / len(samples)
    assert loudest == pytest.approx(440 * speed, abs=2 * speed)  # two bins of the transform
    assert np.std(samples) == pytest.approx(np.std(tone()), rel=0.02)


@pytest.mark.parametrize("seed", range(12))
def test_recordings_vary_within_their_bounds(seed):
    varied = vary_recording(tone(), RATE, np.random.default_rng(seed))
    assert varied.dtype == np.float32 and np.isfinite(varied).all() and np.abs(varied).max() <= 1
    assert RATE <= len(varied) <= RATE * (1 + 2 * EDGE_SECONDS)
    level = 20 * np.log10(np.sqrt(np.mean(varied.astype(np.float64) ** 2)))
    # the drawn level; noise 12 dB below adds 0.3 dB, a little more when it is short
    assert LEVELS_DB[0] - 0.1 <= level <= LEVELS_DB[1] + 0.6
    # the tone is still what is heard
    loudest = np.abs(np.fft.rfft(varied)).argmax() * RATE / len(varied)
    assert loudest == pytest.approx(440, abs=2)
    np.testing.assert_array_equal(varied, vary_recording(tone(), RATE, np.random.default_rng(seed)))


def test_recordings_of_silence_stay_finite_and_inputs_stay_theirs():
    for seed in range(5):
        assert np.abs(vary_recording(np.zeros(RATE, np.float32), RATE, np.random.default_rng(seed))).max() < 1e-3
    samples = tone()
    vary_recording(samples, RATE, np.random.default_rng(0))
    np.testing.assert_array_equal(samples, tone())


@pytest.fixture(scope="module")
def augmented():
    """Frames without a zero among them, and what became of them: float64 [rows, time, bands] both."""
    frames = (3 + np.random.default_rng(0).standard_normal([ROWS, TIME, BANDS])).astype(np.float32)
    result = tf.function(spec_augment)(tf.constant(frames), tf.constant(LENGTHS), tf.constant([3, 0]))
    assert result.shape == frames.shape and result.dtype == tf.float32
    return frames.astype(np.float64), result.numpy().astype(np.float64)


def spans(flags):
    """(first, past the last) of each run of true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(int), [0]])))
    return list(zip(edges[::2], edges[1::2]))


def masks_of(row):
    """What is zero in [time, bands]: whole frames and whole bands, each as flags."""
    zero = row == 0
    return zero.all(axis=1), zero.all(axis=0)


def test_masks_are_whole_spans_within_their_bounds(augmented):
    masked_frames = masked_bands = 0
    for row, length in zip(augmented[1], LENGTHS):
        frames, bands = masks_of(row)
        np.testing.assert_array_equal(row == 0, frames[:, None] | bands[None, :])  # no zero is anywhere else
        for flags, most in ((frames, int(0.06 * length)), (bands, 8)):
            found = spans(flags)
            assert len(found) <= 2 and flags.sum() <= 2 * most
            if len(found) == 2:
                assert max(last - first for first, last in found) <= most
        assert not frames[length:].any()
        masked_frames += frames.sum()
        masked_bands += bands.sum()
    # the mean span is nearly half the longest: 5 bands or more a row, less their overlaps; frames in long rows only
    assert masked_bands > 4 * ROWS and masked_frames > ROWS


def test_long_masks_end_with_their_row():
    # spans of up to nine tenths would often pass the end, were they not drawn to fit
    frames = tf.fill([64, TIME, BANDS], 5.0)
    result = spec_augment(frames, tf.fill([64], 60), tf.constant([4, 0]), frame_share=0.9, band_masks=0).numpy()
    masked = (result == 0).all(axis=2).any(axis=0)
    assert masked[:55].all() and not masked[60:].any()


def test_what_is_not_masked_moves_by_a_smooth_gain_over_frequency(augmented):
    position = np.linspace(-1, 1, BANDS)
    curves = []
    for before, after in zip(*augmented):
        frames, bands = masks_of(after)
        gain = (after - before)[~frames][:, ~bands]
        # float32 sums of values up to 7
        np.testing.assert_allclose(gain, np.broadcast_to(gain[:1], gain.shape), atol=2e-6)
        curve = np.polyfit(position[~bands], gain[0], 2)
        np.testing.assert_allclose(np.polyval(curve, position[~bands]), gain[0], atol=2e-6)
        curves.append(curve[::-1])
    curves = np.array(curves)
    assert np.abs(curves.mean(axis=0)).max() < 0.15  # four deviations of the mean of 48 draws
    np.testing.assert_allclose(curves.std(axis=0), [0.25, 0.25, 0.15], rtol=0.45)  # likewise of their deviation
    assert len(np.unique(curves[:, 0])) == ROWS


def test_each_seed_draws_again_and_rows_differ(augmented):
    frames = tf.constant(augmented[0], tf.float32)
    for seed, same in (([3, 0], True), ([3, 1 << 8], False), ([4, 0], False)):
        # in a graph as before: outside of it sums may be rounded otherwise
        again = tf.function(spec_augment)(frames, tf.constant(LENGTHS), tf.constant(seed)).numpy()
        assert np.array_equal(again, augmented[1].astype(np.float32)) == same
    assert len({masks_of(row)[1].tobytes() for row in augmented[1]}) > ROWS // 2


def test_workers_draw_for_their_rows_what_one_would():
    frames = tf.random.stateless_normal([6, TIME, BANDS], SEED)
    lengths = tf.constant([TIME, 30, 50, 0, 20, 40])
    whole = spec_augment(frames, lengths, SEED)
    for index in range(3):
        rows = spec_augment(frames[index::3], lengths[index::3], SEED, rows_of=(index, 3))
        np.testing.assert_array_equal(rows, whole[index::3])


@pytest.mark.parametrize("length", [0, 1, 5, 100])
def test_nan_is_never_made_nor_carried_out_of_the_padding(length):
    frames = np.full([8, TIME, BANDS], np.nan, np.float32)
    frames[:, :length] = 1.0
    result = spec_augment(tf.constant(frames), tf.fill([8], length), SEED).numpy()
    assert np.isfinite(result[:, :length]).all()
    assert np.isfinite(spec_augment(tf.ones([8, TIME, BANDS]), tf.fill([8], length), SEED)).all()


def test_masks_can_be_left_out():
    frames = tf.ones([4, TIME, BANDS])
    result = spec_augment(frames, tf.fill([4], TIME), SEED, band_masks=0, time_masks=0)
    assert not np.any(np.equal(result, 0))


def test_recorded_noise_lies_5_to_20_db_below_the_speech():
    random = np.random.default_rng(5)
    speech, hum = random.normal(0, 0.1, 8000).astype(np.float32), random.normal(0, 3.0, 3000).astype(np.float32)
    below = []
    for _ in range(200):
        added = add_noise(speech, [hum], random) - speech
        if added.any():
            below.append(10 * np.log10(np.mean(speech**2) / np.mean(added**2)))
    assert 70 < len(below) < 130  # half of them
    assert 5 <= min(below) + 0.01 and max(below) <= 20.01 and max(below) - min(below) > 10
    assert add_noise(speech, [], random) is speech


def test_of_a_stems_frames_time_alone_is_masked():
    frames = tf.random.stateless_normal([4, TIME, 16], SEED)
    masked = spec_augment(frames, tf.fill([4], TIME), SEED, over_bands=False).numpy()
    gone = (masked == 0).all(axis=2)
    assert gone.any() and not gone.all()
    np.testing.assert_array_equal(masked[~gone], frames.numpy()[~gone])
