"""`select`, `study` and `benchmark selector`, on the tiny model."""

import json
import shutil

import pytest

from tflite_asr.cli.main import main
from tflite_asr.runtime.artifact import read_artifact


@pytest.fixture(scope="module")
def calibration(tmp_path_factory):
    """Where the module's first command keeps what it measured."""
    return tmp_path_factory.mktemp("calibration") / "tiny.json"


@pytest.fixture
def select(tiny_tflite, calibration, capsys):
    def select(*options, code=0, model=tiny_tflite):
        assert main(["select", str(model), "--calibration", str(calibration), "--json", *map(str, options)]) == code
        out, message = capsys.readouterr()
        return json.loads(out) if code == 0 else message

    return select


def test_the_choice_and_why_not_the_others(select, tiny_tflite, calibration):
    result = select("--ram-mb", 4000)
    assert {"exit", "trainable_groups", "parts", "predicted_peak_mb", "predicted_step_seconds"} <= result[
        "chosen"
    ].keys()
    groups = [group["name"] for group in read_artifact(tiny_tflite).groups]
    assert result["chosen"]["trainable_groups"] == groups and result["chosen"]["exit"] == 0
    assert [(row["plan"], row["calls"]) for row in result["candidates"]] == [
        ("train", 1),
        ("split", 2),
        ("split", 3),
        ("cached", 2),
    ]
    assert len(result["refused"]) == 3 and all(row["reasons"] for row in result["refused"])
    written = calibration.read_bytes()
    assert select("--ram-mb", 4000) == result and calibration.read_bytes() == written, "it is calibrated once"


def test_less_memory_never_chooses_what_needs_more(select):
    peaks = sorted(row["predicted_peak_mb"] for row in select("--ram-mb", 4000)["candidates"])
    chosen = [select("--ram-mb", peak + 0.01)["chosen"]["predicted_peak_mb"] for peak in peaks]
    assert chosen == sorted(chosen) and all(one <= peak + 0.01 for one, peak in zip(chosen, peaks))
    nothing = select("--ram-mb", peaks[0] - 0.5)
    assert nothing["chosen"] is None and peaks[0] <= nothing["smallest_budget"]["ram_mb"] < peaks[0] + 1
    assert select("--ram-mb", nothing["smallest_budget"]["ram_mb"])["chosen"] is not None


def test_battery_and_time_are_budgets_too(select):
    result = select("--ram-mb", 4000, "--battery", 20, "--battery-floor", 20)
    assert result["chosen"] is None and "down to 20%" in result["refused"][0]["reasons"][0]
    assert 20 < result["smallest_budget"]["battery_percent"] <= 21
    seconds = min(row["predicted_step_seconds"] for row in result["candidates"])
    assert select("--ram-mb", 4000, "--seconds", seconds * 500, "--steps", 1000)["chosen"] is None
    assert select("--ram-mb", 4000, "--seconds", seconds * 1001, "--steps", 1000)["chosen"] is not None


@pytest.mark.parametrize(
    "options, message",
    [
        (("--ram-mb", 0), "budget: ram_mb: expected more than 0, got 0"),
        (("--ram-mb", -10), "budget: ram_mb: expected more than 0, got -10"),
        (("--ram-mb", 100, "--battery", 0), "budget: battery_percent"),
        (("--ram-mb", 100, "--battery", 50, "--battery-floor", -1), "budget: battery_floor_percent"),
        (("--ram-mb", 100, "--seconds", 0), "budget: seconds"),
        (("--ram-mb", 100, "--steps", 0), "budget: steps"),
        (("--ram-mb", 100, "--threads", 0), "--threads: expected 1 or more"),
        (("--ram-mb", 100, "--exit", 1), "--exit: expected an exit from 0 to 0 (final), got 1"),
        (("--ram-mb", 100, "--exit", -1), "--exit: expected an exit from 0 to 0 (final), got -1"),
    ],
)
def test_refusals(select, options, message):
    problem = select(*options, code=2)
    assert message in problem and len([line for line in problem.splitlines() if not line.startswith("notice")]) == 1


def test_for_people(tiny_tflite, calibration, capsys):
    assert main(["select", str(tiny_tflite), "--calibration", str(calibration), "--ram-mb", "4000"]) == 0
    out = capsys.readouterr().out
    assert out.count("  chosen\n") == 1 and out.count("fits, but another is better") == 3
    assert main(["select", str(tiny_tflite), "--calibration", str(calibration), "--ram-mb", "1"]) == 0
    assert "nothing fits; the smallest budget that would: " in capsys.readouterr().out


# --- study ---


@pytest.fixture
def studied(tiny_tflite, tmp_path):
    """A copy of the tiny model, and the folder of a study of it."""
    for suffix in (".tflite", ".json"):
        shutil.copy(tiny_tflite.with_suffix(suffix), tmp_path / f"mine{suffix}")
    study = tmp_path / "study"
    study.mkdir()
    (study / "study.json").write_text(json.dumps({"tflite_sha256": read_artifact(tiny_tflite).tflite_sha256}))
    pooled = {"speakers": 2, "wer_before": 0.5}
    gains = {"mobile": 0.5, "mobile_joint": 0.8, "mobile_bias": 0.9, "server": 0.95}
    summary = {run: {**pooled, "relative_wer_reduction": gain} for run, gain in gains.items()}
    (study / "summary.json").write_text(json.dumps(summary))
    return study, tmp_path / "mine.tflite"


def test_a_study_is_written_into_the_artifact_and_decides(studied, select, capsys):
    study, model = studied
    assert main(["study", str(study), str(model)]) == 0
    assert "80.0%" in capsys.readouterr().out
    artifact = read_artifact(model)
    groups = [group["name"] for group in artifact.groups]
    assert artifact.gains == [
        {"groups": groups, "relative_wer_reduction": 0.5, "speakers": 2},
        {"groups": ["joint"], "relative_wer_reduction": 0.8, "speakers": 2},
    ]
    chosen = select("--ram-mb", 4000, model=model)["chosen"]
    assert chosen["expected_reduction"] == 0.8 and chosen["trainable_groups"] != groups


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("study.json", '{"tflite_sha256": "00"}', "a study of another artifact than"),
        ("study.json", "{", "study.json: expected a result of `tflite-asr simulate`"),
        ("summary.json", '{"server": {}}', "expected runs under mobile conditions"),
        ("summary.json", None, "summary.json: expected a result of `tflite-asr simulate`"),
    ],
)
def test_what_is_not_a_study_of_this_artifact_changes_nothing(studied, capsys, name, content, message):
    study, model = studied
    (study / name).unlink()
    if content is not None:
        (study / name).write_text(content)
    before = model.with_suffix(".json").read_bytes()
    assert main(["study", str(study), str(model)]) == 2
    assert message in capsys.readouterr().err and model.with_suffix(".json").read_bytes() == before


# --- benchmark selector ---


@pytest.mark.slow
def test_predictions_against_measurements(tiny_tflite, capsys):
    assert main(["benchmark", "selector", str(tiny_tflite), "--steps", "1", "--runs", "1", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    rows = result["models"][0]["candidates"]
    assert [(row["plan"], row["calls"]) for row in rows] == [
        ("train", 1),
        ("split", 2),
        ("split", 3),
        ("cached", 2),
    ]
    for row in rows:
        assert row["memory_error"] == pytest.approx(abs(row["predicted_peak_mb"] / row["measured_peak_mb"] - 1))
        assert row["time_error"] == pytest.approx(abs(row["predicted_step_seconds"] / row["measured_step_seconds"] - 1))
    assert result["worst_memory_error"] == max(row["memory_error"] for row in rows) < 0.1
    assert result["worst_time_error"] == max(row["time_error"] for row in rows)


def test_it_takes_models_alone(capsys):
    assert main(["benchmark", "selector"]) == 2
    assert "expected MODELs, --preset or both" in capsys.readouterr().err
