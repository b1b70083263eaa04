"""Ctrl-C and SIGTERM end a run at any point with one line."""

import _thread
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

AGAIN_SECONDS = 0.05
PATIENCE_SECONDS = 10.0  # XLA compiles for minutes, and Python handles no signal before it returns
STOPPED = 130  # the exit code of a run that was stopped


class Interruption:
    """While the `with` block runs, SIGINT and SIGTERM raise KeyboardInterrupt in the main thread, and `came` tells that
    one did.

    A KeyboardInterrupt that reaches Python code whose exceptions are dropped, such as a destructor or a callback, is
    raised again afterwards. Signals that the process was started to ignore stay ignored. If the main thread is in C
    code and does not return within `PATIENCE_SECONDS`, the process exits: every file is written whole or not at all, so
    nothing is torn.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self.came = False
        self.program = "tflite-asr"  # what is stopped, for the line that says so
        self._patience_seconds = patience_seconds
        self._ended = threading.Event()  # the interruption reached whoever handles it
        self._pipe: tuple[int, int] | None = None  # where the C handler of signals writes their numbers

    def __enter__(self) -> "Interruption":
        self._former: dict[int, Callable[[int, FrameType | None], Any] | int | None] = {}
        if threading.current_thread() is threading.main_thread():
            for number in self.SIGNALS:
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._former[number] = signal.signal(number, self._interrupt)
            self._watch()
        self._unraisable, sys.unraisablehook = sys.unraisablehook, self._dropped
        self._of_threads, threading.excepthook = threading.excepthook, self._in_thread
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        sys.unraisablehook, threading.excepthook = self._unraisable, self._of_threads
        if self._pipe:
            signal.set_wakeup_fd(self._former_wakeup)
            os.close(self._pipe[1])  # ends the watching thread, which closes the other end
        if not self.came:  # else the process ends: nothing more is to interrupt that
            for number, handler in self._former.items():
                signal.signal(number, handler)

    def ignore_more(self) -> None:
        """Ignore further signals: the run has ended, and only output and cleanup are left."""
        self._ended.set()
        if self.came:
            for number in self._former:
                signal.signal(number, signal.SIG_IGN)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self.came = True
        raise KeyboardInterrupt

    def _watch(self) -> None:
        """Start the thread that waits for a signal, which C code notes at once, and then for the main thread to end the
        run.
        """
        self._pipe = os.pipe()
        os.set_blocking(self._pipe[1], False)
        self._former_wakeup = signal.set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)
        threading.Thread(target=self._exit_if_stuck, args=(self._pipe[0],), daemon=True).start()

    def _exit_if_stuck(self, numbers: int) -> None:
        while number := os.read(numbers, 1):
            if number[0] in self._former and not self._ended.wait(self._patience_seconds):
                with contextlib.suppress(OSError, ValueError, AttributeError):  # no standard error
                    print(f"{self.program}: stopped", file=sys.stderr, flush=True)
                os._exit(STOPPED)
        os.close(numbers)

    def _dropped(self, dropped: "sys.UnraisableHookArgs") -> None:
        if self.came and isinstance(dropped.exc_value, KeyboardInterrupt):
            again = threading.Timer(AGAIN_SECONDS, _thread.interrupt_main)  # not here, where it would be dropped too
            again.daemon = True
            again.start()
        elif not self.came:
            self._unraisable(dropped)

    def _in_thread(self, arguments: threading.ExceptHookArgs) -> None:
        if not self.came:
            self._of_threads(arguments)
