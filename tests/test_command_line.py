"""common/config/entrypoint.py: flags, presets, one-line errors, exit statuses."""

import dataclasses
import errno
import os
import re
import runpy
import signal
import subprocess
import sys
import tempfile
import typing
import warnings

import numpy as np
import pytest
from tensorflow.errors import ResourceExhaustedError

from common.config import (
    CELLS,
    RunConfig,
    Terminated,
    command_line,
    from_dict,
    help_text,
    main,
    setting,
    settings,
)
from common.errors import InputError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(RunConfig):
    """A task."""

    task = "Toy"
    rnn_size: int = 650
    reward: str = setting("log_likelihood", choices=("log_likelihood", "probability"))
    widths: list[int] = setting([1, 2], "filter widths", minimum=1)
    limit: int | None = setting(None, "how many")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tool:
    """A tool without presets."""

    out: str = setting("x.txt", "where to")
    fraction: float = setting(0.5, "how much", minimum=0.0)
    greedy: bool = setting(True, "argmax")
    text: str = setting("none", "to read")


FLAGS_ONLY = "expected flags only (--name=value; --name or --noname for a switch), found "
PRESETS = {"paper": {}, "small": {"lamda": 0.5, "rnn_size": 20, "jit_compile": False}}


def parse(*arguments):
    return command_line.parse(Config, PRESETS, ["RL_train.py", *arguments])


def test_defaults_of_the_subclass_over_those_of_the_base():
    config = parse()
    assert (config.rnn_size, config.lamda, config.n_actions, config.agent_units) == (
        650,
        1.0,
        5,
        50,
    )
    assert config.run_dir == os.path.join("runs", "Toy", "paper-dynamic_skip-seed0")
    # inherited, though the subclass gives a bare default
    assert settings(Config)["rnn_size"].minimum == 1
    assert settings(Config)["rnn_size"].help == settings(RunConfig)["rnn_size"].help


def test_flag_wins_over_preset_wins_over_default():
    config = parse("--preset=small", "--lamda", "1", "--seed=3", "--cell=random_skip")
    assert (config.lamda, config.rnn_size, config.jit_compile, config.n_actions) == (
        1.0,
        20,
        False,
        5,
    )
    assert config.run_dir == os.path.join("runs", "Toy", "small-random_skip-lamda1-seed3")
    assert isinstance(config.lamda, float)
    # given, and equal to the default of the class
    assert parse("--preset=small", "--jit_compile").jit_compile is True


@pytest.mark.parametrize(
    "arguments, name",
    [
        ([], "paper-dynamic_skip-seed0"),
        (["--lamda=.50", "--seed=1"], "paper-dynamic_skip-lamda0.5-seed1"),
        # in the order of the fields
        (["--max_epochs=3", "--lamda=0.5"], "paper-dynamic_skip-lamda0.5-max_epochs3-seed0"),
        # given, but what the preset says
        (["--lamda=1", "--rnn_size=650"], "paper-dynamic_skip-seed0"),
        (["--preset=small", "--rnn_size=650"], "small-dynamic_skip-rnn_size650-seed0"),
        (
            ["--nojit_compile", "--deterministic"],
            "paper-dynamic_skip-nojit_compile-deterministic-seed0",
        ),
        # a resumed run may change these
        (["--print_every=7", "--notensorboard"], "paper-dynamic_skip-seed0"),
        (
            ["--cell=dynamic_skip", "--reward=probability", "--limit=4"],
            "paper-dynamic_skip-reward_probability-limit4-seed0",
        ),
        (["--data_dir=/some where/my data/"], "paper-dynamic_skip-data_dir_my_data-seed0"),
        (
            ["--widths=3,4", "--learning_rate=1e-5"],
            "paper-dynamic_skip-learning_rate1e-05-widths3,4-seed0",
        ),
    ],
)
def test_the_default_folder_tells_flags_apart(arguments, name):
    assert parse(*arguments).run_dir == os.path.join("runs", "Toy", name)


def test_a_long_name_is_cut_and_still_its_own():
    one, other = ("--widths=" + ",".join(map(str, range(1, n))) for n in (150, 151))
    names = [os.path.basename(parse(flag).run_dir) for flag in (one, other)]
    assert names[0] != names[1] and all(len(name) < 200 for name in names)
    assert names[0] == os.path.basename(parse(one).run_dir)


@pytest.mark.parametrize(
    "arguments, field, value",
    [
        (["--nojit_compile"], "jit_compile", False),
        (["--jit_compile=false"], "jit_compile", False),
        (["--mixed_precision"], "mixed_precision", True),
        (["--widths=3,4,5"], "widths", [3, 4, 5]),
        (["--limit=7"], "limit", 7),
        (["--limit=none"], "limit", None),
        (["--learning_rate", "1e-2"], "learning_rate", 0.01),
        (["--lamda", "0"], "lamda", 0.0),
        (["--run_dir=here"], "run_dir", "here"),
        (["--seed=1", "--seed=2"], "seed", 2),
    ],
)
def test_values(arguments, field, value):
    found = getattr(parse(*arguments), field)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["a.txt"], ("a.txt", "none", True)),
        (["a.txt", "--nogreedy"], ("a.txt", "none", False)),
        (["--nogreedy", "a.txt", "one line"], ("a.txt", "one line", False)),
        (["a.txt", "two", "--nogreedy", "lines"], ("a.txt", "two\nlines", False)),
        (["a.txt", "--out=b.txt"], ("b.txt", "a.txt", True)),  # the word is for what has no flag
        (["--", "-a"], ("-a", "none", True)),
    ],
)
def test_words_stand_for_flags(arguments, expected):
    config = command_line.parse(Tool, None, ["tool.py", *arguments], bare=["out", "text..."])
    assert (config.out, config.text, config.greedy) == expected


def test_the_help_shows_the_words(capsys):
    with pytest.raises(SystemExit, match="0"):
        command_line.parse(Tool, None, ["tool.py", "--help"], bare=["out", "text..."])
    assert capsys.readouterr().out.startswith("usage: python tool.py [OUT] [TEXT ...] [--flag")


def test_more_words_than_flags_are_refused():
    with pytest.raises(InputError, match="expected flags .*found 'b.txt'"):
        command_line.parse(Tool, None, ["tool.py", "a.txt", "b.txt"], bare=["out"])
    with pytest.raises(InputError, match="expected flags .*found 'b.txt'"):
        # not dropped
        command_line.parse(Files, None, ["tool.py", "--files", "a.txt", "b.txt"], bare=["files..."])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Files:
    """A tool for files."""

    files: list[str] = setting([], "which", path=True)
    steps: int = setting(1, "how many")
    other: str | None = setting(None, "one more", path=True)
    picture: str = setting("", "several", path="stem")


@pytest.mark.parametrize(
    "arguments, files, steps",
    [
        (["a", "b, c", "--steps", "10"], ["a", "b, c"], 10),
        (["--steps", "10", "a", "b"], ["a", "b"], 10),
        (["a", "--steps=10", "b"], ["a", "b"], 10),
        (["--files=a,b", "--steps", "3"], ["a", "b"], 3),
        ([], [], 1),
    ],
)
def test_words_that_make_a_list(arguments, files, steps):
    config = command_line.parse(Files, None, ["tool.py", *arguments], bare=["files..."])
    assert (config.files, config.steps) == (files, steps)


def test_a_home_is_meant_in_paths(monkeypatch):
    monkeypatch.setenv("HOME", "/home/anna")
    config = command_line.parse(
        Files, None, ["tool.py", "~/a", "b~", "--other=~"], bare=["files..."]
    )
    assert (config.files, config.other) == (["/home/anna/a", "b~"], "/home/anna")
    assert command_line.parse(Files, None, ["tool.py", "--files=~/a,~/b"]).files == [
        "/home/anna/a",
        "/home/anna/b",
    ]
    assert command_line.parse(Files, None, ["tool.py", "--other=none"]).other is None
    config = parse("--run_dir=~/runs/one", "--data_dir", "~/data")  # a subclass inherits it
    assert (config.run_dir, config.data_dir) == ("/home/anna/runs/one", "/home/anna/data")
    assert command_line.parse(Tool, None, ["tool.py", "--text=~/a"]).text == "~/a"  # no path


@pytest.mark.parametrize(
    "given, meant",
    [
        ("a.png", "a"),
        ("~/a.b.SVG", "/home/anna/a.b"),
        ("epoch1.5", "epoch1.5"),
        ("c/.png", "c/.png"),
        ("", ""),
    ],
)
def test_an_ending_that_is_put_there_is_taken_off(given, meant, monkeypatch):
    """Files a.png and a.csv are not a.png.png and a.png.csv."""
    monkeypatch.setenv("HOME", "/home/anna")
    assert command_line.parse(Files, None, ["tool.py", f"--picture={given}"]).picture == meant


def test_paths_are_compared_as_what_they_lead_to(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    known = settings(Files)
    same = ["data/x", "./data/x", "data/x/", "data//y/../x", str(tmp_path / "data" / "x")]
    assert len({known["other"].comparable(path) for path in same}) == 1
    assert known["files"].comparable(["~/x", "a/"]) == known["files"].comparable(
        [str(tmp_path / "home/x"), "a"]
    )
    assert known["other"].comparable("") != known["other"].comparable(".")
    assert (
        settings(Tool)["text"].comparable("a/") == "a/" and known["other"].comparable(None) is None
    )


def test_every_flag_that_names_a_file_or_a_folder_is_a_path(root):
    """Of every script's configs, by what their help says; the rest is named here."""
    others = {"what", "table", "rows", "text", "parts", "prompt", "shard", "label_rule"}
    found, configs = set(), set()
    for path in sorted(root.glob("*/*.py")):
        if path.parent.name != "tests" and re.search(r"import .*\bmain\b", path.read_text("utf-8")):
            names = runpy.run_path(str(path), run_name="imported")
            configs |= {
                value
                for name, value in names.items()
                if name.endswith("Config") and dataclasses.is_dataclass(value)
            }
    for config in configs:
        for one in settings(config).values():
            texts = str in (one.type, *typing.get_args(one.type))
            names_one = re.search(r"folder|file|where to|bundle to|word vectors", one.help)
            if texts and names_one and one.name not in others:
                assert one.path, f"{config.__name__}.{one.name}"
                found.add(one.name)
    assert (
        len(configs) > 25
        and {
            "run_dir",
            "data_dir",
            "checkpoint",
            "vectors",
            "picture",
            "runs",
            "load_model",
            "cache_dir",
        }
        <= found
    )


@pytest.mark.parametrize(
    "arguments, line",
    [
        (["--lambda=1"], "unknown flag --lambda (did you mean lamda?); --help lists them"),
        (["--zzz"], "unknown flag --zzz; --help lists them"),
        (["--lamda=2"], "--lamda expects a value from 0 to 1, got 2.0"),
        (["--lamda=-0.1"], "--lamda expects a value from 0 to 1, got -0.1"),
        (["--lamda=nan"], "--lamda expects a finite number, got nan"),
        (["--learning_rate=inf"], "--learning_rate expects a finite number, got inf"),
        (["--lamda=half"], "--lamda expects a number, got 'half'"),
        (["--lamda="], "--lamda expects a number, got ''"),
        (["--n_actions=0"], "--n_actions expects a value >= 1, got 0"),
        (["--n_actions=2.5"], "--n_actions expects a whole number, got '2.5'"),
        (["--widths=3,x"], "--widths expects whole numbers separated by commas, got '3,x'"),
        (["--widths=3,0"], "--widths expects a value >= 1, got 0"),
        (["--widths="], "--widths expects one value or more, got none"),
        (["--widths=,"], "--widths expects whole numbers separated by commas, got ','"),
        (["--tensorboard=maybe"], "--tensorboard expects true or false, got 'maybe'"),
        (["--limit=many"], "--limit expects a whole number or none, got 'many'"),
        (["--observation=all"], "--observation expects one of previous, mean; got 'all'"),
        (
            ["--reward=probabilty"],
            (
                "--reward expects one of log_likelihood, probability; got 'probabilty' (did you"
                " mean probability?)"
            ),
        ),
        (
            ["--preset=papr"],
            "--preset expects one of paper, small; got 'papr' (did you mean paper?)",
        ),
        (["stray"], FLAGS_ONLY + "'stray'"),
        (["--jit_compile", "false"], FLAGS_ONLY + "'false'"),
        (["--seed=-1"], "--seed expects a value from 0 to 2147483647, got -1"),
    ],
)
def test_one_line_for_bad_flags(arguments, line):
    with pytest.raises(InputError) as caught:
        parse(*arguments)
    assert str(caught.value) == line


@pytest.mark.parametrize(
    "arguments", [["--seed"], ["--jit_compile=maybe"], ["--flagfile=/no/such/file"]]
)
def test_what_absl_refuses_is_one_line_too(arguments):
    with pytest.raises(InputError) as caught:
        parse(*arguments)
    assert "\n" not in str(caught.value) and len(str(caught.value)) > 10


def test_unknown_cell_lists_the_known_ones():
    with pytest.raises(InputError) as caught:
        parse("--cell=dynamic_skp")
    assert all(cell in str(caught.value) for cell in CELLS)
    assert str(caught.value).endswith("got 'dynamic_skp' (did you mean dynamic_skip?)")


def test_a_preset_is_checked_like_a_flag():
    with pytest.raises(InputError, match="--lamda expects a value from 0 to 1, got 3.0"):
        command_line.parse(Config, {"paper": {"lamda": 3}}, ["x"])
    with pytest.raises(InputError, match="has no setting 'lambda'"):
        command_line.parse(Config, {"paper": {"lambda": 1}}, ["x"])


@pytest.mark.parametrize(
    "arguments, expected, name",
    [
        ([], (2, 3), "skipping-skip_rnn-seed0"),
        (["--cell=skip_rnn"], (2, 3), "skipping-skip_rnn-seed0"),
        (["--cell=lstm"], (None, None), "skipping-lstm-seed0"),
        # the preset's skip was meant for another cell
        (["--cell=fixed_skip"], (None, 3), "skipping-fixed_skip-seed0"),
        (["--cell=fixed_skip", "--skip=4"], (None, 4), "skipping-fixed_skip-skip4-seed0"),
    ],
)
def test_a_preset_s_cell_flags_stay_with_its_cell(arguments, expected, name):
    presets = {
        "paper": {},
        "skipping": {"cell": "skip_rnn", "n_matrices": 2, "skip": 3, "rnn_size": 20},
    }
    config = command_line.parse(Config, presets, ["x", "--preset=skipping", *arguments])
    assert (config.n_matrices, config.skip) == expected and config.rnn_size == 20
    assert os.path.basename(config.run_dir) == name
    with pytest.raises(
        InputError, match="--n_matrices belongs to --cell skip_rnn, the cell here is lstm"
    ):
        command_line.parse(
            Config, presets, ["x", "--preset=skipping", "--cell=lstm", "--n_matrices=2"]
        )


@pytest.mark.parametrize(
    "cell, flag, owners",
    [
        (
            "lstm",
            "lamda=.3",
            "--cell dynamic_skip or --cell fixed_skip or --cell random_skip or --cell attention",
        ),
        (
            "fixed_skip",
            "n_actions=7",
            "--cell dynamic_skip or --cell random_skip or --cell attention",
        ),
        ("gru", "observation=mean", "--cell dynamic_skip or --cell attention"),
        (
            "attention",
            "history=window",
            "--cell dynamic_skip or --cell fixed_skip or --cell random_skip",
        ),
        ("attention", "credit=total", "--cell dynamic_skip"),
        ("lstm", "estimator=straight_through", "--cell dynamic_skip"),
    ],
)
def test_a_flag_that_the_cell_does_not_read(cell, flag, owners):
    """Typed it is refused, unless it says what stands there anyway; in a preset it is meant for
    other cells.
    """
    name, value = flag.split("=")
    line = (
        f"--{name} belongs to {owners}, the cell here is {cell}: leave it out, or change the cell"
    )
    for where in ([], ["--run_dir=a"]):
        with pytest.raises(InputError, match=f"^{line}$"):
            parse(f"--cell={cell}", f"--{flag}", *where)
    kind = type(getattr(parse(), name))
    presets = {"paper": {name: kind(value)}}
    assert getattr(
        command_line.parse(Config, presets, ["x", f"--cell={cell}", f"--{flag}"]), name
    ) == kind(value)
    parse(f"--cell={owners.split()[1]}", f"--{flag}")


def test_what_an_agent_without_reward_does_not_read():
    line = (
        "--rl_weight belongs to --estimator policy_gradient, the estimator here is"
        " straight_through: leave it out, or change the"
    )
    with pytest.raises(InputError, match=f"^{line} estimator$"):
        parse("--estimator=straight_through", "--rl_weight=2")
    presets = {"paper": {"rl_weight": 2.0, "entropy_weight": 0.1, "baseline": "none"}}
    config = command_line.parse(
        Config, presets, ["x", "--estimator=straight_through", "--entropy_weight=.3"]
    )
    assert (config.agent_options["rl_weight"], config.agent_options["entropy_weight"]) == (0, 0.3)
    assert config.agent_options["baseline"] == "leave_one_out"  # the entropy has a gradient, too
    assert command_line.parse(Config, presets, ["x"]).agent_options["rl_weight"] == 2


def test_the_default_takes_back_a_preset_s_value_that_nothing_reads():
    presets = {"paper": {"rl_weight": 2.0}}
    default = Config().rl_weight
    arguments = ["x", "--cell=lstm", f"--rl_weight={default}"]
    assert command_line.parse(Config, presets, arguments).rl_weight == default
    with pytest.raises(InputError, match="--rl_weight belongs to --cell dynamic_skip"):
        command_line.parse(Config, presets, ["x", "--cell=lstm", "--rl_weight=3"])


def test_a_discount_of_the_total():
    line = "--discount 0.5 expects --credit to_go, got total: leave one of them out"
    with pytest.raises(InputError, match=f"^{line}$"):
        parse("--discount=.5", "--credit=total")
    assert parse("--discount=.5").agent_options["discount"] == 0.5


def test_a_flag_without_effect_is_refused_and_not_shown():
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class NoDropout(Config):
        """A task that drops nothing."""

        without_effect = {"dropout": "it drops nothing"}

    assert command_line.parse(NoDropout, PRESETS, ["x", "--dropout=0"]).dropout == 0
    with pytest.raises(
        InputError, match=r"--dropout has no effect here \(it drops nothing\): leave it out"
    ):
        command_line.parse(NoDropout, PRESETS, ["x", "--dropout=.5"])
    assert "--dropout=" in help_text(Config, PRESETS)
    assert "--dropout=" not in help_text(NoDropout, PRESETS)


def test_config_without_presets():
    config = command_line.parse(Tool, None, ["evaluate.py", "--out", "y", "--nogreedy"])
    assert config == Tool(out="y", fraction=0.5, greedy=False)
    with pytest.raises(InputError, match="unknown flag --preset"):
        command_line.parse(Tool, None, ["evaluate.py", "--preset=small"])


def test_from_dict_round_trip():
    config = parse("--widths=3", "--lamda=.25")
    assert from_dict(Config, dataclasses.asdict(config)) == config
    with pytest.raises(InputError, match="--rnn_size expects a whole number, got 2.5"):
        from_dict(Config, {"rnn_size": 2.5})
    with pytest.raises(InputError, match="--deterministic expects true or false, got 'maybe'"):
        from_dict(Config, {"deterministic": "maybe"})
    with pytest.raises(InputError, match="--jit_compile expects true or false or none, got 1"):
        from_dict(Config, {"jit_compile": 1})


def test_a_default_list_is_not_shared():
    parse().widths.append(9)
    assert parse().widths == [1, 2]


def test_ctrl_c_while_a_script_imports(root, tmp_path):
    """Not Python's traceback, and the status of an interrupt."""
    # not ignored, as behind nohup
    program = "import os, signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    program += (
        "from common.config import main; os.kill(os.getpid(), signal.SIGINT); import time;"
        " time.sleep(9)"
    )
    environment = os.environ | {"PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment
    )
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "interrupted\n")
    done = subprocess.run(
        [sys.executable, "-c", "import common.config; 1 / 0"],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.returncode == 1 and done.stderr.endswith("ZeroDivisionError: division by zero\n")


def test_text_that_no_file_can_hold(root):
    for text in ("caf\udce9", "\udc80"):
        with pytest.raises(
            InputError,
            match=(
                r"--data_dir expects text in UTF-8, got '.*\\udc.*': rename it, or set PYTHONUTF8=1"
            ),
        ):
            parse(f"--data_dir={text}")
    assert parse("--data_dir=d\u00e4t\u00e4 x/\u6f22").data_dir == "d\u00e4t\u00e4 x/\u6f22"


def raises(error):
    def train(config):
        raise error

    return train


def terminates_itself(config):
    os.kill(os.getpid(), signal.SIGTERM)


def no_temporary_folder(config):
    """A read-only container; TensorFlow asks for one when it is imported."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "_candidate_tempdir_list", lambda: ["/nowhere"])
        patch.setattr(tempfile, "tempdir", None)
        tempfile.gettempdir()


GO_ON = "interrupted: run the same command to go on\n"


@pytest.mark.parametrize(
    "train, status, line",
    [
        (raises(InputError("no file a.txt:\n get it")), 2, "error: no file a.txt: get it\n"),
        (raises(KeyboardInterrupt()), 130, GO_ON),
        (raises(Terminated()), 143, GO_ON),
        (terminates_itself, 143, GO_ON),
        (
            raises(OSError(errno.ENOSPC, "No space left on device", "/x/y")),
            2,
            "error: No space left on device: /x/y; make room, then run the same command again\n",
        ),
        (
            raises(OSError(errno.ELOOP, "Too many levels of symbolic links", "x/y")),
            2,
            "error: Too many levels of symbolic links: x/y; name another file or folder\n",
        ),
        (
            raises(OSError(errno.EFBIG, "File too large")),
            2,
            "error: File too large; make room, then run the same command again\n",
        ),
        (
            raises(PermissionError(errno.EACCES, "Permission denied", "/x/y")),
            2,
            (
                "error: Permission denied: /x/y; give access there, then run the same command"
                " again\n"
            ),
        ),
        (
            lambda config: np.empty(10**14),
            2,
            (
                "error: too little memory (Unable to allocate 728. TiB for an array with shape"
                " (100000000000000,) and data type float64): ask for less at a time, or for fewer"
                " examples\n"
            ),
        ),
        (
            raises(ResourceExhaustedError(None, None, "OOM when allocating\ntensor")),
            2,
            (
                "error: too little memory (OOM when allocating tensor): ask for less at a time, or"
                " for fewer examples\n"
            ),
        ),
        (
            no_temporary_folder,
            2,
            (
                "error: No usable temporary directory found in ['/nowhere']; name one that can be"
                " written in TMPDIR\n"
            ),
        ),
        ("no_such_module_at_all:train", ModuleNotFoundError, ""),
        (raises(OSError(errno.EIO, "Input/output error")), OSError, ""),
        (raises(ValueError("a bug")), ValueError, ""),
    ],
)
def test_exit_status_and_line(train, status, line, capsys):
    before = signal.getsignal(signal.SIGTERM)
    expected = status if isinstance(status, type) else SystemExit
    with pytest.raises(expected) as left:
        main(Config, PRESETS, train, ["x"])
    if expected is SystemExit:
        assert left.value.code == status
    assert capsys.readouterr().err == line
    assert signal.getsignal(signal.SIGTERM) is before


def test_what_tensorflow_decorates_is_plain():
    message = "calling \x1b[1mDynamicSkipLSTM.call()\x1b[0m.\n\n{{function_node __wrapped_X}} OOM"
    assert str(InputError(message)) == "calling DynamicSkipLSTM.call(). OOM"


def test_a_warning_is_one_line(capsys):
    def train(config):
        warnings.simplefilter("default")
        warnings.warn("odd,\nbut usable", stacklevel=1)

    before = warnings.showwarning
    main(Config, PRESETS, train, ["x"])
    assert capsys.readouterr().err == "warning: odd, but usable\n"
    assert warnings.showwarning is before


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reader:
    """A tool that reads a run."""

    run_dir: str = setting("", "which")


@pytest.mark.parametrize("tool", [Tool, Reader])
def test_an_interrupted_tool_promises_nothing(tool, capsys):
    with pytest.raises(SystemExit):
        main(tool, None, raises(KeyboardInterrupt()), ["x"])
    assert capsys.readouterr().err == "interrupted\n"


def test_train_may_save_before_it_leaves():
    saved = []

    def train(config):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except KeyboardInterrupt:
            saved.append(config.seed)
            raise

    with pytest.raises(SystemExit):
        main(Config, PRESETS, train, ["x", "--seed=4"])
    assert saved == [4]


def test_train_by_name_and_success(monkeypatch, tmp_path):
    (tmp_path / "toy_train.py").write_text("seen = []\ntrain = seen.append\n")
    monkeypatch.syspath_prepend(tmp_path)
    main(Tool, None, "toy_train:train", ["x", "--fraction=.25"])
    assert sys.modules["toy_train"].seen == [Tool(fraction=0.25)]


def test_flag_errors_do_not_import_tensorflow(root):
    program = (
        "import sys; from common.config import RunConfig, main\n"
        "try: main(RunConfig, {'paper': {}}, 'tensorflow:train', ['x', '--lamda=3'])\n"
        "finally: print('tensorflow' in sys.modules, 'numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "False False\n")
    assert done.stderr == "error: --lamda expects a value from 0 to 1, got 3.0\n"
