"""Calls the signatures of a .tflite by name, through whichever TFLite runtime is given."""

import threading
from collections.abc import Callable, Set
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tflite_asr.errors import InputError
from tflite_asr.names import for_library
from tflite_asr.runtime.file_part import file_of_part
from tflite_asr.runtime.notices import without_notices

# called with model_path=, num_threads=
InterpreterFactory = Callable[..., Any]


class Signatures(Protocol):
    """The signatures of a file, which all read and write the same variables: `SignatureModel`, or `PartedModel`.

    Threads may share it: their calls run one after the other. A thread that needs several calls without another
    thread's between them holds `lock`.
    """

    @property
    def lock(self) -> Any:
        """A reentrant lock."""
        ...

    def anew(self) -> "Signatures":
        """Those of another interpreter of the same file, its variables as they were shipped."""
        ...

    def run(self, name: str, inputs: dict[str, np.ndarray] | None = None) -> dict[str, np.ndarray]:
        """Call a signature with every input, of the dtype and shape of the export; results are copies."""
        ...

    def input_names(self, name: str) -> set[str]:
        """The inputs of a signature."""
        ...


class _NeverResizing:
    """A runtime's interpreter, for a runner whose inputs have the shapes of the export.

    A runner resizes every input before a call. Of an input without dimensions, which older files have, that ends the
    process with ai-edge-litert on 64-bit ARM.
    """

    def __init__(self, wrapper):
        self._wrapper = wrapper

    def __getattr__(self, name: str):
        return getattr(self._wrapper, name)

    def ResizeInputTensor(self, *_) -> None:
        """Do nothing: `SignatureModel.run` has compared the shapes."""


class SignatureModel:
    """One interpreter, its variables shared by all signatures.

    Threads may share it: their calls run one after the other, and results are copies of the interpreter's memory. A
    thread that needs several calls without another thread's between them holds `lock`.

    Args:
        path: the .tflite.
        interpreter: the runtime's `Interpreter` class; ai-edge-litert's when None. TensorFlow's
            `tf.lite.Interpreter` and tflite-runtime's do as well.
        threads: for one call.
        signatures: those that are loaded; None: all.
    """

    def __init__(
        self,
        path: Path,
        interpreter: InterpreterFactory | None = None,
        threads: int = 1,
        signatures: Set[str] | None = None,
    ):
        try:
            if interpreter is None:
                from ai_edge_litert.interpreter import Interpreter as interpreter
            with file_of_part(path, signatures) as file:
                self._interpreter = interpreter(model_path=for_library(file), num_threads=threads)
        # ValueError, RuntimeError, TypeError and more, by what is wrong with file or install
        except Exception as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise InputError(f"{path}: the TFLite runtime cannot load it: {reason}") from None
        self._runners: dict[str, tuple[Callable, dict[str, dict]]] = {}
        self._path, self._factory, self._threads, self._signatures = path, interpreter, threads, signatures
        self.lock = threading.RLock()

    def anew(self) -> "SignatureModel":
        """Another interpreter of the same file, its variables as they were shipped."""
        return SignatureModel(self._path, self._factory, self._threads, self._signatures)

    def run(self, name: str, inputs: dict[str, np.ndarray] | None = None) -> dict[str, np.ndarray]:
        """Call a signature; every input must be there with the dtype and shape of the export.

        An input of one value may be given without dimensions or with one, however the file has it: older files have
        scalars, see `Artifact.format`.
        """
        runner, details = self._runner(name)
        inputs = dict(inputs or {})
        if set(inputs) != set(details):
            raise InputError(f"signature {name}: expected inputs {sorted(details)}, got {sorted(inputs)}")
        for key, value in inputs.items():
            expected = details[key]
            if {tuple(value.shape), tuple(expected["shape"])} == {(), (1,)}:
                inputs[key] = value = np.reshape(value, expected["shape"])
            if tuple(value.shape) != tuple(expected["shape"]) or value.dtype != expected["dtype"]:
                raise InputError(
                    f"signature {name}, input {key}: expected {np.dtype(expected['dtype']).name} "
                    f"{np.asarray(expected['shape']).tolist()}, got {value.dtype.name} {list(value.shape)}"
                )
        with self.lock:
            return runner(**inputs)

    def input_names(self, name: str) -> set[str]:
        """The inputs of a signature."""
        return set(self._runner(name)[1])

    def _runner(self, name: str) -> tuple[Callable, dict[str, dict]]:
        """A signature and the details of its inputs."""
        with self.lock:
            if name not in self._runners:
                self._runners[name] = self._make_runner(name)
            return self._runners[name]

    def _make_runner(self, name: str) -> tuple[Callable, dict[str, dict]]:
        available = self._interpreter.get_signature_list()
        if name not in available:
            raise InputError(f"{self._path}: no signature {name!r}; there are: {', '.join(sorted(available))}")
        runner = self._interpreter.get_signature_runner(name)
        details = runner.get_input_details()
        if any(len(tensor["shape"]) == 0 for tensor in details.values()):
            runner._interpreter_wrapper = _NeverResizing(runner._interpreter_wrapper)
        if not self._runners:  # with the first allocation, delegates are made, which the runtime has to say
            with without_notices():
                runner._interpreter_wrapper.AllocateTensors(runner._subgraph_index)
        return runner, details
