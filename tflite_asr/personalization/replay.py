"""Shipped utterances to rehearse while a person's are learnt: NAME.replay.safetensors beside the artifact.

They are features of synthetic speech, eight bits a value, so they weigh little and hold nobody's voice. The file's
metadata proves it whole: `digest` is the sha256 over the bytes of its tensors in the order of their names.
"""

import contextlib
import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

from tflite_asr.errors import InputError
from tflite_asr.runtime.artifact import Artifact
from tflite_asr.runtime.batch import Example
from tflite_asr.runtime.voice import loud_frames

SCALE = 24.0  # features are within about +-4 deviations; one step of the eight bits is 1/24 deviation


def replay_path(tflite: Path) -> Path:
    """Where the shipped utterances of an artifact are."""
    return tflite.with_suffix(".replay.safetensors")


def write_replay(artifact: Artifact, examples: Sequence[Example]) -> Path:
    """Store utterances beside the artifact."""
    path = replay_path(artifact.path)
    frames = np.concatenate([example.frames for example in examples])
    tensors = {
        "frames": np.clip(np.round(frames * SCALE), -127, 127).astype(np.int8),
        "frame_lengths": np.asarray([len(example.frames) for example in examples], np.int32),
        "tokens": np.concatenate([example.tokens for example in examples]).astype(np.int32),
        "token_lengths": np.asarray([len(example.tokens) for example in examples], np.int32),
    }
    content = safetensors.numpy.save(tensors, {"digest": _digest(tensors)})
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        with contextlib.suppress(OSError):  # gone by the rename, or never there
            temporary.unlink()
    return path


def read_replay(artifact: Artifact) -> list[Example]:
    """The shipped utterances; none when the artifact has no such file."""
    path = replay_path(artifact.path)
    if not path.exists():
        return []
    tokenizer = artifact.make_tokenizer()
    try:
        stored = _read(path)
        _check_sizes(stored, artifact)
        frames = np.split(stored["frames"].astype(np.float32) / SCALE, np.cumsum(stored["frame_lengths"])[:-1])
        tokens = np.split(stored["tokens"], np.cumsum(stored["token_lengths"])[:-1])
        return [
            Example(f, t, tokenizer.decode(t), f"{path.name}, utterance {index}")
            for index, (f, t) in enumerate(zip(frames, tokens, strict=True))
        ]
    except (OSError, safetensors.SafetensorError, KeyError, ValueError) as error:  # InputError among them
        raise InputError(f"{path}: not a file of shipped utterances ({error}); copy it again or delete it") from None


def _read(path: Path) -> dict[str, np.ndarray]:
    with safetensors.safe_open(path, framework="np") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}
        if (file.metadata() or {}).get("digest") != _digest(tensors):
            raise ValueError("its digest does not match")
    return tensors


def _digest(tensors: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(tensors[name].tobytes())
    return digest.hexdigest()


def _check_sizes(stored: Mapping[str, np.ndarray], artifact: Artifact) -> None:
    """ValueError unless the utterances fit the artifact: the file may be of an earlier model of the same name."""
    config = artifact.config
    bands = stored["frames"].shape[1:]
    if bands != (config.features.mel_bands,):
        raise ValueError(f"expected frames of {config.features.mel_bands} mel bands, got {list(bands)}")
    for what, most in (("frame", config.sizes.max_frames), ("token", config.sizes.max_tokens)):
        lengths = stored[f"{what}_lengths"]
        if not len(lengths) or lengths.min() < 1 or lengths.max() > most or lengths.sum() != len(stored[f"{what}s"]):
            raise ValueError(f"expected utterances of 1 to {most} {what}s")


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
