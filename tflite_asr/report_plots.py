"""The plots of a personalisation's report."""

import base64
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from tflite_asr.figure import as_png, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.ticker import MaxNLocator

# Blue and orange stay apart for the colour-blind, on white and on black.
LIGHT = {"page": "#ffffff", "text": "#3c4250", "grid": "#e3e6eb", "first": "#1f6fb4", "second": "#d9730d"}
DARK = {"page": "#1c2027", "text": "#c3c9d4", "grid": "#333a45", "first": "#6cb2f0", "second": "#f5a353"}


def figure_element(
    caption: str, draw: "Callable[[Axes, dict[str, str], list[dict]], None]", points: list[dict]
) -> tuple[bytes, str]:
    """A drawing as PNG, and as an element `<figure>` that holds it for light and dark pages.

    Args:
        caption: for those who cannot see it.
        draw: draws points into axes in the colours of `LIGHT` or `DARK`, by lines that have labels.
        points: what to draw.
    """
    light, dark = _plot(draw, points, LIGHT), _plot(draw, points, DARK)
    element = (
        f'<figure><picture><source media="(prefers-color-scheme: dark)" srcset="{_data_url(dark)}">'
        f'<img alt="{caption}" src="{_data_url(light)}"></picture></figure>'
    )
    return light, element


def draw_wer(axes: "Axes", colours: dict[str, str], history: list[dict], measured_on: str = "validation") -> None:
    """Word error rate of the utterances that validate by epoch, and the epoch that is kept."""
    _draw_kept(axes, colours, history, measured_on)
    axes.set(title=f"Word error rate, {measured_on}", xlabel="epoch (0: before training)", ylabel="word error rate (%)")


def draw_views(axes: "Axes", colours: dict[str, str], history: list[dict]) -> None:
    """By round the share of the views of held-out speech with another text than the recording, and the round kept."""
    _draw_kept(axes, colours, history, "held-out speech")
    axes.set(title="Views that disagree", xlabel="round (0: before training)", ylabel="views with another text (%)")


def _draw_kept(axes: "Axes", colours: dict[str, str], history: list[dict], measured_on: str) -> None:
    _line(axes, history, "epoch", "validation_wer", 100, color=colours["first"], marker="o", label=measured_on)
    kept = [entry for entry in history if entry["best"]][-1:]
    star = {"marker": "*", "markersize": 17, "linestyle": "none", "label": "kept"}
    _line(axes, kept, "epoch", "validation_wer", 100, color=colours["second"], **star)
    _tick_whole_numbers(axes)


def draw_rounds(axes: "Axes", colours: dict[str, str], history: list[dict], measured_on: str = "validation") -> None:
    """Word error rate of the utterances that validate by epoch, and where each round stopped."""
    for number in sorted({entry["round"] for entry in history}):
        entries = [entry for entry in history if entry["round"] == number]
        _line(axes, entries, "epoch", "validation_wer", 100, color=colours["first"], marker="o")
        for stop in (entry for entry in entries if "stopped_because" in entry):
            star = {
                "marker": "*",
                "markersize": 17,
                "linestyle": "none",
                "label": f"{number}: {stop['stopped_because']}",
            }
            _line(axes, [stop], "epoch", "validation_wer", 100, color=colours["second"], **star)
            place = (stop["epoch"], 100 * stop["validation_wer"])
            axes.annotate(str(number), place, (0, 11), textcoords="offset points", ha="center", color=colours["text"])
    axes.set(
        title=f"Word error rate, {measured_on}",
        xlabel="epoch, counted on from round to round",
        ylabel="word error rate (%)",
    )
    _tick_whole_numbers(axes)


def draw_ram(axes: "Axes", colours: dict[str, str], readings: list[dict]) -> None:
    """Available memory of the device by time."""
    _line(axes, readings, "seconds", "available_ram_mb", color=colours["first"], marker="o")
    axes.set(title="Memory that the device has available", xlabel="time (s)", ylabel="memory (MB)")


def draw_battery(axes: "Axes", colours: dict[str, str], readings: list[dict]) -> None:
    """Battery level of the device by time."""
    _line(axes, readings, "seconds", "battery_percent", color=colours["second"], marker="o")
    axes.set(title="Battery", xlabel="time (s)", ylabel="battery (%)")


def draw_loss(axes: "Axes", colours: dict[str, str], history: list[dict], *, validation: bool = True) -> None:
    """Training loss by epoch, and that of validation where it is one."""
    _line(axes, history, "epoch", "train_loss", color=colours["second"], marker="s", linestyle="--", label="training")
    if validation:
        _line(axes, history, "epoch", "validation_loss", color=colours["first"], marker="o", label="validation")
    axes.set(title="Loss", xlabel="epoch (0: before training)", ylabel="loss (nats)")
    _tick_whole_numbers(axes)


def draw_memory(axes: "Axes", colours: dict[str, str], memory: list[dict]) -> None:
    """Resident and private memory of the process by time."""
    _line(axes, memory, "seconds", "rss_mb", color=colours["first"], label="resident")
    _line(axes, memory, "seconds", "private_mb", color=colours["second"], label="private")
    seconds, private_mb = axes.lines[-1].get_data()
    axes.fill_between(seconds, private_mb, color=colours["second"], alpha=0.15, linewidth=0)
    axes.set(title="Memory", xlabel="time (s)", ylabel="memory (MB)")


def _tick_whole_numbers(axes: "Axes") -> None:
    """Ticks of the horizontal axis at whole numbers."""
    cast("MaxNLocator", axes.xaxis.get_major_locator()).set_params(integer=True)  # the default of a linear axis


def _line(axes: "Axes", points: list[dict], x: str, y: str, scale: float = 1, **style: Any) -> None:
    """Draw one figure of the points, leaving out those where it was not measured (None) or not finite."""
    points = [point for point in points if point[y] is not None and math.isfinite(point[y])]
    axes.plot([point[x] for point in points], [scale * point[y] for point in points], linewidth=2, **style)


def _plot(draw: "Callable[[Axes, dict, list], None]", points: list[dict], colours: dict[str, str]) -> bytes:
    """A drawing as PNG, its vertical axis from 0."""
    figure = new_figure(figsize=(6, 3.8), dpi=150, layout="constrained", facecolor=colours["page"])
    axes = figure.add_subplot(facecolor=colours["page"])
    draw(axes, colours, points)
    highest = max((np.max(np.asarray(line.get_ydata()), initial=0) for line in axes.lines), default=0)
    axes.set_ylim(0, 1.1 * highest or 1)
    axes.grid(axis="y", color=colours["grid"])
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(colours["grid"])
    axes.tick_params(colors=colours["text"], length=0)
    for label in (axes.title, axes.xaxis.label, axes.yaxis.label):
        label.set_color(colours["text"])
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, labelcolor=colours["text"], fontsize="small")
    return as_png(figure)


def _data_url(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()
