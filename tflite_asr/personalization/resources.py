"""What a phone had to spare over time, and when that is enough to train."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

from tflite_asr.errors import InputError


@dataclass(frozen=True)
class Resources:
    """One row of a trace; it holds until the next row's time."""

    seconds: float  # since the trace began
    available_ram_mb: float
    battery_percent: float
    charging: bool
    temperature_c: float


@dataclass(frozen=True)
class Limits:
    """When a phone may train."""

    least_available_ram_mb: float = 0.0
    least_battery_percent: float = 0.0  # while it is not charging
    most_temperature_c: float = math.inf
    only_charging: bool = False

    def allow(self, now: Resources) -> bool:
        return (
            now.available_ram_mb >= self.least_available_ram_mb
            and (now.charging or now.battery_percent >= self.least_battery_percent)
            and now.temperature_c <= self.most_temperature_c
            and (now.charging or not self.only_charging)
        )


def read_trace(path: Path) -> list[Resources]:
    """A trace in JSON Lines, a row {seconds, available_ram_mb, battery_percent, charging, temperature_c} each."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected a resource trace, cannot read it: {error}") from None
    rows: list[Resources] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = Resources(**json.loads(line))
        except (ValueError, TypeError):
            fields = ", ".join(Resources.__dataclass_fields__)
            raise InputError(f"{path}:{number}: expected one JSON object with {fields}, got {line.strip()[:60]}") from None
        figures = (row.seconds, row.available_ram_mb, row.battery_percent, row.temperature_c)
        plain = all(isinstance(value, int | float) and not isinstance(value, bool) for value in figures)
        if not plain or not all(map(math.isfinite, figures)) or not isinstance(row.charging, bool):
            raise InputError(f"{path}:{number}: expected finite numbers, and true or false for charging, got {line.strip()[:60]}")
        if rows and row.seconds <= rows[-1].seconds:
            raise InputError(f"{path}:{number}: expected seconds after {rows[-1].seconds:g}, got {row.seconds:g}")
        rows.append(row)
    if not rows:
        raise InputError(f"{path}: expected a resource trace with one JSON object a line, got an empty file")
    return rows
