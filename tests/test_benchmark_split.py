import json
import shutil

import pytest

from tflite_asr.benchmark import sweep
from tflite_asr.benchmark.split import compare, floor_mb, measured
from tflite_asr.cli.main import main
from tflite_asr.config import preset
from tflite_asr.errors import InputError
from tflite_asr.runtime.artifact import read_artifact
from tflite_asr.runtime.batch import collate, longest_examples


def test_the_longest_batch_fills_every_row():
    config = preset("tiny")
    sizes, batch = config.sizes, collate(longest_examples(config), config)
    assert batch["frame_lengths"].tolist() == [sizes.max_frames] * sizes.batch
    assert batch["token_lengths"].tolist() == [sizes.max_tokens] * sizes.batch
    assert batch["tokens"].min() >= 1


def test_the_floor_is_state_and_the_largest_part(tiny_tflite):
    artifact = read_artifact(tiny_tflite)
    figures = {group["name"]: group for group in artifact.groups}
    weights = sum(group["bytes"] for group in artifact.groups)
    # Adam keeps two values a weight, and the step is four bytes; the second part is the top group and the heads
    top = [name for call in artifact.plans["split"] if call["signature"] == "head" for name in call["updates"]]
    assert "joint" in top and "encoder_0" not in top
    expected = 3 * weights + 4 + sum(figures[name]["activation_bytes"] for name in top)
    assert floor_mb(artifact) == pytest.approx(expected / 1e6, rel=1e-9)


@pytest.mark.slow
def test_whole_and_split_are_measured_in_processes_of_their_own(tiny_tflite, capsys):
    assert main(["benchmark", "split", str(tiny_tflite), "--steps", "2", "--runs", "1", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    for name in ("whole", "split"):
        figures = result[name]
        assert 0 < figures["added_private_mb"] < figures["peak_private_mb"] < figures["peak_rss_mb"]
        assert 0 < figures["step_seconds_lowest"] <= figures["step_seconds"] <= figures["step_seconds_highest"]
    whole, split = result["whole"], result["split"]
    assert result["memory_reduction"] == pytest.approx(1 - split["added_private_mb"] / whole["added_private_mb"])
    assert result["total_memory_reduction"] == pytest.approx(1 - split["peak_private_mb"] / whole["peak_private_mb"])
    assert result["time_increase"] == pytest.approx(split["step_seconds"] / whole["step_seconds"] - 1)
    assert result["loss_difference"] < 1e-4 and result["parts"] == 2 and result["calls"] == 3


@pytest.mark.slow
def test_a_step_of_english_on_ten_seconds_is_small(capsys):
    """Neither plan adds more than 80 MB; `docs/english.md` has the figures."""
    args = ["--seconds", "10", "--steps", "1", "--runs", "1", "--json"]
    assert main(["benchmark", "split", "english", *args]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["whole"]["added_private_mb"] < 80 and result["split"]["added_private_mb"] < 80, result
    assert result["loss_difference"] < 1e-4


@pytest.mark.slow
def test_a_sweep_tells_of_every_number_of_parts_and_of_every_depth(tiny_tflite, tmp_path, monkeypatch):
    """Of one file in place of one for every size: exports take their time, and are tested elsewhere."""
    monkeypatch.setattr(sweep, "DEPTHS", (2, 4))
    asked, lines = [], []

    def make(config, parts, folder):
        asked.append((config.encoder.layers, parts))
        for suffix in (".tflite", ".json"):
            shutil.copy(tiny_tflite.with_suffix(suffix), folder)
        return folder / tiny_tflite.name

    config = preset("tiny")
    out = tmp_path / "out"
    result = sweep.sweep(config, make, out, steps=1, runs=1, keep_memory=False, progress=lines.append)
    layers = config.encoder.layers
    assert asked == [*((layers, parts) for parts in range(1, layers + 1)), (2, None), (4, None)]
    assert [row["layers"] for row in result["parts"]] == [layers] * layers
    assert [row["layers"] for row in result["layers"]] == [2, 4] and len(lines) == layers + 2
    for row in (*result["parts"], *result["layers"]):
        assert min(row["whole_added_mb"], row["split_added_mb"], row["whole_seconds"], row["split_seconds"]) > 0
    assert {path.name for path in out.iterdir()} == {"table.md", "sweep.png"}
    assert (out / "table.md").read_text().count("\n") == layers + 2 + 5


def test_a_child_that_fails_is_one_line(tmp_path):
    (tmp_path / "broken.tflite").write_bytes(b"nothing")
    with pytest.raises(InputError, match="expected its description broken.json"):
        compare(tmp_path / "broken.tflite", steps=1, runs=1)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "expected either MODEL or --preset"),
        (["commands", "--preset", "tiny"], "expected either MODEL or --preset"),
        (["commands", "--parts", "2"], "a MODEL is cut as it was exported"),
        (["--preset", "tiny", "--sweep"], "--sweep: expected --preset, and --out"),
        (["--preset", "tiny_exits", "--sweep", "--out", "sweep"], "--sweep: expected a preset without early exits"),
        (["--preset", "tiny", "--steps", "0"], "--steps: expected 1 or more"),
        (["--preset", "tiny", "--parts", "two"], "--parts two: expected whole numbers"),
        (["--preset", "tiny", "--parts", "2", "--part-sizes", "1,2"], "--parts and --part-sizes: expected one"),
        (["--preset", "enormous"], "no preset named 'enormous'"),
    ],
)
def test_what_cannot_be_measured_is_refused(arguments, message, capsys):
    assert main(["benchmark", "split", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


@pytest.mark.slow
def test_utterances_of_some_seconds_take_the_plans_of_their_length(lengths_tflite, capsys):
    rows = {}
    for seconds in ("0.3", "1.0"):
        assert (
            main(["benchmark", "split", str(lengths_tflite), "--seconds", seconds, "--steps", "1", "--runs", "1"]) == 0
        )
        assert "floor" not in capsys.readouterr().out
        rows[seconds] = measured(lengths_tflite, "train", 1, False, "--seconds", seconds)
    assert rows["0.3"]["losses"][0] < rows["1.0"]["losses"][0]
    assert main(["benchmark", "split", str(lengths_tflite), "--seconds", "2"]) == 2
    assert "plan train: cannot be measured: expected utterances of up to 1.4 s, got 2" in capsys.readouterr().err
