"""The resources of a phone, now or in a recorded trace, and the limits within which it trains."""

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psutil

from tflite_asr.errors import InputError
from tflite_asr.files import read_text

ABSOLUTE_ZERO_C = -273.15


@dataclass(frozen=True)
class Resources:
    """One reading. In a trace it holds until the next row's time, the last for ever."""

    seconds: float  # since the readings began
    available_ram_mb: float
    battery_percent: float | None  # None: there is no battery
    charging: bool  # or on mains
    temperature_c: float | None  # None: there is no sensor
    cores: int | None = None  # that may be used; None: the trace does not tell


class ResourceSource(Protocol):
    """A phone, or a trace of one."""

    def now(self) -> Resources:
        """The current reading."""
        ...


class ResourceProbe:
    """This device, read by psutil."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def now(self) -> Resources:
        """The current reading."""
        # psutil has these only on systems that report them
        battery = getattr(psutil, "sensors_battery", lambda: None)()
        sensors = getattr(psutil, "sensors_temperatures", dict)()
        return Resources(
            seconds=time.monotonic() - self._start,
            available_ram_mb=psutil.virtual_memory().available / 1e6,
            battery_percent=battery.percent if battery else None,
            charging=battery is None or bool(battery.power_plugged),
            temperature_c=max((sensor.current for found in sensors.values() for sensor in found), default=None),
            cores=psutil.cpu_count(),
        )


class ResourceTrace:
    """Replays recorded readings.

    Args:
        rows: in the order of time, one at least.
        clock: seconds since any moment; the trace begins now.
    """

    def __init__(self, rows: Sequence[Resources], clock: Callable[[], float] = time.monotonic):
        self._rows, self._clock, self._start = rows, clock, clock()

    def now(self) -> Resources:
        """The row for the time since the trace began."""
        seconds = self._clock() - self._start
        past = [row for row in self._rows if row.seconds <= seconds]
        return past[-1] if past else self._rows[0]


@dataclass(frozen=True)
class Limits:
    """When a phone may train."""

    least_available_ram_mb: float = 0.0
    least_battery_percent: float = 0.0  # while it is not charging
    most_temperature_c: float = math.inf
    only_charging: bool = False

    def refusal(self, now: Resources) -> str | None:
        """Why not to train now; None when nothing is against it."""
        if now.available_ram_mb < self.least_available_ram_mb:
            return (
                f"{now.available_ram_mb:.0f} MB of RAM available, at least {self.least_available_ram_mb:g} are to stay"
            )
        if self.only_charging and not now.charging:
            return "not charging"
        if not now.charging and now.battery_percent is not None and now.battery_percent < self.least_battery_percent:
            return f"battery at {now.battery_percent:g}%, under its floor of {self.least_battery_percent:g}%"
        if now.temperature_c is not None and now.temperature_c > self.most_temperature_c:
            return f"{now.temperature_c:g} degrees Celsius, more than {self.most_temperature_c:g}"
        return None


def read_trace(path: Path) -> list[Resources]:
    """A trace in JSON Lines, a row {seconds, available_ram_mb, battery_percent, charging, temperature_c} each."""
    lines = read_text(path, "a resource trace").splitlines()
    rows: list[Resources] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where, got = f"{path}:{number}", line.strip()[:60]
        try:
            row = Resources(**json.loads(line))
        except (ValueError, TypeError):
            fields = ", ".join(Resources.__dataclass_fields__)
            raise InputError(f"{where}: expected one JSON object with {fields}, got {got}") from None
        figures = (row.seconds, row.available_ram_mb, row.battery_percent, row.temperature_c)
        if not all(map(_is_finite_number, figures)) or not isinstance(row.charging, bool):
            raise InputError(f"{where}: expected finite numbers, and true or false for charging, got {got}")
        _check_possible(row, where)
        if rows and row.seconds <= rows[-1].seconds:
            raise InputError(f"{where}: expected seconds after {rows[-1].seconds:g}, got {row.seconds:g}")
        rows.append(row)
    if not rows:
        raise InputError(f"{path}: expected a resource trace with one JSON object a line, got an empty file")
    return rows


def _is_finite_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _check_possible(row: Resources, where: str) -> None:
    """InputError for figures that no phone has."""
    for name, possible, expected in (
        ("seconds", row.seconds >= 0, "0 or more"),
        ("available_ram_mb", row.available_ram_mb >= 0, "0 or more"),
        ("battery_percent", row.battery_percent is None or 0 <= row.battery_percent <= 100, "0 to 100"),
        (
            "temperature_c",
            row.temperature_c is None or row.temperature_c > ABSOLUTE_ZERO_C,
            f"more than {ABSOLUTE_ZERO_C}",
        ),
        ("cores", row.cores is None or (type(row.cores) is int and row.cores >= 1), "1 or more"),
    ):
        if not possible:
            raise InputError(f"{where}: {name}: expected {expected}, got {getattr(row, name)}")
