"""Write the vectors that hold the Kotlin side to the Python side, all of them; after a new export of `commands` too.

    python android_demo/vectors/make_vectors.py

Both sides check them: tests/android/test_android_core.py, and the tests of core and jvm.
"""

import json
import sys
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent
sys.path[:0] = [str(FOLDER), str(FOLDER.parent.parent)]

import of_cached
import of_corrections
import of_draws
import of_exits
import of_hotwords
import of_low_rank
import of_parts
import of_runs
import of_second_pass
import of_second_pass_training
import of_selector
import of_self_training
import of_steps
import of_streaming
import of_subwords
import of_words

from tflite_asr.runtime.artifact import read_artifact
from tflite_asr.runtime.checkpoint import save_checkpoint
from tflite_asr.runtime.description import with_digest
from tflite_asr.runtime.recognizer import OWNER_MEANS, OWNER_THRESHOLD

CHECKPOINT = FOLDER / "checkpoint.safetensors"
VECTORS = {
    "draws": of_draws.draws,
    "description": lambda: {
        "text": with_digest({"format": 2, "name": "voice\u00e9", "groups": [{"bytes": 7}], "rate": 0.1})
    },
    "selector": lambda: of_selector.selections(read_artifact("commands")),
    "corrections": of_corrections.corrections,
    "exits": of_exits.exits,
    "hotwords": of_hotwords.hotwords,
    "low_rank": of_low_rank.low_rank,
    "second_pass": of_second_pass.second_pass,
    "second_pass_training": of_second_pass_training.second_pass_training,
    "self_training": of_self_training.self_training,
    "streaming": of_streaming.streaming,
    "subwords": of_subwords.subwords,
    "words": of_words.words,
    "parts": of_parts.parts,
    "parity": of_steps.parity,
    "cached": of_cached.cached,
    "runs": of_runs.runs,
}


def write_checkpoint(path: Path) -> None:
    """A few tensors of every kind that a checkpoint may hold, an owner's voice among them."""
    random = np.random.default_rng(3)
    tensors = {
        "kernel": random.standard_normal([5, 7]).astype(np.float32),
        "bias": random.standard_normal([7]).astype(np.float32),
        "Zero/edge": np.asarray([0.0, -0.0, 1e-38, 3e38], np.float32),
        "step": np.asarray(41, np.int32),
        "frozen": random.integers(-127, 128, [3, 2, 2]).astype(np.int8),
        OWNER_MEANS: random.standard_normal([4, 3]).astype(np.float32),
        OWNER_THRESHOLD: np.float32(0.0625),
    }
    save_checkpoint(path, tensors, artifact_sha256="ab" * 32, step=41)


if __name__ == "__main__":
    of_runs.write_speech()
    of_exits.write_model()
    of_low_rank.write_model()
    of_second_pass.write_model()
    of_second_pass_training.write_model()
    of_streaming.write_model()
    write_checkpoint(CHECKPOINT)
    for name, compute in VECTORS.items():
        (FOLDER / f"{name}.json").write_text(json.dumps(compute(), indent=1) + "\n", encoding="utf-8")
        print(f"{name}.json")
