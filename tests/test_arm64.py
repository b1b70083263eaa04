"""What `make arm64` finds: each kind of difference between two machines, and none where there is none."""

import copy
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

MEASURED = {
    "tiny": {
        "features": [[[0.5, -1.25]], [[2.0, 3.0]]],
        "transcripts": {"greedy": ["ONE", "TWO"]},
        "plans": {"train": {"losses": [8.0, 4.0], "losses_after": [3.0, 2.0]}},
        "split_to_whole": {"split": 0.0},
    }
}


@pytest.fixture(scope="module")
def compare():
    spec = importlib.util.spec_from_file_location("compare", Path(__file__).parent / "arm64" / "compare.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def machines(tmp_path):
    """A function (results of the second machine, its checkpoint) -> the two folders."""

    def write(second=MEASURED, restored=(3.0, 2.0), kernel=1.0):
        here, there = tmp_path / "here", tmp_path / "there"
        for folder, found in ((here, MEASURED), (there, second)):
            folder.mkdir()
            (folder / "measure.json").write_text(json.dumps(found))
        (there / "restore.json").write_text(json.dumps({"tiny": {"train": list(restored)}}))
        for path, value in ((here / "tiny.train.safetensors", 1.0), (there / "tiny.train.again.safetensors", kernel)):
            safetensors.numpy.save_file({"kernel": np.full([2], value, np.float32), "step": np.int32([2])}, path)
        return here, there

    return write


def different(rows):
    return [row.what for row in rows if not row.ok]


def test_equal_machines_differ_in_nothing(compare, machines):
    here, there = machines()
    rows = compare.compare_measured(here, there) + compare.compare_restored(here, there, "restored")
    assert len(rows) == 6 and different(rows) == []
    assert compare.as_table(rows).count("| ok |") == 6


@pytest.mark.parametrize(
    ("path", "value", "found"),
    [
        (("features", 1), [[2.0, 3.0000002]], "features of 2 clips"),
        (("features", 1), [[2.0]], "features of 2 clips"),
        (("transcripts", "greedy", 1), "TOO", "2 transcripts, how many differ: greedy"),
        (("plans", "train", "losses", 1), 4.0 * (1 - 6e-6), "losses of 2 steps: train"),
        (("plans", "train", "losses", 1), float("nan"), "losses of 2 steps: train"),
        (("split_to_whole", "split"), 1e-9, "on ARM, weights in parts against in one call: split"),
    ],
)
def test_a_difference_is_found(path, value, found, compare, machines):
    second = copy.deepcopy(MEASURED)
    place = second["tiny"]
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    rows = compare.compare_measured(*machines(second))
    assert different(rows) == [found] and "**differs**" in compare.as_table(rows)


def test_losses_may_round(compare, machines):
    second = copy.deepcopy(MEASURED)
    second["tiny"]["plans"]["train"]["losses"] = [8.0 * (1 + 4e-6), 4.0]
    assert different(compare.compare_measured(*machines(second))) == []


def test_a_checkpoint_that_came_back_changed_is_found(compare, machines):
    here, there = machines(restored=(3.0, 2.00002), kernel=np.float32(1.0000001))
    found = different(compare.compare_restored(here, there, "back"))
    assert found == ["checkpoints back: tensors that differ", "checkpoints back: losses"]
