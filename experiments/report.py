"""Renders the tables of the README from experiments/results/:  python experiments/report.py

Each table stands between `<!-- results:NAME -->` and `<!-- /results:NAME -->`; a test fails when README and results disagree.
"""

import functools
import json
import pathlib
import re
import statistics
import sys
from collections.abc import Sequence
from typing import Any

# A plain checkout is not installed: let the script find `common` from any directory.
ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.speed import PARTS  # noqa: E402
from common.files import atomic_write  # noqa: E402
from experiments.tables import TABLES, Row, Table  # noqa: E402

README = ROOT / "README.md"
RESULTS = ROOT / "experiments" / "results"
BENCHMARKS = ROOT / "benchmarks" / "results"


def results_of(table: str, row: str) -> list[dict[str, Any]]:
    """The results of a row, by seed."""
    paths = sorted((RESULTS / table).glob(f"{row}-seed*.json"))
    return [json.loads(path.read_text()) for path in paths if re.fullmatch(rf"{re.escape(row)}-seed\d+", path.stem)]


def spread(values: Sequence[float], decimals: int) -> str:
    """Mean and standard deviation over seeds."""
    mean = f"{statistics.fmean(values):.{decimals}f}"
    return f"{mean} ± {statistics.stdev(values):.{decimals}f}" if len(values) > 1 else mean


def row_cells(table: Table, name: str, row: Row, key: str) -> list[str]:
    """The cells of one row: ours and, in brackets, the paper's."""
    results = results_of(key, name)
    cells = [row.label]
    for metric, _, decimals, factor in table.metrics:
        values = [factor * result[metric] for result in results if metric in result]
        ours = spread(values, decimals) if values else "not run here"
        cells.append(f"{ours} ({row.paper[metric]})" if metric in row.paper else ours)
    if not results:
        return [*cells, "0", "", ""]
    minutes = statistics.fmean(result["wall_seconds"] for result in results) / 60
    return [*cells, str(len(results)), f"{results[0]['n_weights']:,}", f"{minutes:.1f}"]


def markdown(key: str) -> str:
    """One table."""
    table = TABLES[key]
    titles = ["row", *(title for _, title, _, _ in table.metrics), "seeds", "weights", "minutes a run"]
    lines = [f"**{table.title}** — ours, mean ± deviation over seeds (the paper's in brackets)", ""]
    lines += ["| " + " | ".join(titles) + " |", "|" + " --- |" * len(titles)]
    lines += ["| " + " | ".join(row_cells(table, name, row, key)) + " |" for name, row in table.rows.items()]
    lines += ["", f"`python experiments/run.py {key}`; about {table.hours:g} hours a run on two CPU cores." + provenance(key)]
    return "\n".join(lines)


def speed() -> str:
    """What benchmarks/speed.py measured: medians in milliseconds, and each as a multiple of the part's first."""
    lines = []
    records = [json.loads((BENCHMARKS / f"{part}.json").read_text()) for part in PARTS if (BENCHMARKS / f"{part}.json").exists()]
    for record in (record for record in records if "milliseconds" in record):
        lines += [f"**{record['title']}**", "", "| | milliseconds | " + f"{record['reference']} takes |", "| --- | --- | --- |"]
        for name, value in record["milliseconds"].items():
            lines.append(f"| {name} | {value:.1f} | {record['reference_over'][name]:.2f} of its time |")
        lines.append("")
    for record in (record for record in records if "milliseconds" not in record):
        shown = ", ".join(f"{name}: {value:.2f}" for name, value in record["milliseconds_per_step"].items())
        lines += [f"**{record['title']}** ({record['shape']}), milliseconds per step: {shown}", ""]
    return "\n".join([*lines, "`python benchmarks/speed.py`; medians of interleaved runs in one process." + of_results(records)])


def provenance(key: str) -> str:
    """Where and with what the table's runs were made."""
    return of_results([result for row in TABLES[key].rows for result in results_of(key, row)])


def of_results(results: list[dict[str, Any]]) -> str:
    """Versions, hardware and commits of result files."""
    if not results:
        return ""
    commits = sorted({result["commit"][:10] for result in results if result.get("commit")})
    machines = sorted({f"{r['hardware']['cores']} cores, {r['hardware']['processor']}" for r in results})
    versions = sorted({f"TensorFlow {r['versions']['tensorflow']}" for r in results})
    return f" Run with {', '.join(versions)} on {'; '.join(machines)}; commit {', '.join(commits)}."


def rendered(text: str) -> str:
    """The README's text with all its tables made anew."""
    makers = {key: functools.partial(markdown, key) for key in TABLES} | {"speed": speed}
    for key, make in makers.items():
        start, end = f"<!-- results:{key} -->", f"<!-- /results:{key} -->"
        pattern = re.compile(re.escape(start) + ".*?" + re.escape(end), re.DOTALL)
        text = pattern.sub(lambda _, s=start, e=end, make=make: f"{s}\n{make()}\n{e}", text)
    return text


def render() -> None:
    """Rewrite the README's tables."""
    text = README.read_text(encoding="utf-8")
    new = rendered(text)
    if new != text:
        atomic_write(README, new)
        print(f"rendered: {README}")


if __name__ == "__main__":
    render()
