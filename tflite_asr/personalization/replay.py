"""Shipped utterances for rehearsal during personalisation: NAME.replay.safetensors beside the artifact.

They are features of synthetic speech, so they hold nobody's voice.
"""

from collections.abc import Sequence
from pathlib import Path

from tflite_asr.data.alignment import ctc_problem
from tflite_asr.files import write_whole
from tflite_asr.personalization.stored import packed, read_stored
from tflite_asr.runtime.artifact import Artifact
from tflite_asr.runtime.batch import Example


def replay_path(tflite: Path) -> Path:
    """Where the shipped utterances of an artifact are."""
    return tflite.with_suffix(".replay.safetensors")


def write_replay(artifact: Artifact, examples: Sequence[Example]) -> Path:
    """Store utterances beside the artifact."""
    path = replay_path(artifact.path)
    write_whole(path, packed(examples, artifact.config.features))
    return path


def read_replay(artifact: Artifact) -> list[Example]:
    """The shipped utterances that can be aligned; none when the artifact has no such file."""
    path, config = replay_path(artifact.path), artifact.config
    stored = read_stored(path, artifact, "copy it again or delete it") if path.exists() else []
    return [example for example in stored if not ctc_problem(example.tokens, len(example.frames), config)]
