"""Python processes that the package starts."""

import signal
import sys
from pathlib import Path

# a file in the current folder that is named as a module of the standard library is not imported in its place
SAFE_PATH = {"PYTHONSAFEPATH": "1"}
ROOT = Path(__file__).parent.parent


def python_module(module: str, *arguments: str, python: str = sys.executable) -> list[str]:
    """The command that runs a module of this package, installed or not; to be started with `SAFE_PATH` in its
    environment."""
    code = f"import runpy, sys; sys.path.append({str(ROOT)!r}); runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
    return [python, "-c", code, *arguments]


def leave_interrupts_to_the_parent() -> None:
    """In a worker process: Ctrl-C reaches every process of a terminal, and the parent ends its workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
