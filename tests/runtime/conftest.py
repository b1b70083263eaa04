import dataclasses
from pathlib import Path

import numpy as np
import pytest

from tflite_asr.config import preset
from tflite_asr.runtime.batch import Example

# LSTM groups: files of conformers take several times as long to convert
EXITS = dataclasses.replace(preset("tiny_exits"), encoder=preset("tiny").encoder, exit_weighting="sandwich")


@pytest.fixture(scope="session")
def exits_model():
    """A CTC model with exits behind each of its three groups."""
    import tf_keras as keras

    from tflite_asr.models.build import build_model

    keras.utils.set_random_seed(0)
    model = build_model(EXITS)
    for head in model.heads:  # labels and blanks in turn, as trained models say
        head.kernel.assign(4 * head.kernel)
        head.bias.assign(np.eye(1, EXITS.vocabulary_size, dtype=np.float32)[0] * 5)
    return model


@pytest.fixture(scope="session")
def exits_tflite(exits_model, made_once) -> Path:
    """The same exported with SGD, its split step in three parts. Not to be written to."""
    from tflite_asr.export import SplitOptions, export

    return made_once(
        "exits.tflite",
        lambda path: export(exits_model, path, optimizer="sgd", split=SplitOptions(parts=3, keep="stash")),
    )


@pytest.fixture(scope="session")
def examples() -> list[Example]:
    """Two utterances of noise for it."""
    random = np.random.default_rng(5)
    return [
        Example(random.standard_normal([n, 40]).astype(np.float32), random.integers(1, 29, [6]).astype(np.int32), "x")
        for n in (120, 71)
    ]
