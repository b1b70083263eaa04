"""A model's signatures run by TensorFlow before conversion, as a reference for the exported file."""

import threading

import numpy as np
import tensorflow as tf

from signatures.spec import Signature


class TracedSignatures:
    """Takes the place of a `SignatureModel`: the same signatures with the same inputs, as TensorFlow computes them."""

    def __init__(self, signatures: list[Signature]):
        self.lock = threading.RLock()  # as a `SignatureModel` has one; nothing here needs it
        self._functions = {signature.name: (signature.concrete(), signature.inputs) for signature in signatures}

    def input_names(self, name: str) -> list[str]:
        """The inputs of a signature."""
        return [spec.name for spec in self._functions[name][1]]

    def run(self, name: str, inputs: dict[str, np.ndarray] | None = None) -> dict[str, np.ndarray]:
        """Call a signature."""
        function, specs = self._functions[name]
        arguments = (tf.constant((inputs or {})[spec.name]) for spec in specs)
        return {key: value.numpy() for key, value in function(*arguments).items()}
