"""Utterances on disk as 8-bit features and tokens: small, and not audible.

The file is safetensors; its metadata proves it whole: `digest` is the sha256 over the bytes of its tensors in the
order of their names.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

from tflite_asr.config import FeatureConfig, StemConfig
from tflite_asr.errors import InputError
from tflite_asr.files import check_readable
from tflite_asr.runtime.artifact import Artifact
from tflite_asr.runtime.batch import Example
from tflite_asr.text.labels import label_tokenizer

SCALE = 24.0  # log-mel frames are within about +-4 deviations; one step of the eight bits is 1/24 deviation
LEVELS = 127


def packed(examples: Sequence[Example], features: FeatureConfig | StemConfig) -> bytes:
    """The content of a file that holds these utterances, whose frames a front end made: a stem's with a scale a
    channel.
    """
    frames = np.concatenate([example.frames for example in examples])
    scales = SCALE
    if features.kind == "stem":
        scales = (LEVELS / np.maximum(np.abs(frames).max(axis=0), 1e-6)).astype(np.float32)
    tensors = {
        "frames": np.clip(np.round(frames * scales), -LEVELS, LEVELS).astype(np.int8),
        **({"frame_scales": scales} if features.kind == "stem" else {}),
        "frame_lengths": np.asarray([len(example.frames) for example in examples], np.int32),
        "tokens": np.concatenate([example.tokens for example in examples]).astype(np.int32),
        "token_lengths": np.asarray([len(example.tokens) for example in examples], np.int32),
    }
    if any(example.weight != 1 for example in examples):
        tensors["weights"] = np.asarray([example.weight for example in examples], np.int32)
    return safetensors.numpy.save(tensors, {"digest": _digest(tensors)})


def read_stored(path: Path, artifact: Artifact, remedy: str) -> list[Example]:
    """The utterances of a file; InputError, ending in the remedy, unless it is whole and fits the artifact."""
    tokenizer = label_tokenizer(artifact.config)
    check_readable(path, "a file of stored utterances")
    try:
        stored = _read(path)
        _check_sizes(stored, artifact)
        scales = stored["frame_scales"] if artifact.config.features.kind == "stem" else SCALE
        frames = np.split(stored["frames"].astype(np.float32) / scales, np.cumsum(stored["frame_lengths"])[:-1])
        tokens = np.split(stored["tokens"], np.cumsum(stored["token_lengths"])[:-1])
        weights = stored.get("weights", np.ones([len(frames)], np.int32)).tolist()
        return [
            Example(f, t, tokenizer.decode(t), f"{path.name}, utterance {index}", weight)
            for index, (f, t, weight) in enumerate(zip(frames, tokens, weights, strict=True))
        ]
    except (OSError, safetensors.SafetensorError, KeyError, ValueError) as error:  # InputError among them
        raise InputError(f"{path}: not a file of stored utterances ({error}); {remedy}") from None


def _read(path: Path) -> dict[str, np.ndarray]:
    with safetensors.safe_open(path, framework="np") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
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
    if bands != (config.features.width,):
        raise ValueError(f"expected frames of {config.features.width} values, got {list(bands)}")
    if config.features.kind == "stem":
        scales = stored["frame_scales"]
        if scales.shape != bands or not np.all(np.isfinite(scales) & (scales > 0)):
            raise ValueError(f"expected {config.features.width} scales of frames above 0")
    if np.any(stored.get("weights", 1) < np.int32(1)):
        raise ValueError("expected weights of 1 or more")
    for what, most in (("frame", config.sizes.max_frames), ("token", config.max_labels)):
        lengths = stored[f"{what}_lengths"]
        if not len(lengths) or lengths.min() < 1 or lengths.max() > most or lengths.sum() != len(stored[f"{what}s"]):
            raise ValueError(f"expected utterances of 1 to {most} {what}s")
