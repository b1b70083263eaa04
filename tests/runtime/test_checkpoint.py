import errno
import os
import stat

import numpy as np
import pytest
from safetensors.numpy import save_file

from tflite_asr.errors import InputError
from tflite_asr.runtime.checkpoint import load_checkpoint, save_checkpoint

MODEL = "ab" * 32
OTHER_MODEL = "cd" * 32


def specs(tensors):
    return {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}


def load(path, tensors, artifact_sha256=MODEL):
    return load_checkpoint(path, artifact_sha256=artifact_sha256, expected=specs(tensors))


def is_folder(descriptor):
    return stat.S_ISDIR(os.fstat(descriptor).st_mode)


def assert_same(left, right):
    assert left.keys() == right.keys()
    for name in left:
        assert (left[name].dtype, left[name].shape) == (right[name].dtype, right[name].shape)
        assert left[name].tobytes() == right[name].tobytes()


@pytest.fixture
def tensors():
    source = np.random.default_rng(0)
    return {
        "encoder/kernel": source.normal(size=(3, 4)).astype(np.float32),
        "encoder/transposed": source.normal(size=(5, 2)).astype(np.float32).T,
        "encoder/strided": np.arange(10, dtype=np.int32)[::3],
        "optimizer/step": np.array(7, np.int32),
        "optimizer/rate": np.float32(0.1),
        "nothing": np.zeros((0, 3), np.float32),
        "tiny": np.array([-0.0, np.finfo(np.float32).tiny / 2], np.float32),
        "quantised": np.array([-128, 127], np.int8),
    }


@pytest.fixture
def saved(tmp_path):
    """A small checkpoint of step 1: (path, tensors)."""
    path, tensors = tmp_path / "owner.safetensors", {"a": np.array([1, 2], np.float32), "b": np.array(3, np.int32)}
    save_checkpoint(path, tensors, artifact_sha256=MODEL, step=1)
    return path, tensors


def test_round_trip_keeps_every_bit(tmp_path, tensors):
    path = tmp_path / "owner.safetensors"
    save_checkpoint(path, tensors, artifact_sha256=MODEL, step=12)
    loaded, step = load(path, tensors)
    assert step == 12
    assert_same(loaded, tensors)
    assert os.listdir(tmp_path) == [path.name]


def test_a_loaded_tensor_can_be_written_and_is_not_the_file(saved):
    path, tensors = saved
    loaded, _ = load(path, tensors)
    loaded["a"][0] = 9
    assert_same(load(path, tensors)[0], tensors)


def test_a_save_replaces_the_previous_one(saved):
    path, tensors = saved
    save_checkpoint(path, {**tensors, "b": np.array(4, np.int32)}, artifact_sha256=MODEL, step=2)
    loaded, step = load(path, tensors)
    assert (loaded["b"], step) == (4, 2)


def test_big_endian_arrays_load_as_the_same_numbers(tmp_path):
    values = np.array([1.5, -2], ">f4")
    save_checkpoint(tmp_path / "c", {"a": values}, artifact_sha256=MODEL, step=0)
    loaded, _ = load(tmp_path / "c", {"a": values.astype("<f4")})
    np.testing.assert_array_equal(loaded["a"], values)


def test_a_flip_of_any_bit_or_byte_is_refused(saved):
    path, tensors = saved
    whole = path.read_bytes()
    for position in range(len(whole)):
        for mask in (1, 2, 4, 8, 16, 32, 64, 128, 255):
            damaged = bytearray(whole)
            damaged[position] ^= mask
            path.write_bytes(damaged)
            with pytest.raises(InputError) as caught:
                load(path, tensors)
            assert str(caught.value).count("\n") == 0, position
    path.write_bytes(whole)
    load(path, tensors)


def test_every_truncation_and_an_appended_byte_are_refused(saved):
    path, tensors = saved
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match="not a whole checkpoint"):
            load(path, tensors)
    path.write_bytes(whole + b"\0")
    with pytest.raises(InputError, match="not a whole checkpoint"):
        load(path, tensors)


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_failing_write_leaves_the_previous_one(saved, monkeypatch, failing):
    path, tensors = saved
    before = path.read_bytes()

    def no_space(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, failing, no_space)
        with pytest.raises(InputError, match="could not save the checkpoint .*No space left"):
            save_checkpoint(path, {"a": np.zeros(2, np.float32)}, artifact_sha256=MODEL, step=2)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]
    assert load(path, tensors)[1] == 1


def test_a_folder_that_cannot_be_synchronised_is_told_apart(saved, monkeypatch):
    path, tensors = saved
    fsync = os.fsync

    def files_only(descriptor):
        if is_folder(descriptor):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", files_only)
        with pytest.raises(InputError, match="saved, but its folder"):
            save_checkpoint(path, tensors, artifact_sha256=MODEL, step=2)
    assert load(path, tensors)[1] == 2


def test_the_file_and_then_its_folder_are_synchronised(saved, monkeypatch):
    path, tensors = saved
    calls = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (calls.append("folder" if is_folder(fd) else "file"), fsync(fd)))
    monkeypatch.setattr(os, "replace", lambda *names: (calls.append("rename"), replace(*names)))
    save_checkpoint(path, tensors, artifact_sha256=MODEL, step=2)
    assert calls == ["file", "rename", "folder"]


def test_a_folder_that_is_not_there(tmp_path):
    (tmp_path / "file").touch()
    for folder in ("absent", "file"):
        with pytest.raises(InputError, match="could not save"):
            save_checkpoint(tmp_path / folder / "c", {"a": np.zeros(1)}, artifact_sha256=MODEL, step=0)


def test_values_that_are_not_finite_never_replace_good_ones(saved):
    path, tensors = saved
    with pytest.raises(InputError, match="not saved: values that are not finite in a;"):
        save_checkpoint(path, {"a": np.array([1, np.nan]), "b": np.zeros(1)}, artifact_sha256=MODEL, step=2)
    assert load(path, tensors)[1] == 1


def test_values_that_are_not_finite_are_refused(saved, monkeypatch):
    path, tensors = saved
    tensors["a"][1] = np.inf
    with monkeypatch.context() as patch:
        patch.setattr("tflite_asr.runtime.checkpoint._check_finite", lambda *arguments: None)
        save_checkpoint(path, tensors, artifact_sha256=MODEL, step=2)
    with pytest.raises(InputError, match="not usable: values that are not finite in a;"):
        load(path, tensors)


def test_another_models_checkpoint_gives_both_hashes(saved):
    path, tensors = saved
    with pytest.raises(InputError, match="expected cdcdcdcdcdcd, got abababababab;"):
        load(path, tensors, artifact_sha256=OTHER_MODEL)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"c": ((1,), "float32")}, r"lacks tensors \(1\): c"),
        ({"a": None}, r"has unexpected tensors \(1\): a"),
        ({"a": ((2, 1), "float32")}, r"expected a to be float32 \[2, 1\], got float32 \[2\]"),
        ({"b": ((), np.float32)}, r"expected b to be float32 \[\], got int32 \[\]"),
    ],
)
def test_other_tensors_than_expected_are_refused(saved, change, message):
    path, tensors = saved
    expected = {name: spec for name, spec in {**specs(tensors), **change}.items() if spec is not None}
    with pytest.raises(InputError, match=message):
        load_checkpoint(path, artifact_sha256=MODEL, expected=expected)


def test_what_is_no_checkpoint_is_refused(tmp_path):
    with pytest.raises(InputError, match="found no file"):
        load(tmp_path / "absent", {})
    with pytest.raises(InputError, match="found a folder"):
        load(tmp_path, {})
    text = tmp_path / "text"
    text.write_text("a long enough text to be read as a header of some length\n" * 9)
    with pytest.raises(InputError, match="not a whole checkpoint"):
        load(text, {})
    foreign = tmp_path / "foreign.safetensors"
    save_file({"a": np.zeros(2, np.float32)}, foreign)
    with pytest.raises(InputError, match="not a checkpoint of tflite_asr"):
        load(foreign, {})
