"""Keeps notices of TensorFlow and the TFLite runtime off a user's terminal."""

import contextlib
import importlib.abc
import importlib.util
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

from tflite_asr.quiet import flush_stderr, redirected_stderr

# the variable that TensorFlow reads: 0 shows all messages of its C++ code, 1 no notices, 2 no warnings, 3 no errors
LEVEL = "TF_CPP_MIN_LOG_LEVEL"
NOTICE = re.compile(
    rb"^(INFO: Created TensorFlow Lite \w+ delegate for|WARNING: All log messages before absl::InitializeLog|"
    rb"[IW]\d{4} \d\d:\d\d:\d+).*\n?",
    re.MULTILINE,
)


@contextlib.contextmanager
def without_notices() -> Iterator[None]:
    """Drop notices within the block, if `TF_CPP_MIN_LOG_LEVEL` asks for that.

    The runtime has no level of its own, and TensorFlow heeds it only once it is imported. Both write to file descriptor
    2, which therefore is a file within the block; all that is not a notice goes to standard error at its end.
    """
    if os.environ.get(LEVEL, "0") == "0":
        yield
        return
    with tempfile.TemporaryFile() as written, redirected_stderr(written.fileno()) as terminal:
        try:
            yield
        finally:
            flush_stderr()
            written.seek(0)
            rest = NOTICE.sub(b"", written.read())
            while rest and terminal is not None:
                rest = rest[os.write(terminal, rest) :]


class QuietImport(importlib.abc.MetaPathFinder):
    """Put first in `sys.meta_path`, imports one package within `without_notices`."""

    def __init__(self, package: str):
        self._package = package

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The package's own spec, once."""
        if fullname != self._package or self not in sys.meta_path:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec and spec.loader:
            run = spec.loader.exec_module

            def exec_module(module):
                with without_notices():
                    run(module)

            spec.loader.exec_module = exec_module
        return spec
