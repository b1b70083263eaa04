"""The report of a study: one HTML file with its plots that loads nothing else."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from tflite_asr.files import write_whole
from tflite_asr.report import STYLE, utf8
from tflite_asr.report_plots import figure_element
from tflite_asr.study.task import MOBILE, SERVER

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def write_study_report(folder: Path, summary: dict, results: Sequence[dict]) -> Path:
    """Write `report.html`; returns its path.

    Args:
        folder: of the study.
        summary: of `summarize`.
        results: of `run_task`.
    """
    plots = [
        ("Word error rate of each speaker before and after", _draw_speakers, list(results)),
        ("Validation word error rate by utterances seen, each speaker", _draw_seen, _mobile(results)),
        ("Gain against memory, by what is trained", _draw_subsets, _subset_rows(summary)),
    ]
    figures = [figure_element(caption, draw, points)[1] for caption, draw, points in plots if points]
    path = folder / "report.html"
    write_whole(path, utf8(_page(summary, results, figures)))
    return path


def _page(summary: dict, results: Sequence[dict], figures: list[str]) -> str:
    runs = [run for run in (SERVER, MOBILE) if run in summary]
    cards = []
    for run in runs:
        pooled = summary[run]
        cards.append((run, f"{pooled['relative_wer_reduction']:.1%} fewer word errors", _interval(pooled["interval"])))
    if summary["kept"] is not None:
        cards.append(("kept on the phone", f"{summary['kept']:.1%} of the gain", _interval(summary["kept_interval"])))
    if summary["peak_private_mb"] is not None:
        disk = f"window on disk at most {summary['disk_bytes_max'] / 1e3:.0f} kB"
        cards.append(("memory on the phone", f"{summary['peak_private_mb']:.0f} MB private", disk))
    return "\n".join(
        (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>Personalisation study</title><style>{STYLE}</style></head><body>",
            f"<h1>Personalisation study</h1><p>{summary['speakers']} speakers; intervals cover 95% and are by",
            "bootstrap over speakers.</p>",
            '<div class="figures">',
            *(f"<div><span>{_text(a)}</span><b>{_text(b)}</b><small>{_text(c)}</small></div>" for a, b, c in cards),
            '</div><div class="plots">',
            *figures,
            "</div><h2>Runs</h2>",
            *_table(
                (
                    *("run", "speakers", "WER before", "after", "reduction", "interval"),
                    *("seconds", "memory MB", "checkpoint kB", "others' WER", "words held out"),
                ),
                (_run_row(run, pooled) for run, pooled in _runs(summary)),
            ),
            "<h2>Speakers</h2>",
            *_table(
                ("speaker", "run", "WER before", "after", "reduction", "words", "steps", "interruptions", "stopped"),
                (_speaker_row(row) for row in sorted(results, key=lambda row: (row["speaker"], row["run"]))),
            ),
            "</body></html>\n",
        )
    )


def _runs(summary: dict) -> list[tuple[str, dict]]:
    return [(run, value) for run, value in summary.items() if isinstance(value, dict)]


def _run_row(run: str, pooled: dict) -> tuple:
    others = pooled.get("others")
    forgetting = f"{others['wer_before']:.1%} → {others['wer_after']:.1%}" if others else ""
    unsaid = pooled.get("unsaid")
    held_out = f"{unsaid['wer_before']:.1%} → {unsaid['wer_after']:.1%}" if unsaid else ""
    return (
        run,
        pooled["speakers"],
        f"{pooled['wer_before']:.1%}",
        f"{pooled['wer_after']:.1%}",
        f"{pooled['relative_wer_reduction']:.1%}",
        _interval(pooled["interval"]),
        f"{pooled['seconds']:.0f}",
        f"{pooled['peak_private_mb']:.0f}",
        f"{pooled['checkpoint_bytes'] / 1e3:.0f}",
        forgetting,
        held_out,
    )


def _speaker_row(row: dict) -> tuple:
    return (
        row["speaker"],
        row["run"],
        f"{row['wer_before']:.1%}",
        f"{row['wer_after']:.1%}",
        f"{row['relative_wer_reduction']:.1%}",
        row["words"],
        row["steps"],
        row.get("interruptions", ""),
        row["stopped_because"],
    )


def _table(heads: Sequence[str], rows) -> list[str]:
    return [
        "<table><thead><tr>",
        *(f"<th>{head}</th>" for head in heads),
        "</tr></thead><tbody>",
        *("<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>" for row in rows),
        "</tbody></table>",
    ]


def _mobile(results: Sequence[dict]) -> list[dict]:
    return [row for row in results if row["run"] == MOBILE and row["history"]]


def _subset_rows(summary: dict) -> list[dict]:
    rows = [{"run": run, **pooled} for run, pooled in _runs(summary) if run.startswith(MOBILE)]
    return rows if len(rows) > 1 else []


def _draw_speakers(axes: "Axes", colours: dict[str, str], results: list[dict]) -> None:
    for run, colour, marker in ((SERVER, "first", "s"), (MOBILE, "second", "o")):
        rows = [row for row in results if row["run"] == run]
        style = {"color": colours[colour], "marker": marker, "linestyle": "none", "alpha": 0.8}
        axes.plot(
            [100 * row["wer_before"] for row in rows], [100 * row["wer_after"] for row in rows], label=run, **style
        )
    most = 100 * max(row["wer_before"] for row in results)
    axes.plot([0, most], [0, most], color=colours["text"], linewidth=1, linestyle="--", label="no change")
    axes.set(title="Each speaker", xlabel="word error rate before (%)", ylabel="after (%)")


def _draw_seen(axes: "Axes", colours: dict[str, str], rows: list[dict]) -> None:
    for index, row in enumerate(rows):
        seen = [point["utterances"] for point in row["history"]]
        rates = [100 * point["validation_wer"] for point in row["history"]]
        label = "one speaker" if index == 0 else None
        axes.plot(seen, rates, color=colours["second"], alpha=max(0.15, 1 / len(rows)), linewidth=2, label=label)
    axes.set(title="By utterances seen", xlabel="utterances that the phone has heard", ylabel="validation WER (%)")


def _draw_subsets(axes: "Axes", colours: dict[str, str], rows: list[dict]) -> None:
    for row in rows:
        x, y = row["peak_private_mb"], 100 * row["relative_wer_reduction"]
        axes.plot([x], [y], color=colours["first"], marker="o", linestyle="none")
        name = "all" if row["run"] == MOBILE else row["run"].removeprefix(f"{MOBILE}_")
        axes.annotate(name, (x, y), textcoords="offset points", xytext=(6, 4), color=colours["text"])
    axes.set(title="What is trained", xlabel="private memory (MB)", ylabel="relative WER reduction (%)")


def _interval(interval: list[float] | None) -> str:
    return f"{interval[0]:.1%} to {interval[1]:.1%}" if interval else "one speaker, no interval"


def _text(value: object) -> str:
    return escape(str(value))
