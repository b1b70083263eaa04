"""The report of a personalisation: an HTML file and its plots."""

import functools
from collections.abc import Callable
from html import escape
from pathlib import Path

from tflite_asr.errors import InputError
from tflite_asr.files import write_whole
from tflite_asr.metrics import aligned_words
from tflite_asr.report_plots import (
    draw_battery,
    draw_loss,
    draw_memory,
    draw_ram,
    draw_rounds,
    draw_views,
    draw_wer,
    figure_element,
)

MAX_ROWS = 200  # test utterances in the table; more make the page slow on a phone and nobody reads them

STYLE = """
:root { color-scheme: light dark; --page: #f4f5f7; --card: #ffffff; --text: #1d222b; --quiet: #5b6472;
  --line: #dfe3e8; --wrong: #a8261c; --wrong-page: #fdebe8 }
@media (prefers-color-scheme: dark) { :root { --page: #13161b; --card: #1c2027; --text: #e6e9ee; --quiet: #9aa4b2;
  --line: #333a45; --wrong: #ff9d92; --wrong-page: #43231f } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 72rem; padding: 1.5rem 1rem 4rem; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif }
h1 { margin: 0; font-size: 1.6rem; overflow-wrap: anywhere } h2 { margin: 2.5rem 0 .75rem; font-size: 1.2rem }
p { margin: .25rem 0 1rem; color: var(--quiet) }
.figures, .plots { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(12.6rem, 100%), 1fr)) }
.plots { margin-top: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(22rem, 100%), 1fr)) }
.figures div, figure, table { background: var(--card); border: 1px solid var(--line); border-radius: .6rem }
.figures div { padding: .8rem 1rem } .figures b { display: block; font-size: 1.35rem }
.figures span, .figures small { color: var(--quiet) }
figure { margin: 0; padding: .5rem } img { display: block; width: 100%; height: auto }
table { width: 100%; border-spacing: 0; overflow: hidden } th { text-align: left; color: var(--quiet) }
th, td { padding: .45rem .8rem; vertical-align: top; border-top: 1px solid var(--line); overflow-wrap: anywhere }
thead th, .settings tr:first-child > * { border-top: 0 }
.utterances td { width: 33.3% } .settings th { width: 40%; font-weight: normal }
mark, ins, del { color: var(--wrong); background: var(--wrong-page); border-radius: .2rem; padding: 0 .15rem }
mark { text-decoration: underline wavy } ins { text-decoration: none; font-weight: 600 } ins::before { content: "+" }
del { text-decoration: line-through }
@media (max-width: 40rem) { .utterances thead { display: none } .utterances td { display: block; width: auto }
  .utterances td + td { border-top: 0 } .utterances td::before { content: attr(data-label) ": "; color: var(--quiet) } }
"""


def write_report(folder: Path, result: dict) -> Path:
    """Write `report.html`, `wer.png`, `loss.png` and `memory.png` into a folder, which is made if need be; of a
    personalisation in rounds also `ram.png` and `battery.png`, the device's.

    The page holds its plots, so it can be sent on alone, and loads nothing from anywhere.

    Args:
        folder: where the files go; those of an earlier report are replaced.
        result: of a personalisation. Its rates are fractions, its history and its memory are drawn.

    Returns:
        The path of `report.html`.
    """
    plots = [*_learning(result), ("memory", "Memory of the process over time", draw_memory, result["memory"])]
    if "rounds" in result:
        plots += [
            ("ram", "Available memory of the device over time", draw_ram, result["resources"]),
            ("battery", "Battery of the device over time", draw_battery, result["resources"]),
        ]
    files, figures = {}, []
    for name, caption, draw, points in plots:
        files[f"{name}.png"], element = figure_element(caption, draw, points)
        figures.append(element)
    files["report.html"] = utf8(_page(result, figures))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            write_whole(folder / name, content)
    except OSError as error:
        raise InputError(f"{folder}: could not write the report ({error})") from error
    return folder / "report.html"


def _learning(result: dict) -> list[tuple[str, str, Callable[..., None], list[dict]]]:
    """Name, caption, drawing and points of the plots of what validates and of the loss."""
    history = result["history"]
    if result.get("unlabelled", {}).get("validated_by") == "agreement of views":
        views = "Views of held-out speech that are heard with another text than the recording, by round"
        loss = (
            "loss",
            "Loss of the training utterances by round",
            functools.partial(draw_loss, validation=False),
            history,
        )
        return [("wer", views, draw_views, history), loss]
    measured_on = "validation" if result["validation_utterances"] else "training"
    few = "" if result["validation_utterances"] else ", with varied copies; there are few, so none is held out"
    draw = functools.partial(draw_rounds if "rounds" in result else draw_wer, measured_on=measured_on)
    return [
        ("wer", f"Word error rate of the {measured_on} utterances by epoch{few}", draw, history),
        ("loss", "Loss of the training and validation utterances by epoch", draw_loss, history),
    ]


def _page(result: dict, plots: list[str]) -> str:
    """The whole page; plots are `<figure>` elements."""
    reduction = result["relative_wer_reduction"]
    changed = f"{abs(reduction):.1%} {'fewer' if reduction >= 0 else 'more'} word errors"
    skipped = f"{result['skipped_updates']} updates skipped"
    figures = (
        ("Word error rate", _before_after(result, "wer"), changed),
        ("Character error rate", _before_after(result, "cer"), f"{result['test_utterances']} test utterances"),
        ("Training", f"{result['steps']} steps", f"{result['epochs']} epochs, {skipped}"),
        ("Time", f"{result['seconds']:.1f} s", f"stopped: {result['stopped_because']}"),
        ("Peak memory", f"{result['peak_rss_mb']:.0f} MB", f"{result['peak_private_mb']:.0f} MB private"),
    )
    settings = {
        "model": result["model"],
        "checkpoint": result["checkpoint"],
        "voice": result["voice"],
        "utterances to adapt": result["adapt_utterances"],
        "utterances to validate": result["validation_utterances"],
        "utterances to test": result["test_utterances"],
        **_learned_otherwise(result),
        **_stretched(result.get("stretched")),
        **result["settings"],
    }
    return "\n".join(
        (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>Personalisation of {_text(result['model'])}</title><style>{STYLE}</style></head><body>",
            f"<h1>Personalisation of {_text(result['model'])}</h1><p>Voice: {_text(result['voice'])}</p>",
            '<div class="figures">',
            *(
                f"<div><span>{label}</span><b>{_text(value)}</b><small>{_text(note)}</small></div>"
                for label, value, note in figures
            ),
            '</div><div class="plots">',
            *plots,
            "</div>",
            *_rounds(result.get("rounds", [])),
            *_utterances(result["pairs"], result.get("normalized", False)),
            '<h2>Settings</h2><table class="settings">',
            *(f"<tr><th>{_text(name)}</th><td>{_text(value)}</td></tr>" for name, value in settings.items()),
            "</table></body></html>\n",
        )
    )


def _stretched(stretched: dict | None) -> dict[str, str]:
    """A row about extrapolated weights, which the history does not have."""
    if not stretched:
        return {}
    rates = f"WER {stretched['validation_wer']:.1%}, loss {stretched['validation_loss']:.2f}"
    return {"weights extrapolated to": f"{stretched['factor']:g} times the change up to the kept epoch; {rates}"}


def _learned_otherwise(result: dict) -> dict[str, str]:
    """Rows about corrections and about speech without transcripts."""
    rows = {}
    corrections = result["corrections"]
    if corrections["utterances"]:
        rows["corrections"] = str(corrections["utterances"])
        rows["names learned"] = ", ".join(corrections["phrases"]) or "none"
    if "unlabelled" in result:
        unlabelled = result["unlabelled"]
        rounds = "; ".join(
            ", ".join(f"{count} {why}" for why, count in sorted(row.items())) for row in unlabelled["rounds"]
        )
        rows["without transcripts"] = f"{unlabelled['utterances']}; by round: {rounds}"
        better = "better" if unlabelled["learned"] else "no better, the weights stay as they were"
        rows[f"validated by {unlabelled['validated_by']}"] = better
    return rows


def _rounds(rounds: list[dict]) -> list[str]:
    """The selector's choice for each round, and how the round ended."""
    if not rounds:
        return []
    cells = ("round", "utterances", "learned", "plan", "steps", "best WER, validation", "stopped")
    rows = [
        (
            row["round"],
            row["utterances"],
            ", ".join(row["chosen"]["trainable_groups"]),
            row["chosen"]["plan"],
            row["steps"],
            f"{row['best_wer']:.1%}",
            row["stopped_because"],
        )
        for row in rounds
    ]
    return [
        "<h2>Rounds</h2><table><thead><tr>",
        *(f"<th>{cell}</th>" for cell in cells),
        "</tr></thead><tbody>",
        *("<tr>" + "".join(f"<td>{_text(value)}</td>" for value in row) + "</tr>" for row in rows),
        "</tbody></table>",
    ]


def _utterances(pairs: list[dict], normalize: bool) -> list[str]:
    """The test utterances, those that were wrong before training first."""

    def right(pair: dict) -> bool:
        return all(
            kind == "equal" for kind, *_ in aligned_words(pair["reference"], pair["before"], normalize=normalize)
        )

    ordered = sorted(pairs, key=right)
    cells = ("reference", "before", "after")
    left_out = len(pairs) - MAX_ROWS
    return [
        "<h2>Test utterances</h2>",
        "<p><mark>another word</mark> recognised, <del>word</del> left out, <ins>word</ins> that was not said.",
        "Hovering over a word shows when it was said and how sure the recogniser is of it.",
        "Utterances that were wrong before training come first.</p>",
        '<table class="utterances"><thead><tr>',
        *(f"<th>{cell}</th>" for cell in cells),
        "</tr></thead><tbody>",
        *(
            f'<tr><td data-label="reference">{_text(pair["reference"])}</td>'
            + "".join(f'<td data-label="{cell}">{_marked(pair, cell, normalize)}</td>' for cell in cells[1:])
            + "</tr>"
            for pair in ordered[:MAX_ROWS]
        ),
        "</tbody></table>",
        f"<p>{left_out} more utterances are left out.</p>" if left_out > 0 else "",
    ]


def _marked(pair: dict, cell: str, normalize: bool) -> str:
    """The recognised text with its errors marked; each word shows its times and confidence if they are known."""
    shapes = {
        "equal": "<span{title}>{heard}</span>",
        "substitute": "<mark{title}>{heard}</mark>",
        "delete": "<del>{said}</del>",
        "insert": "<ins{title}>{heard}</ins>",
    }
    aligned = aligned_words(pair["reference"], pair[cell], normalize=normalize)
    heard_count = sum(kind != "delete" for kind, *_ in aligned)
    timed = pair.get(f"{cell}_words", [])
    places = iter(timed if len(timed) == heard_count else [None] * heard_count)  # normalized words may be more or fewer
    marked = []
    for kind, said, heard in aligned:
        place = None if kind == "delete" else next(places)
        details = [f"instead of {said}"] if kind == "substitute" else []
        if place:
            details.append(f"{place['start_seconds']:.2f}-{place['end_seconds']:.2f} s")
            details.append(f"confidence {place['confidence']:.2f}")
        title = f' title="{_text(", ".join(details))}"' if details else ""
        shape = "{heard}" if kind == "equal" and not details else shapes[kind]
        marked.append(shape.format(title=title, said=_text(said), heard=_text(heard)))
    return " ".join(marked)


def _before_after(result: dict, rate: str) -> str:
    return f"{result[f'{rate}_before']:.1%} → {result[f'{rate}_after']:.1%}"


def utf8(page: str) -> bytes:
    """A page as bytes; of file names that are not UTF-8 the other bytes as \\udcXX."""
    return page.encode("utf-8", "backslashreplace")


def _text(value: object) -> str:
    return escape(str(value))
