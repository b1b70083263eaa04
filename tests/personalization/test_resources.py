import json
import math

import psutil
import pytest

from tflite_asr.errors import InputError
from tflite_asr.personalization.resources import Limits, ResourceProbe, Resources, ResourceTrace, read_trace

ROW = {"seconds": 0, "available_ram_mb": 900, "battery_percent": 60, "charging": False, "temperature_c": 30}


def written(folder, *rows):
    path = folder / "trace.jsonl"
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def test_rows(tmp_path):
    rows = read_trace(written(tmp_path, ROW, "", {**ROW, "seconds": 2.5, "charging": True}))
    assert rows == [Resources(0, 900, 60, False, 30), Resources(2.5, 900, 60, True, 30)]


@pytest.mark.parametrize(
    "rows, message",
    [
        ((), "got an empty file"),
        (("{",), ":1: expected one JSON object with seconds"),
        (({**ROW, "mood": 3},), ":1: expected one JSON object"),
        (({"seconds": 1},), ":1: expected one JSON object"),
        (({**ROW, "charging": 1},), "true or false for charging"),
        (({**ROW, "temperature_c": "warm"},), ":1: expected finite numbers"),
        (({**ROW, "battery_percent": math.inf},), ":1: expected finite numbers"),
        ((ROW, ROW), ":2: expected seconds after 0"),
        ((ROW, {**ROW, "seconds": -1}), ":2: seconds: expected 0 or more, got -1"),
        (({**ROW, "battery_percent": 101},), ":1: battery_percent: expected 0 to 100, got 101"),
        (({**ROW, "battery_percent": -0.5},), ":1: battery_percent: expected 0 to 100"),
        (({**ROW, "available_ram_mb": -1},), ":1: available_ram_mb: expected 0 or more"),
        (({**ROW, "temperature_c": -300},), ":1: temperature_c: expected more than -273.15"),
        (({**ROW, "cores": 0},), ":1: cores: expected 1 or more, got 0"),
    ],
)
def test_refusals(tmp_path, rows, message):
    with pytest.raises(InputError) as caught:
        read_trace(written(tmp_path, *rows))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "limits, row, refusal",
    [
        ({}, {}, None),
        ({"least_available_ram_mb": 901}, {}, "900 MB of RAM available, at least 901 are to stay"),
        ({"least_battery_percent": 61}, {}, "battery at 60%, under its floor of 61%"),
        ({"least_battery_percent": 61}, {"charging": True}, None),
        ({"least_battery_percent": 61}, {"battery_percent": None}, None),
        ({"most_temperature_c": 29.5}, {}, "30 degrees Celsius, more than 29.5"),
        ({"most_temperature_c": 29.5}, {"temperature_c": None}, None),
        ({"only_charging": True}, {}, "not charging"),
        ({"only_charging": True}, {"charging": True}, None),
    ],
)
def test_limits(limits, row, refusal):
    assert Limits(**limits).refusal(Resources(**{**ROW, **row})) == refusal


def test_a_trace_is_replayed_by_its_clock():
    seconds = 100.0
    rows = [Resources(**{**ROW, "seconds": s, "battery_percent": p}) for s, p in ((1, 50), (9, 40))]
    trace = ResourceTrace(rows, lambda: seconds)
    assert trace.now().battery_percent == 50, "before the first row it is as the first row says"
    for seconds, percent in ((101, 50), (108.9, 50), (109, 40), (1e9, 40)):
        assert trace.now().battery_percent == percent


def test_this_device_is_probed_without_battery_or_sensors_too():
    probe = ResourceProbe()
    now = probe.now()
    assert 0 < now.available_ram_mb < psutil.virtual_memory().total / 1e6 and now.cores >= 1 and now.seconds >= 0
    assert now.battery_percent is None or 0 <= now.battery_percent <= 100
    assert now.charging or now.battery_percent is not None, "what has no battery is on mains"
    assert probe.now().seconds > now.seconds
