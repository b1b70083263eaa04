"""Export a trained model as NAME.tflite and NAME.json.

`export` writes both files. The names of `__all__` are imported when they are first used, so that importing
`tflite_asr.export.quantization` loads no TensorFlow.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tflite_asr.export.converter import convert
    from tflite_asr.export.exporter import export
    from tflite_asr.export.quantization import Quantization
    from tflite_asr.export.signature_set import all_signatures
    from tflite_asr.export.steps import SplitOptions, make_steps

__all__ = ["Quantization", "SplitOptions", "all_signatures", "convert", "export", "make_steps"]

_MODULES = {
    "Quantization": "quantization",
    "SplitOptions": "steps",
    "all_signatures": "signature_set",
    "convert": "converter",
    "export": "exporter",
    "make_steps": "steps",
}


def __getattr__(name: str) -> Any:
    """Import the requested name (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
