"""Standard streams that accept any text: a console that lacks a character, or a process without a console, must not end
a command.
"""

import contextlib
import os
import sys


def prepare_streams() -> None:
    """Make standard output and error take everything.

    Characters that their encoding lacks, and bytes of file names that are not UTF-8, are written with backslashes.
    Streams that are closed (`2>&-`), or that a process without a console does not have (pythonw), lead nowhere.
    """
    for descriptor in range(3):  # or the next file that is opened would take its place, and get what is printed
        try:
            os.fstat(descriptor)
        except OSError:
            with contextlib.suppress(OSError):
                os.open(os.devnull, os.O_RDONLY if descriptor == 0 else os.O_WRONLY)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8", errors="backslashreplace"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115
