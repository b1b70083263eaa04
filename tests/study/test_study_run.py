"""Whole studies of the tiny model and speech of tones."""

import dataclasses
import json

import pytest

from tflite_asr.errors import InputError
from tflite_asr.study import run as study_run
from tflite_asr.study.plan import Mobile, PhoneSettings, Server, Speech, Study
from tflite_asr.study.run import run_study
from tflite_asr.study.worker import run_task

MOBILE = Mobile(window=6, window_bytes=14_000, stride=4, steps=5, learning_rate=0.01)
SERVER = Server(epochs=2, epoch_steps=5, batch=4, learning_rate=0.01)


def study(model, manifest, **options):
    return Study(
        (Speech(str(manifest), options.pop("where", "")),), str(model), mobile=MOBILE, server=SERVER, **options
    )


@pytest.fixture
def here(monkeypatch):
    """Runs are done in this process, one after the other: quicker than a process each. Returns what was run."""
    ran = []

    def run_tasks(engine, function, tasks, workers, done):
        for task in tasks:
            ran.append((task.speaker.name, task.run))
            done(task, function(task))

    monkeypatch.setattr(study_run, "run_tasks", run_tasks)
    return ran


def results(folder):
    return {str(path.relative_to(folder)): json.loads(path.read_text()) for path in folder.glob("speakers/*/*.json")}


@pytest.mark.slow  # Keras compiles
def test_both_environments(tiny_tflite, speakers, here, tmp_path):
    manifest = speakers(3)
    whole = study(tiny_tflite, manifest, where="speaker=s0", others=Speech(str(manifest), "split=pers_test"))
    summary = run_study(whole, tmp_path / "out")
    assert {"server", "mobile", "kept", "peak_private_mb", "disk_bytes_max"} <= summary.keys()
    assert {"wer_before", "wer_after", "relative_wer_reduction", "interval", "others"} <= summary["mobile"].keys()
    assert json.loads((tmp_path / "out" / "summary.json").read_text()) == summary
    found = results(tmp_path / "out")
    assert found.keys() == {f"speakers/s0/{run}.json" for run in ("server", "mobile")}
    for result in found.values():
        assert (result["adapt_utterances"], result["words"], result["others"]["words"]) == (8, 4, 8)
        assert result["steps"] == (10 if result["run"] == "mobile" else 12)
        losses = [row["validation_loss"] for row in result["history"]]
        assert min(losses) < losses[0] - 1, "nothing was learned"
    mobile = found["speakers/s0/mobile.json"]
    assert 0 < mobile["disk_bytes_max"] <= MOBILE.window_bytes and mobile["interruptions"] == 0
    assert [row["utterances"] for row in mobile["history"]] == [4, 4, 8]
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("<figure>") == 2 and "http" not in page and "s0" in page


def test_words_held_out_are_measured_apart_and_not_learned_from(tiny_tflite, speakers, here, tmp_path):
    one = study(tiny_tflite, speakers(1), environment="mobile", hold_out_words=0.5)
    summary = run_study(one, tmp_path)["mobile"]
    (found,) = results(tmp_path).values()
    assert found["adapt_utterances"] == 4  # of eight, half of which have the other of two words
    assert found["said"]["words"] == found["unsaid"]["words"] == 2
    for when in ("before", "after"):
        errors = found["said"][f"errors_{when}"] + found["unsaid"][f"errors_{when}"]
        assert errors == found[f"errors_{when}"]
        assert summary["unsaid"][f"wer_{when}"] == found["unsaid"][f"errors_{when}"] / 2
    assert found["unsaid"]["errors_after"] == 2  # a word that was never learned by this model


def test_it_goes_on_where_it_stopped(tiny_tflite, speakers, here, tmp_path):
    mobile = study(tiny_tflite, speakers(2), environment="mobile")
    first = run_study(mobile, tmp_path)
    before = results(tmp_path)
    (tmp_path / "speakers" / "s1" / "mobile.json").unlink()
    del here[:]
    second = run_study(mobile, tmp_path)
    assert here == [("s1", "mobile")]
    after = results(tmp_path)
    assert after["speakers/s0/mobile.json"] == before["speakers/s0/mobile.json"]
    figures = ("errors_before", "errors_after", "steps", "disk_bytes_max", "checkpoint_bytes")
    assert all(after["speakers/s1/mobile.json"][key] == before["speakers/s1/mobile.json"][key] for key in figures)
    assert second["mobile"]["wer_after"] == first["mobile"]["wer_after"]
    (tmp_path / "speakers" / "s1" / "mobile.json").write_text("{")
    with pytest.raises(InputError, match="remove it to run it again"):
        run_study(mobile, tmp_path)


@pytest.mark.slow  # six runs
def test_more_runs_of_the_same_study_go_into_the_folder_and_another_study_does_not(
    tiny_tflite, speakers, here, tmp_path
):
    one = study(tiny_tflite, speakers(1), environment="mobile")
    run_study(one, tmp_path)
    with pytest.raises(InputError, match="another study"):
        run_study(dataclasses.replace(one, seed=5), tmp_path)
    summary = run_study(dataclasses.replace(one, subsets=True), tmp_path)
    assert [run for _, run in here] == [
        "mobile",
        *(f"mobile_{name}" for name in ("joint", "joint_and_first", "top", "encoder", "bias")),
    ]
    sizes = {run: summary[run]["checkpoint_bytes"] for run in summary if run.startswith("mobile")}
    assert 0 < sizes["mobile_bias"] < sizes["mobile_joint_and_first"] < sizes["mobile_encoder"] < sizes["mobile"]
    assert 0 < sizes["mobile_joint"] < sizes["mobile_joint_and_first"]
    assert (tmp_path / "report.html").read_text().count("<figure>") == 3


@pytest.mark.slow  # three runs
def test_one_environment_is_run_again_with_other_settings_once_its_results_are_gone(
    tiny_tflite, speakers, here, tmp_path
):
    first = study(tiny_tflite, speakers(1))
    before = run_study(first, tmp_path)
    other = dataclasses.replace(first, mobile=dataclasses.replace(MOBILE, steps=3))
    with pytest.raises(InputError, match=r"other settings of mobile than this folder's speakers/\*/mobile\*.json"):
        run_study(other, tmp_path)
    for path in tmp_path.glob("speakers/*/mobile.json"):
        path.unlink()
    after = run_study(other, tmp_path)
    assert [run for _, run in here] == ["mobile", "server", "mobile"]
    assert after["server"] == before["server"] and after["mobile"]["steps"] < before["mobile"]["steps"]
    with pytest.raises(InputError, match="other settings of server"):
        run_study(dataclasses.replace(other, server=dataclasses.replace(SERVER, epochs=1)), tmp_path)


def test_interruptions_change_nothing_but_the_time(tiny_tflite, speakers, here, tmp_path):
    """The battery is low at every third row; each time the interpreter ends and another one goes on."""
    rows = [
        {"seconds": 10 * n, "available_ram_mb": 500, "battery_percent": 10 if n % 3 == 1 else 50}
        | {"charging": False, "temperature_c": 30}
        for n in range(60)
    ]
    (tmp_path / "trace.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    phone = PhoneSettings(trace=str(tmp_path / "trace.jsonl"), step_seconds=5, least_battery_percent=20)
    plain = study(tiny_tflite, speakers(1), environment="mobile")
    run_study(plain, tmp_path / "plain")
    run_study(dataclasses.replace(plain, phone=phone), tmp_path / "interrupted")
    a, b = (results(tmp_path / name)["speakers/s0/mobile.json"] for name in ("plain", "interrupted"))
    assert b["interruptions"] >= 2 and b["waited_seconds"] > 0 == a["interruptions"]
    assert b["disk_bytes_max"] <= MOBILE.window_bytes
    for key in ("steps", "errors_after", "checkpoint_bytes"):
        assert a[key] == b[key]
    for key in ("epoch", "step", "utterances", "validation_loss", "validation_wer", "best"):
        assert [row[key] for row in a["history"]] == [row[key] for row in b["history"]]


def test_a_phone_that_never_recovers_keeps_what_it_has(tiny_tflite, speakers, here, tmp_path):
    row = {"seconds": 0, "available_ram_mb": 5, "battery_percent": 50, "charging": False, "temperature_c": 30}
    (tmp_path / "t.jsonl").write_text(json.dumps(row))
    phone = PhoneSettings(trace=str(tmp_path / "t.jsonl"), least_available_ram_mb=100)
    run_study(study(tiny_tflite, speakers(1), environment="mobile", phone=phone), tmp_path / "out")
    result = results(tmp_path / "out")["speakers/s0/mobile.json"]
    assert result["steps"] == 1 and "until the end of the trace" in result["stopped_because"]
    assert result["errors_after"] == result["errors_before"] and result["checkpoint_bytes"] == 0


@pytest.mark.parametrize(
    "change, message",
    [
        ({"mobile": Mobile(window=1)}, "mobile.window: expected a batch of 2 or more, got 1"),
        ({"phone": PhoneSettings(trace="nowhere.jsonl")}, "nowhere.jsonl: expected a resource trace"),
        ({"model": "nowhere.tflite"}, "nowhere.tflite: no such .tflite file"),
    ],
)
def test_refusals_come_before_anything_is_written(tiny_tflite, speakers, tmp_path, change, message):
    with pytest.raises(InputError) as caught:
        run_study(dataclasses.replace(study(tiny_tflite, speakers(1)), **change), tmp_path / "out")
    assert message in str(caught.value) and not (tmp_path / "out").exists()


def test_a_task_has_its_result_without_a_study_around_it(tiny_tflite, speakers):
    (task,) = study_run._tasks(study(tiny_tflite, speakers(1), environment="mobile"))
    first, second = run_task(task), run_task(task)
    assert [row["validation_loss"] for row in first["history"]] == [row["validation_loss"] for row in second["history"]]
