"""Memory and time of the split step over its number of parts, and memory over the depth of the encoder."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

from tflite_asr.benchmark.split import compare
from tflite_asr.config import ModelConfig
from tflite_asr.figure import as_png, check_drawing, new_figure
from tflite_asr.files import write_whole

DEPTHS = (2, 4, 8, 16, 24)
COLUMNS = ("layers", "parts", "whole_added_mb", "split_added_mb", "whole_seconds", "split_seconds")
Make = Callable[[ModelConfig, int | None, Path], Path]  # (config, parts, folder) -> the exported .tflite


def sweep(
    config: ModelConfig,
    make: Make,
    folder: Path,
    *,
    steps: int,
    runs: int,
    keep_memory: bool,
    progress: Callable[[str], None],
) -> dict:
    """Parts 1 ... all at the model's depth; then depths 2 ... 24 in one part. Writes table.md and sweep.png.

    Args:
        config: of the model.
        make: exports a model.
        folder: for the files, made if need be; the exported models are removed again.
        progress: called with a line about each model that was measured.
    """
    check_drawing()
    folder.mkdir(parents=True, exist_ok=True)

    def row(layers: int, parts: int | None) -> dict:
        encoder = dataclasses.replace(config.encoder, layers=layers)
        path = make(dataclasses.replace(config, encoder=encoder), parts, folder)
        result = compare(path, steps=steps, runs=runs, keep_memory=keep_memory)
        for suffix in (".tflite", ".json"):
            path.with_suffix(suffix).unlink()
        whole, split = result["whole"], result["split"]
        added, seconds = "added_private_mb", "step_seconds"
        figures = (layers, result["parts"], whole[added], split[added], whole[seconds], split[seconds])
        return dict(zip(COLUMNS, figures))

    depth = config.encoder.layers
    wanted = [*((depth, parts) for parts in range(1, depth + 1)), *((layers, None) for layers in DEPTHS)]
    rows: list[dict] = []
    for layers, parts in wanted:
        rows.append(row(layers, parts))
        found = "{layers} layers, {parts} parts: {split_added_mb:.0f} MB added".format(**rows[-1])
        progress(f"{len(rows)}/{len(wanted)} {found}")
    by_parts, by_layers = rows[:depth], rows[depth:]
    table = folder / "table.md"
    write_whole(table, (_table(by_parts) + "\n" + _table(by_layers)).encode())
    return {
        "parts": by_parts,
        "layers": by_layers,
        "table": str(table),
        "plot": str(_plot(folder / "sweep.png", by_parts, by_layers)),
    }


def _table(rows: Sequence[dict]) -> str:
    lines = [f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}"]
    for row in rows:
        cells = [f"{value:.3f}" if name.endswith("seconds") else f"{value:.4g}" for name, value in row.items()]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _plot(path: Path, by_parts: Sequence[dict], by_layers: Sequence[dict]) -> Path:
    figure = new_figure(figsize=(13, 4), dpi=120, layout="tight")
    axes = figure.subplots(1, 3)
    for place, rows, x, what, unit in (
        (0, by_parts, "parts", "added_mb", "memory that training adds, MB"),
        (1, by_parts, "parts", "seconds", "seconds a step"),
        (2, by_layers, "layers", "added_mb", "memory that training adds, MB"),
    ):
        for plan in ("whole", "split"):
            axes[place].plot([row[x] for row in rows], [row[f"{plan}_{what}"] for row in rows], "o-", label=plan)
        axes[place].set(xlabel=x, ylabel=unit, ylim=(0, None))
        axes[place].xaxis.get_major_locator().set_params(integer=True)
        axes[place].legend()
    write_whole(path, as_png(figure))
    return path
