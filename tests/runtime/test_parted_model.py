"""A file with several lengths is loaded in parts, which together behave as one interpreter of the whole file."""

import errno
import random
import shutil

import numpy as np
import pytest

from tflite_asr.benchmark.recognition_cost import recognition_cost
from tflite_asr.errors import InputError
from tflite_asr.runtime.artifact import find, read_artifact
from tflite_asr.runtime.file_part import keep_signatures
from tflite_asr.runtime.interpreter import SignatureModel
from tflite_asr.runtime.parted_model import PartedModel, model_of, parts_of

STEPS = 14


@pytest.fixture
def artifact(lengths_tflite):
    return read_artifact(lengths_tflite)


@pytest.fixture
def opened():
    """The signatures of each interpreter that was made."""
    return []


@pytest.fixture
def parted(artifact, opened):
    return model_of(
        artifact, lambda some: opened.append(some) or SignatureModel(artifact.path, threads=1, signatures=some)
    )


def inputs_of(artifact, name, draw):
    """Valid inputs drawn at random."""
    if name == "set_weights":
        state = SignatureModel(artifact.path).run("get_weights")
        return {key: value + (0.01 if value.dtype == np.float32 else 0) for key, value in state.items()}
    found = {}
    for spec in artifact.signatures[name]["inputs"]:
        shape = spec["shape"]
        if spec["dtype"] == "float32":
            found[spec["name"]] = np.asarray(draw.normal(0, 0.1, shape), np.float32)
        else:
            found[spec["name"]] = np.asarray(draw.integers(1, 4, shape), np.int32)
    fixed = {"frame_lengths": 60, "learning_rate": 0.1, "clip_norm": 1, "group_rates": 1, "pull": 0}
    for key in fixed.keys() & found.keys():
        found[key][:] = fixed[key]
    return found


def test_each_signature_is_in_one_part_and_those_of_weights_in_all(artifact):
    parts = parts_of(artifact)
    assert len(parts) == 4 and set().union(*parts) == set(artifact.signatures)
    for name in artifact.signatures:
        count = sum(name in part for part in parts)
        assert count == (4 if name in ("get_weights", "set_weights", "parameters") else 1), name
    assert any({"train", "loss", "get_weights", "set_weights", "parameters"} <= part for part in parts)
    assert all("infer" not in part for part in parts if "train" in part)
    for calls in (*artifact.plans.values(), *artifact.shorter_plans.values()):
        assert any({call["signature"] for call in calls} <= part for part in parts)


def test_a_file_with_one_length_is_one_interpreter(tiny_tflite):
    artifact = read_artifact(tiny_tflite)
    assert isinstance(model_of(artifact, lambda some: SignatureModel(tiny_tflite, signatures=some)), SignatureModel)


@pytest.mark.parametrize("seed", range(3))
def test_any_calls_are_answered_as_by_the_whole_file(artifact, parted, seed):
    whole = SignatureModel(artifact.path)
    draw = np.random.default_rng(seed)
    names = [name for name in artifact.signatures if not name.startswith("part")]  # which take each other's outputs
    for name in random.Random(seed).choices(names, k=STEPS) + ["get_weights"]:
        inputs = inputs_of(artifact, name, draw)
        expected, found = whole.run(name, inputs), parted.run(name, inputs)
        assert found.keys() == expected.keys()
        for key, value in found.items():
            # a part's products are scheduled as the whole file's, so that equal bits are to be expected
            np.testing.assert_array_equal(value, expected[key], err_msg=f"{name}: {key}")


def test_weights_learned_at_one_length_are_used_at_another(artifact, parted):
    draw = np.random.default_rng(0)
    short = next(name for name in artifact.signatures if name.startswith("train_"))
    before = parted.run("infer", inputs := inputs_of(artifact, "infer", draw))
    step = inputs_of(artifact, short, draw)
    for _ in range(3):
        parted.run(short, step)
    learned = parted.run("get_weights")
    shipped = parted.anew().run("get_weights")
    assert any((learned[name] != shipped[name]).any() for name in learned)
    parted.run("infer", inputs)  # another part, which takes the weights over
    for name, value in parted.run("get_weights").items():
        np.testing.assert_array_equal(value, learned[name])
    parted.run("set_weights", shipped)
    for name, value in parted.run("infer", inputs).items():
        np.testing.assert_array_equal(value, before[name])


def test_only_the_part_that_is_called_is_loaded(artifact, parted, opened):
    assert opened == []
    suffix = next(name for name in artifact.signatures if name.startswith("infer_")).removeprefix("infer")
    parted.run(f"infer{suffix}", inputs_of(artifact, f"infer{suffix}", np.random.default_rng(0)))
    parted.run("get_weights")
    (part,) = opened
    assert f"infer{suffix}" in part and "infer" not in part and f"train{suffix}" not in part
    with pytest.raises(InputError, match="no signature 'inference'; there are: .*infer.*train"):
        parted.run("inference")


def test_a_part_has_its_signatures_and_no_other_subgraphs(artifact):
    from ai_edge_litert import schema_py_generated as schema

    before = artifact.path.read_bytes()
    for part in parts_of(artifact):
        content = bytearray(before)
        keep_signatures(content, part | {"not_there"})
        model = schema.Model.GetRootAs(content, 0)
        kept = [model.SignatureDefs(index) for index in range(model.SignatureDefsLength())]
        assert {one.SignatureKey().decode() for one in kept} == part
        whole = schema.Model.GetRootAs(before, 0)
        sizes = [
            [one.Subgraphs(index).OperatorsLength() for index in range(one.SubgraphsLength())] for one in (model, whole)
        ]
        assert all(some in (0, every) for some, every in zip(*sizes)) and sizes[0][0] == sizes[1][0]
        assert all(sizes[0][one.SubgraphIndex()] for one in kept)
        assert sum(sizes[0]) < sum(sizes[1])
        differing = sum(a != b for a, b in zip(content, before))
        assert len(content) == len(before) and differing < 40 * len(sizes[0]) + 400
    content = bytearray(before)
    keep_signatures(content, artifact.signatures)
    everything = schema.Model.GetRootAs(content, 0)
    assert everything.SignatureDefsLength() == len(artifact.signatures)


def test_without_room_for_a_part_the_whole_file_is_loaded(artifact, parted, monkeypatch):
    def no_room(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", no_room)
    inputs = inputs_of(artifact, "infer", np.random.default_rng(0))
    found, expected = parted.run("infer", inputs), SignatureModel(artifact.path).run("infer", inputs)
    np.testing.assert_array_equal(found["tokens"], expected["tokens"])


def test_a_file_that_was_exchanged_is_not_mixed_with_the_former_one(artifact, tmp_path):
    path = shutil.copyfile(artifact.path, tmp_path / "model.tflite")
    shutil.copyfile(artifact.path.with_suffix(".json"), path.with_suffix(".json"))
    copy = read_artifact(path)
    model = PartedModel(copy, parts_of(copy), lambda some: SignatureModel(path, signatures=some))
    model.run("get_weights")
    shutil.copyfile(artifact.path, tmp_path / "other")
    (tmp_path / "other").replace(path)
    step = inputs_of(copy, "train", np.random.default_rng(0))
    with pytest.raises(InputError, match="has changed since it was loaded; load the model again"):
        model.run("train", step)
    path.unlink()
    with pytest.raises(InputError, match="has changed since it was loaded; load the model again"):
        model.run("train", step)


def test_english_recognises_ten_seconds_in_two_hundred_megabytes():
    noise = np.random.default_rng(0).normal(0, 0.05, 160_000).astype(np.float32)
    found = recognition_cost(find("english"), [noise], threads=1)
    # the decoder's packed weights and one length's arenas are 130 MB of it
    assert found["peak_private_mb"] < 200, found
