"""experiments/run.py: what is done is skipped, what was cut off goes on, wherever the runs are started. The trainer is a stand-in."""

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
import stand_in_results

from common.errors import InputError
from experiments import launchers, read_results
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
import fcntl, json, pathlib, sys, time
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
(folder / "result.json").write_text(json.dumps({"seed": flags["seed"], "flags": flags, "command": "python trainer.py"}))
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
run.run_table(run.RunTableConfig(table="numbers11", runs_dir=str(here / "runs")))
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
    (tmp_path / "stand_in" / "defaults.json").write_text(json.dumps(dataclasses.asdict(values["StandInConfig"]())))
    return tmp_path


@pytest.fixture
def own_tables(own_task, monkeypatch):
    """A table of that task, and nowhere to render to."""
    monkeypatch.syspath_prepend(own_task)
    for name in ("stand_in", "stand_in.presets"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(experiments, "ROOT", own_task)
    monkeypatch.setattr(read_results, "RESULTS", own_task / "results")
    monkeypatch.setattr("experiments.report.render", lambda: None)
    rows = {"a": Row("a", {}), "b": Row("b", {"fail": True}), "c": Row("c", {})}
    monkeypatch.setitem(TABLES, "numbers11", Table("t", "stand_in", (), rows, script="trainer.py", seeds=1))
    return own_task


def config(folder, **kwargs):
    return experiments.RunTableConfig(table="numbers11", runs_dir=str(folder / "runs"), **kwargs)


def test_what_is_done_is_not_run_again(tmp_path, monkeypatch):
    monkeypatch.setattr(read_results, "RESULTS", tmp_path)
    only = experiments.RunTableConfig(table="numbers11", rows=["lstm"], seeds=3)
    stand_in_results.write(tmp_path, "numbers11", "lstm", 1)
    assert experiments.missing(only) == [("lstm", 0), ("lstm", 2)]
    shards = [experiments.missing(experiments.RunTableConfig(table="numbers11", shard=f"{i}/2")) for i in (0, 1)]
    assert sorted(shards[0] + shards[1]) == sorted(experiments.missing(experiments.RunTableConfig(table="numbers11")))
    assert ("jump_lstm", 0) not in experiments.missing(experiments.RunTableConfig(table="imdb"))
    with pytest.raises(InputError, match="--rows expects some of"):
        experiments.missing(experiments.RunTableConfig(table="numbers11", rows=["nonsense"]))
    with pytest.raises(InputError, match="--shard expects i/n"):
        experiments.missing(experiments.RunTableConfig(table="numbers11", shard="2/2"))


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_run_that_fails_does_not_stop_the_others(own_tables, jobs, capfd):
    with pytest.raises(InputError, match="1 of 3 runs failed .numbers11 b seed 0: status 2."):
        experiments.run_table(config(own_tables, jobs=jobs))
    found = sorted(path.name for path in (own_tables / "results" / "numbers11").iterdir())
    assert found == ["a-seed0.json", "c-seed0.json"]
    assert json.loads((own_tables / "results" / "numbers11" / found[0]).read_text())["records"] == [{"epoch": i} for i in (1, 2, 3)]
    assert "3 of 3 runs have ended" in capfd.readouterr().out


@pytest.mark.parametrize("data_dir", ["/my/own data", "/my/own data/", "/", "."])
def test_data_is_named_as_a_reader_finds_it(tmp_path, data_dir):
    """Data and word vectors alone: not the folder of the run, nor a file that lies elsewhere."""
    here = pathlib.Path(data_dir)
    others = {"n": 1, "run_dir": str(here / "runs"), "load_model": str(here / "model")}
    flags = {"data_dir": str(here / "ptb"), "vectors": str(here / "v"), **others}
    command = shlex.join(["python", "x.py", *(f"--{name}={value}" for name, value in flags.items())])
    result = {"flags": flags, "command": command, "starts": [{"command": command}]}
    experiments.keep(json.dumps(result), '{"epoch": 1}\n', tmp_path / "a" / "b.json", data_dir)
    kept = json.loads((tmp_path / "a" / "b.json").read_text())
    assert kept["flags"] == {"data_dir": "data/ptb", "vectors": "data/v", **others} and kept["records"] == [{"epoch": 1}]
    for start in (kept, *kept["starts"]):
        assert shlex.split(start["command"])[2:] == [f"--{name}={value}" for name, value in kept["flags"].items()]
    elsewhere = {"flags": {"data_dir": "", "vectors": "../v"}, "command": "python x.py --data_dir= --vectors=../v"}
    experiments.keep(json.dumps(elsewhere), "", tmp_path / "c.json", data_dir)
    assert json.loads((tmp_path / "c.json").read_text()) == elsewhere | {"records": []}


def test_a_data_folder_without_a_name_is_refused(own_tables):
    with pytest.raises(InputError, match="--data_dir expects a folder, got ''"):
        experiments.run_table(config(own_tables, data_dir=""))


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_killed_in_mid_run_and_started_again(own_task, root, how):
    """After SIGKILL the run goes on without the program that started it."""
    tmp_path = own_task
    (tmp_path / "driver.py").write_text(DRIVER.format(root=str(root), here=str(tmp_path)))
    process = subprocess.Popen(
        [sys.executable, tmp_path / "driver.py"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a suite in the background ignores it, and so would this
    )
    cut_off = tmp_path / "runs" / "numbers11" / "b-seed0" / "metrics.jsonl"
    while not (cut_off.exists() and cut_off.read_text()):
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, how)
    assert process.wait() != 0
    done = tmp_path / "results" / "numbers11" / "a-seed0.json"
    before, first_lines = done.stat().st_mtime_ns, cut_off.read_text()
    assert [path.name for path in done.parent.iterdir()] == ["a-seed0.json"] and first_lines.count("\n") < 3

    again = subprocess.run([sys.executable, tmp_path / "driver.py"], capture_output=True, text=True, check=True)
    assert "3 runs are missing" in again.stdout and again.stdout.endswith("rendered\n")
    assert sorted(path.stem for path in done.parent.iterdir()) == ["a-seed0", "a-seed1", "b-seed0", "b-seed1"]
    assert done.stat().st_mtime_ns == before
    assert cut_off.read_text() == first_lines + "".join(f'{{"epoch": {i}}}\n' for i in range(first_lines.count("\n") + 1, 4))


def test_a_run_that_outlived_its_starter_is_waited_for(own_tables, capsys):
    folder = own_tables / "runs" / "numbers11" / "a-seed0"
    folder.mkdir(parents=True)
    hold = "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.lockf(f, fcntl.LOCK_EX); print(flush=True); sys.stdin.read()"
    other = subprocess.Popen([sys.executable, "-c", hold, folder / ".lock"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    other.stdout.readline()
    threading.Timer(0.3, other.stdin.close).start()
    experiments.run_table(config(own_tables, rows=["a"]))
    assert other.wait() == 0 and "another process runs in" in capsys.readouterr().out
    assert (own_tables / "results" / "numbers11" / "a-seed0.json").exists()


def test_two_that_start_one_run_at_once(own_tables):
    """The second waits and finds the run finished."""
    jobs = [experiments.make_job(config(own_tables), "a", 0)] * 2
    jobs = [job._replace(command=[*job.command, "--seconds=0.2"]) for job in jobs]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        outcomes = list(pool.map(lambda job: launchers.local()(job), jobs))
    assert outcomes[0] == outcomes[1] and outcomes[0].status == 0 and outcomes[0].metrics.count("\n") == 3


@pytest.mark.parametrize(("error", "in_use"), [(errno.EAGAIN, True), (errno.EACCES, True), (errno.ENOLCK, False), (errno.EINVAL, False)])
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
try:
    from common.config import Terminated
    from common.config.entrypoint import sigterm_raises
    with sigterm_raises():
        pathlib.Path(sys.argv[1], "runs").touch()
        time.sleep(60)
except Terminated:
    time.sleep(0.5)
    pathlib.Path(sys.argv[1], "saved").touch()
"""


# A worker of Ray, which is interrupted from a thread of its own: no signal ends a call to the system.
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
launchers._run_there(launchers.Job("a", ["python", "-c", {saves!r}, {here!r}], run_dir, run_dir), {root!r})
"""


def test_a_worker_that_is_interrupted_waits_for_its_run_to_save(tmp_path, root):
    worker = WORKER.format(root=str(root), here=str(tmp_path), saves=SAVES)
    take_interrupts = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.default_int_handler)}
    done = subprocess.run([sys.executable, "-c", worker], stderr=subprocess.PIPE, text=True, timeout=50, **take_interrupts)
    assert done.stderr.endswith("KeyboardInterrupt\n") and (tmp_path / "saved").exists()


def test_ray_is_named_where_it_is_missing(own_tables, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match="--launcher ray needs Ray: pip install"):
        experiments.run_table(config(own_tables, launcher="ray"))


def test_on_a_ray_cluster_of_two_workers(own_tables, monkeypatch):
    pytest.importorskip("ray", reason="Ray, an optional extra, is not installed")
    import ray
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setitem(TABLES["numbers11"].rows, "b", Row("b", {}))
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        for _ in range(2):
            cluster.add_node(num_cpus=1)
        ray.init(address=cluster.address, runtime_env={"env_vars": {"PYTHONPATH": str(launchers.ROOT)}})
        experiments.run_table(config(own_tables, launcher="ray", cpus=1))
    finally:
        ray.shutdown()
        cluster.shutdown()
    results = [json.loads(path.read_text()) for path in sorted(pathlib.Path(own_tables, "results", "numbers11").iterdir())]
    assert [result["seed"] for result in results] == [0, 0, 0] and all(len(result["records"]) == 3 for result in results)
