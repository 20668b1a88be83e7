"""Renders the results as tables.

    python experiments/report.py

Writes the summary in README.md, experiments/RESULTS.md and benchmarks/RESULTS.md; a test fails if
one of them disagrees with the results. With --html, a page with learning curves and figures.
"""

import dataclasses
import pathlib
import re
import statistics
import sys
from collections.abc import Sequence

# A plain checkout is not installed: let the script find `common` from any directory.
ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.speed import PARTS  # noqa: E402
from common.config import main, setting  # noqa: E402
from common.errors import InputError  # noqa: E402
from common.files import atomic_write, read_object  # noqa: E402
from experiments import html_report, paired, read_results, sentences, summary, trial  # noqa: E402
from experiments.tables import TABLES  # noqa: E402

README = ROOT / "README.md"
RESULTS = ROOT / "experiments" / "RESULTS.md"
SPEED = ROOT / "benchmarks" / "RESULTS.md"
BENCHMARKS = ROOT / "benchmarks" / "results"

_RESULTS_HEAD = f"""# Results

Written by `python experiments/report.py` from the files below `results/`. Each number is a mean
over seeds ± the sample standard deviation. The number in brackets behind it is, in the first table,
the number of seeds, in the others that of the paper (Gui et al., AAAI 2019) or of the source named.
Brackets behind a row's name have the flags in which a result differs from what the row's command
runs now. *Sampled*: distances drawn from the agent's distribution, as in training; *greedy*: the
most probable ones; *mixture of 16*: the mean of the probabilities of 16 draws. *The paper's formula
to the letter*: [RELEASE.md](RELEASE.md#the-papers-formula-to-the-letter). The rows of a table have
one budget of epochs unless its text says otherwise; some of them still improve when it ends. The
best epoch on dev counts; test is read once. Times are those of the shortest epoch and of the
shortest run, on machines that did other work, too, and some runs were halted for hours: they say
what to expect, not which row is faster ([Speed](../benchmarks/RESULTS.md) does). Weights are those
of the first seed.

{sentences.HOW_TO_READ}"""

_SPEED_HEAD = """# Speed

Written by `python experiments/report.py` from what `python benchmarks/speed.py` measured (for
`gpu_step`, `run_hlo.py` of `without_tensorflow/`): medians. The rows of a table took turns in one
process (but for `compilation`, one after another, and `memory`, a process for each case). Compare
rows of one table only: two tables differ by what else the machine did, even within an hour. *first
row / this row* is the median, over the rounds, of the first row's time divided by this row's: below
1 this row is the slower. *keras LSTM, fit* is a Sequential model; a timed call of its `fit` makes a
few steps, and what `fit` does before the first counts. In `tagger_step`, and for the tagger in
`inference`, *keras LSTM* is our tagger with that layer. *torch LSTM* is eager PyTorch."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReportConfig:
    """Render the tables of README.md and of both RESULTS.md, or a page of all results."""

    html: bool = setting(False, "write a page with all tables, learning curves and figures instead")
    out: str = setting("runs/report.html", "with --html: output file", path=True)


def _grid(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table."""
    return [f"| {' | '.join(line)} |" for line in (titles, ["---"] * len(titles), *rows)]


# ------------------------------------------------------------------------------------------ results


def in_short() -> str:
    """The README's summary: a table and a sentence."""
    table = "\n".join(_grid(summary.TITLES, summary.rows()))
    return "\n\n".join(filter(None, [table, summary.text()]))


def of_trial() -> str:
    """The section on the trial: a table and what it shows."""
    table = "\n".join(_grid(trial.TITLES, trial.rows()))
    return "\n\n".join([f"## {trial.TITLE}", table, *trial.text()])


def _beside(cell: read_results.Cell) -> str:
    """Our number and, in brackets, the one to compare with, and its source if not the paper."""
    if cell.reference is None:
        return cell.ours
    return f"{cell.ours} ({cell.reference}{f', {cell.source}' if cell.source else ''})".strip()


def markdown(key: str) -> str:
    """A table and the text below it; for a table without results, one line."""
    title = f"**{TABLES[key].title}**"
    if not read_results.all_results(key):
        return f"## {key}\n\n{title}. {sentences.not_run(key)}"
    titles, lines = paired.shown(key)
    rows = [[line.label, *map(_beside, line.cells), *line.cost] for line in lines]
    grid = "\n".join(_grid(["row", *titles], rows))
    return "\n\n".join([f"## {key}", title, grid, *sentences.below(key)])


def pictures() -> str:
    """The section that lists the figures."""
    links = [
        f"- [{told['title']}](figures/{path.stem}.png): {told['caption']} `{told['command']}`"
        for path, told in html_report.figures()
    ]
    return "\n\n".join(["## Pictures", "\n".join(links)])


def results() -> str:
    """The text of experiments/RESULTS.md."""
    contents = [f"- [{key}](#{key}): {table.title}" for key, table in TABLES.items()]
    anchor = trial.TITLE.lower().replace(" ", "-").rstrip("?")
    contents = [f"- [{trial.TITLE}](#{anchor})", *contents, "- [Pictures](#pictures)"]
    parts = [_RESULTS_HEAD, "\n".join(contents), of_trial(), *map(markdown, TABLES), pictures()]
    return "\n\n".join(parts) + "\n"


# -------------------------------------------------------------------------------------------- speed


def speed() -> str:
    """The text of benchmarks/RESULTS.md."""
    paths = [BENCHMARKS / f"{part}.json" for part in (*PARTS, "gpu_step")]
    do = "restore it, or measure that part again"
    records = [read_object(path, do, "part", "title", *_SITTING) for path in paths if path.exists()]
    made = {record["part"]: _sitting(record) for record in records}
    most = statistics.mode(made.values())
    parts = [_SPEED_HEAD, most]
    for record in records:
        title = record["title"] + (f" ({record['shape']})" if "shape" in record else "")
        parts += [f"## {record['part']}", f"**{title}**", "\n".join(_speed_table(record))]
        parts += [] if made[record["part"]] == most else [made[record["part"]]]
    return "\n\n".join(parts) + "\n"


_SITTING = ("started_at", "commit", "versions", "hardware")


def _sitting(record: dict) -> str:
    """When, on which machine and with which versions a part was measured."""
    return f"{read_results.provenance([record]).removesuffix('.')}; {record['started_at'][:10]}."


def _speed_table(record: dict) -> list[str]:
    if "mib" in record:  # peak memory, by the number of steps
        found = {
            name: {f"T = {n}": f"{value:.0f}" for n, value in row.items()}
            for name, row in record["mib"].items()
        }
        return _crossed("MiB", found)
    if "milliseconds_of" in record:  # every cell, in every task
        cells, shares = record["milliseconds_of"].items(), record.get("per_operation")
        found = {cell: {name: f"{value:.1f}" for name, value in row.items()} for cell, row in cells}
        if over := record.get("reference_over_of"):
            found = {
                one: {
                    name: f"{value:#.3g}".rstrip(".") + f" ({over[one][name]:.2f})"
                    for name, value in row.items()
                }
                for one, row in cells
            }
            return _crossed("milliseconds (first row / this row)", found)
        if not shares:
            return _crossed("milliseconds", found)
        both = {
            cell: {name: f"{text} ({shares[cell][name]:.2f})" for name, text in row.items()}
            for cell, row in found.items()
        }
        return _crossed("milliseconds (time per multiplication, as a multiple of `lstm`'s)", both)
    if "ways" in record:  # compiled one way and another
        units = {
            "compile_seconds": "seconds to compile",
            "step_milliseconds": "milliseconds a step",
        }
        ways = {
            name: {
                f"{way}: {unit}": f"{found[key]:.1f}"
                for way, found in row.items()
                for key, unit in units.items()
            }
            for name, row in record["ways"].items()
        }
        return _crossed("", ways)
    if "milliseconds_at" in record:  # growth
        found = record["milliseconds_at"]
        return _grid(
            [record["against"], *found],
            [["milliseconds", *(f"{value:.1f}" for value in found.values())]],
        )
    rates = record.get("gflop_per_second", {})
    titles = ["", "milliseconds", "first row / this row", *(["GFLOP/s"] if rates else [])]
    rows = []
    for name, value in record["milliseconds"].items():
        row = [name, f"{value:.1f}", f"{record['reference_over'][name]:.2f}"]
        rows.append([*row, *([f"{rates[name]:.0f}"] if rates else [])])
    return _grid(titles, rows)


def _crossed(corner: str, rows: dict[str, dict[str, str]]) -> list[str]:
    """A table of rows with the same columns."""
    columns = next(iter(rows.values()))
    return _grid([corner, *columns], [[name, *row.values()] for name, row in rows.items()])


# ---------------------------------------------------------------------------------------- the files


def rendered(readme: str) -> str:
    """The text of the README with a new summary."""
    start, end = "<!-- results:summary -->", "<!-- /results:summary -->"
    pattern = re.compile(re.escape(start) + ".*?" + re.escape(end), re.DOTALL)
    return pattern.sub(lambda _: f"{start}\n{in_short()}\n{end}", readme)


def render() -> None:
    """Rewrite the files that the results have changed."""
    files = {
        README: rendered(README.read_text(encoding="utf-8")),
        RESULTS: results(),
        SPEED: speed(),
    }
    for path, text in files.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            atomic_write(path, text)
            print(f"rendered: {path}")
        else:
            print(f"up to date: {path}")


def run(config: ReportConfig) -> None:
    """Render the tables, or the page."""
    if not config.html:
        if config.out != ReportConfig.out:
            raise InputError("--out is the file of --html: give that too, or leave it out")
        return render()
    path = pathlib.Path(config.out)
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, html_report.render())
    print(path)


if __name__ == "__main__":
    main(ReportConfig, {}, run)
