"""common/layers/make_layer.py: `--cell` and its flags."""

import pathlib
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from common.config import CELLS, RunConfig, cells, command_line, settings
from common.config.flags import show
from common.errors import InputError
from common.layers.fast_lstm import FastLSTM
from common.layers.make_layer import auxiliary, make_layer, run_layer

B, T, D, H = 2, 3, 2, 4


def parse(*flags):
    return command_line.parse(RunConfig, {"paper": {}}, ["RL_train.py", *flags])


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell(cell):
    """Built as the tasks build it, run as they run it, states handed on as they do."""
    config = RunConfig(cell=cell, jit_compile=False, eval_samples=2)
    layer = make_layer(
        config,
        H,
        name="recurrent",
        kernel_initializer="he_normal",
        recurrent_initializer="he_normal",
    )
    assert layer.name == "recurrent"
    x, seed = tf.ones([B, T, D]), tf.constant([1, 2])
    outputs, state, trace = run_layer(
        layer, x, layer.get_initial_state(B), training=True, seed=seed, greedy=False
    )
    assert outputs.shape == (B, T, H)
    assert [s.shape for s in state] == [s.shape for s in layer.get_initial_state(B)]
    assert (trace is not None) == config.has_agent == (cell == "dynamic_skip")
    assert (config.n_chains > 1) == (cell in ("dynamic_skip", "random_skip"))
    if not config.has_agent:  # then an evaluation need not be made twice
        np.testing.assert_array_equal(
            run_layer(layer, x, seed=seed, greedy=True)[0], run_layer(layer, x, seed=seed)[0]
        )
    again, _, _ = run_layer(layer, x, mask=tf.ones([B, T], tf.bool), seed=seed)
    np.testing.assert_allclose(again, run_layer(layer, x, seed=seed)[0], atol=1e-6)
    assert [v.name for v in layer.trainable_variables if "agent" in v.name] == (
        ["agent_input_kernel", "agent_recurrent_kernel", "agent_bias"]
        if cell in ("dynamic_skip", "attention")
        else []
    )


def test_backwards():
    x = tf.random.stateless_normal([B, T, D], [1, 2])
    for cell in ("fixed_skip", "skip_lstm", "gru"):
        layers = [
            make_layer(RunConfig(cell=cell, jit_compile=False), H, go_backwards=backwards)
            for backwards in (True, False)
        ]
        for layer in layers:
            layer.build(x.shape)
        layers[1].set_weights(layers[0].get_weights())
        np.testing.assert_allclose(
            run_layer(layers[0], x)[0], run_layer(layers[1], x[:, ::-1])[0], atol=1e-6
        )


def test_first_weights_of_the_release():
    config = RunConfig(initializers="released", n_actions=30, agent_units=40, jit_compile=False)
    layer = make_layer(
        config,
        16,
        kernel_initializer="ones",
        recurrent_initializer="zeros",
        agent_initializer="zeros",
    )
    layer.build([B, T, 20])
    weights = {weight.name: weight.numpy() for weight in layer.trainable_variables}
    gates = np.split(weights["recurrent_kernel"], 4, 1)
    for gate in gates:
        np.testing.assert_allclose(gate.T @ gate, np.eye(16), atol=1e-5)
    assert len({float(gate[0, 0]) for gate in gates}) == 4 and (weights["kernel"] == 1).all()
    kernels = [
        weights[name] for name in ("agent_input_kernel", "agent_recurrent_kernel", "action_kernel")
    ]
    assert [float(np.std(kernel)) for kernel in kernels] == pytest.approx([0.3] * 3, abs=0.03)
    assert len({float(kernel[0, 0]) for kernel in kernels}) == 3
    assert all((weights[name] == np.float32(0.1)).all() for name in ("agent_bias", "action_bias"))


def test_a_layer_that_begins_near_a_plain_lstm():
    layer = make_layer(RunConfig(previous_bias=20.0, n_actions=3), H)
    x = tf.random.stateless_normal([B, T, D], [1, 2])
    np.testing.assert_array_equal(
        run_layer(layer, x, seed=tf.constant([1, 2]))[2].distances, np.ones([B, T])
    )


def test_another_cell_than_the_flags():
    layer = make_layer(RunConfig(cell="skip_rnn", n_matrices=2), H, "lstm")
    assert type(layer) is FastLSTM
    assert make_layer(RunConfig(cell="skip_rnn", n_matrices=2), H).cell.n_matrices == 2
    with pytest.raises(KeyError):
        make_layer(RunConfig(), H, "no_cell")


def test_what_layers_add_to_the_loss():
    """The price of the updates of each sequence; a regulariser; nothing."""
    x = tf.random.stateless_normal([B, T, D], [1, 2])
    loss, metrics = auxiliary([])
    assert loss == 0 and metrics == {}
    skip = make_layer(RunConfig(cell="skip_lstm", update_cost=2.0), H)
    plain = make_layer(
        RunConfig(cell="lstm", jit_compile=False), H, kernel_regularizer=keras.regularizers.L2(1.0)
    )
    for _ in range(2):  # of the latest call alone
        run_layer(skip, x)
        run_layer(plain, x)
    loss, metrics = auxiliary([skip, plain])
    n_updates, n_steps = metrics["updates"]
    assert n_steps == B * T and 1 <= n_updates <= B * T
    assert auxiliary([skip, skip])[1]["updates"] == (2 * n_updates, 2 * n_steps)
    np.testing.assert_allclose(
        loss, 2.0 * n_updates / B + (plain.cell.kernel.numpy() ** 2).sum(), rtol=1e-6
    )


def test_a_flag_reaches_its_cell():
    assert make_layer(parse("--cell=fixed_skip", "--skip=7", "--lamda=.5"), H).cell.n_actions == 7
    assert make_layer(parse("--cell=fixed_skip"), H).cell.n_actions == 3
    assert make_layer(parse("--cell=clockwork", "--periods=1,3"), H).cell.periods == (1, 3)
    assert (
        make_layer(parse("--cell=grid_lstm", "--tied", "--depth=3"), H).cell.get_config()["tied"]
        is True
    )
    assert make_layer(parse("--cell=skip_gru", "--update_cost=0.5"), H).update_cost == 0.5


LEAVE = ": leave it out, or change the cell"
GREFF = "vanilla, NIG, NFG, NOG, NIAF, NOAF, NP, CIFG, FGR"


@pytest.mark.parametrize(
    "flags, line",
    [
        (
            ["--skip=3"],
            "--skip belongs to --cell fixed_skip or --cell skip_rnn, the cell here is dynamic_skip"
            + LEAVE,
        ),
        (
            ["--cell=lstm", "--notied"],
            "--tied belongs to --cell grid_lstm, the cell here is lstm" + LEAVE,
        ),
        (
            ["--cell=leaky", "--periods=1,2"],
            "--periods belongs to --cell clockwork, the cell here is leaky" + LEAVE,
        ),
        (["--cell=time_delay", "--delay=1"], "--delay expects a value >= 2, got 1"),
        (["--cell=clockwork", "--periods=1,0"], "--periods expects a value >= 1, got 0"),
        (
            ["--cell=clockwork", "--periods=1,2,4", "--rnn_size=2"],
            "--periods expects from 1 to 2 numbers (--rnn_size), got 3",
        ),
        (
            ["--cell=peephole_lstm", "--variant=NIGH"],
            f"--variant expects one of {GREFF}; got 'NIGH' (did you mean NIG?)",
        ),
    ],
)
def test_one_line_for_a_flag_that_does_not_fit(flags, line):
    with pytest.raises(InputError) as caught:
        parse(*flags)
    assert str(caught.value) == line


def test_one_distance_is_no_choice():
    """Config, cell and layer agree on what an agent is."""
    for n_actions in (1, 2):
        config = RunConfig(n_actions=n_actions, eval_samples=3, jit_compile=False)
        layer = make_layer(config, H)
        _, _, trace = run_layer(layer, tf.ones([B, T, D]))
        assert config.has_agent == layer.cell.has_agent == (n_actions > 1)
        assert (trace is not None) == (config.n_chains == 3) == (n_actions > 1)


@pytest.mark.parametrize("cell", CELLS)
def test_defaults_of_the_catalogue_are_those_of_the_class(cell):
    """Building a layer without and with its options gives the same configuration."""
    entry, options = RunConfig(cell=cell).layer()
    options.pop("initializers", None)
    layer = make_layer(RunConfig(cell=cell, jit_compile=False), H)
    plain = type(layer)(H) if entry.made_of.startswith(".layers") else None
    for name, value in options.items():
        holder = layer if name in layer.get_config() else layer.cell
        found = holder.get_config()[name]
        assert (list(found) if isinstance(found, tuple) else found) == value, name
        default = plain if plain is not None else type(layer.cell)(H)
        if name in default.get_config():
            assert default.get_config()[name] == found, name


def test_no_option_is_called_like_a_setting_of_every_run():
    options = {name for cell in CELLS.values() for name in cells.names(cell.options)}
    assert not options & set(RunConfig.__annotations__)


def test_the_table_of_cells_is_the_catalogue(root: pathlib.Path):
    """Its rows are cells, its flags their options, its defaults theirs."""
    table = (root / "common" / "cells" / "README.md").read_text(encoding="utf-8")
    found = []
    for cell, _, flags in re.findall(r"^\| (`.+?) \| (.*?) \| (.*?) \|", table, re.MULTILINE):
        for name in re.findall(r"`(\w+)`", cell):
            found.append(name)
            known = settings(CELLS[name].options)
            assert set(re.findall(r"--(\w+)", flags.partition(": ")[0])) <= {*known}
            for flag, default in re.findall(r"`--(\w+)` ([\w.,-]*\w)", flags):
                value = known[flag].default
                shown = {"None": "none", "False": "no", "True": "yes", "0.0001": "1e-4"}.get(
                    str(value), show(value)
                )
                assert default == shown, (name, flag)
            own = {name for name, one in settings(RunConfig).items() if one.default is None}
            assert name == "dynamic_skip" or own & {*known} <= set(re.findall(r"--(\w+)", flags))
    assert len(found) >= 15  # a cell of one's own need not be in it
