"""From a corpus to padded batches of a few fixed shapes, for training with TensorFlow."""

from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from tflite_asr.data.connect import Clip, connect
from tflite_asr.data.corpus import Corpus

LONGEST_SHARE = 0.6  # of the model's longest utterance: room for slower speech and for pauses


def training_batches(corpus: Corpus, batch: int, connect_up_to: int, seed: int) -> tf.data.Dataset:
    """An endless stream of (samples [batch, n], sample counts [batch], tokens [batch, max_tokens], counts [batch]).

    Each pass joins the clips anew and augments them anew; n is one of four sizes, so that the compiled step is one
    of four programs.
    """
    config = corpus.config
    most = config.features.samples_of(config.sizes.max_frames)
    boundaries = [config.features.samples_of(config.sizes.max_frames * k // 4) for k in (1, 2, 3, 4)]

    def examples() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        epoch = 0
        while True:
            random = np.random.default_rng([seed, epoch])
            clips = connect(
                corpus.utterances,
                connect_up_to,
                seed=int(random.integers(2**31)),
                max_seconds=LONGEST_SHARE * config.max_seconds,
                gap_seconds=(0.0, 0.4),
            )
            for index in random.permutation(len(clips)):
                tokens = corpus.tokenizer.encode(clips[index].text)
                samples = corpus.assemble(clips[index], random)
                if len(samples) <= most and len(tokens) <= config.sizes.max_tokens:
                    yield samples, tokens
            epoch += 1

    spec = (tf.TensorSpec([None], tf.float32), tf.TensorSpec([None], tf.int32))
    stream = tf.data.Dataset.from_generator(examples, output_signature=spec)
    stream = stream.map(lambda samples, tokens: (samples, tf.size(samples), tokens, tf.size(tokens)))
    # a length equal to a boundary belongs to the bucket above it, so boundaries are one more than the padded sizes
    bucketed = stream.bucket_by_sequence_length(
        lambda samples, *_: tf.size(samples),
        bucket_boundaries=[size + 1 for size in boundaries],
        bucket_batch_sizes=[batch] * (len(boundaries) + 1),
        padded_shapes=([None], [], [config.sizes.max_tokens], []),
        pad_to_bucket_boundary=True,
        drop_remainder=True,
    )
    return bucketed.prefetch(4)


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
