"""Two machines' results side by side: how far apart they are, and how far they may be."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.numpy

FEATURES, OTHER_RELEASE_FEATURES = 0.0, 1e-6  # log-mel frames, largest difference: the same runtime, another one
LOSSES = 5e-6  # relative; kernels of two processors sum float32 products in different orders
SPLIT = 0.0  # weights after `split` against those after `train`, relative, on one machine


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    model: str
    what: str
    difference: float
    limit: float

    @property
    def ok(self) -> bool:
        return self.difference <= self.limit  # False for NaN


def compare_measured(here: Path, there: Path, features: float = FEATURES) -> list[Row]:
    """What both machines computed from the same files.

    Args:
        here: results of this machine.
        there: of the other one, which may hold fewer models.
        features: how far the features may be apart.
    """
    ours, theirs = _read(here, "measure"), _read(there, "measure")
    rows = []
    for model, found in theirs.items():
        expected = ours[model]
        apart = max(_largest(a, b) for a, b in zip(found["features"], expected["features"], strict=True))
        rows.append(Row(model, f"features of {len(found['features'])} clips", apart, features))
        wrong = {
            way: sum(a != b for a, b in zip(texts, expected["transcripts"][way], strict=True))
            for way, texts in found["transcripts"].items()
        }
        count = sum(map(len, found["transcripts"].values()))
        rows.append(_worst(model, f"{count} transcripts, how many differ", wrong, 0))
        losses = {
            plan: _relative(trained["losses"], expected["plans"][plan]["losses"])
            for plan, trained in found["plans"].items()
        }
        steps = len(found["plans"]["train"]["losses"])
        rows.append(_worst(model, f"losses of {steps} steps", losses, LOSSES))
        rows.append(_worst(model, "on ARM, weights in parts against in one call", found["split_to_whole"], SPLIT))
    return rows


def compare_restored(wrote: Path, read: Path, way: str) -> list[Row]:
    """Checkpoints that one machine wrote and another restored, measured and saved again."""
    rows = []
    for model, losses in _read(read, "restore").items():
        plans = _read(wrote, "measure")[model]["plans"]
        names = [f"{model}.{plan}" for plan in plans]
        changed = sum(_changed(wrote / f"{name}.safetensors", read / f"{name}.again.safetensors") for name in names)
        apart = max(_relative(losses[plan], plans[plan]["losses_after"]) for plan in plans)
        rows.append(Row(model, f"checkpoints {way}: tensors that differ", changed, 0))
        rows.append(Row(model, f"checkpoints {way}: losses", apart, LOSSES))
    return rows


def as_table(rows: list[Row]) -> str:
    """The rows in Markdown."""
    lines = ["| model | compared | difference | at most | |", "|---|---|---|---|---|"]
    for row in rows:
        verdict = "ok" if row.ok else "**differs**"
        lines.append(f"| {row.model} | {row.what} | {row.difference:.2g} | {row.limit:g} | {verdict} |")
    return "\n".join(lines)


def _worst(model: str, what: str, differences: dict[str, float], limit: float) -> Row:
    """One row of several differences, that names the first of those that are too large."""
    beyond = [name for name, difference in differences.items() if not difference <= limit]
    return Row(model, f"{what}: {beyond[0]}" if beyond else what, float(np.max(list(differences.values()))), limit)


def _read(folder: Path, what: str) -> dict:
    return json.loads((folder / f"{what}.json").read_text())


def _largest(a: list, b: list) -> float:
    a, b = np.asarray(a), np.asarray(b)
    return float(np.abs(a - b).max()) if a.shape == b.shape else float("inf")


def _relative(a: list[float], b: list[float]) -> float:
    a, b = np.asarray(a), np.asarray(b)
    return float((np.abs(a - b) / np.abs(b)).max()) if a.shape == b.shape else float("inf")


def _changed(one: Path, other: Path) -> int:
    """How many tensors of two files are not the same to the bit."""
    ours, theirs = safetensors.numpy.load_file(one), safetensors.numpy.load_file(other)
    same = {name for name in ours.keys() & theirs.keys() if _bits(ours[name]) == _bits(theirs[name])}
    return len((ours.keys() | theirs.keys()) - same)


def _bits(tensor: np.ndarray) -> tuple:
    return tensor.dtype, tensor.shape, tensor.tobytes()
