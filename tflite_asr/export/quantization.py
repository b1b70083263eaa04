"""Weights in an exported file: which groups train on the device, and how the others are stored."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tflite_asr.errors import InputError
from tflite_asr.models.group_names import select_groups

if TYPE_CHECKING:
    import tensorflow as tf

# dynamic: by the converter, int8 kernels that quantise activations at run time; aware: int8 weights on the grid of
# quantisation-aware training, arithmetic in float; grid: as aware, but weights that were imported as int8 stay on the
# grid that they came with, or, once trained, go to a new one of that kind; products with them are int8 products exact
# to 16 bits
MODES = ("none", "dynamic", "aware", "grid")
INT8_CONSTANTS = ("aware", "grid")  # the modes that `freeze` makes
MIN_RUNTIMES = ("2.14", "2.16", "2.21")
PER_CHANNEL_DENSE = "2.21"  # the first of them whose FULLY_CONNECTED takes int8 weights with a scale a channel


@dataclass(frozen=True)
class Quantization:
    """How an export stores weights."""

    mode: str = "none"
    # groups by name or number, comma-separated, all or none; None: all, or none where others are quantised
    trainable: str | None = None
    min_runtime: str = MIN_RUNTIMES[0]  # the oldest runtime that must load the file
    bias_only: bool = False  # of groups that train, only gains and biases do (Ben Zaken et al. 2022, 2106.10199)
    low_rank: int = 0  # rank of the updates that train in place of the kernels of groups that train, see `add_low_rank`

    def trainable_groups(self, groups: Sequence[str]) -> list[str]:
        """Which of the model's groups train on the device; InputError when none is left to quantise."""
        chosen = select_groups(self.trainable or ("all" if self.mode == "none" else "none"), groups)
        if self.mode != "none" and len(chosen) == len(groups) and not (self.bias_only or self.low_rank):
            raise InputError(
                f"--quantize {self.mode}: every layer group is to train, so none can be int8; give --trainable"
            )
        return chosen

    def trains(self, name: str, weight: "tf.Variable") -> bool:
        """Whether a weight of a group that trains does, by its tree path and shape; the factors of low-rank updates
        always do. Beside these, shifts of layer normalisation stay as they are: the biases above them can do the same.
        """
        if len(weight.shape) > 1:
            return not (self.bias_only or self.low_rank)
        return not self.low_rank or name.rpartition("/")[2] != "shift"

    @property
    def per_channel_dense(self) -> bool:
        """Whether dense layers that the converter quantises may have a scale a channel."""
        return _number(self.min_runtime) >= _number(PER_CHANNEL_DENSE)

    def check_runtime(self, found: str, what: object) -> None:
        """InputError when a file that needs the runtime `found` does not load on the oldest that it must load on."""
        if found and _number(found) > _number(self.min_runtime):
            raise InputError(
                f"{what}: expected a file for TFLite {self.min_runtime}, its ops need {found}; give --min-runtime "
                f"{found} or another --quantize"
            )


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])
