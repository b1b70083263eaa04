"""Shipped utterances to rehearse while a person's are learnt: NAME.replay.safetensors beside the artifact.

They are features of synthetic speech, so they hold nobody's voice.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tflite_asr.personalization.stored import packed, read_stored, write_whole
from tflite_asr.runtime.artifact import Artifact
from tflite_asr.runtime.batch import Example
from tflite_asr.runtime.voice import loud_frames


def replay_path(tflite: Path) -> Path:
    """Where the shipped utterances of an artifact are."""
    return tflite.with_suffix(".replay.safetensors")


def write_replay(artifact: Artifact, examples: Sequence[Example]) -> Path:
    """Store utterances beside the artifact."""
    path = replay_path(artifact.path)
    write_whole(path, packed(examples))
    return path


def read_replay(artifact: Artifact) -> list[Example]:
    """The shipped utterances; none when the artifact has no such file."""
    path = replay_path(artifact.path)
    return read_stored(path, artifact, "copy it again or delete it") if path.exists() else []


def as_recorded_by(examples: Sequence[Example], own: Sequence[np.ndarray]) -> list[Example]:
    """Shipped utterances with the spectrum, contrast and noise of the owner's recordings.

    Rehearsed as they are, clean voices would teach that what sounds like the owner's microphone can only be the words
    that the owner said.

    Args:
        examples: what to rehearse.
        own: log-mel frames [time, mel_bands] of the owner's utterances.
    """
    own_mean, own_deviation = _speech(own)
    noise = np.concatenate([frames[frames.mean(axis=1) <= np.percentile(frames.mean(axis=1), 15)] for frames in own])
    random = np.random.default_rng(0)
    made = []
    for example in examples:
        mean, deviation = _speech([example.frames])
        frames = (example.frames - mean) * np.clip(own_deviation / deviation, 0.7, 1.4) + own_mean
        frames = np.maximum(frames, noise[random.integers(len(noise), size=len(frames))])
        made.append(dataclasses.replace(example, frames=frames.astype(np.float32)))
    return made


def _speech(utterances: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of each band, [mel_bands], over the louder frames."""
    speech = np.concatenate([loud_frames(frames) for frames in utterances])
    return speech.mean(axis=0), speech.std(axis=0) + 1e-3
