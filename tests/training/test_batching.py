"""Batches of a few shapes."""

import itertools
import json

import numpy as np
import pytest
import soundfile

from tflite_asr.config import preset
from tflite_asr.data.corpus import Corpus
from tflite_asr.data.manifest import read_manifest
from tflite_asr.errors import InputError
from tflite_asr.training.batching import training_batches

CONFIG = preset("tiny")  # 1.2 seconds at most: sizes of 0.15, 0.225, 0.3, 0.45, 0.6 and 1.2 seconds


def corpus_of(folder, seconds, texts=None, config=CONFIG):
    rows = []
    for number, (length, text) in enumerate(zip(seconds, texts or ["AB"] * len(seconds), strict=True)):
        soundfile.write(folder / f"{number}.wav", 0.1 * np.ones(int(16_000 * length)), 16_000)
        rows.append({"audio": f"{number}.wav", "text": text, "speaker": "x"})
    (folder / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Corpus(read_manifest(folder / "m.jsonl"), config)


def widths(corpus, batches=200):
    """Samples and labels that batches are padded to."""
    stream = training_batches(corpus, 1, 1, 0, augment=False)
    shapes = [(samples.shape[1], tokens.shape[1]) for samples, _, tokens, _ in itertools.islice(stream, batches)]
    return {part: sorted(set(values)) for part, values in zip(("samples", "labels"), zip(*shapes))}


@pytest.mark.parametrize(
    ("longer", "sizes", "message"), [(5, 1, "5 of 505 utterances (1.0%) longer than 0.23 s"), (20, 2, "")]
)
def test_few_long_utterances_of_many_have_no_size_of_their_own(tmp_path, capsys, longer, sizes, message):
    corpus = corpus_of(tmp_path, [0.2] * 500 + [1.0] * longer)
    assert len(widths(corpus, 600)["samples"]) == sizes
    problem = capsys.readouterr().err
    assert message in problem if message else "notice" not in problem


@pytest.mark.parametrize("seconds", [[0.2] * 99 + [1.0], [0.2, 0.2, 0.2, 0.5, 1.1], [1.2]])
@pytest.mark.parametrize("augment", [False, True])
def test_a_small_corpus_hears_all_of_its_utterances(tmp_path, capsys, seconds, augment):
    """Every clip has a text of its own; in three passes with batches of four every one comes."""
    texts = ["".join(chr(ord("A") + int(digit)) for digit in str(number)) for number in range(len(seconds))]
    corpus = corpus_of(tmp_path, seconds, texts)
    stream = training_batches(corpus, 4, 1, 0, augment=augment)
    heard = set()
    for _, _, tokens, counts in itertools.islice(stream, -(-3 * len(seconds) // 4)):
        heard |= {corpus.tokenizer.decode(row[:count]) for row, count in zip(tokens.numpy(), counts.numpy())}
    assert heard == set(texts)
    assert "notice" not in capsys.readouterr().err


def test_strings_longer_than_the_sizes_are_taken_in_parts(tmp_path):
    """Without durations in the manifest four clips of half a second are joined beyond the model's 1.2 seconds."""
    corpus = corpus_of(tmp_path, [0.5] * 4, ["A", "B", "C", "D"])
    heard = []
    for _, _, tokens, counts in itertools.islice(training_batches(corpus, 1, 4, 0, augment=False), 40):
        heard += corpus.tokenizer.decode(tokens[0, : counts[0]].numpy()).split()
    assert set(heard) == set("ABCD")


def test_what_no_ctc_path_spells_is_never_in_a_batch(tmp_path):
    config = preset("tiny_conformer")
    corpus = corpus_of(tmp_path, [0.3, 0.3, 1.1], ["AB", "ABCDEFGHIJ", "ABCDEFGHIJ"], config)
    stream = training_batches(corpus, 1, 3, 0)
    for _, samples, tokens, counts in itertools.islice(stream, 40):
        labels = tokens.numpy()[0, : counts[0]]
        frames = config.features.frames_of(int(samples[0]))
        assert len(labels) + np.sum(labels[1:] == labels[:-1]) <= frames // 4
    with pytest.raises(InputError, match="none of 1 fits"):
        next(iter(training_batches(corpus_of(tmp_path, [0.2], ["ABCDEFGHIJ"], config), 1, 1, 0)))


def test_short_utterances_with_many_labels_are_heard(tmp_path):
    corpus = corpus_of(tmp_path, [0.2] * 4, ["ABCDEFGHIJKL"] * 4)
    assert widths(corpus, 4)["labels"] == [12]
