"""Batches of a few shapes."""

import itertools
import json

import numpy as np
import pytest
import soundfile

from tflite_asr.config import preset
from tflite_asr.data.corpus import Corpus
from tflite_asr.data.manifest import read_manifest
from tflite_asr.training.batching import training_batches

CONFIG = preset("tiny")  # 1.2 seconds at most: sizes of 0.15, 0.225, 0.3, 0.45, 0.6 and 1.2 seconds


def corpus_of(folder, seconds, text="AB"):
    rows = []
    for number, length in enumerate(seconds):
        soundfile.write(folder / f"{number}.wav", 0.1 * np.ones(int(16_000 * length)), 16_000)
        rows.append({"audio": f"{number}.wav", "text": text, "speaker": "x"})
    (folder / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Corpus(read_manifest(folder / "m.jsonl"), CONFIG)


def widths(corpus, batches=200):
    """Samples and labels that batches are padded to."""
    stream = training_batches(corpus, 1, 1, 0, augment=False)
    shapes = [(samples.shape[1], tokens.shape[1]) for samples, _, tokens, _ in itertools.islice(stream, batches)]
    return {part: sorted(set(values)) for part, values in zip(("samples", "labels"), zip(*shapes))}


@pytest.mark.parametrize(("longer", "sizes"), [(1, 1), (20, 2)])
def test_few_long_utterances_have_no_size_of_their_own(tmp_path, longer, sizes):
    corpus = corpus_of(tmp_path, [0.2] * 99 + [1.0] * longer)
    assert len(widths(corpus)["samples"]) == sizes


def test_short_utterances_with_many_labels_are_heard(tmp_path):
    corpus = corpus_of(tmp_path, [0.1] * 4, text="ABCDEFGHIJKL")
    assert widths(corpus, 4)["labels"] == [12]
