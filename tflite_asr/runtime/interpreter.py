"""Calls the signatures of a .tflite by name, through whichever TFLite runtime is given."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from tflite_asr.errors import InputError
from tflite_asr.names import for_library

# called with model_path=, num_threads=
InterpreterFactory = Callable[..., object]


class SignatureModel:
    """One interpreter, its variables shared by all signatures.

    Args:
        path: the .tflite.
        interpreter: the runtime's `Interpreter` class; ai-edge-litert's when None. TensorFlow's
            `tf.lite.Interpreter` and tflite-runtime's do as well.
        threads: for one call.
    """

    def __init__(self, path: Path, interpreter: InterpreterFactory | None = None, threads: int = 1):
        if interpreter is None:
            from ai_edge_litert.interpreter import Interpreter as interpreter
        try:
            self._interpreter = interpreter(model_path=for_library(path), num_threads=threads)
        except (ValueError, RuntimeError) as error:
            raise InputError(f"{path}: the TFLite runtime cannot load it: {str(error).splitlines()[0]}") from None
        self._runners: dict[str, tuple[Callable, dict[str, dict]]] = {}
        self._path, self._factory, self._threads = path, interpreter, threads

    def anew(self) -> "SignatureModel":
        """Another interpreter of the same file, its variables as they were shipped."""
        return SignatureModel(self._path, self._factory, self._threads)

    def run(self, name: str, inputs: dict[str, np.ndarray] | None = None) -> dict[str, np.ndarray]:
        """Call a signature; every input must be there with the dtype and shape of the export."""
        runner, details = self._runner(name)
        inputs = inputs or {}
        if set(inputs) != set(details):
            raise InputError(f"signature {name}: expected inputs {sorted(details)}, got {sorted(inputs)}")
        for key, value in inputs.items():
            expected = details[key]
            if tuple(value.shape) != tuple(expected["shape"]) or value.dtype != expected["dtype"]:
                raise InputError(
                    f"signature {name}, input {key}: expected {np.dtype(expected['dtype']).name} "
                    f"{np.asarray(expected['shape']).tolist()}, got {value.dtype.name} {list(value.shape)}"
                )
        return runner(**inputs)

    def input_names(self, name: str) -> set[str]:
        """What a signature takes."""
        return set(self._runner(name)[1])

    def _runner(self, name: str) -> tuple[Callable, dict[str, dict]]:
        """A signature and the details of its inputs."""
        if name not in self._runners:
            available = self._interpreter.get_signature_list()
            if name not in available:
                raise InputError(f"{self._path}: no signature {name!r}; there are: {', '.join(sorted(available))}")
            runner = self._interpreter.get_signature_runner(name)
            self._runners[name] = runner, runner.get_input_details()
        return self._runners[name]
