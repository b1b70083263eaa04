"""The former place of `Quantization`, for scripts that import it from here; `tflite_asr.export` has it now."""

from tflite_asr.export.quantization import Quantization

__all__ = ["Quantization"]
