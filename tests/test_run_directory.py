"""common/training/run_directory.py and common/training/progress.py: one folder, one run; lines that
say how far it is.
"""

import dataclasses
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from common.config import RunConfig, from_dict, setting
from common.config.run_config import RETIRED
from common.errors import InputError
from common.files import to_json
from common.training import progress, provenance, run_directory
from common.training.progress import Progress
from common.training.provenance import command_line, git_commit
from common.training.run_directory import RunDirectory
from common.training.run_flags import load_config


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(RunConfig):
    """A task."""

    task = "Toy"
    widths: list[int] = setting([1, 2], "filter widths")
    limit: int | None = setting(None, "how many")


def flags_of(folder):
    return json.loads((folder / "flags.json").read_text())


# ------------------------------------------------------------------------------------------ opening


def test_flags_json_says_what_ran_where(tmp_path, root):
    folder = tmp_path / "a" / "run"
    RunDirectory.open(
        folder, Config(seed=3), [str(root / "Toy" / "RL_train.py"), "--seed", "3", "--data_dir=a b"]
    )
    stored = flags_of(folder)
    assert stored["task"] == "Toy" and stored["flags"] == dataclasses.asdict(Config(seed=3))
    [start] = stored["starts"]
    assert start["command"] == "python Toy/RL_train.py --seed 3 '--data_dir=a b'"
    assert set(start["versions"]) == {
        "python",
        "tensorflow",
        "keras",
        "tensorflow-probability",
        "numpy",
    }
    assert start["versions"]["numpy"] == np.__version__
    assert start["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert (
        start["hardware"]["cores"] >= 1
        and start["hardware"]["memory_gib"] > 0
        and start["hardware"]["processor"]
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", start["started_at"])


def test_commit(root):
    commit = git_commit()
    if not (root / ".git").exists() or shutil.which("git") is None:
        assert commit is None
    else:
        assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?", commit)


@pytest.mark.skipif(shutil.which("git") is None, reason="no git here: apt-get install git")
def test_a_commit_is_dirty_if_its_code_is_changed(tmp_path, monkeypatch):
    def git(*arguments):
        subprocess.run(
            ["git", "-C", tmp_path, "-c", "user.name=a", "-c", "user.email=a@b", *arguments],
            check=True,
            capture_output=True,
        )

    (tmp_path / "folder").mkdir()
    code, text = tmp_path / "folder" / "code.py", tmp_path / "README.md"
    for path in (code, text):
        path.write_text("before")
    git("init")
    git("add", ".")
    git("commit", "-m", "a")
    monkeypatch.setattr(provenance, "_ROOT", tmp_path)
    clean = git_commit()
    text.write_text("after")
    assert len(clean) == 40 and git_commit() == clean
    code.write_text("after")
    assert git_commit() == clean + "-dirty"


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_commit_is_this_checkouts_inside_a_hook_of_another(tmp_path, monkeypatch):
    """Git tells its hooks, and all that they start, of their own repository."""
    commits = []
    for name in ("here", "other"):
        git = ["git", "-C", tmp_path / name, "-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", "init", "-q", tmp_path / name], check=True, capture_output=True)
        subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", name], check=True)
        monkeypatch.setattr(provenance, "_ROOT", tmp_path / name)
        commits.append(git_commit())
    monkeypatch.setattr(provenance, "_ROOT", tmp_path / "here")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "other" / ".git" / "index"))
    assert git_commit() == commits[0] != commits[1]


def test_no_commit_outside_a_checkout(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "_ROOT", tmp_path)
    assert git_commit() is None


def test_the_same_flags_resume_and_harmless_ones_may_change(tmp_path):
    RunDirectory.open(tmp_path, Config(), ["x", "1"])
    RunDirectory.open(
        tmp_path, Config(print_every=7, checkpoint_seconds=1.0, tensorboard=False), ["x", "2"]
    )
    stored = flags_of(tmp_path)
    assert [start["command"] for start in stored["starts"]] == ["python x 1", "python x 2"]
    assert stored["flags"]["print_every"] == 7


def test_other_flags_are_named(tmp_path):
    RunDirectory.open(tmp_path, Config())
    before = (tmp_path / "flags.json").read_bytes()
    with pytest.raises(InputError) as caught:
        RunDirectory.open(tmp_path, Config(lamda=0.5, widths=[1], limit=3, print_every=1))
    assert (
        str(caught.value)
        == f"{tmp_path} belongs to other flags (--lamda was 1.0, now 0.5; --widths was [1, 2], now"
        " [1]; --limit was None, now 3): give those, or another --run_dir"
    )
    assert (tmp_path / "flags.json").read_bytes() == before


def test_an_abandoned_start_leaves_the_folder_free(tmp_path):
    directory = RunDirectory.open(tmp_path / "run", Config())
    directory.abandon()
    assert not (tmp_path / "run" / "flags.json").exists()


def test_what_a_system_leaves_in_a_folder_is_nobodys_work(tmp_path):
    left = {".DS_Store", "Thumbs.db", "desktop.ini", "._run", ".gitkeep"}
    for name in left:
        (tmp_path / name).touch()
    (tmp_path / "__MACOSX").mkdir()
    RunDirectory.open(tmp_path, Config()).abandon()
    assert {path.name for path in tmp_path.iterdir()} == {*left, "__MACOSX"}
    assert RunDirectory.open(tmp_path, Config()).result is None


def test_paths_that_lead_to_the_same_are_the_same_flags(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    RunDirectory.open("run", Config(data_dir="data/words"))
    for same in (
        "data/words/",
        "./data/words",
        "data//x/../words",
        str(tmp_path / "data/words"),
        "~/data/words",
    ):
        RunDirectory.open("run", Config(data_dir=same))
    for other in ("data", "words", ""):
        with pytest.raises(InputError, match=f"--data_dir was ~/data/words, now {other}"):
            RunDirectory.open("run", Config(data_dir=other))
    (tmp_path / "old").mkdir()  # of a version that took every path as it was typed
    stored = json.loads((tmp_path / "run" / "flags.json").read_text())
    stored["flags"]["data_dir"] = "~/data/words/"
    (tmp_path / "old" / "flags.json").write_text(json.dumps(stored))
    RunDirectory.open("old", from_dict(Config, {"data_dir": "~/data/words"}))


@pytest.mark.parametrize("what", ["a step", "an epoch"])
def test_a_begun_run_is_not_abandoned(what, tmp_path):
    directory = RunDirectory.open(tmp_path / "run", Config())
    if what == "a step":
        directory.begun = True
    else:
        directory.log_epoch({"epoch": 1})
    directory.abandon()
    assert (tmp_path / "run" / "flags.json").exists()


def test_max_epochs_must_be_equal(tmp_path):
    RunDirectory.open(tmp_path, Config(max_epochs=2))
    with pytest.raises(InputError, match="--max_epochs was 2, now 3"):
        RunDirectory.open(tmp_path, Config(max_epochs=3))


def test_another_task(tmp_path):
    RunDirectory.open(tmp_path, Config())
    with pytest.raises(InputError, match="holds a run of Toy, not of task"):
        RunDirectory.open(tmp_path, RunConfig())


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"{}", b'{"task": "Toy", "flags": {}, "starts": [1]}', b"\xff\xfe"],
)
def test_damaged_flags(tmp_path, content):
    (tmp_path / "flags.json").write_bytes(content)
    with pytest.raises(
        InputError, match="flags.json is damaged .*: delete the folder, or choose another --run_dir"
    ):
        RunDirectory.open(tmp_path, Config())
    with pytest.raises(InputError, match="damaged"):
        load_config(tmp_path, Config)


def test_a_folder_of_something_else(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(InputError, match=r"is not empty and holds no run \(no flags.json\)"):
        RunDirectory.open(tmp_path, Config())
    with pytest.raises(InputError, match="expects a folder, found a file"):
        RunDirectory.open(tmp_path / "thesis.tex", Config())
    with pytest.raises(InputError, match="cannot be made"):
        RunDirectory.open(tmp_path / "thesis.tex" / "run", Config())


def test_killed_while_it_wrote_its_first_file(tmp_path):
    (tmp_path / ".lock").touch()
    (tmp_path / ".flags.json.99.tmp").write_text("{")
    RunDirectory.open(tmp_path, Config())
    assert sorted(os.listdir(tmp_path)) == [".lock", "flags.json"]


@pytest.mark.skipif(
    run_directory.fcntl is None, reason="no file locks on this system: run it on Linux or macOS"
)
def test_two_processes_do_not_share_a_run(tmp_path, root):
    held = RunDirectory.open(tmp_path, Config())
    program = (
        "import sys; from common.config import RunConfig; from common.training.run_directory import"
        " RunDirectory\ntry: RunDirectory.open(sys.argv[1], RunConfig())\nexcept ValueError as"
        " error: sys.stdout.buffer.write(f'{error}\\n'.encode())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], cwd=root, capture_output=True, text=True
    )
    assert (
        done.stdout
        == f"another process runs in {held.path}: wait for it, or choose another --run_dir\n"
    )


# ------------------------------------------------------------------------------------------ metrics


def test_metrics(tmp_path):
    directory = RunDirectory.open(tmp_path, Config())
    assert directory.read_metrics() == []
    directory.truncate_metrics(0)
    bad = {"bad": float("nan"), "worse": -np.inf}
    directory.log_epoch(
        {"epoch": np.int64(1), "loss": np.float32(0.5), **bad, "k": np.ones((1, 2))}
    )
    directory.log_epoch({"epoch": 2})
    expected = [
        {"epoch": 1, "loss": 0.5, "bad": None, "worse": None, "k": [[1.0, 1.0]]},
        {"epoch": 2},
    ]
    assert directory.read_metrics() == expected
    assert (tmp_path / "metrics.jsonl").read_text().count("\n") == 2


@pytest.mark.parametrize("tail", ["", '{"epoch": 4, "lo', '{"epoch": 4}'])
def test_truncate_to_the_checkpoint(tmp_path, tail):
    directory = RunDirectory.open(tmp_path, Config())
    for epoch in (1, 2, 3):
        directory.log_epoch({"epoch": epoch})
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write(tail)
    assert len(directory.read_metrics()) == 3
    directory.truncate_metrics(2)
    directory.log_epoch({"epoch": 3, "again": True})
    assert (
        tmp_path / "metrics.jsonl"
    ).read_text() == '{"epoch": 1}\n{"epoch": 2}\n{"epoch": 3, "again": true}\n'


@pytest.mark.parametrize("left", [1, 0])
def test_epochs_that_are_missing_are_damage(left, tmp_path):
    """Without them the best epoch is another one."""
    directory = RunDirectory.open(tmp_path, Config())
    for _ in range(left):
        directory.log_epoch({"epoch": 1})
    with pytest.raises(
        InputError,
        match=(
            f"metrics.jsonl: expected 3 epochs, those of the last checkpoint, found {left}; put"
            " back a whole copy"
        ),
    ):
        directory.truncate_metrics(3)
    assert directory.read_metrics() == directory.read_metrics(left) == [{"epoch": 1}] * left


def test_damage_in_the_middle_is_named(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"epoch": 1}\n{"epo\n{"epoch": 3}\n')
    with pytest.raises(InputError, match="metrics.jsonl, line 2: expected a JSON object"):
        RunDirectory(tmp_path).read_metrics()


# ------------------------------------------------------------------------------------------- result


def test_result(tmp_path):
    directory = RunDirectory.open(tmp_path, Config(seed=5), ["x", "--seed=5"])
    assert directory.result is None
    directory = RunDirectory.open(
        tmp_path, Config(seed=5), ["x", "--seed=5", "--tensorboard=false"]
    )
    directory.seconds_before = 100.0
    directory.write_result({"test_perplexity": np.float64(78.5), "nan": float("nan")})
    result = RunDirectory.open(tmp_path, Config(seed=5)).result
    assert (result["test_perplexity"], result["nan"], result["seed"]) == (78.5, None, 5)
    assert result["flags"] == dataclasses.asdict(Config(seed=5))
    assert result["command"] == "python x --seed=5 --tensorboard=false"
    assert 100 <= result["wall_seconds"] < 110
    assert 10 < result["peak_memory_mib"] < 1e5  # Linux; of this process
    assert {"commit", "versions", "hardware", "task", "started_at", "finished_at"} <= set(result)
    assert len(result["starts"]) == 2
    assert len(flags_of(tmp_path)["starts"]) == 2  # opening a finished run is not a start


def test_a_result_does_not_hide_where_it_is_from(tmp_path):
    directory = RunDirectory.open(tmp_path, Config())
    with pytest.raises(ValueError, match="cannot be called seed"):
        directory.write_result({"seed": 1})
    (tmp_path / "result.json").write_text("{")
    with pytest.raises(InputError, match="result.json is damaged"):
        directory.result  # noqa: B018


# -------------------------------------------------------------------------------------- load_config


def test_load_config(tmp_path):
    config = Config(lamda=0.25, widths=[3], limit=4)
    RunDirectory.open(tmp_path, config)
    assert load_config(tmp_path, Config) == config
    assert isinstance(load_config(tmp_path, Config).lamda, float)


def test_load_config_refuses(tmp_path):
    with pytest.raises(InputError, match="no run in .*: expected the folder that training wrote"):
        load_config(tmp_path / "absent", Config)
    RunDirectory.open(tmp_path, Config())
    with pytest.raises(InputError, match="holds a run of Toy, expected one of task"):
        load_config(tmp_path, RunConfig)
    stored = flags_of(tmp_path)
    stored["flags"]["lamda"] = 7
    (tmp_path / "flags.json").write_text(json.dumps(stored))
    with pytest.raises(
        InputError,
        match=r"another version of this program \(--lamda expects a value from 0 to 1, got 7.0",
    ):
        load_config(tmp_path, Config)
    stored["flags"] |= {"lamda": 1.0, "of_old": 1}
    (tmp_path / "flags.json").write_text(json.dumps(stored))
    with pytest.raises(
        InputError, match=r"another version of this program \(differing in of_old\)"
    ):
        load_config(tmp_path, Config)


def test_a_run_that_is_older_than_a_flag(tmp_path):
    """It has the flag's default, and goes on with it."""
    RunDirectory.open(tmp_path, Config())
    stored = flags_of(tmp_path)
    del stored["flags"]["limit"]
    (tmp_path / "flags.json").write_text(json.dumps(stored))
    assert load_config(tmp_path, Config) == Config()
    with pytest.raises(InputError, match="--limit was None, now 3"):
        RunDirectory.open(tmp_path, Config(limit=3))
    RunDirectory.open(tmp_path, Config())


def store(tmp_path, config, **changed):
    RunDirectory.open(tmp_path, config)
    stored = flags_of(tmp_path)
    stored["flags"] |= changed
    (tmp_path / "flags.json").write_text(json.dumps(stored))


def test_null_is_the_default_that_it_stood_for(tmp_path):
    """Runs were stored with null where a flag of their cell had been left to it."""
    config = Config(cell="skip_rnn", n_matrices=2)
    assert (config.n_matrices, config.skip, config.base, config.periods) == (2, None, "rnn", None)
    store(tmp_path, config, base=None)
    RunDirectory.open(tmp_path, config)
    RunDirectory.open(tmp_path, Config(cell="skip_rnn", n_matrices=2, base="rnn"))
    store(tmp_path, config, base=None)
    assert load_config(tmp_path, Config) == config
    with pytest.raises(InputError, match="--base was rnn, now lstm"):
        RunDirectory.open(tmp_path, Config(cell="skip_rnn", n_matrices=2, base="lstm"))
    other = "--cell was skip_rnn, now clockwork; --periods was None, now .1, 2, 4, 8.; --n_matr"
    with pytest.raises(InputError, match=other):
        RunDirectory.open(tmp_path, Config(cell="clockwork"))


def test_a_retired_flag(tmp_path, monkeypatch):
    """It is no difference where it changed nothing; elsewhere the run is of another version."""
    monkeypatch.setitem(RETIRED, "gone", 0.5)
    store(tmp_path, Config(), gone=0.5)
    assert load_config(tmp_path, Config) == Config()
    RunDirectory.open(tmp_path, Config())
    assert "gone" not in flags_of(tmp_path)["flags"]
    store(tmp_path, Config(), gone=0.25)
    with pytest.raises(InputError, match="another version of this program .differing in gone."):
        load_config(tmp_path, Config)
    with pytest.raises(InputError, match="--gone was 0.25, now absent"):
        RunDirectory.open(tmp_path, Config())


def test_nothing_here_imports_tensorflow(root):
    modules = ", ".join(
        f"common.training.{name}"
        for name in ("run_directory", "progress", "checkpoint", "provenance")
    )
    program = f"import sys, {modules}; print('tensorflow' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


def test_command_outside_the_checkout():
    assert command_line(["/elsewhere/a b.py", "-x"]) == "python '/elsewhere/a b.py' -x"
    assert to_json({"path": pathlib.PurePosixPath("a/b")}) == '{"path": "a/b"}'


# ----------------------------------------------------------------------------------------- progress


class Clock:
    now = 0.0

    def monotonic(self):
        return self.now


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def at(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def test_plain_lines(at):
    stream = io.StringIO()
    with Progress(250, "epoch 1/2", print_every=100, stream=stream) as bar:
        for step in range(30, 251, 30):
            at.now = step / 10
            bar.update(step, loss=np.float32(2.34567))
        at.now = 25.0
        bar.update(250, loss=2, perplexity=7.389)
    assert stream.getvalue().splitlines() == [
        "epoch 1/2  120/250  loss 2.346  10 steps/s  0:00:13 left",
        "epoch 1/2  210/250  loss 2.346  10 steps/s  0:00:04 left",
        "epoch 1/2  250/250  loss 2  perplexity 7.389  10 steps/s  0:00:00 left",
    ]


def test_the_last_line_comes_once_and_a_resumed_epoch_counts_its_own_speed(at):
    stream = io.StringIO()
    with Progress(200, "e", print_every=100, first_step=150, stream=stream) as bar:
        at.now = 10.0
        bar.update(200)
    assert stream.getvalue() == "e  200/200  5 steps/s  0:00:00 left\n"


def test_an_interrupted_epoch_prints_no_last_line():
    stream = io.StringIO()
    with pytest.raises(KeyboardInterrupt), Progress(10, "e", stream=stream) as bar:
        bar.update(5)
        raise KeyboardInterrupt
    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    "columns, shown",
    [
        (120, ["epoch [1/2]", "10/10", "10 steps/s", "0:00:00 left", "loss 1.5", "entropy 0.25"]),
        (40, ["epoch [1/2]", "10/10", "10 steps/s"]),
    ],
)
def test_bar_on_a_terminal(at, columns, shown, monkeypatch):
    """A narrow one cuts the end, not what tells how far the run is; it has one line at any time."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(columns))
    stream = Terminal()
    with Progress(10, "epoch [1/2]", stream=stream) as bar:
        at.now = 1.0
        bar.update(
            10, loss=1.5, **{f"metric_{n}": n for n in range(8 * (columns < 80))}, entropy=0.25
        )
    last = re.sub(
        r"\x1b\[[0-9;?]*[a-zA-Z]", "", re.split(r"\r|\x1b\[2K", stream.getvalue().rstrip())[-1]
    )
    assert all(text in last for text in shown), last
    assert "\u2501" in last and len(last.rstrip()) <= columns


def test_a_terminal_that_takes_no_line_back(at, monkeypatch):
    """An editor's shell: there is progress before the end, in plain lines."""
    monkeypatch.setenv("TERM", "dumb")
    stream = Terminal()
    with Progress(4, "e", print_every=2, stream=stream) as bar:
        at.now = 1.0
        bar.update(2)
        assert stream.getvalue() == "e  2/4  2 steps/s  0:00:01 left\n"
        bar.update(4)


@pytest.mark.parametrize(
    "seconds, text", [(0, "0:00:00"), (59.6, "0:01:00"), (3725, "1:02:05"), (360000, "100:00:00")]
)
def test_clock(seconds, text):
    assert progress.clock(seconds) == text
