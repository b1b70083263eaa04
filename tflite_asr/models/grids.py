"""The grids of weights that a source stores as 8-bit numbers, so that an export stores them again without loss."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from tflite_asr.errors import InputError
from tflite_asr.files import read_text, write_whole

FILE = "grids.json"
LEVELS = 256


@dataclass(frozen=True)
class Grid:
    """The values scale (k + minimum) for k = 0 ... 255."""

    scale: float
    minimum: int

    def stored(self, weight: np.ndarray) -> tuple[np.ndarray, int]:
        """int8 numbers q of a weight and the zero point z [], so that scale (q - z) is the weight.

        ValueError when the weight does not lie on the grid: it was changed since.
        """
        levels = np.round(weight / np.float32(self.scale)).astype(np.int32) - self.minimum
        if levels.min() < 0 or levels.max() >= LEVELS:
            raise ValueError(f"expected levels from 0 to {LEVELS - 1}, got {levels.min()} to {levels.max()}")
        rounded = (levels + self.minimum).astype(np.float32) * np.float32(self.scale)
        if np.abs(rounded - weight).max() > 0.01 * self.scale:
            raise ValueError("the weight lies between the grid's values")
        zero = -LEVELS // 2 - self.minimum
        return (levels - LEVELS // 2).astype(np.int8), zero

    @classmethod
    def around(cls, weight: np.ndarray) -> "Grid":
        """The finest grid that covers a weight: for one that was trained since it came on a grid."""
        low, high = float(weight.min()), float(weight.max())
        scale = np.float32(max(high - low, 1e-30) / (LEVELS - 2))  # a level to spare, since `minimum` is rounded
        return cls(float(scale), int(np.floor(np.float32(low) / scale)))

    def diffused(self, weight: np.ndarray) -> np.ndarray:
        """Round a weight [inputs, ...] to the grid, float32, so that sums over inputs are preserved: the rounding error
        of a value is added to the next input's value (error diffusion, Floyd and Steinberg 1976).

        Training moves the weights of an imported model by less than half a level. Rounded to the closest level, nearly
        all would be back where they came from.
        """
        levels = np.empty_like(weight, np.float32)
        left_over = np.zeros(weight.shape[1:], np.float32)
        for row, values in enumerate(weight.astype(np.float32) / np.float32(self.scale)):
            wanted = values + left_over
            levels[row] = np.clip(np.round(wanted), self.minimum, self.minimum + LEVELS - 1)
            left_over = np.clip(wanted - levels[row], -1.0, 1.0)  # what an end of the grid cuts off is not carried on
        return levels * np.float32(self.scale)

    def holds(self, weight: np.ndarray) -> bool:
        """Whether the weight lies on the grid; not so once it was trained."""
        try:
            self.stored(weight)
        except ValueError:
            return False
        return True


def write_grids(folder: Path, grids: Mapping[str, Grid]) -> None:
    """Write the grids of a model's weights, by tree path, beside them."""
    write_whole(
        folder / FILE, (json.dumps({name: asdict(grid) for name, grid in grids.items()}, indent=1) + "\n").encode()
    )


def read_grids(folder: Path) -> dict[str, Grid]:
    """Read the grids that `write_grids` wrote; empty for a folder without grids."""
    path = folder / FILE
    if not path.exists():
        return {}
    try:
        return {name: Grid(**values) for name, values in json.loads(read_text(path, "the grid of each weight")).items()}
    except (ValueError, TypeError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{path}: expected the grid of each weight (scale, minimum): {error}; import the model again"
        ) from None
