import json
import math

import pytest

from tflite_asr.errors import InputError
from tflite_asr.personalization.resources import Limits, Resources, read_trace

ROW = {"seconds": 0, "available_ram_mb": 900, "battery_percent": 60, "charging": False, "temperature_c": 30}


def written(folder, *rows):
    path = folder / "trace.jsonl"
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def test_rows(tmp_path):
    rows = read_trace(written(tmp_path, ROW, "", {**ROW, "seconds": 2.5, "charging": True}))
    assert rows == [Resources(0, 900, 60, False, 30), Resources(2.5, 900, 60, True, 30)]


@pytest.mark.parametrize(
    "rows, told",
    [
        ((), "got an empty file"),
        (("{",), ":1: expected one JSON object with seconds"),
        (({**ROW, "mood": 3},), ":1: expected one JSON object"),
        (({"seconds": 1},), ":1: expected one JSON object"),
        (({**ROW, "charging": 1},), "true or false for charging"),
        (({**ROW, "temperature_c": "warm"},), ":1: expected finite numbers"),
        (({**ROW, "battery_percent": math.inf},), ":1: expected finite numbers"),
        ((ROW, ROW), ":2: expected seconds after 0"),
    ],
)
def test_refusals(tmp_path, rows, told):
    with pytest.raises(InputError) as caught:
        read_trace(written(tmp_path, *rows))
    assert told in str(caught.value)


@pytest.mark.parametrize(
    "limits, row, allowed",
    [
        ({}, {}, True),
        ({"least_available_ram_mb": 901}, {}, False),
        ({"least_battery_percent": 61}, {}, False),
        ({"least_battery_percent": 61}, {"charging": True}, True),
        ({"most_temperature_c": 29.5}, {}, False),
        ({"only_charging": True}, {}, False),
        ({"only_charging": True}, {"charging": True}, True),
    ],
)
def test_limits(limits, row, allowed):
    assert Limits(**limits).allow(Resources(**{**ROW, **row})) == allowed
