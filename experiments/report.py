"""Renders the tables of the README, and report.html, from experiments/results/:  python experiments/report.py

Each table of the README stands between `<!-- results:NAME -->` and `<!-- /results:NAME -->`; a test fails when README and results disagree.
"""

import dataclasses
import functools
import json
import pathlib
import re
import sys

# A plain checkout is not installed: let the script find `common` from any directory.
ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.speed import PARTS  # noqa: E402
from common.config import main  # noqa: E402
from common.files import atomic_write  # noqa: E402
from experiments import html_report, read_results  # noqa: E402
from experiments.tables import SUMMARY, TABLES  # noqa: E402

README = ROOT / "README.md"
REPORT = ROOT / "experiments" / "report.html"
BENCHMARKS = ROOT / "benchmarks" / "results"

_READING = "mean ± deviation over seeds (in brackets the paper's number, or that of the source named)"


_HOW_TIMED = (
    "`python benchmarks/speed.py`; medians. What stands in one table takes turns in one process, and a share of its time is the median of "
    "the rounds' ratios; the ways to compile are timed one after another, and a peak of memory is that of a process of its own."
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReportConfig:
    """Render the tables of the README, and report.html."""


def _beside(cell: read_results.Cell) -> str:
    """Ours and, in brackets, the number to compare with and, if it is not the paper's own, its source."""
    if cell.reference is None:
        return cell.ours
    return f"{cell.ours} ({cell.reference}{f', {cell.source}' if cell.source else ''})"


def summary() -> str:
    """The first table: what the rows of the paper's tables reach on the test set."""
    titles = read_results.SUMMARY_TITLES[1:]
    rows = {title: dict(zip(titles, map(_beside, cells), strict=True)) for title, cells in read_results.summary()}
    return "\n".join([f"**On the test set, distances sampled** — {_READING}", "", *_grid("", rows)])


def markdown(key: str) -> str:
    """One table, folded up if none of it was run or the summary passes it by."""
    table = TABLES[key]
    titles = ["row", *(title for _, title, _, _ in table.metrics), *read_results.COST_TITLES]
    title = f"**{table.title}** — {_READING}"
    lines = ["| " + " | ".join(titles) + " |", "|" + " --- |" * len(titles)]
    lines += ["| " + " | ".join([line.label, *map(_beside, line.cells), *line.cost]) + " |" for line in read_results.lines(key)]
    lines += ["", below(key)]
    if not read_results.all_results(key):
        return "\n".join(_folded(f"{table.title}: not run here", lines))
    return "\n".join([title, "", *lines] if key in SUMMARY else _folded(table.title, lines))


def _folded(title: str, lines: list[str]) -> list[str]:
    """Lines that a reader unfolds."""
    return [f"<details><summary>{title}</summary>", "", *lines, "", "</details>"]


def below(key: str) -> str:
    """What stands under a table: its note, where its numbers come from, and the commands for what is missing."""
    table, found = TABLES[key], read_results.all_results(key)
    parts = [table.note]
    if found:
        parts += [f"`python experiments/run.py {key}`.", read_results.provenance(found), read_results.times(found)]
    if rows := read_results.rows_incomplete(key):
        parts.append(f"Incomplete (seeds asked for: {table.seeds}): `{read_results.how_to_run(key, rows)}`.")
    if rows := read_results.rows_not_run(key):
        parts.append(f"Not run here: `{read_results.how_to_run(key, rows)}`, about {table.hours:g} hours a run on two CPU cores.")
    return " ".join(filter(None, parts))


def speed() -> str:
    """What benchmarks/speed.py measured."""
    records = [json.loads((BENCHMARKS / f"{part}.json").read_text()) for part in PARTS if (BENCHMARKS / f"{part}.json").exists()]
    lines: list[str] = []
    for record in records:
        title = record["title"] + (f" ({record['shape']})" if "shape" in record else "")
        first = record["part"] in ("layer", "step", "number_step")  # the others are for who wants to know
        lines += [f"**{title}**", "", *_speed_table(record), ""] if first else [*_folded(title, _speed_table(record)), ""]
    return "\n".join([*lines, f"{_HOW_TIMED} {read_results.provenance(records)}".rstrip()])


def _speed_table(record: dict) -> list[str]:
    if "mib" in record:  # peak memory, by the number of steps
        found = {name: {f"T = {n}": f"{value:.0f}" for n, value in row.items()} for name, row in record["mib"].items()}
        return _grid("MiB", found)
    if "milliseconds_of" in record:  # every cell, in every task
        found = {cell: {name: f"{value:.1f}" for name, value in row.items()} for cell, row in record["milliseconds_of"].items()}
        return _grid("milliseconds", found)
    if "ways" in record:  # compiled one way and another
        ways = {
            name: {
                f"{way}: {what}": f"{found[key]:.1f}"
                for way, found in row.items()
                for key, what in (("compile_seconds", "seconds to compile"), ("step_milliseconds", "milliseconds a step"))
            }
            for name, row in record["ways"].items()
        }
        return _grid("", ways)
    if "milliseconds_at" in record:  # growth
        found = record["milliseconds_at"]
        values = " | ".join(f"{value:.1f}" for value in found.values())
        return [f"| {record['against']} | " + " | ".join(found) + " |", "| --- |" + " --- |" * len(found), f"| milliseconds | {values} |"]
    rates = record.get("gflop_per_second", {})
    lines = [f"| | milliseconds | {record['reference']} takes |", "| --- | --- | --- |"]
    for name, value in record["milliseconds"].items():
        lines.append(f"| {name} | {value:.1f} | {record['reference_over'][name]:.2f} of its time |")
        if rates:
            lines[-1] += f" {rates[name]:.0f} |"
    return [line + end for line, end in zip(lines[:2], (" GFLOP/s |", " --- |"), strict=True)] + lines[2:] if rates else lines


def _grid(corner: str, rows: dict[str, dict[str, str]]) -> list[str]:
    """A table of rows that have the same columns."""
    columns = next(iter(rows.values()))
    lines = [[corner, *columns], ["---"] * (len(columns) + 1), *([name, *row.values()] for name, row in rows.items())]
    return [f"| {' | '.join(line)} |" for line in lines]


def rendered(text: str) -> str:
    """The README's text with all its tables made anew."""
    makers = {key: functools.partial(markdown, key) for key in TABLES} | {"summary": summary, "speed": speed}
    for key, make in makers.items():
        start, end = f"<!-- results:{key} -->", f"<!-- /results:{key} -->"
        pattern = re.compile(re.escape(start) + ".*?" + re.escape(end), re.DOTALL)
        text = pattern.sub(lambda _, s=start, e=end, make=make: f"{s}\n{make()}\n{e}", text)
    return text


def render() -> None:
    """Rewrite the README's tables and the report."""
    old = README.read_text(encoding="utf-8")
    for path, text in ((README, rendered(old)), (REPORT, html_report.render())):
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            atomic_write(path, text)
            print(f"rendered: {path}")


if __name__ == "__main__":
    main(ReportConfig, {}, lambda config: render())
