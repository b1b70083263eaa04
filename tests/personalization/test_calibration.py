"""The calibration of the tiny model on this machine, measured for real, and when what is kept is not believed."""

import dataclasses
import json

import pytest

from tflite_asr.personalization import calibration
from tflite_asr.personalization.calibration import calibrate, calibrated, default_path, this_device
from tflite_asr.runtime.artifact import read_artifact


@pytest.fixture(scope="module")
def artifact(tiny_tflite):
    return read_artifact(tiny_tflite)


@pytest.fixture(scope="module")
def measured(artifact):
    return calibrate(artifact, 1)


def test_every_call_of_every_plan_is_measured(artifact, measured):
    assert measured.artifact_sha256 == artifact.tflite_sha256 and measured.device == this_device(1)
    for name, plan in artifact.plans.items():
        cost = measured.plans[name]
        assert [call.signature for call in cost.calls] == [call["signature"] for call in plan]
        assert 20 < cost.base_private_mb < 500
        assert all(0 < call.seconds < 5 and 0 < call.cpu_seconds for call in cost.calls)
        peaks = [cost.peak_mb(count) for count in range(1, len(plan) + 1)]
        assert peaks == sorted(peaks) and cost.base_private_mb < peaks[0] and peaks[-1] < cost.base_private_mb + 100


@pytest.fixture
def kept(artifact, measured, tmp_path, monkeypatch):
    """A function change(values of the kept file) -> (calibration that is used, notices); measuring counts its calls."""
    path = tmp_path / "cache" / "tiny.json"
    runs = []
    monkeypatch.setattr(calibration, "calibrate", lambda *arguments: runs.append(arguments) or measured)

    def use(change=None):
        if change is not None:
            path.parent.mkdir(exist_ok=True)
            path.write_text(change if isinstance(change, str) else json.dumps({**measured.to_json(), **change}))
        notices = []
        used = calibrated(artifact, path, 1, notices.append)
        assert used == measured and json.loads(path.read_text()) == json.loads(json.dumps(measured.to_json()))
        return len(runs), notices

    return use


def test_it_is_measured_once(kept):
    runs, (notice,) = kept()
    assert runs == 1 and "none yet" in notice
    assert kept() == (1, [])


@pytest.mark.parametrize(
    "change, message",
    [
        ({"artifact_sha256": "0" * 64}, "of another artifact (000000000000, this is"),
        ({"device": {**this_device(1), "node": "elsewhere"}}, "of another machine or runtime (node elsewhere, here"),
        ({"device": {**this_device(2)}}, "threads 2, here 1"),
        ({"plans": {}}, "without the plan train"),
        ({"format": 99}, "not readable (format 99)"),
        ("{", "not readable"),
        ("[]", "not readable"),
    ],
)
def test_what_is_of_another_artifact_or_machine_is_measured_again_with_a_notice(kept, change, message):
    runs, (notice,) = kept(change)
    assert runs == 1 and message in notice and "measuring this device" in notice


def test_a_file_that_cannot_be_written_is_told(artifact, measured, tmp_path, monkeypatch):
    monkeypatch.setattr(calibration, "calibrate", lambda *arguments: measured)
    (tmp_path / "file").write_text("")
    notices = []
    assert calibrated(artifact, tmp_path / "file" / "c.json", 1, notices.append) == measured
    assert "could not be kept" in notices[-1]


def test_artifacts_of_one_name_and_numbers_of_threads_have_files_of_their_own(artifact, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    other = dataclasses.replace(artifact, tflite_sha256="f" * 64)
    paths = {default_path(artifact, 1), default_path(artifact, 2), default_path(other, 1)}
    assert len(paths) == 3 and {path.parent for path in paths} == {tmp_path / "tflite_asr"}
