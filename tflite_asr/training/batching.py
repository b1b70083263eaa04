"""From a corpus to padded batches of a few fixed shapes, for training with TensorFlow."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from tflite_asr.config import ModelConfig
from tflite_asr.data.connect import Clip, connect
from tflite_asr.data.corpus import Corpus

LONGEST_SHARE = 0.6  # of the model's longest utterance: room for slower speech and for pauses
SIZES = (1 / 8, 3 / 16, 1 / 4, 3 / 8, 1 / 2, 1)  # of batches, as shares of the model's longest utterance
SAMPLE = 500  # examples that tell which of the sizes are needed:
COVERED = 0.98  # of the speech; a size for the few longer utterances is not worth a program that takes a minute to compile


def training_batches(corpus: Corpus, batch: int, connect_up_to: int, seed: int, *, augment: bool = True) -> tf.data.Dataset:
    """An endless stream of (samples [batch, n], sample counts [batch], tokens [batch, u], counts [batch]).

    Each pass joins the clips anew and, unless told otherwise, augments them anew; n and u are those of one of a few sizes,
    so that the compiled step is one of as many programs. What is longer than nearly all the speech is left out.
    """
    config = corpus.config

    def examples(epoch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        random = np.random.default_rng([seed, epoch])
        clips = connect(
            corpus.utterances,
            connect_up_to,
            seed=int(random.integers(2**31)),
            max_seconds=LONGEST_SHARE * config.max_seconds,
            gap_seconds=(0.0, 0.4),
        )
        for index in random.permutation(len(clips)):
            yield corpus.assemble(clips[index], random if augment else None), corpus.tokenizer.encode(clips[index].text)

    def size_of(samples: np.ndarray, tokens: np.ndarray) -> int | None:
        """Index of the smallest size that an example fits into; None when it fits into none."""
        return next((index for index, (n, u) in enumerate(sizes) if len(samples) <= n and len(tokens) <= u), None)

    sizes = _sizes(config)
    drawn = [size_of(*example) for example in itertools.islice(examples(0), SAMPLE)]
    found = sorted(index for index in drawn if index is not None)
    if found:
        sizes = sizes[: found[int(COVERED * (len(found) - 1))] + 1]

    def batches() -> Iterator[tuple[np.ndarray, ...]]:
        waiting: list[list] = [[] for _ in sizes]
        for samples, tokens in itertools.chain.from_iterable(map(examples, itertools.count())):
            size = size_of(samples, tokens)
            if size is None:
                continue
            waiting[size].append((samples, tokens))
            if len(waiting[size]) == batch:
                yield _padded(waiting[size], *sizes[size])
                waiting[size] = []

    spec = (
        tf.TensorSpec([batch, None], tf.float32),
        tf.TensorSpec([batch], tf.int32),
        tf.TensorSpec([batch, None], tf.int32),
        tf.TensorSpec([batch], tf.int32),
    )
    return tf.data.Dataset.from_generator(batches, output_signature=spec).prefetch(4)


def _sizes(config: ModelConfig) -> list[tuple[int, int]]:
    """(samples, tokens) that batches are padded to, smallest first."""
    most = config.sizes
    return [
        (config.features.samples_of(int(share * most.max_frames)), min(most.max_tokens, int(4 * share * most.max_tokens)))
        for share in SIZES
    ]


def _padded(examples: list[tuple[np.ndarray, np.ndarray]], most_samples: int, most_tokens: int) -> tuple[np.ndarray, ...]:
    """Samples [batch, most_samples], their counts, tokens [batch, most_tokens], their counts."""
    samples = np.zeros([len(examples), most_samples], np.float32)
    tokens = np.zeros([len(examples), most_tokens], np.int32)
    for row, (waveform, labels) in enumerate(examples):
        samples[row, : len(waveform)], tokens[row, : len(labels)] = waveform, labels
    counts = [np.array([len(example[part]) for example in examples], np.int32) for part in (0, 1)]
    return samples, counts[0], tokens, counts[1]


def evaluation_batches(corpus: Corpus, batch: int, clips: Sequence[Clip]) -> Iterator[tuple[np.ndarray, np.ndarray, list]]:
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
