"""The size of a runtime on disk."""

import re
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

LITERT, TENSORFLOW = ("ai-edge-litert",), ("tensorflow", "tf_keras")
PACKAGES = {  # that have to be installed to run a step; the first is the runtime itself
    "ours_whole": LITERT,
    "ours_split": LITERT,
    "stock_tflite": ("tensorflow",),
    "tensorflow_eager": TENSORFLOW,
    "tensorflow_graph": TENSORFLOW,
    "pytorch_eager": ("torch", "torchaudio", "numpy"),
}
# what runs on a GPU, in the packages and in torch itself: a CPU build has none of it, and a step on the CPU runs none
# of it
CUDA_PACKAGE = re.compile(r"nvidia-|cuda-|triton")
CUDA_FILE = re.compile(r"torch/lib/lib(torch|c10)_(cuda|nvshmem)|torchaudio/.*cuda")


def installed_mb(*packages: str) -> float:
    """MB of the installed files of these packages and of their requirements, without CUDA."""
    found: dict[str, Distribution] = {}
    waiting = list(packages)
    while waiting:
        name = waiting.pop()
        if name in found or CUDA_PACKAGE.match(name):
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:  # required of other platforms
            continue
        for line in found[name].requires or []:
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    return sum(_bytes(one) for one in found.values()) / 1e6


def _bytes(installed: Distribution) -> int:
    files = [file for file in installed.files or [] if not CUDA_FILE.search(file.as_posix())]
    paths = [Path(str(installed.locate_file(file))) for file in files]
    return sum(path.stat().st_size for path in paths if path.is_file())
