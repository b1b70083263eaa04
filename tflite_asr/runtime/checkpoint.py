"""Checkpoints: the tensors that differ from the shipped model, in a safetensors file.

The file's metadata, all of it text, says what it belongs to and proves it whole:

    format           "1"
    artifact_sha256  of the `.tflite` file that was trained
    step             training steps taken so far
    digest           sha256 over all of the above and, in the order of their names, every tensor's name, dtype,
                     shape and bytes (see `_digest`)

A file appears under its name complete or not at all, so a battery that runs out costs at most the last step.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

import numpy as np
from safetensors import SafetensorError, safe_open

from tflite_asr.errors import InputError
from tflite_asr.files import FolderNotSynchronised, check_readable, write_whole

FORMAT = "1"
_STORED = {  # names of dtypes in safetensors files
    **{f"float{bits}": f"F{bits}" for bits in (16, 32, 64)},
    **{f"int{bits}": f"I{bits}" for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": f"U{bits}" for bits in (8, 16, 32, 64)},
    "bool": "BOOL",
}
# shape and dtype by name; an axis of None may have any length
TensorKinds = Mapping[str, tuple[tuple[int | None, ...], np.dtype | type | str]]


def save_checkpoint(path: Path | str, tensors: dict[str, np.ndarray], *, artifact_sha256: str, step: int) -> None:
    """Write a checkpoint in place of the previous one, which stays as it was if that fails.

    What a killed process leaves behind, the next save removes.

    Args:
        path: the file; its folder must be there.
        tensors: name -> array of any shape; numbers must be finite.
        artifact_sha256: of the model's `.tflite` file, hexadecimal.
        step: training steps taken so far.
    """
    path = Path(path)
    # safetensors takes the memory as it lies, so it must lie in C order; ascontiguousarray would make 0-d 1-d.
    tensors = {name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}
    _check_finite(tensors, f"{path}: not saved")
    metadata = {"format": FORMAT, "artifact_sha256": artifact_sha256, "step": str(int(step))}
    metadata["digest"] = _digest(metadata, tensors)
    try:
        write_whole(path, lambda file: _write(file, metadata, tensors))
    except FolderNotSynchronised as error:
        raise InputError(
            f"{path}: saved, but its folder could not be synchronised ({error.strerror}); a loss of power may undo it"
        ) from error
    except OSError as error:
        raise InputError(
            f"{path}: could not save the checkpoint ({error}); what was there before is as it was"
        ) from error


def _write(file: BinaryIO, metadata: dict[str, str], tensors: dict[str, np.ndarray]) -> None:
    """Write a safetensors file, tensor by tensor: `safetensors.numpy.save` would hold all of it in memory once more,
    and `save_file` gives its files permissions of its own.
    """
    header: dict[str, dict] = {"__metadata__": metadata}
    # large ones first keeps them aligned
    end, names = (0, sorted(tensors, key=lambda name: (-tensors[name].itemsize, name)))
    for name in names:
        begin, end = end, end + tensors[name].nbytes
        header[name] = {
            "dtype": _STORED[tensors[name].dtype.name],
            "shape": tensors[name].shape,
            "data_offsets": [begin, end],
        }
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little") + text)
    for name in names:
        file.write(_little_endian(tensors[name]))


def load_checkpoint(
    path: Path | str, *, artifact_sha256: str, expected: TensorKinds, optional: TensorKinds = MappingProxyType({})
) -> tuple[dict[str, np.ndarray], int]:
    """Read a checkpoint, or say in one line why it is not to be used.

    Args:
        path: the file.
        artifact_sha256: of the model's `.tflite` file, hexadecimal.
        expected: name -> (shape, dtype) of every tensor that the model takes.
        optional: the same of tensors that may be there.

    Returns:
        name -> array, and the training steps taken so far.
    """
    path = Path(path)
    metadata, tensors = _read(path)
    digest = metadata.pop("digest")
    if digest != _digest(metadata, tensors):
        raise InputError(f"{path}: the checkpoint is damaged, its digest does not match; use an older one or none")
    if metadata["artifact_sha256"] != artifact_sha256:
        raise InputError(
            f"{path}: the checkpoint is of another model: expected {artifact_sha256[:12]}, "
            f"got {metadata['artifact_sha256'][:12]}; use it with the model it was trained from"
        )
    for problem, names in (
        ("lacks tensors", expected.keys() - tensors.keys()),
        ("has unexpected tensors", tensors.keys() - expected.keys() - optional.keys()),
    ):
        if names:
            raise InputError(f"{path}: the checkpoint {problem} ({len(names)}): {_listed(names)}")
    for name, (shape, dtype) in {**optional, **expected}.items():
        if name not in tensors:
            continue
        shape_found = tensors[name].shape
        if len(shape) == len(shape_found):
            shape = tuple(size if axis is None else axis for axis, size in zip(shape, shape_found))
        wanted, found = _kind(shape, np.dtype(dtype)), _kind(shape_found, tensors[name].dtype)
        if wanted != found:
            raise InputError(f"{path}: expected {name} to be {wanted}, got {found}")
    _check_finite(tensors, f"{path}: not usable")
    return tensors, int(metadata["step"])


def _read(path: Path) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    if not path.is_file():
        raise InputError(f"{path}: expected a checkpoint, found {'a folder' if path.is_dir() else 'no file'}")
    check_readable(path, "a checkpoint")
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            # Before any tensor is read: another program's file may be larger than the memory.
            if metadata.keys() != {"format", "artifact_sha256", "step", "digest"}:
                raise InputError(f"{path}: a safetensors file, but not a checkpoint of tflite_asr")
            if metadata["format"] != FORMAT:
                raise InputError(
                    f"{path}: expected checkpoint format {FORMAT}, got {metadata['format']!r}; "
                    "it was written by another version"
                )
            return metadata, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: not a whole checkpoint ({error}); use an older one or none") from error


def _digest(metadata: dict[str, str], tensors: dict[str, np.ndarray]) -> str:
    """sha256, hexadecimal, over UTF-8 lines that end with a line feed, and little-endian bytes in C order:

    format, artifact_sha256 and step a line each; then for each tensor by name: its name, its dtype (float32),
    its shape (2,3; empty for a scalar) a line each, and its bytes.
    """
    digest = hashlib.sha256("".join(f"{metadata[key]}\n" for key in ("format", "artifact_sha256", "step")).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name}\n{tensor.dtype.name}\n{','.join(map(str, tensor.shape))}\n".encode())
        digest.update(_little_endian(tensor))
    return digest.hexdigest()


def _little_endian(tensor: np.ndarray) -> memoryview:
    """Its bytes, without a copy on a little-endian machine."""
    return tensor.astype(tensor.dtype.newbyteorder("<"), copy=False).reshape(-1).view(np.uint8).data


def _check_finite(tensors: dict[str, np.ndarray], problem: str) -> None:
    bad = [name for name, tensor in tensors.items() if not np.isfinite(tensor).all()]
    if bad:
        raise InputError(f"{problem}: values that are not finite in {_listed(bad)}; train with a smaller step size")


def _kind(shape: tuple[int | None, ...], dtype: np.dtype) -> str:
    return f"{dtype.name} [{', '.join(map(str, shape))}]"


def _listed(names: set[str] | list[str]) -> str:
    first = sorted(names)[:3]
    return ", ".join(first) + (", ..." if len(names) > len(first) else "")
