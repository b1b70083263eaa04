"""From a corpus to padded batches of a few fixed shapes, for training with TensorFlow."""

import itertools
import math
import sys
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from tflite_asr.config import ModelConfig
from tflite_asr.data.alignment import ctc_problem, utterance_frames
from tflite_asr.data.connect import Clip, connect
from tflite_asr.data.corpus import Corpus
from tflite_asr.errors import InputError

LONGEST_SHARE = 0.6  # of the model's longest utterance: room for slower speech and for pauses
SIZES = (1 / 8, 3 / 16, 1 / 4, 3 / 8, 1 / 2, 3 / 4, 1)  # of batches, as shares of the model's longest utterance
FASTEST, FASTEST_SUBWORDS = 33, 9  # characters and subwords a second: batches have no room for more in short utterances
SAMPLE = 500  # examples that tell which of the sizes are needed; a corpus with fewer keeps every utterance,
# a larger one this share: a size for the few longer ones is not worth a program that takes a minute to compile
COVERED = 0.98

# samples [n] or frames [n, width] float32, and labels [tokens] int32 of one pass or of both
Example = tuple[np.ndarray, ...]


def training_batches(
    corpus: Corpus, batch: int, connect_up_to: int, seed: int, *, augment: bool = True
) -> tf.data.Dataset:
    """An endless stream of (samples [batch, n], sample counts [batch], tokens [batch, u], counts [batch]); of a corpus
    for both passes also (subwords [batch, v], counts [batch]).

    Each pass joins the clips anew and, unless `augment` is False, augments them anew; n and u are those of one of a few
    sizes, so that the compiled step is one of as many programs. An example that augmentation made too long for the
    sizes, or too short for its text, is taken as it was recorded, a string that is too long in its parts. Of a large
    corpus, utterances longer than nearly all the others are left out; a notice on standard error counts them.
    """
    config = corpus.config

    def examples(epoch: int) -> Iterator[Example]:
        random = np.random.default_rng([seed, epoch])
        clips = connect(
            corpus.utterances,
            connect_up_to,
            seed=int(random.integers(2**31)),
            max_seconds=LONGEST_SHARE * config.max_seconds,
            gap_seconds=(0.0, 0.4),
        )
        for index in random.permutation(len(clips)):
            yield from whole_or_in_parts(clips[index], random if augment else None)

    def whole_or_in_parts(clip: Clip, random: np.random.Generator | None) -> Iterator[Example]:
        labels = corpus.labels(clip.text)
        for variation in (random, None) if random else (None,):
            samples = corpus.assemble(clip, variation)
            frames = utterance_frames(config, len(samples), tail=False)
            if size_of((samples, *labels)) is not None and not ctc_problem(labels[0], frames, config):
                yield samples, *labels
                return
        if len(clip.parts) > 1:
            for part in clip.parts:
                yield from whole_or_in_parts(Clip((part,)), random)

    def size_of(example: Example) -> int | None:
        return _size_of(example, sizes)

    sizes = _sizes(config)
    plain = [size_of((corpus.samples(utterance), *corpus.labels(utterance.text))) for utterance in corpus.utterances]
    drawn = [size_of(example) for example in itertools.islice(examples(0), SAMPLE)]
    if not drawn:
        raise InputError(f"expected utterances to train on, none of {len(plain)} fits the model and can be aligned")
    share = 1.0 if len(plain) <= SAMPLE else COVERED
    needed = [_quantile([size for size in found if size is not None], share) for found in (drawn, plain)]
    sizes = sizes[: max(needed) + 1]
    _report_longer(sum(size is None or size >= len(sizes) for size in plain), len(plain), sizes[-1], config)
    return in_batches(examples, sizes, batch, small=len(plain) <= SAMPLE)


def in_batches(
    examples: Callable[[int], Iterator[Example]], sizes: Sequence[tuple[int, ...]], batch: int, *, small: bool
) -> tf.data.Dataset:
    """An endless stream of batches, each of the parts of examples padded to one of the sizes, with their counts
    [batch].

    Args:
        examples: of a pass, by its number; they fit the largest size.
        sizes: how much of each part, smallest first.
        batch: examples in a batch.
        small: whether a pass has too few examples to fill batches of each size.
    """

    def batches() -> Iterator[tuple[np.ndarray, ...]]:
        waiting: list[list] = [[] for _ in sizes]
        for epoch in itertools.count():
            for example in examples(epoch):
                size = _size_of(example, sizes)
                if size is None:
                    raise ValueError(f"expected examples that fit {sizes[-1]}, got {list(map(len, example))}")
                waiting[size].append(example)
                if len(waiting[size]) == batch:
                    yield _padded(waiting[size], sizes[size])
                    waiting[size] = []
            if small:  # the few of a size shall not wait for passes until they are a batch
                for size in range(len(sizes) - 1):
                    waiting[size + 1] += waiting[size]
                    waiting[size] = []
                    if len(waiting[size + 1]) >= batch:
                        yield _padded(waiting[size + 1][:batch], sizes[size + 1])
                        waiting[size + 1] = waiting[size + 1][batch:]

    values, *labels = next(examples(0))
    counts = tf.TensorSpec([batch], tf.int32)
    spec = [tf.TensorSpec([batch, None, *values.shape[1:]], tf.float32), counts]
    spec += [tf.TensorSpec([batch, None], tf.int32), counts] * len(labels)
    return tf.data.Dataset.from_generator(batches, output_signature=tuple(spec)).prefetch(4)


def _size_of(example: Example, sizes: Sequence[tuple[int, ...]]) -> int | None:
    """Index of the smallest size that an example fits into; None when it fits into none."""
    return next((index for index, size in enumerate(sizes) if all(map(_fits, example, size))), None)


def frame_counts(sample_counts: tf.Tensor, config: ModelConfig) -> tf.Tensor:
    """Whole frames in each row: [batch] int32."""
    features = config.features
    return tf.maximum(0, (sample_counts - features.window_samples) // features.hop_samples + 1)


def _quantile(values: Sequence[int], share: float) -> int:
    """The least of the values that at least `share` of them are not above; -1 for none."""
    return sorted(values)[math.ceil(share * len(values)) - 1] if values else -1


def _fits(values: np.ndarray, most: int) -> bool:
    return len(values) <= most


def _report_longer(count: int, total: int, size: tuple[int, ...], config: ModelConfig) -> None:
    """Say how many utterances fit into none of the sizes of batches."""
    if count:
        seconds, tokens = size[0] / config.features.sample_rate, size[1]
        print(
            f"notice: {count} of {total} utterances ({count / total:.1%}) longer than {seconds:.2f} s or {tokens} "
            f"characters left out",
            file=sys.stderr,
        )


def _sizes(config: ModelConfig) -> list[tuple[int, ...]]:
    """(samples, tokens) that batches are padded to, of a model with a decoder (samples, tokens, subwords), smallest
    first.
    """
    samples = [config.features.samples_of(int(share * config.sizes.max_frames)) for share in SIZES]
    return [(most, *label_sizes(config, share)) for most, share in zip(samples, SIZES)]


def label_sizes(config: ModelConfig, share: float) -> list[int]:
    """Most tokens, and of a model with a decoder subwords, in a batch of utterances of a share of the longest: four
    times that share of the longest text, if anybody speaks so fast.
    """
    most = [(config.sizes.max_tokens, FASTEST), *([(config.max_subwords, FASTEST_SUBWORDS)] if config.decoder else [])]
    return [min(n, int(4 * share * n), math.ceil(fastest * share * config.max_seconds)) for n, fastest in most]


def _padded(examples: list[Example], size: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    """For each part of the examples: values [batch, most] and their counts [batch]."""
    padded = []
    for parts, most, dtype in zip(zip(*examples), size, (np.float32, np.int32, np.int32)):
        values = np.zeros([len(parts), most, *parts[0].shape[1:]], dtype)
        for row, part in enumerate(parts):
            values[row, : len(part)] = part
        padded += [values, np.array([len(part) for part in parts], np.int32)]
    return tuple(padded)


def evaluation_batches(
    corpus: Corpus, batch: int, clips: Sequence[Clip]
) -> Iterator[tuple[np.ndarray, np.ndarray, list]]:
    """(samples [batch, n], sample counts [batch], the clips of this batch), nothing changed but the padding.

    The last batch is filled up with rows of length 0.
    """
    most = corpus.config.features.samples_of(corpus.config.sizes.max_frames)
    for first in range(0, len(clips), batch):
        chosen = list(clips[first : first + batch])
        samples = np.zeros([batch, most], np.float32)
        counts = np.zeros([batch], np.int32)
        for row, clip in enumerate(chosen):
            waveform = corpus.assemble(clip)
            samples[row, : len(waveform)] = waveform
            counts[row] = len(waveform)
        yield samples, counts, chosen
