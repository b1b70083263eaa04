"""Batches and validation sets: joined and augmented utterances of the owner, and shipped utterances."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tflite_asr.data.alignment import alignment_problem, utterance_frames
from tflite_asr.data.clips import fitting_clips
from tflite_asr.data.connect import Clip
from tflite_asr.data.corpus import Corpus
from tflite_asr.data.manifest import Utterance
from tflite_asr.personalization.cached_batches import CachedBatches
from tflite_asr.personalization.settings import Settings
from tflite_asr.runtime.batch import Example
from tflite_asr.runtime.evaluation import examples_of
from tflite_asr.runtime.recognizer import Recognizer

VALIDATION_UTTERANCES = 100  # that few held-out ones are varied into: one word more or less is to weigh little
MOST_COPIES = 12  # of each, the recording itself among them


def validation_examples(
    recognizer: Recognizer, corpus: Corpus, held_out: Sequence[Utterance], settings: Settings
) -> list[Example]:
    """The held-out utterances as they are and, where training varies its own, varied copies: more to tell epochs by."""
    examples = examples_of(recognizer, corpus, _joined(corpus, held_out, settings, epoch=0))
    if settings.augment:
        random = np.random.default_rng([settings.seed, 0])
        for copy in range(1, validation_copies(len(held_out))):
            clips = _joined(corpus, held_out, settings, 0, copy)
            examples += [_varied(recognizer, corpus, clip, random) for clip in clips]
    return examples


def validation_copies(held_out: int) -> int:
    """How often each of so many held-out utterances is validated."""
    return min(-(-VALIDATION_UTTERANCES // held_out), MOST_COPIES)


def epoch_batches(
    recognizer: Recognizer,
    corpus: Corpus,
    training: Sequence[Utterance],
    replay: Sequence[Example],
    settings: Settings,
    epoch: int,
    random: np.random.Generator,
    cached: CachedBatches | None = None,
) -> list[list[Any]]:
    """An epoch's batches: every utterance once, or as often as it takes to fill `settings.epoch_steps`.

    Args:
        recognizer, corpus, training, replay, settings: of the training.
        epoch: counted from 1.
        random: of the epoch.
        cached: of this training, for the plan `cached`: an epoch comes `settings.cached_uses` times.
    """
    size = own_rows(recognizer, replay, settings)
    if cached is None:
        own = _own_examples(recognizer, corpus, training, settings, epoch, random, size)
    else:
        version = (epoch - 1) % -(-settings.epochs // settings.cached_uses)
        drawn = np.random.default_rng([settings.seed, version])
        own = cached.rows(
            ("own", version),
            lambda: _own_examples(recognizer, corpus, training, settings, version, drawn, size),
        )
    order = list(own)
    random.shuffle(order)
    return [
        with_replay(recognizer, order[first : first + size], replay, settings, random, cached)
        for first in range(0, len(order), size)
    ]


def _own_examples(
    recognizer: Recognizer,
    corpus: Corpus,
    training: Sequence[Utterance],
    settings: Settings,
    epoch: int,
    random: np.random.Generator,
    size: int,
) -> list[Example]:
    """The owner's rows of an epoch, of which a batch holds `size`."""
    own: list[Example] = []
    repetition = 0
    while len(own) < max(1, (settings.epoch_steps - 1) * size + 1):
        for clip in _joined(corpus, training, settings, epoch, repetition):
            if settings.augment:
                own.append(_varied(recognizer, corpus, clip, random))
            else:
                own.append(recognizer.example(corpus.assemble(clip), clip.text, clip.where))
        repetition += 1
    return own


def own_rows(recognizer: Recognizer, replay: Sequence[Example], settings: Settings) -> int:
    """How many rows of a batch hold the owner's utterances; one at least."""
    size = recognizer.config.sizes.batch
    return size - min(settings.replay, size - 1) if replay else size


def with_replay(
    recognizer: Recognizer,
    own: Sequence[Any],
    replay: Sequence[Example],
    settings: Settings,
    random: np.random.Generator,
    cached: CachedBatches | None = None,
) -> list[Any]:
    """A batch of the owner's utterances and, where there are any, of `settings.replay` shipped ones."""
    borrowed = recognizer.config.sizes.batch - own_rows(recognizer, replay, settings)
    chosen = random.choice(len(replay), borrowed, replace=False).tolist() if borrowed else []
    if cached is None:
        return [*own, *(replay[index] for index in chosen)]
    return [*own, *(cached.rows(("replay", index), lambda: [replay[index]])[0] for index in chosen)]


def _varied(recognizer: Recognizer, corpus: Corpus, clip: Clip, random: np.random.Generator) -> Example:
    """A clip at another speed, level and noise; as it was recorded if it then no longer fits the model, or its text the
    audio."""
    samples, config = corpus.assemble(clip, random), recognizer.config
    too_long = len(samples) > config.features.samples_of(config.sizes.max_frames)  # slowed down
    frames = utterance_frames(config, len(samples))
    if too_long or alignment_problem(recognizer.labels.encode(clip.text), frames, config):  # or sped up
        samples = corpus.assemble(clip)
    return recognizer.example(samples, clip.text, clip.where)


def _joined(
    corpus: Corpus, utterances: Sequence[Utterance], settings: Settings, epoch: int, repetition: int = 0
) -> list[Clip]:
    """Strings of utterances, drawn anew for each epoch and repetition, with room for slower speech and a pause."""
    seed = settings.seed + 1000 * epoch + repetition
    return fitting_clips(corpus, utterances, settings.connect, seed, 0.75 * corpus.config.max_seconds)
