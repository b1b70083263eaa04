import dataclasses
import errno
import os

import numpy as np
import pytest

from tflite_asr.errors import InputError
from tflite_asr.personalization.window import Window
from tflite_asr.runtime.artifact import read_artifact
from tflite_asr.runtime.batch import Example


@pytest.fixture
def artifact(tiny_tflite):
    return read_artifact(tiny_tflite)


def example(seed, length=50):
    random = np.random.default_rng(seed)
    frames = random.normal(size=(length, 40)).astype(np.float32)
    return Example(frames, random.integers(1, 29, 3).astype(np.int32), "", f"utterance {seed}")


def size_of(length):
    """Bytes of an utterance's frames; its file has a header beside them."""
    return 40 * length


def test_the_oldest_are_forgotten_on_disk_too(artifact, tmp_path):
    window = Window(tmp_path / "w", artifact, 4, 10**6)
    for index in range(9):
        window.add(example(index))
        assert len(list((tmp_path / "w").iterdir())) == min(index + 1, 4)
    assert window.numbers == [5, 6, 7, 8] and window.arrived == 9
    for number in window.numbers:
        written, read = example(number), window.read(number)
        np.testing.assert_allclose(read.frames, written.frames, atol=0.51 / 24)
        assert read.tokens.tolist() == written.tokens.tolist()
    with pytest.raises(InputError):
        window.read(4)


def test_one_utterance_is_forgotten(artifact, tmp_path):
    window = Window(tmp_path, artifact, 4, 10**6)
    for index in range(3):
        window.add(example(index))
    window.forget(1)
    assert window.numbers == [0, 2] and len(list(tmp_path.iterdir())) == 2
    window.add(example(3))
    assert window.numbers == [0, 2, 3]
    with pytest.raises(InputError, match="expected an utterance that is kept, got number 1"):
        window.forget(1)


def test_weights_are_kept(artifact, tmp_path):
    window = Window(tmp_path, artifact, 4, 10**6)
    window.add(dataclasses.replace(example(0), weight=4))
    window.add(example(1))
    again = Window(tmp_path, artifact, 4, 10**6)
    assert [again.read(number).weight for number in again.numbers] == [4, 1]


def test_disk_is_never_over_the_bytes_also_while_a_file_is_written(artifact, tmp_path, monkeypatch):
    """Watched at every rename, when the old files, the new one and its temporary name could be there together."""
    folder, most, seen = tmp_path / "w", 7000, []
    replace = os.replace

    def watched(source, target):
        seen.append(sum(path.stat().st_size for path in folder.iterdir()))
        return replace(source, target)

    monkeypatch.setattr(os, "replace", watched)
    window = Window(folder, artifact, 100, most)
    random = np.random.default_rng(0)
    for index in range(40):
        window.add(example(index, int(random.integers(5, 120))))
    assert len(seen) == 40 and max(seen) <= most == window.most_bytes
    assert max(seen) > most - size_of(120) - 1000, "the window is not used"
    assert window.disk_bytes_max <= max(seen) and window.numbers[-1] == 39
    assert window.disk_bytes() == sum(path.stat().st_size for path in folder.iterdir())


def test_another_process_goes_on_with_it(artifact, tmp_path):
    first = Window(tmp_path / "w", artifact, 4, 10**6)
    for index in range(6):
        first.add(example(index))
    (tmp_path / "w" / ".00000006.safetensors.tmp").write_bytes(b"half")
    second = Window(tmp_path / "w", artifact, 2, 10**6)
    assert second.numbers == [4, 5] and second.arrived == 6
    assert sorted(path.name for path in (tmp_path / "w").iterdir()) == ["00000004.safetensors", "00000005.safetensors"]
    second.forget_all()
    assert not list((tmp_path / "w").iterdir())


def test_refusals(artifact, tmp_path):
    with pytest.raises(InputError, match="a batch of 2 utterances or more, got 1"):
        Window(tmp_path / "w", artifact, 1, 10**6)
    assert not (tmp_path / "w").exists()
    window = Window(tmp_path / "w", artifact, 4, 3000)
    window.add(example(0))
    with pytest.raises(InputError, match="at most the window's 3000 bytes"):
        window.add(example(1, 120))
    assert window.numbers == [0]
    (tmp_path / "w" / "00000000.safetensors").write_bytes(b"broken")
    with pytest.raises(InputError, match="not a file of stored utterances"):
        window.read(0)


def test_a_full_disk_leaves_what_was_there(artifact, tmp_path, monkeypatch):
    window = Window(tmp_path / "w", artifact, 4, 10**6)
    window.add(example(0))
    before = window.read(0).frames

    def full(self, target):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(InputError, match="00000001.safetensors: could not store an utterance: No space left"):
        window.add(example(1))
    assert [path.name for path in (tmp_path / "w").iterdir()] == ["00000000.safetensors"]
    np.testing.assert_array_equal(window.read(0).frames, before)
