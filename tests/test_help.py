"""common/config/help.py: what `--help` and `--helpfull` print."""

import dataclasses
import re

import pytest
from helpers.flags import PRESET_MODULES, config_and_presets

from common.config import RunConfig, main, settings


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(RunConfig):
    """A task."""

    task = "Toy"


PRESETS = {"paper": {}, "small": {"lamda": 0.5, "rnn_size": 20, "jit_compile": False}}


def shown(config_class, presets, capsys, *arguments):
    with pytest.raises(SystemExit) as left:
        main(config_class, presets, lambda config: pytest.fail("ran"), ["RL_train.py", *arguments])
    assert left.value.code == 0
    return capsys.readouterr().out


def flags_shown(text):
    return {match[1] for match in re.finditer(r"^  --(?:\[no\])?(\w+)", text, re.MULTILINE)}


def test_helpfull_names_every_flag_and_what_it_belongs_to(capsys):
    printed = shown(Config, PRESETS, capsys, "--helpfull")
    one_line = " ".join(printed.split())
    of_switches = {one.name for one in settings(Config).values() if one.is_switch}
    named = flags_shown(printed)
    assert {field.name for field in dataclasses.fields(Config)} - of_switches <= named
    assert {"[no]tensorboard", "[no]jit_compile", "[no]tied"} <= {
        word.lstrip("-") for word in one_line.split()
    }
    assert "small: lamda=0.5 rnn_size=20 jit_compile=False" in printed
    assert (
        "--lamda=1.0 weight of the chosen past state; the previous one has 1 - lamda [from 0 to 1]"
        in one_line
    )
    assert "--skip=3 or none distance of the skip connection" in one_line
    assert (
        "[with --cell fixed_skip, skip_rnn]" in one_line
        and "[with --estimator policy_gradient]" in one_line
    )
    assert all(one.help for one in settings(Config).values())


@pytest.mark.parametrize(
    "arguments, there, absent",
    [
        (
            [],
            {"lamda", "n_actions", "agent_units", "rl_weight", "initializers"},
            {"skip", "periods", "depth"},
        ),
        (
            ["--cell", "clockwork"],
            {"periods", "cell"},
            {"lamda", "agent_units", "estimator", "rl_weight", "skip"},
        ),
        (
            ["--estimator=straight_through", "--lamda=9"],
            {"entropy_weight", "estimator"},
            {"rl_weight", "reward", "baseline"},
        ),
        (
            ["--cell=attention"],
            {"agent_units", "observation"},
            {"history", "estimator", "rl_weight"},
        ),
        (["--cell=nothing", "--preset=small"], {"lamda"}, {"skip"}),  # cannot be used: the defaults
        (["--unknown", "stray"], {"lamda"}, {"skip"}),
    ],
)
def test_help_shows_what_is_read(arguments, there, absent, capsys):
    for flag in ("--help", "-h", "-help"):
        named = flags_shown(shown(Config, PRESETS, capsys, *arguments, flag))
        assert there | {"preset", "rnn_size"} <= named and not absent & named


def test_help_says_what_the_task_says_of_a_flag(capsys):
    """A task has words, choices and defaults of its own for options that cells share."""
    config_class, presets = config_and_presets("LanguageModeling.presets")
    printed = " ".join(shown(config_class, presets, capsys, "--help").split())
    reward = "--reward=log_likelihood reward: log p(word), or p"
    assert f"{reward} [log_likelihood, likelihood]" in printed
    assert "--rl_weight=0.3 " in printed
    config_class, presets = config_and_presets("NumberPrediction.presets")
    assert "--n_actions=10 " in shown(config_class, presets, capsys, "--help")


def test_help_has_the_defaults_of_the_preset_and_of_the_cell(capsys):
    printed = " ".join(shown(Config, PRESETS, capsys, "--preset=small", "--help").split())
    assert "--lamda=0.5 " in printed and "--rnn_size=20 " in printed
    assert "the faster) [default no]" in printed and "TensorBoard [default yes]" in printed
    printed = " ".join(shown(Config, PRESETS, capsys, "--cell=skip_rnn", "--help").split())
    assert "--skip=none distance" in printed and "--n_matrices=1 " in printed
    assert "--skip=3 distance" in " ".join(
        shown(Config, PRESETS, capsys, "--cell=fixed_skip", "--help").split()
    )
    assert "--skip=" in shown(
        Config, PRESETS, capsys, "--cell=fixed_skip", "--helpfull", "--skip=4"
    )


def test_help_of_what_a_task_chooses(capsys):
    config_class, presets = config_and_presets("NER.presets")
    named = flags_shown(shown(config_class, presets, capsys, "--char_encoder=lstm", "--help"))
    assert "char_rnn_size" in named and "char_filters" not in named
    named = flags_shown(shown(config_class, presets, capsys, "--preset=idcnn", "--help"))
    assert "dilations" in named and not {"zoneout", "bidirectional", "momentum"} & named
    config_class, presets = config_and_presets("Sentiment.presets")
    printed = shown(config_class, presets, capsys, "--model=jump", "--help")
    assert printed.splitlines()[-1].startswith(
        "these are the flags of the defaults, because --model jump has the only agent"
    )
    assert "because" not in shown(config_class, presets, capsys, "--preset=jump", "--help")


@pytest.mark.parametrize("columns", [40, 60, 80, 500])
def test_help_fits_the_terminal(columns, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(columns))
    for flag in ("--help", "--helpfull"):
        lines = shown(Config, PRESETS, capsys, flag).splitlines()[1:]
        widest = max(len(line) for line in lines if " " in line.strip())
        assert min(columns, 110) - 10 < widest <= min(columns, 110)


@pytest.mark.parametrize("task", PRESET_MODULES)
def test_help_is_a_page(task, monkeypatch, capsys):
    monkeypatch.delenv("COLUMNS", raising=False)
    config_class, presets = config_and_presets(task)
    printed = shown(config_class, presets, capsys, "--help")
    summary = printed.split("\n\n")[1].replace("\n", " ")
    assert summary.endswith(".") and summary in " ".join(config_class.__doc__.split())
    assert printed.count("\n") <= 70 and max(map(len, printed.splitlines())) <= 110
    assert all(
        one.help and "\n" not in one.help and "unless given" not in one.help
        for one in settings(config_class).values()
    )
