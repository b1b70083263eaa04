"""On-device speech recognition that keeps learning: train, export and personalise `.tflite` recognisers.

Importing this package loads nothing else; each name of `__all__` is imported when it is first used, and none of them
needs TensorFlow. The device side is `tflite_asr.runtime` and `tflite_asr.personalization`; the training side is
`tflite_asr.models`, `tflite_asr.training` and `tflite_asr.export`.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tflite_asr.data.manifest import Utterance, read_manifest
    from tflite_asr.errors import InputError
    from tflite_asr.personalization.library import personalize
    from tflite_asr.personalization.settings import Settings
    from tflite_asr.runtime.batch import Example
    from tflite_asr.runtime.recognizer import Recognizer
    from tflite_asr.runtime.second_pass import Rescoring
    from tflite_asr.runtime.words import Word

__version__ = "0.1.0"
__all__ = [
    "Example",
    "InputError",
    "Recognizer",
    "Rescoring",
    "Settings",
    "Utterance",
    "Word",
    "personalize",
    "read_manifest",
]

_MODULES = {
    "Example": "runtime.batch",
    "InputError": "errors",
    "Recognizer": "runtime.recognizer",
    "Rescoring": "runtime.second_pass",
    "Settings": "personalization.settings",
    "Utterance": "data.manifest",
    "Word": "runtime.words",
    "personalize": "personalization.library",
    "read_manifest": "data.manifest",
}


def __getattr__(name: str) -> Any:
    """Import the requested name (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
