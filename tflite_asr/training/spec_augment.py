"""SpecAugment, inside the training step."""

import itertools

import tensorflow as tf


def spec_augment(
    frames: tf.Tensor,
    lengths: tf.Tensor,
    seed: tf.Tensor,
    *,
    rows_of: tuple[int, int] = (0, 1),
    bands: int = 8,
    band_masks: int = 2,
    frame_share: float = 0.06,
    time_masks: int = 2,
    over_bands: bool = True,
) -> tf.Tensor:
    """SpecAugment (Park et al. 2019, arXiv 1904.08779), masks at the mean, and a random smooth gain over frequency.

    Args:
        frames: [batch, time, mel_bands] float32, near zero mean.
        lengths: [batch] int32.
        seed: [2] int32, of what is drawn.
        rows_of: (i, n) where these are the rows i, i + n, i + 2 n, ... of a batch n times as large: the same is
            drawn for them as in that batch.
        bands: most bands of one frequency mask.
        band_masks, time_masks: how many masks of each kind.
        frame_share: most of a row's length that one time mask covers.
        over_bands: whether the values of a frame are neighbouring bands; without it only time is masked.

    Returns:
        [batch, time, mel_bands].
    """
    batch, time, width = frames.shape
    index, count = rows_of
    draws = itertools.count()

    def draw(distribution, columns):
        """[batch, columns], another at each call."""
        return distribution([batch * count, columns], seed + tf.constant([0, next(draws)]))[index::count]

    if over_bands:
        position = tf.linspace(-1.0, 1.0, width)
        # gain, tilt and curve over frequency: what another microphone or room does
        gain, tilt, curve = tf.split(draw(tf.random.stateless_normal, 3) * tf.constant([[0.25, 0.25, 0.15]]), 3, axis=1)
        # no matrix product: it may round a row by how many others there are, and workers have a part of them
        frames += tf.expand_dims(gain + tilt * position + curve * position**2, 1)
    band, frame = tf.reshape(tf.range(width), [1, width]), tf.reshape(tf.range(time), [1, time])

    def mask(size, limits, most, count):
        """[batch, size] bool, false inside `count` random spans below `limits` [batch, 1]."""
        kept = tf.ones([batch, size.shape[1]], tf.bool)
        for _ in range(count):
            span = tf.cast(draw(tf.random.stateless_uniform, 1) * most, tf.int32)
            first = tf.cast(draw(tf.random.stateless_uniform, 1) * tf.cast(limits - span, tf.float32), tf.int32)
            kept &= (size < first) | (size >= first + span)
        return kept

    lengths = tf.expand_dims(lengths, 1)
    keep_bands = mask(band, tf.fill([batch, 1], width), float(bands), band_masks if over_bands else 0)
    keep_frames = mask(frame, lengths, tf.cast(lengths, tf.float32) * frame_share, time_masks)
    keep = tf.expand_dims(keep_bands, 1) & tf.expand_dims(keep_frames, 2)
    return tf.where(keep, frames, tf.zeros_like(frames))
