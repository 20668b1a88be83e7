"""Renders all tables, learning curves and figures as one HTML page, to read or print."""

import html
import pathlib
import re
import shlex
from collections.abc import Callable, Sequence
from typing import Any

from common.files import read_object
from experiments import (
    charts,
    paired,
    read_results,
    row_flags,
    selection,
    sentences,
    summary,
    tables,
    trial,
)
from experiments.tables import TABLES, Table

FIGURES = pathlib.Path(__file__).resolve().parent / "figures"

_STYLE = """
:root { --ink: #1a1a1a; --soft: #5c5c5c; --rule: #d5d5d5; --back: #fff; }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--back); }
body { margin: 0 auto; max-width: 62rem; padding: 1rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: .5rem 0; }
h2 { font-size: 1.15rem; line-height: 1.3; margin: 2.5rem 0 .5rem; padding-top: 1rem; }
h2 { border-top: 1px solid var(--rule); }
h3 { font-size: 1rem; margin: 1rem 0 .3rem; }
p, .note { margin: .4rem 0; }
nav { columns: 20rem; margin-top: 1.5rem; }
nav a { display: block; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
table { font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .55rem; text-align: right; vertical-align: top; white-space: nowrap; }
th, td { border-bottom: 1px solid var(--rule); }
th:first-child, td:first-child { text-align: left; white-space: normal; min-width: 9rem; }
th { font-weight: 600; white-space: normal; vertical-align: bottom; }
td small, .note, .legend, figcaption { color: var(--soft); font-size: .85rem; }
td small { display: block; white-space: nowrap; }
td.none { color: var(--soft); font-style: italic; }
code { font: .82rem/1.45 ui-monospace, monospace; overflow-wrap: anywhere; }
details { margin: .4rem 0; }
details > code { display: block; margin: .25rem 0; }
.curves { display: grid; gap: 1rem; }
.curves { grid-template-columns: repeat(auto-fill, minmax(min(100%, 18rem), 1fr)); }
.curves svg { width: 100%; height: auto; }
svg text { font: 12px system-ui, sans-serif; fill: var(--ink); }
.grid { stroke: var(--rule); fill: none; stroke-width: .7; }
.axis { stroke: var(--ink); fill: none; stroke-width: .8; }
.line { fill: none; stroke-width: 1.5; stroke-linejoin: round; }
.legend span { display: inline-block; margin-right: 1rem; }
.legend svg.key { width: 24px; height: 8px; margin-right: .3rem; }
.legend svg.key path { fill: none; stroke-width: 2; }
figure { margin: 1rem 0; }
figure > svg { width: 100%; height: auto; }
@media print {
  body { max-width: none; font-size: 10pt; padding: 0; }
  nav { display: none; }
  h2 { break-after: avoid; break-inside: avoid; }
  section, table, figure, .curves > div { break-inside: avoid; }
  .wide { overflow: visible; }
  th, td { white-space: normal; }
}
"""

_HEAD = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>LSTM with dynamic skip connections: results</title>
<style>{style}</style>
</head>
<body>
<h1>LSTM with dynamic skip connections: results</h1>
<p>Mean ± sample standard deviation over seeds; below it the number of the paper (Gui et al., AAAI
2019), or of the source that is named; in the first table the number of seeds stands in brackets,
and an empty cell was not run. Times are those of the fastest run. <em>Sampled</em>: distances drawn
from the agent's distribution, as in training; <em>greedy</em>: the most probable ones.
{how_to_read}</p>
<section id="summary">
{summary}
</section>
<nav>{contents}</nav>
"""


def render() -> str:
    """The page, which depends only on the committed results and figures."""
    sections = [("trial", trial.TITLE, _trial())]
    sections += [
        (f"table-{key}", table.title, _table_section(key, table)) for key, table in TABLES.items()
    ]
    sections += [
        (f"figure-{path.stem}", caption["title"], _figure(path, caption))
        for path, caption in figures()
    ]
    contents = "".join(f'<a href="#{name}">{html.escape(title)}</a>' for name, title, _ in sections)
    head = {
        "style": _STYLE,
        "summary": _summary(),
        "contents": contents,
        "how_to_read": _inline(sentences.HOW_TO_READ),
    }
    parts = [_HEAD.format(**head)]
    parts += [
        f'<section id="{name}">\n<h2>{html.escape(title)}</h2>\n{body}\n</section>'
        for name, title, body in sections
    ]
    return "\n".join([*parts, "</body>\n</html>\n"])


def figures() -> list[tuple[pathlib.Path, dict[str, str]]]:
    """The committed pictures, each with title, caption and command from NAME.json."""
    do = "restore it, or draw that figure again"
    return [
        (path.with_suffix(".svg"), read_object(path, do, "title", "caption", "command"))
        for path in sorted(FIGURES.glob("[!.]*.json"))
    ]


def _figure(path: pathlib.Path, caption: dict[str, str]) -> str:
    # The prologue of an SVG file has no place inside a page, nor has its size in points, and names
    # shared by two pictures would clash.
    svg = re.sub(
        r"^.*?(?=<svg)|<metadata>.*?</metadata>",
        "",
        path.read_text(encoding="utf-8"),
        flags=re.DOTALL,
    )
    svg = re.sub(r'(<svg[^>]*?) (?:width|height)="[^"]*"', r"\1", svg)
    svg = re.sub(r'(<svg[^>]*?) (?:width|height)="[^"]*"', r"\1", svg)
    # two images of the same content have one name
    svg = re.sub(r'(<image\b[^>]*?) id="[^"]*"', r"\1", svg)
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{path.stem}-", svg)
    text = f"{html.escape(caption['caption'])} <code>{html.escape(caption['command'])}</code>"
    return f"<figure>\n{svg.strip()}\n<figcaption>{text}</figcaption>\n</figure>"


# ---------------------------------------------------------------------------------------- one table


def _summary() -> str:
    return _front(summary.TITLES, summary.rows(), [summary.text()])


def _trial() -> str:
    return _front(trial.TITLES, trial.rows(), trial.text())


def _front(titles: Sequence[str], rows: Sequence[Sequence[str]], below: Sequence[str]) -> str:
    """A table of several tables' rows, and the paragraphs below it."""
    cells = [f"<tr>{''.join(f'<td>{_inline(cell)}</td>' for cell in row)}</tr>" for row in rows]
    return "\n".join([_grid(titles, cells), *map(_note, below)])


def _note(text: str) -> str:
    return f'<p class="note">{_inline(text)}</p>'


def _inline(text: str) -> str:
    """A line of Markdown: `code`, *emphasis*, and of a link its words: it leads nowhere here."""
    text = re.sub(r"`([^`]*)`", r"<code>\1</code>", html.escape(text))
    text = re.sub(r"\[([^][]*)\]\([^()]*\)", r"\1", text)
    return re.sub(r"\*([^*]*)\*", r"<em>\1</em>", text)


def _grid(titles: Sequence[str], rows: Sequence[str]) -> str:
    head, body = "".join(f"<th>{_inline(title)}</th>" for title in titles), "\n".join(rows)
    table = f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>"
    return f'<div class="wide"><table>\n{table}\n</table></div>'


def _table_section(key: str, table: Table) -> str:
    found = {name: read_results.results_of(key, name) for name in table.rows}
    parts = []
    if read_results.all_results(key):
        titles, lines = paired.shown(key)
        parts.append(_grid(["", *titles], [_row(line) for line in lines]))
    parts += map(_note, sentences.below(key))
    parts.append(_commands(key, table))
    parts.append(
        _curves(table, {row.label: found[name] for name, row in table.rows.items() if found[name]})
    )
    return "\n".join(part for part in parts if part)


def _row(line: read_results.Line) -> str:
    cost = "".join(f"<td>{text}</td>" for text in line.cost)
    return f"<tr><td>{html.escape(line.label)}</td>{_cells(line.cells)}{cost}</tr>"


def _cells(measured: Sequence[read_results.Cell]) -> str:
    cells = []
    for ours, reference, source in measured:
        none = ' class="none"' if ours == read_results.NOT_FINITE else ""
        beside = (
            f"<small>{html.escape(source or 'paper')}: {reference}</small>"
            if reference is not None
            else ""
        )
        cells.append(f"<td{none}>{ours}{beside}</td>")
    return "".join(cells)


def _commands(key: str, table: Table) -> str:
    """The commands for the rows that were not run."""
    lines = []
    for name in selection.rows_not_run(key):
        command = row_flags.command(
            table,
            table.rows[name],
            0,
            f"runs/experiments/{'/'.join(tables.source(key, name))}-seed0",
            "data",
        )
        lines.append(f"<code>{html.escape(shlex.join(['python', *command]))}</code>")
    if not lines:
        return ""
    title = "The command of each row that was not run"
    return f'<details class="note"><summary>{title}</summary>\n' + "\n".join(lines) + "\n</details>"


def _curves(table: Table, found: dict[str, list[dict[str, Any]]]) -> str:
    """Dev metric, the agent's entropy and its reward over the epochs, with a line per seed."""
    records = [record for runs in found.values() for one in runs for record in one["records"]]
    metric = next(
        (name for name, *_ in table.metrics if any(name in record for record in records)), ""
    )
    with_agent = {
        name: [one for one in runs if read_results.entropy(one["records"][-1]) is not None]
        for name, runs in found.items()
    }
    title, factor = next(
        ((title, factor) for name, title, _, factor in table.metrics if name == metric), ("", 1.0)
    )
    unit = re.search(r": ([^:;]*)", table.title)
    charts_ = [
        _chart(
            found,
            lambda _, record: _scaled(record.get(metric), factor),
            f"{title}: {unit[1] if unit else metric}",
            read_results.lower_is_better(metric),
        ),
        _chart(
            with_agent, lambda _, record: read_results.entropy(record), "agent's entropy (nats)"
        ),
        _chart(with_agent, read_results.reward, "agent's reward, mean (nats)"),
    ]
    shown = [f"<div>{chart}</div>" for chart in charts_ if chart]
    return (
        '<div class="curves">\n' + "\n".join(shown) + f"\n</div>\n{charts.legend(list(found))}"
        if shown
        else ""
    )


def _chart(
    found: dict[str, list[dict[str, Any]]],
    value: Callable[[dict, dict], float | None],
    label: str,
    logarithmic: bool = False,
) -> str:
    """A chart over the epochs of `value`, a function of a result and one of its records."""
    series = {
        name: [[(record["epoch"], value(one, record)) for record in one["records"]] for one in runs]
        for name, runs in found.items()
    }
    return charts.line_chart(series, "epoch", label, logarithmic)


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else factor * value
