"""experiments/run.py: what is done is skipped, what was cut off goes on, wherever the runs are
started. The trainer is a stand-in.
"""

import concurrent.futures
import dataclasses
import errno
import json
import os
import pathlib
import shlex
import signal
import subprocess
import sys
import threading
import time

import pytest
from helpers import stand_in_results

from common.errors import InputError
from experiments import data_check, launchers, read_results, row_flags, status
from experiments import run as experiments
from experiments.tables import TABLES, Row, Table

# A task of its own. Its trainer counts to three and goes on from where it was cut off.
PRESETS = """
import dataclasses
from common.config import RunConfig

@dataclasses.dataclass(frozen=True, kw_only=True)
class StandInConfig(RunConfig):
    task = "stand_in"
    fail: bool = False
    seconds: float = 0.0

PRESETS = {"paper": {}}
"""
TRAINER = """
import fcntl, json, os, pathlib, shlex, sys, time
flags = json.loads(pathlib.Path(__file__).with_name("defaults.json").read_text())
for argument in sys.argv[1:]:
    name, value = argument.removeprefix("--").split("=", 1)
    flags[name] = value if isinstance(flags[name], str) else json.loads(value.lower())
folder = pathlib.Path(flags["run_dir"])
folder.mkdir(parents=True, exist_ok=True)
if flags["fail"]:
    sys.exit(2)
lock = open(folder / ".lock", "w")
fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # as a run's folder is held
with open(folder / "metrics.jsonl", "a+") as file:
    file.seek(0)
    for epoch in range(len(file.readlines()) + 1, 4):
        time.sleep(flags["seconds"])
        print(json.dumps({"epoch": epoch}), file=file, flush=True)
command = shlex.join(["python", "trainer.py", "--run_dir=" + flags["run_dir"]])
result = {"seed": flags["seed"], "flags": flags, "command": command, "n_weights": 3}
result |= {"seconds_per_epoch": 1.0, "wall_seconds": 60.0}
result |= {"hardware": {"cores": 1, "processor": "a processor"}}
(folder / "result.json").write_text(json.dumps(result))
"""

# run.py with tables, results and reports of the test's own.
DRIVER = """
import pathlib, sys
sys.path[:0] = [{root!r}, {here!r}]
from experiments import read_results, report, run, tables
here = pathlib.Path({here!r})
run.ROOT, read_results.RESULTS, report.render = here, here / "results", lambda: print("rendered")
rows = {{"a": tables.Row("a", {{}}), "b": tables.Row("b", {{"seconds": 0.4}})}}
tables.TABLES["numbers11"] = tables.Table("t", "stand_in", (), rows, script="trainer.py", seeds=2)
run.run_tables(run.RunTableConfig(table="numbers11", runs_dir=str(here / "runs")))
"""


@pytest.fixture
def own_task(tmp_path):
    """A folder with the task above."""
    for name, text in (("presets.py", PRESETS), ("trainer.py", TRAINER)):
        path = tmp_path / "stand_in" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    values: dict = {}
    exec(PRESETS, values)
    (tmp_path / "stand_in" / "defaults.json").write_text(
        json.dumps(dataclasses.asdict(values["StandInConfig"]()))
    )
    return tmp_path


@pytest.fixture
def own_tables(own_task, monkeypatch):
    """A table of that task, and nowhere to render to. A test may change the other tables."""
    before = dict(TABLES)
    monkeypatch.syspath_prepend(own_task)
    for name in ("stand_in", "stand_in.presets"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(experiments, "ROOT", own_task)
    monkeypatch.setattr(read_results, "RESULTS", own_task / "results")
    monkeypatch.setattr("experiments.report.render", lambda: None)
    rows = {"a": Row("a", {}), "b": Row("b", {"fail": True}), "c": Row("c", {})}
    TABLES["numbers11"] = Table("t", "stand_in", (), rows, script="trainer.py", seeds=1)
    yield own_task
    TABLES.clear()
    TABLES.update(before)  # in their order


def config(folder, **kwargs):
    return experiments.RunTableConfig(table="numbers11", runs_dir=str(folder / "runs"), **kwargs)


def test_what_is_done_is_not_run_again(tmp_path, monkeypatch):
    monkeypatch.setattr(read_results, "RESULTS", tmp_path)
    only = experiments.RunTableConfig(table="numbers11", rows=["lstm"], seeds=3)
    stand_in_results.write(tmp_path, "numbers11", "lstm", 1)
    assert experiments.missing(only) == [("lstm", 0), ("lstm", 2)]
    shards = [
        experiments.missing(experiments.RunTableConfig(table="numbers11", shard=f"{i}/2"))
        for i in (0, 1)
    ]
    assert sorted(shards[0] + shards[1]) == sorted(
        experiments.missing(experiments.RunTableConfig(table="numbers11"))
    )
    assert ("cba", 0) not in experiments.missing(experiments.RunTableConfig(table="imdb"))
    with pytest.raises(InputError, match="--rows expects some of"):
        experiments.missing(experiments.RunTableConfig(table="numbers11", rows=["nonsense"]))
    with pytest.raises(InputError, match="--shard expects i/n"):
        experiments.missing(experiments.RunTableConfig(table="numbers11", shard="2/2"))


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_run_that_fails_does_not_stop_the_others(own_tables, jobs, capfd):
    with pytest.raises(InputError, match="1 of 3 runs failed .numbers11 b seed 0: status 2."):
        experiments.run_tables(config(own_tables, jobs=jobs))
    found = sorted(path.name for path in (own_tables / "results" / "numbers11").iterdir())
    assert found == ["a-seed0.json", "c-seed0.json"]
    assert json.loads((own_tables / "results" / "numbers11" / found[0]).read_text())["records"] == [
        {"epoch": i} for i in (1, 2, 3)
    ]
    assert "3 of 3 runs have ended" in capfd.readouterr().out


@pytest.mark.parametrize("data_dir", ["/my/own data", "/my/own data/", "/", "."])
def test_data_is_named_as_a_reader_finds_it(tmp_path, data_dir):
    """Data and word vectors alone: not a folder of runs that was not named, nor a file that lies
    elsewhere.
    """
    here = pathlib.Path(data_dir)
    others = {"n": 1, "run_dir": str(here / "runs"), "load_model": str(here / "model")}
    flags = {"data_dir": str(here / "ptb"), "vectors": str(here / "v"), **others}
    command = shlex.join(
        ["python", "x.py", *(f"--{name}={value}" for name, value in flags.items())]
    )
    result = {"flags": flags, "command": command, "starts": [{"command": command}]}
    experiments.keep(json.dumps(result), '{"epoch": 1}\n', tmp_path / "a" / "b.json", data_dir)
    kept = json.loads((tmp_path / "a" / "b.json").read_text())
    assert kept["flags"] == {"data_dir": "data/ptb", "vectors": "data/v", **others} and kept[
        "records"
    ] == [{"epoch": 1}]
    for start in (kept, *kept["starts"]):
        assert shlex.split(start["command"])[2:] == [
            f"--{name}={value}" for name, value in kept["flags"].items()
        ]
    elsewhere = {
        "flags": {"data_dir": "", "vectors": "../v"},
        "command": "python x.py --data_dir= --vectors=../v",
    }
    experiments.keep(json.dumps(elsewhere), "", tmp_path / "c.json", data_dir)
    assert json.loads((tmp_path / "c.json").read_text()) == elsewhere | {"records": []}


@pytest.mark.parametrize("name", ["data_dir", "runs_dir"])
def test_a_folder_without_a_name_is_refused(own_tables, name):
    with pytest.raises(InputError, match=f"--{name} expects a folder, got ''"):
        experiments.run_tables(dataclasses.replace(config(own_tables), **{name: ""}))


@pytest.mark.parametrize("runs_dir", ["runs", "{}/runs", "../elsewhere"])
def test_no_folder_of_this_machine_enters_a_result(own_tables, monkeypatch, runs_dir):
    (own_tables / "here").mkdir()
    monkeypatch.chdir(own_tables / "here")
    given = []
    monkeypatch.setattr(launchers, "_give_way", lambda pid, nice: given.append(nice))
    runs_dir = runs_dir.format(own_tables)
    experiments.run_tables(dataclasses.replace(config(own_tables, rows=["a"]), runs_dir=runs_dir))
    assert pathlib.Path(runs_dir, "numbers11", "a-seed0", "result.json").exists()
    text = (own_tables / "results" / "numbers11" / "a-seed0.json").read_text()
    assert str(own_tables) not in text and given == [10]  # --nice
    assert json.loads(text)["flags"]["run_dir"] == "runs/experiments/numbers11/a-seed0"
    assert (
        json.loads(text)["command"]
        == "python trainer.py --run_dir=runs/experiments/numbers11/a-seed0"
    )


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_killed_in_mid_run_and_started_again(own_task, root, how):
    """After SIGKILL the run goes on without the program that started it."""
    tmp_path = own_task
    (tmp_path / "driver.py").write_text(DRIVER.format(root=str(root), here=str(tmp_path)))
    process = subprocess.Popen(
        [sys.executable, tmp_path / "driver.py"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # a suite in the background ignores it, and so would this
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    cut_off = tmp_path / "runs" / "numbers11" / "b-seed0" / "metrics.jsonl"
    while not (cut_off.exists() and cut_off.read_text()):
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, how)
    assert process.wait() != 0
    done = tmp_path / "results" / "numbers11" / "a-seed0.json"
    before, first_lines = done.stat().st_mtime_ns, cut_off.read_text()
    assert [path.name for path in done.parent.iterdir()] == ["a-seed0.json"] and first_lines.count(
        "\n"
    ) < 3

    again = subprocess.run(
        [sys.executable, tmp_path / "driver.py"], capture_output=True, text=True, check=True
    )
    assert "3 runs are missing" in again.stdout and again.stdout.endswith("rendered\n")
    assert sorted(path.stem for path in done.parent.iterdir()) == [
        "a-seed0",
        "a-seed1",
        "b-seed0",
        "b-seed1",
    ]
    assert done.stat().st_mtime_ns == before
    assert cut_off.read_text() == first_lines + "".join(
        f'{{"epoch": {i}}}\n' for i in range(first_lines.count("\n") + 1, 4)
    )


def hold(path, lock="lockf"):
    """Another process that has a lock, until its input is closed: `lockf` as a trainer, `flock` as
    a launcher.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    code = (
        f"import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.{lock}(f, fcntl.LOCK_EX);"
        " print(flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    other.stdout.readline()
    other.stdout.close()
    return other


def test_a_run_that_outlived_its_starter_is_waited_for(own_tables, capsys):
    other = hold(own_tables / "runs" / "numbers11" / "a-seed0" / ".lock")
    threading.Timer(0.3, other.stdin.close).start()
    experiments.run_tables(config(own_tables, rows=["a"]))
    assert other.wait() == 0 and "another process runs in" in capsys.readouterr().out
    assert (own_tables / "results" / "numbers11" / "a-seed0.json").exists()


@pytest.mark.parametrize(("file", "lock"), [("b-seed0/.lock", "lockf"), (".b-seed0.lock", "flock")])
def test_every_table_is_listed(own_tables, capsys, monkeypatch, file, lock):
    """a is done, in two hours on this kind of machine; b runs, and has half an hour behind it; c
    was made with other flags.
    """
    for name in set(TABLES) - {"numbers11"}:
        del TABLES[name]
    TABLES["recall"] = Table("t", "stand_in", (), {"d": Row("d", {}, of="numbers11/c")}, seeds=1)
    monkeypatch.setattr(status, "hardware", lambda: stand_in_results.ONE_CORE | {"cores": 2})
    monkeypatch.setattr(experiments, "_launch", None)
    results = own_tables / "results"
    results.mkdir()
    stand_in_results.write(results, "numbers11", "a", 0, wall_seconds=7200.0)
    stand_in_results.write(results, "numbers11", "c", 0, {"seconds": 7.0}, wall_seconds=1.0)
    other = hold(own_tables / "runs" / "numbers11" / file, lock)
    (own_tables / "runs" / "numbers11" / "b-seed0").mkdir(exist_ok=True)
    metrics = own_tables / "runs" / "numbers11" / "b-seed0" / "metrics.jsonl"
    metrics.write_text('{"seconds": 1000.0}\n{"seconds": 800.0}\n{"seco')
    stale = own_tables / "runs" / "numbers11" / "c-seed0"  # its epochs are those of other flags
    stale.mkdir()
    (stale / "metrics.jsonl").write_text('{"seconds": 3600.0}\n')
    listed = dataclasses.replace(config(own_tables), table="")
    experiments.run_tables(listed)
    lines = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines()}
    assert lines["table"] == ["done", "running", "stale", "missing", "hours", "left"]
    assert lines["numbers11"] == ["1", "1", "1", "0", "3.5"] and lines["recall"] == [
        "0",
        "0",
        "1",
        "0",
        "2.0",
    ]
    assert lines["all"] == ["1", "1", "1", "0", "3.5"]  # recall's run is one of numbers11
    other.stdin.close()
    other.wait()
    metrics.write_text('{"seconds"\n{"seconds": 800.0}\n')
    with pytest.raises(InputError, match="b-seed0/metrics.jsonl, line 1: expected a JSON object"):
        experiments.run_tables(listed)
    metrics.unlink()
    # then by the table
    monkeypatch.setattr(
        status, "hardware", lambda: stand_in_results.ONE_CORE | {"processor": "another"}
    )
    experiments.run_tables(listed)
    lines = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines()}
    assert lines["numbers11"] == ["1", "0", "1", "1", "0.2"]
    for flags in ({"rows": ["a"]}, {"scale": "small"}, {"shard": "0/2"}, {"jobs": 2}):
        with pytest.raises(InputError, match=f"--{[*flags][0]} expects a table beside it"):
            experiments.run_tables(dataclasses.replace(listed, **flags))
    with pytest.raises(InputError, match="--cpus has no effect without --launcher ray"):
        experiments.run_tables(dataclasses.replace(listed, table="numbers11", cpus=4))


def test_runs_of_others_are_listed_without_their_locks(tmp_path, monkeypatch):
    """In a folder that can only be read."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".lock").touch()
    launchers._launcher_lock(tmp_path / "run").touch()
    monkeypatch.setattr(launchers.os, "access", lambda path, mode: mode == os.R_OK)
    modes, of_python = [], open

    def opened(path, mode):
        modes.append(mode)
        return of_python(path, mode)

    monkeypatch.setattr(launchers, "open", opened, raising=False)
    assert not launchers.is_running(tmp_path / "run") and modes == ["rb"]


def test_hours_prefer_runs_with_as_many_cores(own_tables, monkeypatch):
    results = own_tables / "results"
    results.mkdir()
    for seed, (cores, seconds) in enumerate([(2, 3600.0), (2, 10800.0), (1, 36000.0), (2, 7200.0)]):
        hardware = stand_in_results.ONE_CORE | {"cores": cores}
        stand_in_results.write(
            results, "numbers11", "a", seed, wall_seconds=seconds, hardware=hardware
        )
    assert status.hours("numbers11", "a", stand_in_results.ONE_CORE | {"cores": 2}) == 2.0
    assert status.hours("numbers11", "c", stand_in_results.ONE_CORE) == 10.0  # of the table
    on_gpu = stand_in_results.ONE_CORE | {"gpus": ["a GPU"]}
    stand_in_results.write(results, "numbers11", "c", 0, wall_seconds=1.0, hardware=on_gpu)
    assert status.hours("numbers11", "c", stand_in_results.ONE_CORE) == 10.0


def test_several_tables_in_one_command(own_tables, monkeypatch, capsys):
    """What another process runs comes last, a run of two tables is made once, and the tables are
    shown.
    """
    rows = {"a": Row("a", {}, of="numbers11/a"), "d": Row("d's label", {})}
    metrics = (("seed", "the seed", 2, 1.0),)
    TABLES["recall"] = Table("Recall", "stand_in", metrics, rows, script="trainer.py", seeds=1)
    monkeypatch.delitem(TABLES["numbers11"].rows, "b")
    other = hold(own_tables / "runs" / "numbers11" / "a-seed0" / ".lock")
    # as two words of a command line come
    asked = dataclasses.replace(config(own_tables), table="numbers11\nrecall")
    todo = experiments._todo(experiments.chosen(asked))
    assert [job.name for job in todo] == [
        "numbers11 c seed 0",
        "recall d seed 0",
        "numbers11 a seed 0",
    ]
    assert "numbers11: 2 runs are missing (1 of them: running already)" in capsys.readouterr().out
    other.stdin.close()
    other.wait()
    experiments.run_tables(dataclasses.replace(asked, table="numbers11,recall"))
    shown = capsys.readouterr().out
    assert "3 of 3 runs have ended" in shown and "Recall" in shown and "d's label" in shown
    with pytest.raises(
        InputError, match=r"--table expects one of .*; got 'recal' .did you mean recall"
    ):
        experiments.run_tables(dataclasses.replace(asked, table="numbers11 recal"))


def test_runs_give_way_to_others(tmp_path):
    """By their own niceness, and on Linux by that of their session, which alone counts against
    other sessions.
    """
    group = pathlib.Path("/proc/self/autogroup")
    code = "import os, pathlib, sys, time; folder = pathlib.Path(sys.argv[1])\n"
    # it is given after the run has begun; how long after, depends on what else the machine does
    code += "end = time.monotonic() + 10\n"
    code += "while os.nice(0) < 7 and time.monotonic() < end: time.sleep(0.01)\n"
    code += "time.sleep(0.2)\n"
    code += "(folder / 'nice').write_text(str(os.nice(0)))\n"
    code += (
        "(folder / 'group').write_bytes(pathlib.Path('/proc/self/autogroup').read_bytes())"
        if group.exists()
        else ""
    )
    job = launchers.Job(
        "a", [sys.executable, "-c", code, str(tmp_path)], tmp_path / "run", tmp_path / "a.json"
    )
    with pytest.raises(FileNotFoundError):  # it leaves no result
        launchers.local(nice=7)(job)
    expected = max(7, os.nice(0))
    assert int((tmp_path / "nice").read_text()) == expected
    if group.exists():
        assert (tmp_path / "group").read_text().split()[-1] == str(expected)


def test_missing_data_are_named_before_the_first_run(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(read_results, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(experiments, "_launch", None)
    data = tmp_path / "data"
    (data / "conll2003").mkdir(parents=True)
    (data / "conll2003" / "eng.train").touch()
    asked = {"data_dir": str(data), "runs_dir": str(tmp_path / "runs")}
    with pytest.raises(InputError, match="data are missing, named above .3."):
        experiments.run_tables(experiments.RunTableConfig(table="ner ner_small", **asked))
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(": ")[0] for line in lines] == [
        *(str(data / "conll2003" / name) for name in ("eng.testa", "eng.testb")),
        str(data / TABLES["ner"].vectors),
    ]
    assert (
        "https://www.clips.uantwerpen.be" in lines[0]
        and "get glove.6B.100d.txt from https://" in lines[2]
    )
    assert len(data_check.missing(["ner"], str(data), "none")) == 2
    assert len(data_check.missing(["imdb", "ner"], str(data))) == 4 and not (data / "imdb").exists()
    # its reader downloads it there
    assert data_check.missing(["imdb"], str(data), "none") == [] and (data / "imdb").is_dir()
    assert [line.partition(": ")[0] for line in data_check.missing(["lm"], str(data))] == [
        str(data / "ptb" / f"ptb.{split}.txt") for split in ("train", "valid", "test")
    ]
    for names in (("simple-examples.tgz",), ("train.txt", "valid.txt", "test.txt")):
        folder = tmp_path / names[0] / "ptb"
        folder.mkdir(parents=True)
        for name in names:
            (folder / name).touch()
        assert data_check.missing(["lm", "charlm"], str(folder.parent)) == []


@pytest.mark.parametrize(
    "table", [table for table in TABLES.values() if table.data], ids=lambda table: table.title
)
def test_the_data_of_every_table_are_known(table):
    assert table.data in (*data_check.SOURCES, *data_check.DOWNLOADED)
    assert not table.vectors or pathlib.PurePath(table.vectors).name.startswith(
        tuple(data_check.VECTORS)
    )


def test_the_full_language_model_s_hours_are_measured(root):
    """From a step's time in benchmarks/results, and as many steps as an epoch of the Penn Treebank
    had.
    """
    run = root / "experiments" / "results" / "lm" / "dynamic_skip-seed0.json"
    epoch, *_ = json.loads(run.read_text())["records"]
    step = json.loads((root / "benchmarks" / "results" / "step.json").read_text())["milliseconds"]
    hours = {way: epoch["step"] * milliseconds / 3.6e6 for way, milliseconds in step.items()}
    assert (
        TABLES["lm"].hours
        == round(39 * hours["dynamic_skip, bfloat16"], 1)
        == TABLES["lm_sweep"].hours
    )
    assert (
        f"; {TABLES['lm'].hours} hours" in TABLES["lm"].note
        and f"up to {100 * hours['dynamic_skip']:.1f} hours" in TABLES["lm"].note
    )
    asked = row_flags.config(TABLES["lm"], TABLES["lm"].rows["lstm"])
    assert (asked.max_epochs, asked.decay_after, asked.mixed_precision) == (39, 6, True)


def test_two_that_start_one_run_at_once(own_tables):
    """The second waits and finds the run finished."""
    jobs = [experiments.make_job(config(own_tables), "a", 0)] * 2
    jobs = [job._replace(command=[*job.command, "--seconds=0.2"]) for job in jobs]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        outcomes = list(pool.map(lambda job: launchers.local()(job), jobs))
    assert (
        outcomes[0] == outcomes[1]
        and outcomes[0].status == 0
        and outcomes[0].metrics.count("\n") == 3
    )


@pytest.mark.parametrize(
    ("error", "in_use"),
    [(errno.EAGAIN, True), (errno.EACCES, True), (errno.ENOLCK, False), (errno.EINVAL, False)],
)
def test_where_there_are_no_locks_nobody_is_waited_for(tmp_path, monkeypatch, error, in_use):
    def refuse(*_):
        raise OSError(error, "")

    (tmp_path / ".lock").touch()
    monkeypatch.setattr(launchers.fcntl, "lockf", refuse)
    monkeypatch.setattr(launchers.fcntl, "flock", refuse)
    assert launchers._in_use(tmp_path) == in_use
    with open(tmp_path / ".lock") as lock:
        assert launchers._take(lock) != in_use


# Says that it runs, and needs a moment to save.
SAVES = """
import pathlib, sys, time
from common.config import Terminated
from common.config.entrypoint import sigterm_raises
try:
    with sigterm_raises():
        pathlib.Path(sys.argv[1], "runs").touch()
        time.sleep(60)
except Terminated:
    time.sleep(0.5)
    pathlib.Path(sys.argv[1], "saved").touch()
"""


# A worker of Ray, which is interrupted from a thread of its own: no signal ends a call to the
# system.
WORKER = """
import _thread, pathlib, sys, threading, time
sys.path.insert(0, {root!r})
from experiments import launchers

def interrupt():
    while not pathlib.Path({here!r}, "runs").exists():
        time.sleep(0.02)
    _thread.interrupt_main()

threading.Thread(target=interrupt, daemon=True).start()
run_dir = pathlib.Path({here!r}, "run")
job = launchers.Job("a", ["python", "-c", {saves!r}, {here!r}], run_dir, run_dir)
launchers._run_there(job, {root!r})
"""


def test_a_worker_that_is_interrupted_waits_for_its_run_to_save(tmp_path, root):
    worker = WORKER.format(root=str(root), here=str(tmp_path), saves=SAVES)
    take_interrupts = {
        "preexec_fn": lambda: signal.signal(signal.SIGINT, signal.default_int_handler)
    }
    done = subprocess.run(
        [sys.executable, "-c", worker], stderr=subprocess.PIPE, timeout=50, **take_interrupts
    )
    assert done.stderr.endswith(b"KeyboardInterrupt\n") and (tmp_path / "saved").exists()


def test_ray_is_named_where_it_is_missing(own_tables, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match="--launcher ray needs Ray: pip install"):
        experiments.run_tables(config(own_tables, launcher="ray"))


def test_on_a_ray_cluster_of_two_workers(own_tables, monkeypatch):
    reason = "no Ray here: make extra-ray, then python -m pytest --last-skipped"
    pytest.importorskip("ray", reason=reason)
    import ray
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setitem(TABLES["numbers11"].rows, "b", Row("b", {}))
    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}
    )
    try:
        for _ in range(2):
            cluster.add_node(num_cpus=1)
        ray.init(
            address=cluster.address, runtime_env={"env_vars": {"PYTHONPATH": str(launchers.ROOT)}}
        )
        experiments.run_tables(config(own_tables, launcher="ray", cpus=1))
    finally:
        ray.shutdown()
        cluster.shutdown()
    results = [
        json.loads(path.read_text())
        for path in sorted(pathlib.Path(own_tables, "results", "numbers11").iterdir())
    ]
    assert [result["seed"] for result in results] == [0, 0, 0] and all(
        len(result["records"]) == 3 for result in results
    )
