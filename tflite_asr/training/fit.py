"""Training a base model on a server or laptop: a compiled step, checkpoints to go on from, the best weights kept."""

import contextlib
from collections.abc import Callable, Container, Iterator, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras as keras
from tqdm import trange

from signatures.spec import group_of
from tflite_asr.config import ModelConfig
from tflite_asr.data.clips import fitting_clips
from tflite_asr.data.corpus import Corpus
from tflite_asr.errors import InputError
from tflite_asr.metrics import ErrorRates, error_rates
from tflite_asr.models.build import build_model
from tflite_asr.models.group_names import select_groups
from tflite_asr.models.speech import SpeechModel
from tflite_asr.models.storage import save_model
from tflite_asr.ops.stretches import in_one_loop
from tflite_asr.training.batching import evaluation_batches, frame_counts, training_batches
from tflite_asr.training.cached import CachedOutput, cached_batches
from tflite_asr.training.objective import Objective, names_of, own_loss, passes
from tflite_asr.training.record import Record
from tflite_asr.training.settings import FitSettings
from tflite_asr.training.spec_augment import spec_augment
from tflite_asr.training.workers import Workers

MOST_DRAWS = 256  # of one step's augmentation
AVERAGE = 0.999  # momentum of the weights' moving average, which is what is kept,
AVERAGE_SHARE = 0.1  # unless it would reach back over more than this share of a short training


def with_edges(samples: tf.Tensor, counts: tf.Tensor, config: ModelConfig) -> tuple[tf.Tensor, tf.Tensor]:
    """Utterances [batch, n] and their counts [batch] with the silence on both sides that `Recognizer.features` adds."""
    edge, size = config.edge_samples, samples.shape[1]
    heard = tf.where(counts > 0, tf.minimum(counts + 2 * edge, size), tf.zeros_like(counts))
    return tf.slice(tf.pad(samples, [[0, 0], [edge, 0]]), [0, 0], [-1, size]), heard


def _training_step(
    objective: Objective,
    frames_of: Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]],
    over_bands: bool,
    optimizer: keras.optimizers.Optimizer,
    seed: int,
    plain_steps: int,
    workers: Workers,
):
    """The compiled step on a worker's rows -> loss a token of the whole batch; compiled once for each shape of batches.
    `frames_of` makes frames and their counts of the first two parts of a batch. SpecAugment begins after `plain_steps`.
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


def evaluate(model: SpeechModel, corpus: Corpus, clips: Sequence) -> ErrorRates:
    """Greedy word error rate through TensorFlow, on clips of a corpus."""
    batch = 16
    decode = _decoder(model, batch)
    references, hypotheses = [], []
    for samples, counts, chosen in evaluation_batches(corpus, batch, clips):
        tokens = decode(tf.constant(samples), tf.constant(counts)).numpy()
        references += [corpus.tokenizer.decode(corpus.tokenizer.encode(clip.text)) for clip in chosen]
        hypotheses += [corpus.tokenizer.decode(row) for row in tokens[: len(chosen)]]
    return error_rates(references, hypotheses, normalize=model.config.cased)


def _decoder(model: SpeechModel, batch: int):
    config = model.config
    if not hasattr(model, "_greedy"):
        most = config.features.samples_of(config.sizes.max_frames)

        @tf.function(
            input_signature=[tf.TensorSpec([batch, most], tf.float32), tf.TensorSpec([batch], tf.int32)],
            jit_compile=True,
        )
        def decode(samples, counts):
            # the pause that a recording ends with, so that the last word comes out, or silence on both sides
            samples, counts = with_edges(samples, counts, config)
            frames = model.features(samples, counts)
            lengths = tf.minimum(frame_counts(counts, config) + config.tail_frames, config.sizes.max_frames)
            lengths = tf.where(counts > 0, lengths, tf.zeros_like(lengths))
            with in_one_loop():
                tokens, _ = model.transcribe(frames, lengths, config.sizes.max_tokens)
            return tokens

        model._greedy = decode
    return model._greedy


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
    objective, below = _objective(model, initial or {}, settings, objective_of)
    optimizer = _optimizer(settings.learning_rate, settings.steps)
    optimizer.build(objective.trained)
    held_out = _HeldOut(development, config, settings.connect_up_to)
    epoch_done = tf.Variable(0, dtype=tf.int64)
    state = tf.train.Checkpoint(model=model, optimizer=optimizer, epoch=epoch_done)
    state.restore(tf.train.latest_checkpoint(str(folder / "resume")))
    record = Record(folder, state, int(epoch_done)) if workers.chief else None
    step = _step_of(model, objective, optimizer, settings, workers)
    batches = _EpochBatches(training, model, settings, below, folder / "cached")
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


def _objective(
    model: SpeechModel,
    initial: Container[str],
    settings: FitSettings,
    objective_of: Callable[[SpeechModel], Objective] | None,
) -> tuple[Objective, int]:
    """What is minimised, and how many of the encoder's groups are cached: their output is computed once."""
    if objective_of is not None:
        return objective_of(model), 0
    free = _free(model, initial if settings.freeze else {}, settings.trainable)
    below = _frozen_below(model, free) if settings.cached else 0
    if settings.cached or settings.second_pass:
        return passes(model, free, second_pass=settings.second_pass, below=below), below
    return own_loss(model, free, settings.ctc_weight), below


def _step_of(
    model: SpeechModel,
    objective: Objective,
    optimizer: keras.optimizers.Optimizer,
    settings: FitSettings,
    workers: Workers,
):
    """The compiled step for batches of samples, or of cached output."""
    config = model.config
    # channels of a stem and of an encoder are no bands: of these, time alone is masked
    over_bands = config.features.kind == "log_mel" and not settings.cached

    def frames_of(samples, counts):
        return (samples, counts) if settings.cached else (model.features(samples, counts), frame_counts(counts, config))

    plain_steps = settings.plain_epochs * settings.steps_per_epoch
    return _training_step(objective, frames_of, over_bands, optimizer, settings.seed, plain_steps, workers)


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


class _HeldOut:
    """Development speech, perhaps none."""

    def __init__(self, development: Corpus | None, config: ModelConfig, connect_up_to: int):
        self._corpus = development
        self._clips = []
        if development:
            self._clips = fitting_clips(development, development.utterances, connect_up_to, 0, config.max_seconds)

    def measure(self, model: SpeechModel) -> dict[str, float]:
        """`development_wer`; nothing without development speech."""
        return {"development_wer": evaluate(model, self._corpus, self._clips).wer} if self._corpus else {}


class _EpochBatches:
    """The training batches, drawn by seed and epoch; one iterator serves consecutive epochs.

    Args:
        training: speech.
        model: computes the cached output of its lowest groups.
        settings: how to train.
        below: how many groups are cached.
        folder: of the cached output.
    """

    def __init__(self, training: Corpus, model: SpeechModel, settings: FitSettings, below: int, folder: Path):
        self._training, self._settings = training, settings
        self._cache = (
            CachedOutput(training, model, below, settings.cached, folder, settings.seed) if settings.cached else None
        )
        self._batches: Iterator[tuple] | None = None

    def of_epoch(self, epoch: int) -> Iterator[tuple]:
        """The batches from here on; anew where augmentation begins."""
        settings, drawn = self._settings, self._settings.seed + 1000 * (epoch - 1)
        if self._cache:
            self._batches = self._batches or iter(cached_batches(self._cache, settings.batch, drawn))
        elif self._batches is None or epoch == settings.plain_epochs + 1:
            augment = epoch > settings.plain_epochs
            batches = training_batches(self._training, settings.batch, settings.connect_up_to, drawn, augment=augment)
            self._batches = iter(batches)
        return self._batches


def _free(model: SpeechModel, frozen: Container[str], trainable: str | None) -> list[tf.Variable]:
    """The weights that the loss is to change: of the layer groups in `trainable`, numbers or names of them, a second
    pass's among them, those whose names are not in `frozen`. A decoder's embedding stays as it is: half of the
    decoder's weights, for words most of which do not occur in the speech.
    """
    names = [group.name for group in model.all_groups]
    if trainable is not None and model.decodes:
        names += [group.name for group in model.second_pass_groups]
    groups = select_groups(trainable or "all", names)
    return [
        weight
        for name, weight in model.named_weights().items()
        if group_of(name) in groups and name not in frozen and not name.endswith("decoder/embedding")
    ]


def _frozen_below(model: SpeechModel, free: Sequence[tf.Variable]) -> int:
    """How many of the encoder's groups, from the first on, neither train nor stand above a group that does; a decoder
    of which something trains stands above the groups that it hears.
    """
    names = {group_of(name) for name in names_of(model, free)}
    lowest = min([index for index, group in enumerate(model.groups) if group.name in names], default=len(model.groups))
    if lowest > model.shared_groups and model.decodes:
        lowest = model.shared_groups  # the same files serve to train either pass
    if not lowest:
        raise InputError(
            "cached: expected the lowest encoder group to be frozen, it trains; name those that train with --trainable"
        )
    return lowest


def _optimizer(learning_rate: float, total: int) -> keras.optimizers.Optimizer:
    """For `total` steps: Adam with a moving average of the weights."""
    warmup = max(1, total // 20)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, total - warmup, alpha=0.0, warmup_target=learning_rate, warmup_steps=warmup
    )
    momentum = min(AVERAGE, 1 - 1 / max(1, AVERAGE_SHARE * total))
    return keras.optimizers.AdamW(schedule, weight_decay=1e-3, global_clipnorm=5.0, use_ema=True, ema_momentum=momentum)
