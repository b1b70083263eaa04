"""Memory and time of an artifact's plans on this device: measured once by short runs, stored in a file, used by the
selector.
"""

import dataclasses
import json
import os
import platform
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import psutil

from tflite_asr.errors import InputError
from tflite_asr.files import read_text, write_whole
from tflite_asr.libraries import home_folder
from tflite_asr.processes import SAFE_PATH, python_module
from tflite_asr.runtime.artifact import Artifact
from tflite_asr.runtime.memory import HUGE_PAGES

FORMAT = 1


@dataclass(frozen=True)
class CallCost:
    """One signature call of a plan. Memory is private and counted from the interpreter with its variables
    initialised.
    """

    signature: str
    seconds: float
    cpu_seconds: float  # of all threads
    peak_mb: float  # while it runs for the first time, after the calls before it
    kept_mb: float  # after that: the arenas that signatures keep, and what the host holds for later calls


@dataclass(frozen=True)
class PlanCost:
    """The cost of a plan. Training only the upper groups takes its first calls."""

    base_private_mb: float  # the process with the interpreter and its variables initialised
    calls: tuple[CallCost, ...]

    def peak_mb(self, count: int) -> float:
        """Private memory of a process that repeats the first `count` calls, MB.

        Each call's peak at its first time; and from the second step on, what the arenas of all of these calls keep
        with what a call adds while it runs.
        """
        calls = self.calls[:count]
        kept = calls[-1].kept_mb
        return self.base_private_mb + max(max(call.peak_mb, kept + call.peak_mb - call.kept_mb) for call in calls)

    def seconds(self, count: int) -> float:
        """A step of the first `count` calls on a full batch of the longest utterances."""
        return sum(call.seconds for call in self.calls[:count])

    def cpu_seconds(self, count: int) -> float:
        """The same, of all threads together."""
        return sum(call.cpu_seconds for call in self.calls[:count])


@dataclass(frozen=True)
class Calibration:
    """The plans of one artifact on one device."""

    artifact_sha256: str
    device: dict
    plans: dict[str, PlanCost]

    def to_json(self) -> dict:
        """The content of a calibration file."""
        return {"format": FORMAT, **dataclasses.asdict(self)}

    @classmethod
    def from_json(cls, values: dict) -> "Calibration":
        """KeyError, TypeError or ValueError for anything that `to_json` did not give."""
        if values["format"] != FORMAT:
            raise ValueError(f"format {values['format']}")
        plans = {
            name: PlanCost(plan["base_private_mb"], tuple(CallCost(**call) for call in plan["calls"]))
            for name, plan in values["plans"].items()
        }
        return cls(values["artifact_sha256"], values["device"], plans)


def this_device(threads: int) -> dict:
    """What a calibration is valid for: machine, runtime and threads."""
    return {
        "node": platform.node(),
        "machine": platform.machine(),
        "cores": psutil.cpu_count(),
        "ram_mb": round(psutil.virtual_memory().total / 1e6),
        "runtime": f"ai-edge-litert {version('ai-edge-litert')}",
        "threads": threads,
    }


def default_path(artifact: Artifact, threads: int) -> Path | None:
    """Where the calibration of an artifact for a number of threads is kept; None for a user without a home folder."""
    home, cache_home = home_folder(), os.environ.get("XDG_CACHE_HOME")
    if cache_home:
        cache = Path(cache_home)
    elif home is not None:
        cache = home / ".cache"
    else:
        return None
    return cache / "tflite_asr" / f"{artifact.name}-{artifact.tflite_sha256[:12]}-{threads}.calibration.json"


def calibrated(artifact: Artifact, path: Path | None, threads: int, notice: Callable[[str], None]) -> Calibration:
    """The calibration in a file; measured, and written there, when the file has none of this artifact and device.

    Args:
        path: of the file; None: it is measured and not kept.
        notice: called with a line that says why it is measured (again), or that the file cannot be written.
    """
    device = this_device(threads)
    if path is None:
        notice(
            "calibration: there is no home folder to keep it in; measuring this device, nothing else should run "
            "meanwhile"
        )
        return calibrate(artifact, threads)
    try:
        if not path.exists():
            raise FileNotFoundError(path)
        kept = Calibration.from_json(json.loads(read_text(path, "a calibration")))
        why = _why_not(kept, artifact, device)
        if why is None:
            return kept
    except FileNotFoundError:
        why = "none yet"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        why = f"not readable ({error})"
    notice(f"calibration {path}: {why}; measuring this device, nothing else should run meanwhile")
    measured = calibrate(artifact, threads)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, (json.dumps(measured.to_json(), indent=1) + "\n").encode())
    except OSError as error:
        notice(f"calibration {path}: could not be kept ({error.strerror}); it will be measured again")
    return measured


def calibrate(artifact: Artifact, threads: int) -> Calibration:
    """Measure: one short run of each plan, in a process of its own."""
    if not artifact.plans:
        raise InputError(
            f"{artifact.path}: no layer group trains, all are constants of the file; export it with --trainable"
        )
    plans = {name: _run(artifact, name, threads) for name in artifact.plans}
    return Calibration(artifact.tflite_sha256, this_device(threads), plans)


def _why_not(kept: Calibration, artifact: Artifact, device: dict) -> str | None:
    """Why a calibration is not one of this artifact on this device."""
    if kept.artifact_sha256 != artifact.tflite_sha256:
        return f"of another artifact ({kept.artifact_sha256[:12]}, this is {artifact.tflite_sha256[:12]})"
    others = [
        f"{name} {kept.device.get(name)}, here {value}"
        for name, value in device.items()
        if kept.device.get(name) != value
    ]
    if others:
        return f"of another machine or runtime ({'; '.join(others)})"
    for name, plan in artifact.plans.items():
        if name not in kept.plans or [c.signature for c in kept.plans[name].calls] != [c["signature"] for c in plan]:
            return f"without the plan {name} as it is now"
    return None


def _run(artifact: Artifact, plan: str, threads: int) -> PlanCost:
    command = python_module("tflite_asr.personalization.calibration_run", str(artifact.path), plan, str(threads))
    result = subprocess.run(command, capture_output=True, text=True, env=os.environ | SAFE_PATH | HUGE_PAGES)
    if result.returncode:
        raise InputError(f"{artifact.path}, plan {plan}: {(result.stderr.strip().splitlines() or ['no output'])[-1]}")
    values = json.loads(result.stdout.splitlines()[-1])
    return PlanCost(values["base_private_mb"], tuple(CallCost(**call) for call in values["calls"]))
