"""Utterances in the order in which they were said."""

import contextlib
import math
from collections.abc import Sequence
from datetime import datetime

from tflite_asr.data.manifest import Utterance
from tflite_asr.errors import InputError


def check_time_order(utterances: Sequence[Utterance]) -> None:
    """InputError unless each was said after the one before it, by the manifest's field `time`.

    `time` is a number, such as seconds, or an ISO 8601 date and time. Without it, the manifest's order counts.
    """
    with_time = [utterance for utterance in utterances if utterance.extra.get("time") is not None]
    if not with_time:
        return
    if len(with_time) < len(utterances):
        lacks = next(utterance for utterance in utterances if utterance.extra.get("time") is None)
        raise InputError(f"{lacks.where}: expected a 'time' as other rows have, got none; give every row one or none")
    for former, latter in zip(utterances, utterances[1:]):
        try:
            out_of_order = _is_earlier(_time(latter), _time(former))
        except TypeError:  # a number beside a date, or dates of which one has a time zone
            raise InputError(f"{latter.where}: its 'time' cannot be compared with that of {former.where}") from None
        if out_of_order:
            raise InputError(
                f"{latter.where}: said before the row above it ({latter.extra['time']} after {former.extra['time']}); "
                "expected utterances in the order of time, sort the manifest by 'time'"
            )
    _time(utterances[0])


def _is_earlier(time: float | datetime, other: float | datetime) -> bool:
    """Whether a time is before another; TypeError if they cannot be compared."""
    if isinstance(time, float) and isinstance(other, float):
        return time < other
    if isinstance(time, datetime) and isinstance(other, datetime):
        return time < other
    raise TypeError("a number and a date")


def _time(utterance: Utterance) -> float | datetime:
    value = utterance.extra["time"]
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            return datetime.fromisoformat(value)
    raise InputError(
        f"{utterance.where}: expected 'time' to be a number or a date such as 2024-05-01T12:30:00, got {value!r}"
    )
