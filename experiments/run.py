"""Runs a table:  python experiments/run.py numbers11 --seeds 3

What is done is skipped, what was cut off is resumed. Each finished run leaves a file in experiments/results/, and the tables are rendered.
"""

import dataclasses
import functools
import json
import os
import pathlib
import shlex
import sys

# A plain checkout is not installed: let the script find `common` from any directory.
ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from common.config import main, setting  # noqa: E402
from common.errors import InputError  # noqa: E402
from common.files import atomic_write  # noqa: E402
from experiments import launchers, read_results, row_flags, tables  # noqa: E402
from experiments.tables import TABLES, Row, Table  # noqa: E402


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunTableConfig:
    """Run the rows of a table that are missing."""

    table: str = setting("", "which table", choices=("", *TABLES))
    scale: str = setting("full", "small: the table's reduced scale, where it has one", choices=("full", "small"))
    rows: list[str] = setting([], "which rows (empty: all)")
    seeds: int | None = setting(None, "runs of each row, seeds 0, 1, ... (none: as many as the table asks for)", minimum=1)
    jobs: int | None = setting(
        None, "runs at a time (none: one on this machine, on a Ray cluster as many as it has room for)", minimum=1
    )
    data_dir: str = setting("data", "folder that holds ptb/, conll2003/, sst/, imdb/, embeddings/")
    vectors: str = setting("", "word vectors instead of the table's file below --data_dir (none: random ones)")
    runs_dir: str = setting("runs/experiments", "folder for the runs while they last")
    shard: str = setting("0/1", "i/n: only every n-th run, from the i-th on")
    launcher: str = setting("local", "where runs are started: on this machine, or on a Ray cluster", choices=("local", "ray"))
    cpus: int = setting(2, "with --launcher ray: cores of a run", minimum=1)
    gpus: int = setting(0, "with --launcher ray: GPUs of a run", minimum=0)


def command(table: Table, row: Row, seed: int, run_dir: str | pathlib.Path, data_dir: str, vectors: str = "") -> list[str]:
    """The command of one run."""
    flags = row_flags.arguments(table, row, seed=seed, run_dir=run_dir, **row_flags.data(table, data_dir, vectors))
    return [sys.executable, str(ROOT / table.task / table.script), *flags]


def missing(config: RunTableConfig) -> list[tuple[str, int]]:
    """Rows and seeds of the table that have no result with the flags asked for, in this shard."""
    name = tables.at_scale(config.table, config.scale)
    rows = [row for row, one in TABLES[name].rows.items() if not one.quoted]
    for row in config.rows:
        if row not in rows:
            raise InputError(f"--rows expects some of {', '.join(rows)}; got {row!r}")
    shard, n_shards = _shard(config.shard)
    seeds = config.seeds or TABLES[name].seeds
    pairs = [(row, seed) for seed in range(seeds) for row in (config.rows or rows)]
    return [pair for pair in pairs[shard::n_shards] if not read_results.is_done(name, *pair, config.vectors)]


def _shard(text: str) -> tuple[int, int]:
    try:
        shard, n_shards = map(int, text.split("/"))
        if not 0 <= shard < n_shards:
            raise ValueError
    except ValueError:
        raise InputError(f"--shard expects i/n with 0 <= i < n, got {text!r}") from None
    return shard, n_shards


def make_job(config: RunTableConfig, row: str, seed: int) -> launchers.Job:
    """One run of the config's table. The run's folder is that of the row it belongs to, wherever it is asked for."""
    name, row = tables.source(tables.at_scale(config.table, config.scale), row)
    run_dir = pathlib.Path(config.runs_dir, name, f"{row}-seed{seed}")
    arguments = command(TABLES[name], TABLES[name].rows[row], seed, run_dir, config.data_dir, config.vectors)
    return launchers.Job(f"{name} {row} seed {seed}", arguments, run_dir, read_results.result_path(name, row, seed))


def run_table(config: RunTableConfig) -> None:
    """Run what is missing, then render the tables. Raises `InputError` naming the runs that failed, once the others have ended."""
    if not config.table:
        raise InputError(f"expected a table: python experiments/run.py one of {', '.join(TABLES)}")
    if not config.data_dir:
        raise InputError("--data_dir expects a folder, got ''")
    name = tables.at_scale(config.table, config.scale)
    todo = [make_job(config, row, seed) for row, seed in missing(config)]
    if not todo:
        print(f"{name}: nothing is missing", flush=True)
    else:
        print(f"{name}: {len(todo)} runs are missing, each about {TABLES[name].hours:g} hours on two CPU cores", flush=True)
    failed = _launch(todo, config) if todo else []
    from experiments import report

    report.render()
    if failed:
        raise InputError(f"{len(failed)} of {len(todo)} runs failed ({'; '.join(failed)}): mend it and run the same command again")


def _launch(todo: list[launchers.Job], config: RunTableConfig) -> list[str]:
    done = functools.partial(keep, data_dir=config.data_dir)
    if config.launcher == "ray":
        return launchers.run_all(todo, launchers.ray_cluster(config.cpus, config.gpus), done, config.jobs or len(todo))
    return launchers.run_all(todo, launchers.local(show_names=(config.jobs or 1) > 1), done, config.jobs or 1)


def keep(result: str, metrics: str, path: pathlib.Path, data_dir: str = "data") -> None:
    """Put a finished run's result, with its epochs' records, where results are committed: whole or not at all.

    Data and word vectors below `data_dir` are named as below the default folder: a command that others can type, whoever ran it.
    """
    found = json.loads(result)
    found["flags"] |= {name: _below_default(found["flags"][name], data_dir) for name in row_flags.DATA if name in found["flags"]}
    for start in (found, *found.get("starts", [])):
        start["command"] = shlex.join(_argument(argument, data_dir) for argument in shlex.split(start["command"]))
    path.parent.mkdir(parents=True, exist_ok=True)
    records = [json.loads(line) for line in metrics.splitlines()]
    atomic_write(path, json.dumps({**found, "records": records}, indent=1) + "\n")


def _argument(argument: str, data_dir: str) -> str:
    name, equals, value = argument.partition("=")
    return f"{name}={_below_default(value, data_dir)}" if equals and name.removeprefix("--") in row_flags.DATA else argument


def _below_default(path: str, data_dir: str) -> str:
    """The path below the default data folder, if it is below this one."""
    here, named = pathlib.PurePath(data_dir), pathlib.PurePath(path)
    if not path or not named.is_relative_to(here) or ".." in named.relative_to(here).parts:
        return path
    return str(RunTableConfig.data_dir / named.relative_to(here))


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")  # the runs' progress comes as it is made
    main(RunTableConfig, {}, run_table, bare=["table"])
