"""Runs tables.

    python experiments/run.py numbers11 --seeds 3

Finished runs are skipped, interrupted ones are resumed. Each finished run leaves a file in
experiments/results/, and the tables are rendered. Without a table, lists all and runs nothing.
"""

import dataclasses
import functools
import json
import os
import pathlib
import re
import shlex
import sys
from collections.abc import Mapping

# A plain checkout is not installed: let the script find `common` from any directory.
ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from common.config import main, setting  # noqa: E402
from common.config.flags import hint  # noqa: E402
from common.errors import InputError  # noqa: E402
from common.files import atomic_write  # noqa: E402
from experiments import (  # noqa: E402
    data_check,
    launchers,
    read_results,
    row_flags,
    selection,
    status,
    tables,
)
from experiments.tables import TABLES  # noqa: E402


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunTableConfig:
    """Run what is missing of tables; without a table, list the state of each."""

    table: str = setting("", f"which tables, of {', '.join(TABLES)} (none: list them all)")
    scale: str = setting(
        "full", "small: the table's reduced scale, if it has one", choices=("full", "small")
    )
    rows: list[str] = setting([], "rows to run (empty: all)")
    seeds: int | None = setting(
        None, "runs of each row, seeds 0, 1, ... (none: as many as the table asks for)", minimum=1
    )
    jobs: int | None = setting(
        None,
        "runs at a time (none: one on this machine, on a Ray cluster as many as fit)",
        minimum=1,
    )
    data_dir: str = setting(
        "data", "folder that holds ptb/, python/, conll2003/, sst/, imdb/, embeddings/", path=True
    )
    vectors: str = setting(
        "",
        "word vectors instead of the table's file below --data_dir (none: random ones)",
        path=True,
    )
    runs_dir: str = setting("runs/experiments", "folder for the folders of the runs", path=True)
    shard: str = setting("0/1", "i/n: only every n-th run, from the i-th on")
    nice: int = setting(
        10,
        "niceness of runs on this machine; 19 gives way to all other processes",
        minimum=0,
        maximum=19,
    )
    launcher: str = setting(
        "local",
        "where runs are started: on this machine, or on a Ray cluster",
        choices=("local", "ray"),
    )
    cpus: int = setting(2, "with --launcher ray: cores of a run", minimum=1)
    gpus: int = setting(0, "with --launcher ray: GPUs of a run", minimum=0)


_OF_RUNS = ("rows", "scale", "shard", "jobs", "launcher")  # what the list of tables does not read


def chosen(config: RunTableConfig) -> list[RunTableConfig]:
    """The config of each table that is asked for, at its scale.

    Raises `InputError` for an unknown table.
    """
    names = [name for name in re.split(r"[\s,]+", config.table) if name]
    for name in names:
        if name not in TABLES:
            raise InputError(
                f"--table expects one of {', '.join(TABLES)}; got {name!r}{hint(name, TABLES)}"
            )
    if names and config.vectors and not any(TABLES[name].vectors for name in names):
        raise InputError(f"--vectors has no effect on {', '.join(names)}: leave it out")
    return [
        dataclasses.replace(config, table=tables.at_scale(name, config.scale), scale="full")
        for name in names
    ]


def missing(config: RunTableConfig) -> list[tuple[str, int]]:
    """The rows and seeds of one table, in the config's shard, that lack a result of their flags."""
    name = tables.at_scale(config.table, config.scale)
    rows = selection.rows(name)
    for row in config.rows:
        if row not in rows:
            raise InputError(f"--rows expects some of {', '.join(rows)}; got {row!r}")
    shard, n_shards = _shard(config.shard)
    seeds = {row: config.seeds or selection.seeds_of(name, row) for row in config.rows or rows}
    pairs = [
        (row, seed) for seed in range(max(seeds.values())) for row in seeds if seed < seeds[row]
    ]
    return [
        pair
        for pair in pairs[shard::n_shards]
        if not read_results.is_done(name, *pair, config.vectors)
    ]


def _shard(text: str) -> tuple[int, int]:
    try:
        shard, n_shards = map(int, text.split("/"))
        if not 0 <= shard < n_shards:
            raise ValueError
    except ValueError:
        raise InputError(f"--shard expects i/n with 0 <= i < n, got {text!r}") from None
    return shard, n_shards


def make_job(config: RunTableConfig, row: str, seed: int) -> launchers.Job:
    """One run of the config's table, in the folder of the row that it belongs to."""
    name, row = tables.source(tables.at_scale(config.table, config.scale), row)
    run_dir = _run_dir(config.runs_dir, name, row, seed)
    script, *arguments = row_flags.command(
        TABLES[name], TABLES[name].rows[row], seed, run_dir, config.data_dir, config.vectors
    )
    command = [sys.executable, str(ROOT / script), *arguments]
    return launchers.Job(
        f"{name} {row} seed {seed}", command, run_dir, read_results.result_path(name, row, seed)
    )


def _run_dir(runs_dir: str, table: str, row: str, seed: int) -> pathlib.Path:
    table, row = tables.source(table, row)
    return pathlib.Path(runs_dir, table, f"{row}-seed{seed}")


def run_tables(config: RunTableConfig) -> None:
    """Run what is missing of the tables, print and render them; without a table, list all.

    Raises `InputError` before the first run if data are missing, and in the end, with their names,
    if runs failed.
    """
    for name in ("data_dir", "runs_dir"):
        if not getattr(config, name):
            raise InputError(f"--{name} expects a folder, got ''")
    for name in ("cpus", "gpus"):
        if config.launcher != "ray" and getattr(config, name) != getattr(RunTableConfig, name):
            raise InputError(f"--{name} has no effect without --launcher ray: leave it out")
    asked = chosen(config)
    if not asked:
        for name in _OF_RUNS:
            if getattr(config, name) != getattr(RunTableConfig, name, []):
                raise InputError(
                    f"--{name} expects a table beside it: python experiments/run.py TABLE"
                    f" --{name} ..."
                )
        print(
            status.overview(
                config.seeds, config.vectors, functools.partial(_run_dir, config.runs_dir)
            ),
            flush=True,
        )
        return
    todo = _todo(asked)
    failed = _launch(todo, config) if todo else []
    from experiments import report

    for one in asked:
        print(f"\n{status.table(one.table)}", flush=True)
    report.render()
    if failed:
        raise InputError(
            f"{len(failed)} of {len(todo)} runs failed ({'; '.join(failed)}): "
            "mend it and run the same command again"
        )


def _todo(asked: list[RunTableConfig]) -> list[launchers.Job]:
    """The missing runs of tables, each once; those that another process works on come last.

    Raises `InputError` if data are missing.
    """
    todo: dict[pathlib.Path, launchers.Job] = {}
    incomplete = []
    for one in asked:
        jobs = [make_job(one, row, seed) for row, seed in missing(one)]
        todo |= {job.result_path: job for job in jobs}
        if not jobs:
            print(f"{one.table}: nothing is missing", flush=True)
            continue
        incomplete.append(one.table)
        running = sum(launchers.is_running(job.run_dir) for job in jobs)
        elsewhere = f" ({running} of them: running already)" if running else ""
        print(f"{one.table}: {len(jobs)} runs are missing{elsewhere}", flush=True)
    config = asked[0]
    lines = (
        data_check.missing(incomplete, config.data_dir, config.vectors)
        if config.launcher == "local"
        else []
    )
    if lines:
        print("\n".join(lines), file=sys.stderr, flush=True)
        raise InputError(
            f"data are missing, named above ({len(lines)}): put them there, "
            "or name another --data_dir"
        )
    return sorted(todo.values(), key=lambda job: launchers.is_running(job.run_dir))


def _launch(todo: list[launchers.Job], config: RunTableConfig) -> list[str]:
    done = functools.partial(keep, data_dir=config.data_dir, runs_dir=config.runs_dir)
    if config.launcher == "ray":
        return launchers.run_all(
            todo, launchers.ray_cluster(config.cpus, config.gpus), done, config.jobs or len(todo)
        )
    return launchers.run_all(
        todo, launchers.local((config.jobs or 1) > 1, config.nice), done, config.jobs or 1
    )


def keep(
    result: str,
    metrics: str,
    path: pathlib.Path,
    data_dir: str = RunTableConfig.data_dir,
    runs_dir: str = RunTableConfig.runs_dir,
) -> None:
    """Store a finished run's result, with its epochs' records, where results are committed.

    Written atomically. Data and word vectors below `data_dir`, and the run below `runs_dir`, are
    stored as paths below the default folders, so that others can type the command.
    """
    places = {
        **dict.fromkeys(row_flags.DATA, (data_dir, RunTableConfig.data_dir)),
        "run_dir": (runs_dir, RunTableConfig.runs_dir),
    }
    found = json.loads(result)
    found["flags"] |= {
        name: _moved(found["flags"][name], *places[name])
        for name in places
        if name in found["flags"]
    }
    for start in (found, *found.get("starts", [])):
        start["command"] = shlex.join(
            _argument(argument, places) for argument in shlex.split(start["command"])
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    records = [json.loads(line) for line in metrics.splitlines()]
    atomic_write(path, json.dumps({**found, "records": records}, indent=1) + "\n")


def _argument(argument: str, places: Mapping[str, tuple[str, str]]) -> str:
    name, equals, value = argument.partition("=")
    place = places.get(name.removeprefix("--"))
    return f"{name}={_moved(value, *place)}" if equals and place else argument


def _moved(path: str, here: str, default: str) -> str:
    """A path below `here` as one below the default folder; other paths unchanged."""
    folder, named = pathlib.PurePath(here), pathlib.PurePath(path)
    if not path or not named.is_relative_to(folder) or ".." in named.relative_to(folder).parts:
        return path
    return str(pathlib.PurePath(default, named.relative_to(folder)))


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")  # the runs' progress comes as it is made
    main(RunTableConfig, {}, run_tables, bare=["table..."])
