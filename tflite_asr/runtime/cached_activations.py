"""What the lower layer groups put out for an utterance, stored, so that training steps start above them.

The plan `cached` trains the groups of its last call alone. The calls before it update nothing: as long as the weights
of the lower groups stay as they are, their outputs depend on the utterance only and are computed once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.numpy

from tflite_asr.errors import InputError
from tflite_asr.files import write_whole

BITS = (8, 16, 32)  # of a stored activation
LENGTHS = "lengths"  # the output that holds the steps of each row
_SCALES = ".scales"  # behind the name of an output that is stored in 8 bits


@dataclass(frozen=True)
class CachedExample:
    """One utterance without its frames: what the lower groups put out for them is stored.

    Equal to an `Example` where a batch needs no frames.
    """

    stored: bytes | Path  # the content of a safetensors file, or the file; see `packed_row`
    frame_count: int
    tokens: np.ndarray  # [labels] int32
    text: str
    where: str = ""
    weight: int = 1

    @property
    def bytes(self) -> int:
        """That are stored for it."""
        return self.stored.stat().st_size if isinstance(self.stored, Path) else len(self.stored)

    def read(self) -> dict[str, np.ndarray]:
        """Its row of each output, float32 [steps, width] or a single value, by the output's name."""
        try:
            content = self.stored.read_bytes() if isinstance(self.stored, Path) else self.stored
            return unpacked_row(content)
        except (OSError, safetensors.SafetensorError) as error:
            raise InputError(
                f"{self.stored}: stored activations are not there or damaged ({error}); train again"
            ) from None


def packed_row(outputs: Mapping[str, np.ndarray], row: int, bits: int) -> bytes:
    """The content of a file that holds one row of a batch's outputs.

    Args:
        outputs: of the lower groups, by name: activations [batch, steps, width]; `lengths` and other values [batch].
        row: of the batch.
        bits: of an activation: 32, 16, or 8 with a scale for each step, max |x| / 127. Steps past the row's length are
            not stored.
    """
    if bits not in BITS:
        raise InputError(f"cached activations: expected 8, 16 or 32 bits, got {bits}")
    steps = int(outputs[LENGTHS][row])
    tensors: dict[str, np.ndarray] = {}
    for name, value in outputs.items():
        if value.ndim == 1:
            tensors[name] = value[row : row + 1]
            continue
        activations = value[row, :steps]
        if bits == 8:
            scales = np.maximum(np.abs(activations).max(axis=1, keepdims=True), 1e-12) / 127
            tensors[name + _SCALES] = scales.astype(np.float32)
            activations = np.round(activations / scales).astype(np.int8)
        tensors[name] = np.ascontiguousarray(activations, {8: np.int8, 16: np.float16, 32: np.float32}[bits])
    return safetensors.numpy.save(tensors)


def unpacked_row(content: bytes) -> dict[str, np.ndarray]:
    """What `packed_row` stored: activations [steps, width] as float32, single values [1] as they were."""
    tensors = safetensors.numpy.load(content)
    row = {}
    for name, value in tensors.items():
        if name.endswith(_SCALES):
            continue
        row[name] = value if value.ndim == 1 else value.astype(np.float32) * tensors.get(name + _SCALES, np.float32(1))
    return row


def collate_rows(examples: Sequence[CachedExample], shapes: Mapping[str, Sequence[int]]) -> dict[str, np.ndarray]:
    """A batch of stored outputs; rows past the examples are empty.

    Args:
        examples: at most a batch.
        shapes: of the call that takes them, by output: [batch, steps, width] or [batch].
    """
    rows = [example.read() for example in examples]
    batch = {name: np.zeros(shape, rows[0][name].dtype) for name, shape in shapes.items()}
    for index, row in enumerate(rows):
        for name, value in row.items():
            if value.ndim == 1:
                batch[name][index] = value[0]
            else:
                batch[name][index, : len(value)] = value
    return batch


def store(content: bytes, folder: Path | None, number: int) -> bytes | Path:
    """Keep the content of one utterance: in a file of the folder, or, without one, in memory."""
    if folder is None:
        return content
    path = folder / f"{number:08d}.safetensors"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
    except OSError as error:
        raise InputError(f"{path}: could not store activations: {error.strerror}") from None
    return path
