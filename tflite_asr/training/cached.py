"""Training above frozen groups: their output for a corpus is computed once and stored on disk."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from tflite_asr.data.alignment import ctc_problem
from tflite_asr.data.connect import Clip
from tflite_asr.data.corpus import Corpus
from tflite_asr.errors import InputError
from tflite_asr.files import write_whole
from tflite_asr.models.speech import SpeechModel
from tflite_asr.training.batching import SAMPLE, SIZES, Example, frame_counts, in_batches, label_sizes

BATCH = 16  # utterances computed together


class CachedOutput:
    """What the encoder groups below `below` put out for each utterance, in several versions: as it was recorded, with
    the silence around it that recognition adds, and augmented. One file a version, 16-bit floats; those that are there
    are not computed again.

    Args:
        corpus: the speech.
        model: whose groups are computed.
        below: how many of them, from the first on.
        versions: of each utterance.
        folder: for the files.
        seed: of augmentation.
    """

    def __init__(self, corpus: Corpus, model: SpeechModel, below: int, versions: int, folder: Path, seed: int):
        self.corpus = corpus
        self.folder = folder
        self.seed = seed
        folder.mkdir(parents=True, exist_ok=True)
        self.versions = versions
        self._stored = []
        for version in range(versions):
            values, ends = (folder / f"{version}.{name}.npy" for name in ("values", "ends"))
            if not ends.exists():  # written last
                self._compute(model, below, version, values, ends)
            self._stored.append((np.load(values, mmap_mode="r"), np.load(ends)))
            if len(self._stored[-1][1]) != len(corpus.utterances):
                raise InputError(
                    f"{ends}: expected {len(corpus.utterances)} utterances, got {len(self._stored[-1][1])}; it is of "
                    "other speech: remove the folder"
                )

    def read(self, index: int, version: int) -> np.ndarray:
        """The output for an utterance of the corpus: [steps, units] float32."""
        values, ends = self._stored[version]
        start = ends[index - 1] if index else 0
        return values[start : ends[index]].astype(np.float32)

    def _compute(self, model: SpeechModel, below: int, version: int, values: Path, ends: Path) -> None:
        config = self.corpus.config
        spoken = [self._samples(index, version) for index in range(len(self.corpus.utterances))]
        sizes = [config.features.samples_of(int(share * config.sizes.max_frames)) for share in SIZES]

        @tf.function
        def output(samples, counts):
            frames = model.features(samples, counts)
            x, lengths = model.front(frames, frame_counts(counts, config))
            for group in model.groups[:below]:
                x, lengths, _ = group(x, lengths)
            return tf.cast(x, tf.float16), lengths

        found: list[np.ndarray] = [np.empty([0])] * len(spoken)
        order = sorted(range(len(spoken)), key=lambda index: len(spoken[index]))
        starts = range(0, len(order), BATCH)
        for first in tqdm(starts, desc=f"frozen groups, version {version + 1}", unit="batch", disable=None):
            chosen = order[first : first + BATCH]
            most = next(size for size in sizes if len(spoken[chosen[-1]]) <= size)
            samples = np.zeros([BATCH, most], np.float32)
            for row, index in enumerate(chosen):
                samples[row, : len(spoken[index])] = spoken[index]
            counts = [len(spoken[index]) for index in chosen] + [0] * (BATCH - len(chosen))
            x, lengths = output(tf.constant(samples), tf.constant(counts, tf.int32))
            for index, steps, count in zip(chosen, x.numpy(), lengths.numpy()):
                found[index] = steps[:count].copy()
        print(f"frozen groups, version {version + 1}: {len(spoken)} utterances", file=sys.stderr)
        for path, array in ((values, np.concatenate(found)), (ends, np.cumsum([len(steps) for steps in found]))):
            write_whole(path, lambda file, array=array: np.save(file, array))

    def _samples(self, index: int, version: int) -> np.ndarray:
        """An utterance's samples [n] float32: version 0 as it was recorded; another augmented, if that fits
        the model.
        """
        config, utterance = self.corpus.config, self.corpus.utterances[index]
        most = config.features.samples_of(config.sizes.max_frames)
        clip = Clip((utterance,))
        if version:
            samples = self.corpus.assemble(clip, np.random.default_rng([self.seed, version, index]))
            frames = config.features.frames_of(len(samples))
            if len(samples) <= most and not ctc_problem(self.corpus.labels(utterance.text)[0], frames, config):
                return samples
        return np.pad(self.corpus.assemble(clip), config.edge_samples)[:most]


def cached_batches(cache: CachedOutput, batch: int, seed: int) -> tf.data.Dataset:
    """An endless stream of (values [batch, steps, units], counts [batch] in steps, and the labels as in
    `training_batches`): every pass takes each utterance in a version drawn at random.
    """
    corpus, config = cache.corpus, cache.corpus.config
    labels = [corpus.labels(utterance.text) for utterance in corpus.utterances]
    steps = config.sizes.max_frames // config.encoder.frames_per_step
    sizes = [(int(share * steps), *label_sizes(config, share)) for share in SIZES]

    def examples(epoch: int) -> Iterator[Example]:
        random = np.random.default_rng([seed, epoch])
        for index in random.permutation(len(labels)):
            yield cache.read(index, int(random.integers(cache.versions))), *labels[index]

    return in_batches(examples, sizes, batch, small=len(labels) <= SAMPLE)
