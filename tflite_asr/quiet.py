"""Mutes what C libraries write to the process's standard error.

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
_blocks = 0  # that are being run, in all threads
_saved: int | None = None  # a copy of the descriptor, for the time that it leads elsewhere
_verbose = False


def show_everything() -> None:
    """From now on nothing is muted in this process."""
    global _verbose
    _verbose = True


@contextlib.contextmanager
def muted_stderr() -> Iterator[None]:
    """Discard what any thread writes to file descriptor 2 within the block; blocks may be nested and overlap."""
    if _verbose:
        yield
        return
    with open(os.devnull, "wb") as nowhere, redirected_stderr(nowhere.fileno()):
        yield


@contextlib.contextmanager
def redirected_stderr(target: int) -> Iterator[int | None]:
    """Let file descriptor 2 lead to the descriptor `target` meanwhile, for all threads.

    Blocks may be nested and overlap: 2 leads to the first one's target until the last one ends.

    Yields:
        a descriptor that leads where 2 led before; None without standard error.
    """
    _redirect(target)
    try:
        yield _saved
    finally:
        _restore()


def _redirect(target: int) -> None:
    global _blocks, _saved
    with _lock:
        _blocks += 1
        if _blocks > 1:
            return
        flush_stderr()
        with contextlib.suppress(OSError):  # without standard error there is nothing to divert
            saved = os.dup(_STDERR)
            os.dup2(target, _STDERR)
            _saved = saved


def _restore() -> None:
    global _blocks, _saved
    with _lock:
        _blocks -= 1
        if _blocks or _saved is None:
            return
        flush_stderr()
        os.dup2(_saved, _STDERR)
        os.close(_saved)
        _saved = None


def flush_stderr() -> None:
    """Flush standard error, if there is one."""
    with contextlib.suppress(OSError, ValueError, AttributeError):  # closed, or None
        sys.stderr.flush()
