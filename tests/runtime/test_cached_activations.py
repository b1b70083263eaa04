"""Training steps from stored outputs of the lower groups: the same steps as without, and each output computed once."""

import dataclasses

import numpy as np
import pytest

from tflite_asr.errors import InputError
from tflite_asr.runtime.batch import Example
from tflite_asr.runtime.cached_activations import CachedExample, packed_row, unpacked_row
from tflite_asr.runtime.recognizer import Recognizer


@pytest.fixture
def examples(recognizer):
    random, config = np.random.default_rng(5), recognizer.config
    made = []
    for index in range(5):
        frames = random.normal(0, 1, [20 + 7 * index, config.features.width]).astype(np.float32)
        tokens = random.integers(1, config.label_bound, [2 + index % 3]).astype(np.int32)
        made.append(Example(frames, tokens, "noise", f"utterance {index}"))
    return made


def trained(recognizer, batches, **how):
    losses = [recognizer.train_step(batch, learning_rate=1e-2, clip_norm=1.0, **how).loss for batch in batches]
    return losses, recognizer.state()


def batches_of(examples):
    """Other utterances together each time, and batches that are not full."""
    return [examples[:2], [examples[4]], [examples[1], examples[3]], [examples[2], examples[0]], [examples[3]]]


def lower_groups(recognizer):
    return [group for group in recognizer.groups if group not in recognizer.plan("cached").trained]


@pytest.mark.parametrize("on_disk", [False, True])
def test_steps_from_stored_outputs_are_the_steps_without(tiny_tflite, recognizer, examples, tmp_path, on_disk):
    """In float32 to the last digits that the batch's other rows leave."""
    lower = lower_groups(recognizer)
    assert lower == ["encoder_0", "encoder_1"][: len(lower)] and lower
    frozen = dict.fromkeys(lower, 0.0)
    losses, weights = trained(recognizer, batches_of(examples), plan="split", group_rates=frozen)
    fresh = Recognizer.load(tiny_tflite)
    shipped = fresh.state()
    cached = fresh.cache(examples, bits=32, folder=tmp_path / "cached" if on_disk else None)
    assert len(list((tmp_path / "cached").glob("*"))) == (len(examples) if on_disk else 0)
    cached_losses, cached_weights = trained(fresh, batches_of(cached), plan="cached")
    np.testing.assert_allclose(cached_losses, losses, rtol=1e-5)
    assert len({round(loss, 3) for loss in losses}) > 1
    for row in fresh.artifact.trainable:
        name = row["tensor"]
        np.testing.assert_allclose(cached_weights[name], weights[name], rtol=1e-4, atol=1e-6, err_msg=name)
        assert np.array_equal(cached_weights[name], shipped[name]) == (row["group"] in lower), name


@pytest.mark.parametrize("bits, error", [(8, 0.02), (16, 1e-3)])
def test_fewer_bits_take_less_room_and_change_little(tiny_tflite, recognizer, examples, bits, error):
    frozen = dict.fromkeys(lower_groups(recognizer), 0.0)
    losses, _ = trained(recognizer, batches_of(examples), plan="split", group_rates=frozen)
    fresh = Recognizer.load(tiny_tflite)
    whole, small = fresh.cache(examples, bits=32), fresh.cache(examples, bits=bits)
    outputs = sum(row.read()["x"].size for row in whole)
    saved = sum(row.bytes for row in whole) - sum(row.bytes for row in small)
    assert saved > 0.9 * outputs * (4 - bits / 8) - 5 * 4 * max(len(row.read()["x"]) for row in whole) - 500
    cached_losses, _ = trained(fresh, batches_of(small), plan="cached")
    np.testing.assert_allclose(cached_losses, losses, rtol=error)


def test_a_row_is_stored_to_within_half_a_level_of_its_scale():
    random = np.random.default_rng(1)
    outputs = {
        "x": random.normal(0, 1, [3, 9, 4]).astype(np.float32) * np.logspace(-3, 2, 9, dtype=np.float32)[:, np.newaxis],
        "lengths": np.asarray([9, 5, 0], np.int32),
        "rows": np.asarray([1, 1, 0], np.float32),
    }
    for row in range(3):
        found = unpacked_row(packed_row(outputs, row, 8))
        steps = outputs["lengths"][row]
        assert (
            found["x"].shape == (steps, 4) and found["lengths"] == [steps] and found["rows"] == [outputs["rows"][row]]
        )
        true = outputs["x"][row, :steps]
        half = np.abs(true).max(axis=1, keepdims=True, initial=0) / 127 / 2
        assert np.all(np.abs(found["x"] - true) <= half * 1.001)
        assert np.array_equal(unpacked_row(packed_row(outputs, row, 32))["x"], true)


def test_frames_are_taken_as_well_and_computed_each_time(tiny_tflite, recognizer, examples):
    frozen = dict.fromkeys(lower_groups(recognizer), 0.0)
    losses, _ = trained(recognizer, batches_of(examples), plan="split", group_rates=frozen)
    without_cache, _ = trained(Recognizer.load(tiny_tflite), batches_of(examples), plan="cached")
    assert without_cache == losses


def test_what_cannot_be_trained_so_is_refused(recognizer, examples, tmp_path):
    cached = recognizer.cache(examples[:2], folder=tmp_path / "c")
    lower = lower_groups(recognizer)[0]
    before = recognizer.state()
    with pytest.raises(InputError, match=f"plan 'cached' does not train {lower}: what they put out is stored"):
        recognizer.train_step(cached, plan="cached", group_rates={lower: 0.5})
    with pytest.raises(InputError, match="plan 'split': expected plan 'cached' for cached utterances, 2 of 2 are"):
        recognizer.train_step(cached, plan="split")
    with pytest.raises(InputError, match="expected utterances that are all cached, 1 of 2 are cached"):
        recognizer.train_step([cached[0], examples[0]], plan="cached")
    with pytest.raises(InputError, match="expected 8, 16 or 32 bits, got 4"):
        recognizer.cache(examples[:1], bits=4)
    (tmp_path / "c" / "00000001.safetensors").write_bytes(b"not this")
    with pytest.raises(InputError, match=r"00000001\.safetensors: stored activations are not there or damaged"):
        recognizer.train_step(cached, plan="cached")
    (tmp_path / "c" / "00000001.safetensors").unlink()
    with pytest.raises(InputError, match=r"00000001\.safetensors: stored activations are not there or damaged"):
        recognizer.train_step(cached, plan="cached")
    assert all(np.array_equal(value, before[name]) for name, value in recognizer.state().items())


def test_a_file_in_one_part_has_no_such_plan(recognizer, examples):
    del recognizer.artifact.plans["cached"]
    with pytest.raises(InputError, match="no plan named 'cached'; there are: split, train; export with --parts 2"):
        recognizer.cache(examples)


def test_a_folder_that_cannot_be_written_is_named(recognizer, examples, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="could not store activations"):
        recognizer.cache(examples[:1], folder=tmp_path / "file")


def test_what_is_cached_keeps_the_transcript(recognizer, examples):
    heavy = dataclasses.replace(examples[0], weight=3)
    row = recognizer.cache([heavy])[0]
    assert isinstance(row, CachedExample)
    assert (row.text, row.where, row.weight, row.frame_count) == ("noise", "utterance 0", 3, len(heavy.frames))
    assert np.array_equal(row.tokens, heavy.tokens)
