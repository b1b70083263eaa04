"""Python processes that the package starts."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tflite_asr.errors import InputError

# a file in the current folder that is named as a module of the standard library is not imported in its place
SAFE_PATH = {"PYTHONSAFEPATH": "1"}
ROOT = Path(__file__).parent.parent


def python_module(module: str, *arguments: str, python: str = sys.executable) -> list[str]:
    """The command that runs a module of this package, installed or not; to be started with `SAFE_PATH` in its
    environment."""
    return [
        *python_code(f"import runpy; runpy.run_module({module!r}, run_name='__main__', alter_sys=True)", python),
        *arguments,
    ]


def python_code(code: str, python: str = sys.executable) -> list[str]:
    """The command that runs code which imports this package, installed or not; started as `python_module` is."""
    return [python, "-c", f"import sys; sys.path.append({str(ROOT)!r}); {code}"]


def json_of(command: Sequence[str], what: str, environment: Mapping[str, str] = MappingProxyType({})) -> Any:
    """What a command prints as its last line, which is JSON.

    Args:
        command: from `python_module`.
        what: it measures, for the message of an InputError, which has the last line of standard error.
        environment: variables that it gets besides those of this process.
    """
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        errors="backslashreplace",
        env={**os.environ, **SAFE_PATH, **environment},
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise InputError(f"{what}: cannot be measured: {last.removeprefix('tflite_asr.errors.InputError: ')}")
    return json.loads(done.stdout.splitlines()[-1])


@contextlib.contextmanager
def safe_path() -> Iterator[None]:
    """For workers of `multiprocessing`, which are started with this process's environment."""
    former = {name: os.environ.get(name) for name in SAFE_PATH}
    os.environ.update(SAFE_PATH)
    try:
        yield
    finally:
        for name, value in former.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def leave_interrupts_to_the_parent() -> None:
    """In a worker process: Ctrl-C reaches every process of a terminal, and the parent ends its workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
