# torchaudio is measured in an environment of its own, so it may be missing here.
from typing import Any

def __getattr__(name: str) -> Any: ...
