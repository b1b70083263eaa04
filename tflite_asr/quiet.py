"""What C libraries write past Python to the process's standard error, kept from the user.

    with muted_stderr():
        decode()

Messages of this package go through `sys.stderr` and are to be printed outside of such a block. `show_everything`, which
`--verbose` calls, turns muting off.
"""

import contextlib
import os
import sys
import threading
from collections.abc import Iterator

_STDERR = 2
_lock = threading.Lock()
_muting = 0  # blocks that are being run, in all threads
_saved: int | None = None  # a copy of the descriptor, for the time that it leads nowhere
_verbose = False


def show_everything() -> None:
    """From now on nothing is muted in this process."""
    global _verbose
    _verbose = True


@contextlib.contextmanager
def muted_stderr() -> Iterator[None]:
    """Discard what is written to file descriptor 2 meanwhile, by any thread; blocks may be nested and overlap."""
    _mute()
    try:
        yield
    finally:
        _unmute()


def _mute() -> None:
    global _muting, _saved
    with _lock:
        _muting += 1
        if _muting > 1 or _verbose:
            return
        with contextlib.suppress(OSError, ValueError):  # without standard error there is nothing to mute
            if sys.stderr is not None:
                sys.stderr.flush()
            saved = os.dup(_STDERR)
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, _STDERR)
            os.close(nowhere)
            _saved = saved


def _unmute() -> None:
    global _muting, _saved
    with _lock:
        _muting -= 1
        if _muting or _saved is None:
            return
        with contextlib.suppress(OSError, ValueError):
            if sys.stderr is not None:
                sys.stderr.flush()
        os.dup2(_saved, _STDERR)
        os.close(_saved)
        _saved = None
