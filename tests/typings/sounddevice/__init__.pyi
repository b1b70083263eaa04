# sounddevice is optional and has no type information of its own.
from typing import Any

def __getattr__(name: str) -> Any: ...
