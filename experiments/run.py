"""Runs a table:  python experiments/run.py numbers11 --seeds 3

What is done is skipped, what was cut off is resumed. Each finished run leaves a file in experiments/results/, and the tables are rendered.
"""

import dataclasses
import json
import pathlib
import subprocess
import sys

# A plain checkout is not installed: let the script find `common` from any directory.
ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from common import run  # noqa: E402
from common.errors import InputError  # noqa: E402
from common.files import atomic_write  # noqa: E402
from experiments.tables import TABLES, Row, Table  # noqa: E402

RESULTS = ROOT / "experiments" / "results"


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunTableConfig:
    """Run the rows of a table that are missing."""

    table: str = run.setting("", "which table", choices=("", *TABLES))
    rows: list[str] = run.setting([], "which rows (empty: all)")
    seeds: int = run.setting(3, "runs of each row, seeds 0, 1, ...", minimum=1)
    data_dir: str = run.setting("data", "folder that holds ptb/, conll2003/, ...")
    runs_dir: str = run.setting("runs/experiments", "folder for the runs while they last")
    shard: str = run.setting("0/1", "i/n: only every n-th run, from the i-th on")


def result_path(table: str, row: str, seed: int) -> pathlib.Path:
    """Where a finished run's result lies."""
    return RESULTS / table / f"{row}-seed{seed}.json"


def command(table: Table, row: Row, seed: int, run_dir: pathlib.Path, data_dir: str) -> list[str]:
    """The command of one run."""
    flags = {**table.flags, **row.flags, "seed": seed, "run_dir": run_dir}
    if table.data:
        flags["data_dir"] = pathlib.Path(data_dir, table.data)
    arguments = [f"--{name}={value}" for name, value in flags.items()]
    return [sys.executable, str(ROOT / table.task / table.script), *arguments]


def missing(config: RunTableConfig) -> list[tuple[str, int]]:
    """Rows and seeds of the table that have no result yet, in this shard."""
    rows = TABLES[config.table].rows
    for name in config.rows:
        if name not in rows:
            raise InputError(f"--rows expects some of {', '.join(rows)}; got {name!r}")
    shard, n_shards = _shard(config.shard)
    pairs = [(row, seed) for seed in range(config.seeds) for row in (config.rows or rows)]
    return [pair for pair in pairs[shard::n_shards] if not result_path(config.table, *pair).exists()]


def _shard(text: str) -> tuple[int, int]:
    try:
        shard, n_shards = map(int, text.split("/"))
        if not 0 <= shard < n_shards:
            raise ValueError
    except ValueError:
        raise InputError(f"--shard expects i/n with 0 <= i < n, got {text!r}") from None
    return shard, n_shards


def run_table(config: RunTableConfig) -> None:
    """Run what is missing, then render the tables."""
    if not config.table:
        raise InputError(f"expected a table: python experiments/run.py one of {', '.join(TABLES)}")
    table = TABLES[config.table]
    todo = missing(config)
    for number, (row, seed) in enumerate(todo, 1):
        run_dir = pathlib.Path(config.runs_dir, config.table, f"{row}-seed{seed}")
        print(f"run {number}/{len(todo)}: {config.table} {row} seed {seed}, about {table.hours:g} hours on two cores", flush=True)
        code = subprocess.run(command(table, table.rows[row], seed, run_dir, config.data_dir)).returncode
        if code:
            raise InputError(f"{config.table} {row} seed {seed} ended with status {code}; mend it and run the same command again")
        keep(run_dir, result_path(config.table, row, seed))
    from experiments import report

    report.render()


def keep(run_dir: pathlib.Path, path: pathlib.Path) -> None:
    """Copy a finished run's result, with its epochs' records, to where results are committed."""
    result = json.loads((run_dir / "result.json").read_text())
    records = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, json.dumps({**result, "records": records}, indent=1) + "\n")


if __name__ == "__main__":
    arguments = sys.argv
    if len(arguments) > 1 and not arguments[1].startswith("-"):  # the table may stand without its flag
        arguments = [arguments[0], f"--table={arguments[1]}", *arguments[2:]]
    run.main(RunTableConfig, {}, run_table, arguments)
