import os
import shutil

import numpy as np
import pytest
import safetensors.numpy

from tflite_asr.errors import InputError
from tflite_asr.personalization.replay import read_replay, replay_path, write_replay
from tflite_asr.personalization.stored import SCALE
from tflite_asr.runtime.artifact import read_artifact
from tflite_asr.runtime.batch import Example


@pytest.fixture
def artifact(tiny_tflite, tmp_path):
    for suffix in (".tflite", ".json"):
        shutil.copy(tiny_tflite.with_suffix(suffix), tmp_path / f"own{suffix}")
    return read_artifact(tmp_path / "own.tflite")


def examples(bands=40, longest=100, tokens=6):
    random = np.random.default_rng(4)
    return [
        Example(
            random.normal(size=(length, bands)).astype(np.float32),
            random.integers(1, 29, count).astype(np.int32),
            "",
        )
        for length, count in ((30, 2), (longest, tokens), (1, 1))
    ]


def test_round_trip(artifact):
    written = examples()
    assert read_replay(artifact) == []
    path = write_replay(artifact, written)
    assert path == replay_path(artifact.path) and path.name == "own.replay.safetensors"
    read = read_replay(artifact)
    assert len(read) == 3
    for old, new in zip(written, read):
        assert new.frames.dtype == np.float32 and new.tokens.dtype == np.int32
        np.testing.assert_allclose(new.frames, old.frames, atol=0.51 / SCALE)
        assert new.tokens.tolist() == old.tokens.tolist()
        assert new.text == artifact.make_tokenizer().decode(old.tokens)
    assert [example.where for example in read] == [f"own.replay.safetensors, utterance {index}" for index in range(3)]


def test_values_far_out_are_clipped_and_do_not_wrap(artifact):
    frames = np.full([5, 40], 50.0, np.float32)
    write_replay(artifact, [Example(frames, np.ones(1, np.int32), ""), Example(-frames, np.ones(1, np.int32), "")])
    high, low = read_replay(artifact)
    assert high.frames.min() > 5 and low.frames.max() < -5


def refused(artifact, stated="copy it again"):
    with pytest.raises(InputError) as caught:
        read_replay(artifact)
    message = str(caught.value)
    assert message.startswith(str(replay_path(artifact.path))) and "\n" not in message and stated in message
    return message


def test_every_flipped_byte_is_noticed(artifact):
    path = write_replay(artifact, examples())
    content = path.read_bytes()
    for position in [*range(0, 400, 7), *range(400, len(content), 211)]:
        path.write_bytes(content[:position] + bytes([content[position] ^ 0x10]) + content[position + 1 :])
        refused(artifact)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_cut_short(artifact, share):
    path = write_replay(artifact, examples())
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    refused(artifact)


def test_another_file_under_the_name(artifact):
    path = replay_path(artifact.path)
    path.write_bytes(safetensors.numpy.save({"a": np.zeros(3, np.float32)}))
    refused(artifact)
    path.unlink()
    path.mkdir()
    refused(artifact, "cannot read it: is a directory")


@pytest.mark.parametrize(
    "others, stated",
    [
        (examples(bands=80), "frames of 40 values"),
        (examples(longest=121), "1 to 120 frames"),
        (examples(tokens=13), "1 to 12 tokens"),
        ([Example(np.zeros([5, 40], np.float32), np.full(2, 77, np.int32), "")], "77"),
    ],
)
def test_utterances_of_a_model_with_other_sizes(artifact, others, stated):
    write_replay(artifact, others)
    assert stated in refused(artifact)


def test_a_failing_write_leaves_the_former_file(artifact, monkeypatch):
    path = write_replay(artifact, examples())
    before = path.read_bytes()

    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError):
        write_replay(artifact, examples()[:1])
    assert path.read_bytes() == before and not list(path.parent.glob(".*"))
