"""Shipped utterances to rehearse while a person's are learnt: NAME.replay.safetensors beside the artifact.

They are features of synthetic speech, eight bits a value, so they weigh little and hold nobody's voice.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

from tflite_asr.errors import InputError
from tflite_asr.runtime.artifact import Artifact
from tflite_asr.runtime.batch import Example

SCALE = 24.0  # features are within about +-4 deviations; one step of the eight bits is 1/24 deviation


def replay_path(tflite: Path) -> Path:
    """Where the shipped utterances of an artifact are."""
    return tflite.with_suffix(".replay.safetensors")


def write_replay(artifact: Artifact, examples: Sequence[Example]) -> Path:
    """Store utterances beside the artifact."""
    path = replay_path(artifact.path)
    frames = np.concatenate([example.frames for example in examples])
    content = safetensors.numpy.save(
        {
            "frames": np.clip(np.round(frames * SCALE), -127, 127).astype(np.int8),
            "frame_lengths": np.asarray([len(example.frames) for example in examples], np.int32),
            "tokens": np.concatenate([example.tokens for example in examples]).astype(np.int32),
            "token_lengths": np.asarray([len(example.tokens) for example in examples], np.int32),
        }
    )
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(content)
    temporary.replace(path)
    return path


def read_replay(artifact: Artifact) -> list[Example]:
    """The shipped utterances; none when the artifact has no such file."""
    path = replay_path(artifact.path)
    if not path.exists():
        return []
    tokenizer = artifact.make_tokenizer()
    try:
        stored = safetensors.numpy.load_file(path)
        frames = np.split(stored["frames"].astype(np.float32) / SCALE, np.cumsum(stored["frame_lengths"])[:-1])
        tokens = np.split(stored["tokens"], np.cumsum(stored["token_lengths"])[:-1])
        return [
            Example(f, t, tokenizer.decode(t), f"{path.name}, utterance {index}")
            for index, (f, t) in enumerate(zip(frames, tokens, strict=True))
        ]
    except (safetensors.SafetensorError, KeyError, ValueError) as error:
        raise InputError(f"{path}: not a file of shipped utterances ({error}); copy it again or delete it") from None
