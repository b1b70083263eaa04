# Generated from the schema of .tflite: every field is annotated as possibly None, which a field that was read is not.
from typing import Any

def __getattr__(name: str) -> Any: ...
