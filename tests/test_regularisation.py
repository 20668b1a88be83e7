"""Zoneout, dropout with masks for a window, AWD-LSTM's regularisation, tied embeddings."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from oracles import numpy_skip_lstm as oracle

from common.config import parse
from common.errors import InputError
from common.layers.dynamic_skip_lstm import DynamicSkipLSTM
from common.layers.fast_lstm import FastLSTM
from common.layers.fixed_skip_lstm import FixedSkipLSTM
from common.layers.make_layer import make_layer
from common.ops.masks import Masks
from common.ops.random import dropout_mask, fold
from LanguageModeling.model import LanguageModel
from LanguageModeling.parts.regularisation import drop, drop_words, penalty
from LanguageModeling.presets import PRESETS, LanguageConfig

B, T, H, V, K = 2, 4, 3, 7, 3
SEED = tf.constant([3, 4])
PER_GATE = "--state_masks=per_gate"
RATES = {"state_dropout": 0.4, "weight_dropout": 0.3, "zoneout": (0.5, 0.2)}
X = np.random.default_rng(0).normal(size=(B, T, H)).astype(np.float32)


def config(*arguments) -> LanguageConfig:
    sizes = f"--rnn_size={H} --agent_units=2 --nojit_compile --run_dir=x".split()
    return parse(LanguageConfig, PRESETS, ["RL_train.py", *sizes, *arguments])


def randomised(network):
    for n, weight in enumerate(network.trainable_variables):
        weight.assign(np.random.default_rng(n).normal(size=weight.shape, scale=0.7))
    return network


def windows(seed):
    """A batch of words and the next ones."""
    words = np.random.default_rng(seed).integers(0, V, (B, T + 1)).astype(np.int32)
    batch = {"words": tf.constant(words[:, :-1]), "targets": tf.constant(words[:, 1:])}
    return batch | {"weights": tf.ones([B, T])}


def by_name(layer):
    return {v.name: v.numpy().astype(np.float64) for v in layer.cell.weights if v.shape}


# ------------------------------------------------------------------------------------- the layers


@pytest.mark.parametrize("state_masks, n_masks", [("one", 1), ("per_gate", 4)])
def test_the_masks_of_a_seed_are_what_a_layer_uses(state_masks, n_masks):
    """One for all steps of the state and of U; zoneout's anew at each step; others by another seed.

    With their gradients in every mode: test_dynamic_skip_lstm.py.
    """
    options = RATES | {"lamda": 0.6, "state_masks": state_masks}
    layer = DynamicSkipLSTM(H, K, return_sequences=True, jit_compile=False, **options)
    layer.build(X.shape)
    found = randomised(layer)(X, training=True, seed=SEED)
    masks = layer.cell.masks([T, B, H], True, SEED)
    assert (masks.recurrent.numpy() == masks.recurrent.numpy()[0]).all()
    w = by_name(layer)
    w["recurrent_kernel"] = w["recurrent_kernel"] * masks.kernel.numpy()
    options = {"recurrent_mask": masks.recurrent.numpy(), "held": [a.numpy() for a in masks.held]}
    states = [np.zeros((B, K * H))] * 2
    distances = layer.trace.distances.numpy()
    expected, _, _ = oracle.run(w, X, distances, states, n_actions=K, lamda=0.6, **options)
    np.testing.assert_allclose(found, expected, atol=2e-6)
    np.testing.assert_array_equal(found, layer(X, training=True, seed=SEED))
    assert np.abs(found - layer(X, training=True, seed=SEED + 1)).max() > 0.01

    share, other = (layer.cell.masks([50, 40, 30], True, seed) for seed in (SEED, SEED + 1))
    recurrent, held_h = share.recurrent.numpy(), share.held.h.numpy()
    assert [*np.unique(recurrent)] == [0, np.float32(1 / 0.6)]
    assert recurrent.shape == (50, 40, n_masks * 30) and (recurrent == recurrent[0]).all()
    for one in (recurrent[0], other.recurrent[0].numpy()):  # another for each row and gate
        assert np.unique(one.reshape(-1, 30), axis=0).shape[0] == 40 * n_masks
    assert abs((recurrent[0] != other.recurrent[0].numpy()).mean() - 0.48) < 0.05
    assert abs(held_h.mean() - 0.2) < 0.01 and abs(share.held.c.numpy().mean() - 0.5) < 0.01
    assert (held_h[0] != held_h[1]).any()


def test_four_equal_masks_are_one_in_16_bits():
    """Of the sums over the gates only the order differs. Without a rate there is no mask.

    In float32 test_dynamic_skip_lstm.py has both against NumPy.
    """
    options = {"return_sequences": True, "jit_compile": False, "dtype": "mixed_bfloat16"}
    layers = [FixedSkipLSTM(H, 2, state_masks=kind, **options) for kind in ("one", "per_gate")]
    mask = tf.constant(np.random.default_rng(1).choice([0.0, 2.0], (1, B, H)), tf.float32)
    plain, found = [], []
    for layer, n_masks in zip(layers, (1, 4), strict=True):
        layer.build(X.shape)
        plain.append(randomised(layer)(X, training=True).numpy())
        masks = Masks(recurrent=tf.tile(mask, [T, 1, n_masks]))
        layer.cell.masks = lambda shape, training, seed, masks=masks: masks
        with tf.GradientTape() as tape:
            outputs = layer(X, training=True)
            loss = tf.reduce_sum(tf.cast(outputs, tf.float32) ** 2)
        found.append([outputs, *tape.gradient(loss, layer.trainable_variables)])
    np.testing.assert_array_equal(*plain)
    assert (plain[0] != found[0][0].numpy()).any()
    for one, per_gate in zip(*found, strict=True):
        np.testing.assert_allclose(per_gate, one, rtol=1e-5, atol=1e-6)


def test_a_cell_holds_as_its_layer_does():
    """At inference, in expectation; and where the distances are those of a window."""
    for history in ("carried", "window"):
        options = {"n_actions": K, "lamda": 0.6, "history": history, "zoneout": [0.5, 0.2]}
        layer = DynamicSkipLSTM(H, **options, return_sequences=True, jit_compile=False)
        layer.build(X.shape)
        cell = type(layer.cell).from_config(randomised(layer).cell.get_config())
        steps = keras.layers.RNN(cell, return_sequences=True)
        steps.build(X.shape)
        cell.set_weights(layer.cell.get_weights())
        np.testing.assert_allclose(layer(X), steps(X), atol=1e-6)
        assert layer.get_config()["zoneout"] == (0.5, 0.2)


def test_zoneout_holds_everything_or_its_expectation():
    state = [np.full((B, H), 0.3, np.float32), np.full((B, H), -2.0, np.float32)]
    layer = FastLSTM(H, zoneout=(1, 1), return_state=True, return_sequences=True)
    for training in (True, False):
        outputs, h, c = layer(X, initial_state=state, training=training, seed=SEED)
        np.testing.assert_array_equal(outputs, np.full((B, T, H), np.float32(0.3)))
        np.testing.assert_array_equal([h, c], state)

    n = 20_000  # rows; a step is linear in its masks
    layer = FastLSTM(H, zoneout=(0.5, 0.2), return_state=True, jit_compile=False)
    layer.build([n, 1, H])
    x, state = np.tile(X[:1, :1], (n, 1, 1)), [np.tile(s[:1], (n, 1)) for s in state]
    drawn = randomised(layer)(x, initial_state=state, training=True, seed=SEED)[1:]
    mean = layer(x[:1], initial_state=[s[:1] for s in state])[1:]
    for draws, expected in zip(drawn, mean, strict=True):
        error = np.std(draws, 0) / np.sqrt(n)
        assert (np.abs(np.mean(draws, 0) - expected[0]) < 4.5 * error).all() and error.min() > 0


@pytest.mark.parametrize(
    "options, message",
    [
        ({"zoneout": (0.5,)}, r"zoneout must be two numbers, of c and of h; received \(0.5,\)"),
        ({"zoneout": 0.5}, "zoneout must be two numbers"),
        ({"zoneout": (0.5, 2)}, r"zoneout must lie in \[0, 1\]; received 2"),
        ({"state_dropout": 1.0}, r"state_dropout must lie in \[0, 1\)"),
        ({"weight_dropout": "half"}, "weight_dropout must lie"),
        ({"state_masks": "two"}, "state_masks must be one of one, per_gate; received 'two'"),
    ],
)
def test_rates_that_are_none(options, message):
    with pytest.raises(ValueError, match=message):
        FastLSTM(H, **options)


# -------------------------------------------------------------------------------- language models


def numpy_loss(model, batch, seed):
    """The loss of the network in training, T times the mean over the rows, and its inputs h, x."""
    flags, n = model.config, len(model.recurrent)
    words, targets = batch["words"].numpy(), batch["targets"].numpy()

    def mask(shape, rate, *numbers):
        return dropout_mask(shape, rate or 0.0, fold(seed, *numbers)).numpy()

    _, _, trace = model.hidden(words, model.initial_state(B), seed, training=True)
    table = model.embedding.embeddings.numpy().astype(np.float64)
    kept = np.take_along_axis(mask([B, V], flags.word_dropout, 4), words, 1)[..., None]
    x = table[words] * kept * mask([B, 1, H], flags.dropout, 0)
    for i, layer in enumerate(model.recurrent):
        masks, w = layer.cell.masks([T, B, H], True, fold(seed, 1, i)), by_name(layer)
        w["recurrent_kernel"] = w["recurrent_kernel"] * (
            1 if masks.kernel is None else masks.kernel
        )
        k, states = layer.cell.n_actions, [np.zeros((B, layer.cell.n_actions * H))] * 2
        distances = trace.distances.numpy() if i == n - 1 else np.ones((B, T), int)
        h = oracle.run(
            w, x, distances, states, n_actions=k, lamda=1.0, recurrent_mask=masks.recurrent
        )[0]
        x = h * mask([B, 1, H], flags.dropout, 2, i)
    logits = x @ (table.T if flags.tied_embeddings else model.softmax.kernel.numpy())
    logits = logits + model.softmax.bias.numpy()
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    return -T * np.take_along_axis(log_p, targets[..., None], 2).mean(), h, x


@pytest.mark.parametrize("kind, graph", [("variational", True), ("awd", False)])
def test_the_loss_is_numpys(kind, graph):
    """Eagerly and as a graph. (XLA draws other numbers of a seed; its gradients are those of the
    recurrence with given masks, test_dynamic_skip_lstm.py.)
    """
    batch = windows(2)
    flags = ["--rl_weight=0", "--entropy_weight=0", "--dropout=0.3", "--word_dropout=0.4"]
    of_kind = {"awd": "--tied_embeddings --slowness_l2=0.5", "variational": PER_GATE}
    flags += of_kind[kind].split()
    model = LanguageModel(config(*flags, f"--regularisation={kind}"), V)
    expected, h, x = numpy_loss(randomised(model), batch, SEED)
    if kind == "awd":
        expected += T * (2 * (x**2).mean() + 0.5 * ((h[:, 1:] - h[:, :-1]) ** 2).mean())
        assert sum(v.shape == (V, H) for v in model.trainable_variables) == 1
        assert not any(v.shape == (H, V) for v in model.trainable_variables)

    def loss():
        return model.training_loss(batch, model.initial_state(B), SEED, {})[0]

    run = tf.function(loss, autograph=False) if graph else loss
    np.testing.assert_allclose(run(), expected, rtol=2e-6)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_words_and_steps_that_are_dropped(jit_compile):
    """A word of a row wherever it stands, another choice in each row; one mask for all steps."""
    words = tf.tile([[1, 2, 3, 4, 5, 1, 2, 3, 4, 5]], [300, 1])
    flags = config("--regularisation=awd", "--dropout=0.5")

    @tf.function(jit_compile=jit_compile, autograph=False)
    def run(x):
        dropped = drop_words(x, words, V, 0.4, SEED), drop(flags, x, SEED)
        return *dropped, penalty(flags, dropped[1], x)

    x = np.random.default_rng(1).normal(size=(300, 10, H)).astype(np.float32)
    of_words, of_steps, loss = (a.numpy() for a in run(x))
    kept = of_words / x
    np.testing.assert_allclose(kept[:, :5], kept[:, 5:], rtol=1e-5)
    np.testing.assert_allclose(kept, np.where(kept[..., :1] > 0, 1 / 0.6, 0.0) + 0 * x, rtol=1e-5)
    shares = (kept[:, :5, 0] == 0).mean(0)
    assert (np.abs(shares - 0.4) < 4 * np.sqrt(0.24 / 300)).all() and len({*shares}) > 1
    steps = of_steps / x
    np.testing.assert_allclose(steps, np.where(steps[:, :1] > 0, 2.0, 0.0) + 0 * x, rtol=1e-5)
    assert abs((steps[:, 0] == 0).mean() - 0.5) < 4 * np.sqrt(0.25 / 300 / H)
    expected = 2 * (of_steps**2).mean() + ((x[:, 1:] - x[:, :-1]) ** 2).mean()
    np.testing.assert_allclose(loss, 10 * expected, rtol=1e-5)


def test_a_mixture_has_masks_as_in_training():
    """Without a mixture there are none."""
    flags = ["--rnn_layers=1", "--eval_samples=3"]
    assert config("--cell=lstm", "--eval_samples=3").n_chains == 1
    assert config(*flags, "--cell=lstm", "--regularisation=variational").n_chains == 3
    model = LanguageModel(config(*flags, "--regularisation=variational", "--dropout=0.4"), V)
    batch, states = windows(1), [randomised(model).initial_state(n * B) for n in (1, 3)]
    found, _ = model.evaluation_metrics(batch, states[1], SEED, False, 3)
    words, targets = (tf.repeat(batch[name], 3, axis=0) for name in ("words", "targets"))
    x, *_ = model.features(words, states[1], True, False, SEED)
    log_p = model.log_likelihood(x, targets)
    mixed = np.log(np.exp(log_p.numpy().reshape(B, 3, T)).mean(1))
    np.testing.assert_allclose(found["loss"][0], -mixed.sum(), rtol=1e-5)
    np.testing.assert_allclose(found["chain_loss"][0], -log_p.numpy().sum() / 3, rtol=1e-5)
    plain = LanguageModel(config(*flags, "--dropout=0"), V)
    plain.set_weights(model.get_weights())
    losses = [m.evaluation_metrics(batch, states[0], SEED, True)[0]["loss"] for m in (model, plain)]
    np.testing.assert_array_equal(*losses)


@pytest.mark.parametrize(
    "flags, message",
    [
        ("--zoneout=0.5", "--zoneout expects two probabilities, of c and of h, such as .*; got 1"),
        ("--zoneout=0.5,1.5", "--zoneout expects a value from 0 to 1, got 1.5"),
        ("--cell=gru --zoneout=0.5,0.1", "--zoneout belongs to --cell dynamic_skip or --cell lstm"),
        ("--word_dropout=0.1", "--word_dropout belongs to --regularisation variational or .*awd"),
        ("--regularisation=awd --state_dropout=0.1", "--state_dropout belongs to"),
        (PER_GATE, "--state_masks belongs to --regularisation variational"),
        (
            "--regularisation=variational --cell=gru",
            "variational expects one of --cell dynamic_skip, lstm, .*; got gru: change one of them",
        ),
        (
            "--regularisation=awd --weight_dropout=0.3 --mc_dropout --eval_samples=2",
            "--weight_dropout 0.3 drops the same numbers of U in all: leave --mc_dropout out",
        ),
        ("--model=char --tied_embeddings", "--tied_embeddings belongs to --model word"),
    ],
)
def test_flags_that_do_not_go_together(flags, message):
    with pytest.raises(InputError, match=message):
        config(*flags.split())


def test_zoneout_is_that_of_all_lstm_layers():
    """The rates of a cell that it shares with those below, which have their defaults else."""
    for cell in ("lstm", "dynamic_skip"):
        flags = config(f"--cell={cell}", "--zoneout=0.5,0.05")
        both = make_layer(flags, H, "lstm"), make_layer(flags, H)
        assert [layer.zoneout for layer in both] == [(0.5, 0.05)] * 2
    assert make_layer(config("--n_actions=3"), H, "lstm").zoneout == (0, 0)
