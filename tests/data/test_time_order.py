from pathlib import Path

import pytest

from tflite_asr.data.manifest import Utterance
from tflite_asr.data.time_order import check_time_order
from tflite_asr.errors import InputError


def said_at(*times):
    rows = [{} if time is None else {"time": time} for time in times]
    return [Utterance(Path("a.wav"), "ONE", None, "ann", row, f"m.jsonl:{n}") for n, row in enumerate(rows, 1)]


@pytest.mark.parametrize(
    "times",
    [(None, None), (1, 1, 2.5), (7,), ("2024-05-01", "2024-05-01T08:00:00"), ("2024-05-01T08:00:00+02:00",) * 2],
)
def test_in_order(times):
    check_time_order(said_at(*times))


@pytest.mark.parametrize(
    "times, message",
    [
        ((1, 3, 2), "m.jsonl:3: said before the row above it (2 after 3)"),
        (("2024-05-02", "2024-05-01"), "m.jsonl:2: said before"),
        ((1, None), "m.jsonl:2: expected a 'time' as other rows have"),
        ((1, "2024-05-01"), "m.jsonl:2: its 'time' cannot be compared"),
        (("2024-05-01T08:00:00+02:00", "2024-05-01T09:00:00"), "m.jsonl:2: its 'time' cannot be compared"),
        ((1, "soon"), "m.jsonl:2: expected 'time' to be a number or a date"),
        ((True,), "m.jsonl:1: expected 'time'"),
        ((float("nan"),), "m.jsonl:1: expected 'time'"),
    ],
)
def test_out_of_order(times, message):
    with pytest.raises(InputError) as caught:
        check_time_order(said_at(*times))
    assert message in str(caught.value)
