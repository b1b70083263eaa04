# TensorFlow has no type information of its own, and the stubs that pyright brings are narrower than its functions:
# sizes are `int | None`, gradients of custom_gradient have to be tensors. So all of it is Any.
from typing import Any

def __getattr__(name: str) -> Any: ...
