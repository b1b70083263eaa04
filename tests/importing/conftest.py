"""The real weights, for tests that need them: an installed moonshine-voice, or the wheel that MOONSHINE_WHEEL names."""

import importlib.metadata
import os
from pathlib import Path

import numpy as np
import pytest

from tflite_asr.config import preset
from tflite_asr.importing.moonshine import Imported, read_moonshine, tree_names
from tflite_asr.importing.sources import DISTRIBUTION, VERSION, OrtFiles, read_installed, read_wheel


@pytest.fixture(scope="session")
def moonshine_source() -> str:
    """What `import moonshine` takes; without it the test is skipped."""
    if wheel := os.environ.get("MOONSHINE_WHEEL"):
        return wheel
    try:
        if importlib.metadata.version(DISTRIBUTION) == VERSION:
            return "installed"
    except importlib.metadata.PackageNotFoundError:
        pass
    pytest.skip(f"needs {DISTRIBUTION} {VERSION}: pip install 'tflite_asr[english]', or its wheel in MOONSHINE_WHEEL")


@pytest.fixture(scope="session")
def ort_files(moonshine_source) -> OrtFiles:
    return read_installed() if moonshine_source == "installed" else read_wheel(Path(moonshine_source))


@pytest.fixture(scope="session")
def moonshine(moonshine_source) -> Imported:
    return read_moonshine(moonshine_source)


@pytest.fixture(scope="session")
def invented() -> dict[str, np.ndarray]:
    """Weights of every name and shape that transformers has in Moonshine tiny, each value different from its
    neighbours'.
    """
    shapes = {
        "conv1.weight": (288, 1, 127), "conv2.weight": (576, 288, 7), "conv3.weight": (288, 576, 3),
        "conv2.bias": (576,), "conv3.bias": (288,), "encoder.fc1.weight": (1152, 288), "encoder.fc1.bias": (1152,),
        "decoder.fc1.weight": (2304, 288), "decoder.fc1.bias": (2304,), "fc2.weight": (288, 1152),
        "embed_tokens.weight": (32_768, 288), "_proj.weight": (288, 288),
    }  # fmt: skip
    random = np.random.default_rng(0)
    weights = {}
    for name in dict(tree_names(preset("english"))).values():
        side = name.split(".")[1]
        short = f"{side}.{name.split('mlp.')[-1]}"
        shape = next((shapes[key] for key in shapes if short == key or name.endswith(key)), (288,))
        weights[name] = random.standard_normal(shape, np.float32)
    return weights
