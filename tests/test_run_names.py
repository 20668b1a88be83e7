"""Names of run folders, which a command finds its run by."""

import os

import pytest
from helpers.flags import PRESET_MODULES, config_and_presets

from common.config import command_line, settings


@pytest.mark.parametrize("task", PRESET_MODULES)
def test_flags_have_the_order_that_names_of_folders_have(task):
    """Other orders would give the runs of a command another folder than before."""
    config_class, _ = config_and_presets(task)
    order = list(settings(config_class))
    chains = [
        (
            "lamda n_actions initializers previous_bias agent_units observation history estimator"
            " reward credit baseline entropy rl_weight entropy_weight rnn_size max_epochs"
            " batch_size learning_rate max_grad_norm dropout seed data_dir max_train_steps"
            " jit_compile mixed_precision deterministic strategy"
        ),
        "lamda skip agent_units history rnn_size",
        "skip n_matrices base agent_units",
        "delay base agent_units",
        "leak agent_units",
        "depth tied agent_units",
        "variant agent_units",
        "update_cost agent_units",
        "periods agent_units",
    ]
    if task == PRESET_MODULES[0]:
        chains.append(
            "strategy model char_size char_filters highway_layers max_chars rnn_layers "
            "num_unroll_steps learning_rate_decay decay_when decay_after lr_threshold param_init "
            "load_model"
        )
    for chain in chains:
        names = chain.split()
        assert [name for name in order if name in names] == names


@pytest.mark.parametrize(
    "arguments, name",
    [
        (
            "--cell=fixed_skip --skip=3",
            "paper-fixed_skip-skip3-seed0",
        ),  # named, though it is the default of the cell
        (
            "--cell=fixed_skip --history=window --agent_units=7 --skip=2 --lamda=.5",
            "paper-fixed_skip-lamda0.5-skip2-agent_units7-history_window-seed0",
        ),
        (
            "--cell=skip_rnn --base=lstm --n_matrices=2 --skip=2",
            "paper-skip_rnn-skip2-n_matrices2-base_lstm-seed0",
        ),
        ("--cell=grid_lstm --notied --depth=2", "paper-grid_lstm-depth2-notied-seed0"),
        ("--cell=clockwork --periods=1,2,4,8", "paper-clockwork-periods1,2,4,8-seed0"),
        ("--cell=lstm --agent_units=7", "paper-lstm-agent_units7-seed0"),
        (
            "--rl_weight=.5 --entropy=sampled --previous_bias=2 --n_actions=3",
            "paper-dynamic_skip-n_actions3-previous_bias2-entropy_sampled-rl_weight0.5-seed0",
        ),
        (
            "--model=char --char_filters=5,5 --highway_layers=2 --max_chars=65",
            "paper-dynamic_skip-model_char-char_filters5,5-highway_layers2-max_chars65-seed0",
        ),
        (
            "--preset=char_small --highway_layers=none",
            "char_small-dynamic_skip-highway_layers_None-seed0",
        ),
        ("--preset=char_small --highway_layers=1", "char_small-dynamic_skip-seed0"),
        ("--preset=char --char_size=15", "char-dynamic_skip-char_size15-seed0"),
        ("--preset=char_small --model=word", "char_small-dynamic_skip-model_word-seed0"),
        ("--preset=released --cell=attention", "released-attention-seed0"),
    ],
)
def test_names_of_folders_that_runs_already_have(arguments, name):
    config_class, presets = config_and_presets("LanguageModeling.presets")
    assert (
        os.path.basename(
            command_line.parse(config_class, presets, ["x", *arguments.split()]).run_dir
        )
        == name
    )


def test_the_name_of_a_folder_ends_in_the_flag_that_came_to_all_tasks_last():
    config_class, presets = config_and_presets("NumberPrediction.presets")
    flags = ["x", "--entropy_decay=.9", "--entropy_weight=.01", "--length=20", "--n_test=5"]
    name = "paper-dynamic_skip-entropy_weight0.01-length20-n_test5-entropy_decay0.9-seed0"
    assert os.path.basename(command_line.parse(config_class, presets, flags).run_dir) == name
