"""Trains a base model on a server or laptop: a compiled step, checkpoints to resume from, the best weights kept."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras as keras
from tqdm import trange

from tflite_asr.config import ModelConfig
from tflite_asr.data.corpus import Corpus
from tflite_asr.models.build import build_model
from tflite_asr.models.speech import SpeechModel
from tflite_asr.models.storage import save_model
from tflite_asr.training.epochs import EpochBatches
from tflite_asr.training.evaluation import HeldOut
from tflite_asr.training.objective import Objective
from tflite_asr.training.record import Record
from tflite_asr.training.settings import FitSettings
from tflite_asr.training.step import make_step
from tflite_asr.training.trainable import make_objective
from tflite_asr.training.workers import Workers

AVERAGE = 0.999  # momentum of the weights' moving average, which is what is kept,
AVERAGE_SHARE = 0.1  # unless it would reach back over more than this share of a short training


def fit(
    config: ModelConfig,
    training: Corpus,
    development: Corpus | None,
    folder: Path,
    settings: FitSettings = FitSettings(),
    *,
    initial: dict[str, np.ndarray] | None = None,
    objective_of: Callable[[SpeechModel], Objective] | None = None,
    workers: Workers | None = None,
) -> dict:
    """Train a model, or resume an interrupted run of the same folder.

    Writes `config.json`, `weights.safetensors` (averaged weights, the best on the development speech),
    `history.jsonl`, `tensorboard/` and `resume/`.

    Args:
        config: what to train.
        training, development: speech; without development speech the last weights are kept.
        folder: where to write.
        settings: how to train.
        initial: weights to start from, by tree path; those that are not in it are drawn at random.
        objective_of: makes of the model what to minimise and train in place of its own loss.
        workers: that share each batch; all see the folder, the first one writes into it.

    Returns:
        the last row of the history.

    Raises:
        InputError: the lowest encoder group trains and `settings.cached` is above 0.
    """
    workers = workers or Workers()
    keras.utils.set_random_seed(settings.seed)
    model = _start_model(config, initial or {})
    objective, below = make_objective(model, initial or {}, settings, objective_of)
    optimizer = _optimizer(settings.learning_rate, settings.steps)
    optimizer.build(objective.trained)
    held_out = HeldOut(development, config, settings.connect_up_to)
    epoch_done = tf.Variable(0, dtype=tf.int64)
    state = tf.train.Checkpoint(model=model, optimizer=optimizer, epoch=epoch_done)
    state.restore(tf.train.latest_checkpoint(str(folder / "resume")))
    record = Record(folder, state, int(epoch_done)) if workers.chief else None
    step = make_step(model, objective, optimizer, settings, workers)
    batches = EpochBatches(training, model, settings, below, folder / "cached")
    row = {"epoch": int(epoch_done), "of": settings.epochs}
    for epoch in range(int(epoch_done) + 1, settings.epochs + 1):
        loss = _run_epoch(epoch, settings, lambda batch: step(*workers.rows(batch)), batches.of_epoch(epoch))
        row = {"epoch": epoch, "of": settings.epochs, "loss_per_token": loss}
        epoch_done.assign(epoch)
        if record:
            with _averaged_weights(model, optimizer, objective):
                row |= held_out.measure(model)
                if not development or row["development_wer"] <= record.best_wer:
                    save_model(folder, config, {name: value.numpy() for name, value in model.named_weights().items()})
            record.append(row)
    return record.rows[-1] if record and record.rows else row


def _start_model(config: ModelConfig, initial: dict[str, np.ndarray]) -> SpeechModel:
    """A model with the initial weights, by tree path, and random ones."""
    model = build_model(config)
    weights = model.named_weights()
    for name, value in initial.items():
        weights[name].assign(value)
    return model


def _run_epoch(
    epoch: int, settings: FitSettings, step: Callable[[tuple], tf.Tensor], batches: Iterator[tuple]
) -> float:
    """The steps of an epoch; their mean loss a token, in nats."""
    losses = []
    with trange(
        settings.steps_per_epoch, desc=f"epoch {epoch}/{settings.epochs}", unit="step", disable=None
    ) as progress:
        for _ in progress:
            losses.append(step(next(batches)))
            progress.set_postfix(loss=f"{float(losses[-1]):.3f}")
    return float(tf.reduce_mean(losses))


@contextlib.contextmanager
def _averaged_weights(
    model: SpeechModel, optimizer: keras.optimizers.Optimizer, objective: Objective
) -> Iterator[None]:
    """The moving average in place of the last weights, within the block."""
    last = model.get_weights()
    optimizer.finalize_variable_values(objective.trained)
    yield
    model.set_weights(last)


def _optimizer(learning_rate: float, total: int) -> keras.optimizers.Optimizer:
    """For `total` steps: Adam with a moving average of the weights."""
    warmup = max(1, total // 20)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, total - warmup, alpha=0.0, warmup_target=learning_rate, warmup_steps=warmup
    )
    momentum = min(AVERAGE, 1 - 1 / max(1, AVERAGE_SHARE * total))
    return keras.optimizers.AdamW(
        schedule,  # pyright: ignore[reportArgumentType]  # Keras annotates a float, and takes schedules
        weight_decay=1e-3,
        global_clipnorm=5.0,
        use_ema=True,
        ema_momentum=momentum,
    )
