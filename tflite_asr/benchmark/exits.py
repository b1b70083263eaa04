"""Word error rate of models at each of their exits, and by the mean depth of exit policies."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from tflite_asr.config.heads import required
from tflite_asr.errors import InputError
from tflite_asr.figure import as_png, new_figure
from tflite_asr.files import read_text, write_whole
from tflite_asr.metrics import error_rates
from tflite_asr.report import utf8
from tflite_asr.runtime.batch import Example
from tflite_asr.runtime.evaluation import evaluate
from tflite_asr.runtime.exits import confidence, entropy
from tflite_asr.runtime.recognizer import Recognizer

POLICIES = ("fixed", "entropy", "confidence")
THRESHOLDS = 24  # of a policy, at even ranks of what was measured


@dataclass(frozen=True)
class Point:
    """A policy at one threshold; for `fixed`, the threshold is the exit."""

    policy: str
    threshold: float
    mean_depth: float  # encoder groups, over the utterances
    wer: float


@dataclass(frozen=True)
class Curves:
    """A model: its word error rate by depth, and the points of its policies if it has early exits."""

    model: str
    parameters: int
    wer: dict[int, float]  # by the number of encoder groups below an exit
    points: list[Point]


def measure_exits(recognizer: Recognizer, examples: Sequence[Example]) -> Curves:
    """Transcribe every example at every exit by beam search once, and apply the policies to the results."""
    from tqdm import tqdm

    artifact, depths = recognizer.artifact, np.asarray(recognizer.artifact.exit_depths)
    parameters = sum(group["parameters"] for group in artifact.groups)
    if len(depths) == 1:
        rates = evaluate(recognizer, examples, beam=True, title=artifact.name).rates
        return Curves(artifact.name, parameters, {int(depths[0]): rates.wer}, [])
    texts, scores = [], {"entropy": [], "confidence": []}
    for example in tqdm(examples, desc=artifact.name, unit="utterance", disable=None, leave=False):
        found = list(recognizer.exits(example.frames, beam=True))
        texts.append([text() for _, text in found])
        early = [required(steps, "head with label probabilities") for steps, _ in found[:-1]]
        scores["entropy"].append([entropy(steps) for steps in early])
        scores["confidence"].append([confidence(steps) for steps in early])
    references = [example.text for example in examples]

    def point(policy: str, threshold: float, left: np.ndarray) -> Point:
        chosen = [texts[row][exit] for row, exit in enumerate(left)]
        wer = error_rates(references, chosen, normalize=recognizer.normalize).wer
        return Point(policy, threshold, float(np.mean(depths[left])), wer)

    points = [point("fixed", exit, np.full(len(texts), exit)) for exit in range(len(depths))]
    for policy, rows in scores.items():
        values = np.asarray(rows)
        for threshold in _thresholds(values):
            points.append(point(policy, threshold, leaving(policy, threshold, values)))
    return Curves(
        artifact.name, parameters, {int(depths[int(p.threshold)]): p.wer for p in points[: len(depths)]}, points
    )


def leaving(policy: str, threshold: float, scores: np.ndarray) -> np.ndarray:
    """The exit of each utterance [utterances] that `ExitPolicy` leaves at, from the scores [utterances,
    early exits].
    """
    sure = scores < threshold if policy == "entropy" else scores > threshold
    return np.where(sure.any(axis=1), sure.argmax(axis=1), scores.shape[1])


def _thresholds(scores: np.ndarray) -> list[float]:
    """Rising, from one that no score is below to one that no score is above."""
    inner = np.quantile(scores, np.linspace(0, 1, THRESHOLDS - 2)).tolist()
    return [np.nextafter(inner[0], -np.inf), *inner, np.nextafter(inner[-1], np.inf)]


def write_exits(folder: Path, curves: Sequence[Curves], *, too_long: int = 0, too_short: int = 0) -> dict:
    """Write exits.json, exits.md and exits.png into a folder, which is made if need be.

    Returns:
        what exits.json holds: models; too_long and too_short (recordings that were left out); and where the table and
        the plot are.
    """
    folder.mkdir(parents=True, exist_ok=True)
    values = [asdict(curve) for curve in curves]
    found = {"models": values, "too_long": too_long, "too_short": too_short, **_places(folder)}
    files = {
        "exits.json": (json.dumps(found, indent=1) + "\n").encode(),
        "exits.md": utf8(_tables(curves)),
        "exits.png": _plot(curves),
    }
    for name, content in files.items():
        write_whole(folder / name, content)
    return found


def read_exits(folder: Path) -> dict:
    """Read the results of an earlier `write_exits`."""
    path = folder / "exits.json"
    text = read_text(path, "what `tflite-asr exits` wrote")
    try:
        return {**json.loads(text), **_places(folder)}
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: not what `tflite-asr exits` wrote ({error}); remove it to measure again") from None


def _places(folder: Path) -> dict[str, str]:
    return {"table": str(folder / "exits.md"), "plot": str(folder / "exits.png")}


def _tables(curves: Sequence[Curves]) -> str:
    """By depth of an exit; and by mean depth of a policy, between two thresholds in proportion."""
    depths = sorted({depth for curve in curves for depth in curve.wer})
    rows = [
        [curve.model, f"{curve.parameters / 1e6:.2f} M", *(_percent(curve.wer.get(depth)) for depth in depths)]
        for curve in curves
    ]
    tables = [_table(["model", "parameters", *(f"{depth} groups" for depth in depths)], rows)]
    early = [curve for curve in curves if curve.points]
    if early:
        between = range(depths[0], depths[-1] + 1)
        rows = [
            [curve.model, policy, *(_percent(wer_at(curve, policy, depth)) for depth in between)]
            for curve in early
            for policy in POLICIES
        ]
        tables.append(_table(["model", "policy", *(f"mean depth {depth}" for depth in between)], rows))
    return "\n".join(tables)


def wer_at(curve: Curves, policy: str, depth: float) -> float | None:
    """Word error rate at a mean depth, interpolated between the two nearest points; None outside of their range."""
    points = sorted((point.mean_depth, point.wer) for point in curve.points if point.policy == policy)
    depths, rates = zip(*points)
    return float(np.interp(depth, depths, rates)) if depths[0] <= depth <= depths[-1] else None


def _percent(rate: float | None) -> str:
    return "" if rate is None else f"{rate:.1%}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, ["---"] * len(head), *rows))


def _plot(curves: Sequence[Curves]) -> bytes:
    """A panel for each model with early exits; models without are the same marks in all of them."""
    early: list[Curves | None] = [curve for curve in curves if curve.points] or [None]
    figure = new_figure(figsize=(4.2 * len(early), 3.8), dpi=120, layout="constrained")
    panels = figure.subplots(1, len(early), sharey=True, squeeze=False)[0]
    for axes, curve in zip(panels, early):
        reached = curve.points if curve else []
        for policy in POLICIES if curve else ():
            points = sorted((p.mean_depth, 100 * p.wer) for p in reached if p.policy == policy)
            axes.plot(*zip(*points), "o-" if policy == "fixed" else ".-", label=policy)
        for other in curves:
            if not other.points:
                axes.plot([*other.wer], [100 * wer for wer in other.wer.values()], "x", color="black")
                axes.annotate(other.model, (*other.wer, 100 * min(other.wer.values())), fontsize=8)
        axes.set(title=curve.model if curve else "", xlabel="mean depth (encoder groups)", ylabel="word error rate (%)")
        if curve:
            axes.legend(frameon=False)
    return as_png(figure)
