"""Personalisation: epochs over one person's utterances on the device, the best weights kept."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tflite_asr.data.clips import fitting_clips
from tflite_asr.data.connect import Clip
from tflite_asr.data.corpus import Corpus
from tflite_asr.data.manifest import Utterance
from tflite_asr.errors import InputError
from tflite_asr.personalization.settings import Settings
from tflite_asr.runtime.batch import Example
from tflite_asr.runtime.evaluation import evaluate, examples_of
from tflite_asr.runtime.memory import process_memory_mb
from tflite_asr.runtime.recognizer import Recognizer

VALIDATION_COPIES = 4  # of each held-out utterance, the recording itself among them


@dataclass
class Epoch:
    """One row of the history; epoch 0 is before training."""

    epoch: int
    step: int
    seconds: float
    train_loss: float | None  # mean of the steps, nats an utterance
    validation_loss: float
    validation_wer: float
    rss_mb: float
    best: bool


@dataclass
class Outcome:
    """What a personalisation did."""

    history: list[Epoch]
    best_state: dict[str, np.ndarray]  # of the best epoch; also what the recogniser holds now
    steps: int
    seconds: float
    stopped_because: str


def split(utterances: Sequence[Utterance], share: float, seed: int) -> tuple[list[Utterance], list[Utterance]]:
    """Training and validation utterances, disjoint: `share` of them held out by seed, at least one of each."""
    if len(utterances) < 2:
        raise InputError(f"expected at least 2 utterances to adapt to (one is held out), got {len(utterances)}")
    if not 0 < share < 1:
        raise InputError(f"validation share: expected more than 0 and less than 1, got {share}")
    count = min(max(1, round(share * len(utterances))), len(utterances) - 1)
    held_out = set(np.random.default_rng([seed, 7]).permutation(len(utterances))[:count].tolist())
    training = [utterance for index, utterance in enumerate(utterances) if index not in held_out]
    return training, [utterances[index] for index in sorted(held_out)]


def personalize(
    recognizer: Recognizer,
    corpus: Corpus,
    utterances: Sequence[Utterance],
    settings: Settings,
    *,
    replay: Sequence[Example] = (),
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    on_step: Callable[[int, int, float], None] = lambda step, steps, loss: None,
) -> Outcome:
    """Train on `utterances`, keep the weights of the best epoch by validation WER, by loss on ties.

    What is validated and kept is a moving average of the weights over the epochs (Izmailov et al. 2018, arXiv
    1803.05407): single epochs of few utterances scatter more than the few held-out ones can tell. Epoch 0 counts: when training never helps, the weights stay as they were.

    Args:
        recognizer: trained in place.
        corpus: holds the utterances' audio.
        utterances: of one person; a share is held out for validation.
        settings: how.
        replay: shipped utterances, mixed into the batches so that other voices and words are not forgotten.
        on_epoch, on_step: told of progress; a step's arguments are its number, the epoch's steps, its loss.
    """
    started = time.monotonic()
    training, held_out = split(utterances, settings.validation_share, settings.seed)
    validation = _validation(recognizer, corpus, held_out, settings)
    average = best_state = recognizer.state()
    history: list[Epoch] = []
    step = 0

    def measure(epoch: int, train_loss: float | None) -> Epoch:
        wer = evaluate(recognizer, validation, title="validating").rates.wer
        loss = float(np.mean(recognizer.loss(validation)))
        kept = next((row for row in reversed(history) if row.best), None)
        # weights that have no finite loss are not worth keeping, whatever they recognise
        best = kept is None or (np.isfinite(loss) and (wer, loss) < (kept.validation_wer, kept.validation_loss))
        seconds = time.monotonic() - started
        row = Epoch(epoch, step, seconds, train_loss, loss, wer, process_memory_mb()[0], bool(best))
        history.append(row)
        on_epoch(row)
        return row

    last_best = measure(0, None).epoch
    stopped = f"all {settings.epochs} epochs done"
    for epoch in range(1, settings.epochs + 1):
        random = np.random.default_rng([settings.seed, epoch])
        batches = _batches(recognizer, corpus, training, replay, settings, epoch, random)
        losses = []
        progress = (epoch - 1) / settings.epochs
        rate = settings.learning_rate * (0.1 + 0.45 * (1 + np.cos(np.pi * progress)))
        for number, batch in enumerate(batches, 1):
            result = recognizer.train_step(
                batch,
                learning_rate=rate,
                clip_norm=settings.clip_norm,
                pull=settings.pull,
                group_rates=settings.group_rates,
                plan=settings.plan,
            )
            step += not result.skipped
            losses.append(result.loss)
            on_step(number, len(batches), result.loss)
        finite = [loss for loss in losses if np.isfinite(loss)]
        trained = recognizer.state()
        average = _moved(average, trained, max(settings.averaging, 1 / epoch))
        recognizer.set_state(average)
        best = measure(epoch, float(np.mean(finite)) if finite else None).best
        recognizer.set_state(trained)
        if best:
            last_best, best_state = epoch, average
        elif epoch - last_best >= settings.patience:
            stopped = f"no better validation result for {settings.patience} epochs"
            break
    recognizer.set_state(best_state)
    return Outcome(history, best_state, step, time.monotonic() - started, stopped)


def _moved(average: dict[str, np.ndarray], state: dict[str, np.ndarray], share: float) -> dict[str, np.ndarray]:
    """The average with `share` of a state in it; what is not float32 is the state's."""
    return {
        key: average[key] + np.float32(share) * (value - average[key]) if value.dtype == np.float32 else value
        for key, value in state.items()
    }


def _validation(
    recognizer: Recognizer, corpus: Corpus, held_out: Sequence[Utterance], settings: Settings
) -> list[Example]:
    """The held-out utterances as they are and, where training varies its own, varied copies: more to tell epochs by."""
    examples = examples_of(recognizer, corpus, _joined(corpus, held_out, settings, epoch=0))
    if settings.augment:
        random = np.random.default_rng([settings.seed, 0])
        for turn in range(1, VALIDATION_COPIES):
            clips = _joined(corpus, held_out, settings, 0, turn)
            examples += [_varied(recognizer, corpus, clip, random) for clip in clips]
    return examples


def _varied(recognizer: Recognizer, corpus: Corpus, clip: Clip, random: np.random.Generator) -> Example:
    """A clip at another speed, level and noise, if it then still fits the model."""
    samples = corpus.assemble(clip, random)
    if len(samples) > recognizer.config.features.samples_of(recognizer.config.sizes.max_frames):  # slowed down
        samples = corpus.assemble(clip)
    return recognizer.example(samples, clip.text, clip.where)


def _joined(
    corpus: Corpus, utterances: Sequence[Utterance], settings: Settings, epoch: int, turn: int = 0
) -> list[Clip]:
    """Strings of the utterances, other ones each epoch and turn, that leave room for slower speech and a pause."""
    seed = settings.seed + 1000 * epoch + turn
    return fitting_clips(corpus, utterances, settings.connect, seed, 0.75 * corpus.config.max_seconds)


def _batches(
    recognizer: Recognizer,
    corpus: Corpus,
    training: Sequence[Utterance],
    replay: Sequence[Example],
    settings: Settings,
    epoch: int,
    random: np.random.Generator,
) -> list[list[Example]]:
    """An epoch's batches, each with `settings.replay` shipped utterances where there are any."""
    borrowed = min(settings.replay, recognizer.config.sizes.batch - 1) if replay else 0
    size = recognizer.config.sizes.batch - borrowed
    own: list[Example] = []
    turn = 0
    while len(own) < max(1, (settings.epoch_steps - 1) * size + 1):
        for clip in _joined(corpus, training, settings, epoch, turn):
            if settings.augment:
                own.append(_varied(recognizer, corpus, clip, random))
            else:
                own.append(recognizer.example(corpus.assemble(clip), clip.text, clip.where))
        turn += 1
    random.shuffle(own)
    batches = []
    for first in range(0, len(own), size):
        chosen = random.choice(len(replay), borrowed, replace=False) if borrowed else []
        batches.append([*own[first : first + size], *(replay[index] for index in chosen)])
    return batches
