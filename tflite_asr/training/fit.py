"""Training a base model on a server or laptop: a compiled step, checkpoints to go on from, the best weights kept."""

import json
import sys
from collections.abc import Callable, Container, Sequence
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
from tflite_asr.files import read_text, write_whole
from tflite_asr.metrics import ErrorRates, error_rates
from tflite_asr.models.build import build_model
from tflite_asr.models.speech import SpeechModel
from tflite_asr.models.storage import save_model
from tflite_asr.ops.stretches import in_one_loop
from tflite_asr.quantization import Quantization
from tflite_asr.training.batching import evaluation_batches, frame_counts, training_batches
from tflite_asr.training.cached import CachedOutput, cached_batches
from tflite_asr.training.objective import Objective, names_of, own_loss, passes
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
    *,
    connect_up_to: int = 1,
    batch: int = 32,
    epochs: int = 30,
    steps_per_epoch: int = 200,
    plain_epochs: int = 0,
    learning_rate: float = 2e-3,
    ctc_weight: float = 0.0,
    seed: int = 0,
    initial: dict[str, np.ndarray] | None = None,
    freeze: bool = False,
    trainable: str | None = None,
    second_pass: bool = False,
    cached: int = 0,
    objective_of: Callable[[SpeechModel], Objective] | None = None,
    workers: Workers | None = None,
) -> dict:
    """Train a model, or go on where an interrupted run of the same folder stopped.

    Writes `config.json`, `weights.safetensors` (averaged weights, the best on the development speech),
    `history.jsonl`, `tensorboard/` and `resume/`.

    Args:
        config: what to train.
        training, development: speech; without development speech the last weights are kept.
        folder: where to write.
        connect_up_to: most clips joined into one training utterance.
        batch: utterances a step.
        epochs, steps_per_epoch: how long; the learning rate rises over the first twentieth, then falls to 0 by a
            cosine.
        plain_epochs: the first, in which the speech is heard as it is. With augmentation a model that does not know
            yet where the letters are is very slow to find out.
        learning_rate: the highest, of Adam.
        ctc_weight: of a CTC loss on a transducer's encoder beside its own loss; see `own_loss`.
        seed: of weights, order and augmentation.
        initial: weights to start from, by tree path; those that are not in it are drawn at random.
        freeze: train only what is not in `initial`.
        trainable: layer groups by number or name, comma-separated, also those of a second pass that decodes: only these
            train; None for all of the first pass.
        second_pass: train by the loss of a decoder as well; the corpus is loaded for both passes.
        cached: versions of each utterance, the first one plain, of which what the groups below the trained ones put
            out is computed once; 0 computes every step from the samples.
        objective_of: makes of the model what to minimise and train in place of its own loss.
        workers: that share each batch; all see the folder, the first one writes into it.

    Returns:
        the last row of the history.
    """
    workers = workers or Workers()
    keras.utils.set_random_seed(seed)
    model = build_model(config)
    weights, initial = model.named_weights(), initial or {}
    for name, value in initial.items():
        weights[name].assign(value)
    below = 0
    if objective_of is None:
        free = _free(model, initial if freeze else {}, trainable)
        if cached:
            below = _frozen_below(model, free)
        if cached or second_pass:
            objective = passes(model, free, second_pass=second_pass, below=below)
        else:
            objective = own_loss(model, free, ctc_weight)
    else:
        objective = objective_of(model)
    optimizer = _optimizer(learning_rate, epochs * steps_per_epoch)
    optimizer.build(objective.trained)
    clips = (
        fitting_clips(development, development.utterances, connect_up_to, 0, config.max_seconds) if development else []
    )

    epoch_done = tf.Variable(0, dtype=tf.int64)
    state = tf.train.Checkpoint(model=model, optimizer=optimizer, epoch=epoch_done)
    state.restore(tf.train.latest_checkpoint(str(folder / "resume")))
    record = _Record(folder, state, int(epoch_done)) if workers.chief else None

    # channels of a stem and of an encoder are no bands: of these, time alone is masked
    over_bands = config.features.kind == "log_mel" and not cached

    def frames_of(samples, counts):
        return (samples, counts) if cached else (model.features(samples, counts), frame_counts(counts, config))

    step = _training_step(objective, frames_of, over_bands, optimizer, seed, plain_epochs * steps_per_epoch, workers)
    cache = CachedOutput(training, model, below, cached, folder / "cached", seed) if cached else None
    batches = None
    row = {"epoch": int(epoch_done), "of": epochs}
    for epoch in range(int(epoch_done) + 1, epochs + 1):
        drawn = seed + 1000 * (epoch - 1)
        if cache:
            batches = batches or iter(cached_batches(cache, batch, drawn))
        elif batches is None or epoch == plain_epochs + 1:
            batches = iter(training_batches(training, batch, connect_up_to, drawn, augment=epoch > plain_epochs))
        losses = []
        with trange(steps_per_epoch, desc=f"epoch {epoch}/{epochs}", unit="step", disable=None) as bar:
            for _ in bar:
                losses.append(step(*workers.rows(next(batches))))
                bar.set_postfix(loss=f"{float(losses[-1]):.3f}")
        row = {"epoch": epoch, "of": epochs, "loss_per_token": float(tf.reduce_mean(losses))}
        epoch_done.assign(epoch)
        if not record:
            continue
        last = model.get_weights()
        optimizer.finalize_variable_values(objective.trained)  # the average in place of the last weights
        if development:
            row["development_wer"] = evaluate(model, development, clips).wer
        if not development or row["development_wer"] <= record.best_wer:
            save_model(folder, config, {name: weight.numpy() for name, weight in weights.items()})
        model.set_weights(last)
        record.append(row)
    return record.rows[-1] if record and record.rows else row


def _free(model: SpeechModel, frozen: Container[str], trainable: str | None) -> list[tf.Variable]:
    """The weights that the loss is to change: of the layer groups in `trainable`, numbers or names of them, a second
    pass's among them, those whose names are not in `frozen`. A decoder's embedding stays as it is: half of the
    decoder's weights, for words most of which do not occur in the speech.
    """
    names = [group.name for group in model.all_groups]
    if trainable is not None and model.decodes:
        names += [group.name for group in model.second_pass_groups]
    groups = Quantization(trainable=trainable).trainable_groups(names)
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


class _Record:
    """What a training writes besides weights: `history.jsonl` and `tensorboard/`, of each epoch, and `resume/`.

    Args:
        folder: where.
        state: to go on from.
        epochs: that are done; what came after them is forgotten.
    """

    def __init__(self, folder: Path, state: tf.train.Checkpoint, epochs: int):
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "history.jsonl"
        try:
            rows = [json.loads(line) for line in read_text(self.path).splitlines()] if self.path.exists() else []
        except json.JSONDecodeError:
            raise InputError(
                f"{self.path}: a line of it is not JSON; remove that line or train into another folder"
            ) from None
        self.rows = rows[:epochs]
        self._write()
        self.manager = tf.train.CheckpointManager(state, str(folder / "resume"), max_to_keep=1)
        self.board = tf.summary.create_file_writer(str(folder / "tensorboard"))

    @property
    def best_wer(self) -> float:
        return min((row["development_wer"] for row in self.rows if "development_wer" in row), default=float("inf"))

    def _write(self) -> None:
        write_whole(self.path, "".join(json.dumps(row) + "\n" for row in self.rows).encode())

    def append(self, row: dict) -> None:
        """Write the row of an epoch that was done, and the state to go on from."""
        self.rows.append(row)
        print(json.dumps(row), file=sys.stderr)
        self._write()
        with self.board.as_default(step=row["epoch"]):
            for name, value in row.items():
                tf.summary.scalar(name, value)
        self.manager.save()
