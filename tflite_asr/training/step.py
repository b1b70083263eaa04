"""The compiled training step."""

from collections.abc import Callable

import tensorflow as tf
import tf_keras as keras

from tflite_asr.models.speech import SpeechModel
from tflite_asr.ops.loops import in_one_loop
from tflite_asr.training.batching import frame_counts
from tflite_asr.training.objective import Objective
from tflite_asr.training.settings import FitSettings
from tflite_asr.training.spec_augment import spec_augment
from tflite_asr.training.workers import Workers

MOST_DRAWS = 256  # of one step's augmentation


Step = Callable[..., tf.Tensor]  # a worker's rows of a batch -> loss per token of the whole batch, []


def _compiled_step(
    objective: Objective,
    frames_of: Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]],
    over_bands: bool,
    optimizer: keras.optimizers.Optimizer,
    seed: int,
    plain_steps: int,
    workers: Workers,
) -> Step:
    """The compiled step, one program for each shape of batches.

    Args:
        frames_of: returns frames and their counts from the first two parts of a batch.
        plain_steps: steps before SpecAugment begins.
    """
    weights = objective.trained
    folded = seed - (seed >> 31 << 32)  # into the range of int32

    @tf.function(jit_compile=True)
    def gradients(samples, sample_counts, *labels):
        frames, lengths = frames_of(samples, sample_counts)
        drawn = tf.stack([folded, MOST_DRAWS * tf.cast(optimizer.iterations, tf.int32)])
        masked = spec_augment(frames, lengths, drawn, rows_of=(workers.index, workers.count), over_bands=over_bands)
        heard = tf.where(optimizer.iterations < plain_steps, frames, masked)
        with in_one_loop():
            with tf.GradientTape() as tape:
                losses = objective.losses(frames, heard, lengths, *labels)
                loss = tf.reduce_sum(losses) / (losses.shape[0] * workers.count)
            found = tape.gradient(loss, weights)
        return found, tf.reduce_sum(losses), tf.cast(tf.reduce_sum(labels[1]), tf.float32)

    # XLA takes the whole step, unless workers have to meet in the middle of it
    @tf.function(jit_compile=workers.count == 1)
    def step(*batch):
        found, loss, tokens = workers.total(gradients, batch)
        optimizer.apply_gradients(zip(found, weights))
        return loss / tokens

    return step


def make_step(
    model: SpeechModel,
    objective: Objective,
    optimizer: keras.optimizers.Optimizer,
    settings: FitSettings,
    workers: Workers,
) -> Step:
    """The compiled step for batches of samples, or of cached output."""
    config = model.config
    # channels of a stem and of an encoder are not bands, so only time is masked
    over_bands = config.features.kind == "log_mel" and not settings.cached

    def frames_of(samples: tf.Tensor, counts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return (samples, counts) if settings.cached else (model.features(samples, counts), frame_counts(counts, config))

    plain_steps = settings.plain_epochs * settings.steps_per_epoch
    return _compiled_step(objective, frames_of, over_bands, optimizer, settings.seed, plain_steps, workers)
