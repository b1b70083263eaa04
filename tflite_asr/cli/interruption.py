"""Ctrl-C and SIGTERM: a run ends in one line, wherever it was."""

import _thread
import signal
import sys
import threading
from types import FrameType

AGAIN_SECONDS = 0.05


class Interruption:
    """While the `with` block runs, SIGINT and SIGTERM raise KeyboardInterrupt in the main thread, and `came` tells that one did.

    A KeyboardInterrupt that reaches Python code whose exceptions are dropped, such as a destructor or a callback, is raised
    again afterwards. Signals that the process was started to ignore stay ignored.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.came = False

    def __enter__(self) -> "Interruption":
        self._former: dict[int, object] = {}
        if threading.current_thread() is threading.main_thread():
            for number in self.SIGNALS:
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._former[number] = signal.signal(number, self._interrupt)
        self._unraisable, sys.unraisablehook = sys.unraisablehook, self._dropped
        self._of_threads, threading.excepthook = threading.excepthook, self._in_thread
        return self

    def __exit__(self, *exception: object) -> None:
        sys.unraisablehook, threading.excepthook = self._unraisable, self._of_threads
        if not self.came:  # else the process ends: nothing more is to interrupt that
            for number, handler in self._former.items():
                signal.signal(number, handler)

    def ignore_more(self) -> None:
        """The run has ended; another signal would only disturb what is left to tell and to close."""
        if self.came:
            for number in self._former:
                signal.signal(number, signal.SIG_IGN)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self.came = True
        raise KeyboardInterrupt

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
