"""DynamicSkipLSTM: the layer against NumPy, the cell under keras.layers.RNN and keras.layers.LSTM;
as a Keras layer.
"""

from typing import NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.arrays import normal
from helpers.marks import LONG, long_but
from helpers.modes import MODES
from oracles import numpy_skip_lstm as oracle

from common.cells.dynamic_skip import DynamicSkipLSTMCell
from common.layers.dynamic_skip_lstm import DynamicSkipLSTM
from common.layers.fast_lstm import FastLSTM
from common.layers.k_state_layer import KStateLSTM
from common.ops.gates import State
from common.ops.masks import Masks

B, T, D, H, A = 5, 6, 2, 3, 4
MASK = np.array(
    [
        [1, 1, 1, 1, 1, 1],
        [1, 1, 1, 0, 0, 0],
        [0, 0, 1, 1, 1, 1],
        [0, 1, 0, 1, 1, 0],
        [0, 0, 0, 0, 0, 0],
    ],
    bool,
)


def randomise(layer, seed=0):
    """All weights drawn anew, biases and offsets too."""
    for n, v in enumerate(layer.weights):
        if v.dtype in ("float32", "float64"):
            v.assign(normal(v.shape, seed + n, 0.5) + (1 if v.name.endswith("gain") else 0))


def weights(layer):
    return {v.name: v.numpy().astype(np.float64) for v in layer.cell.trainable_variables}


class ReplayCell(DynamicSkipLSTMCell):
    """The cell with its choices, and its dropout on the candidate, given as further features of the
    input.
    """

    def build(self, input_shape):
        super().build((*input_shape[:-1], input_shape[-1] - 1 - self.units))

    def call(self, inputs, states, training=False):
        x, distances, mask = tf.split(
            inputs, [inputs.shape[-1] - 1 - self.units, 1, self.units], -1
        )
        return self.step(
            x,
            states,
            tf.cast(distances[:, 0], tf.int32) if self.n_actions > 1 else None,
            Masks(candidate=mask),
        )


class Case(NamedTuple):
    """A layer, its input, and how it runs: "plain" is eager without XLA."""

    n_actions: int
    lamda: float = 1.0
    observation: str = "previous"
    history: str = "carried"
    masked: bool = False
    zero_output_for_mask: bool = False
    go_backwards: bool = False
    layer_norm: bool = False
    drop: int = 0  # candidates and states, these with so many masks; zoneout holds some
    mode: str = "xla"

    def cell(self) -> dict:
        """Arguments of the cell."""
        names = ("n_actions", "lamda", "observation", "history", "layer_norm")
        return {name: getattr(self, name) for name in names} | {"agent_units": A}

    def sequence(self) -> dict:
        """Arguments of the layer alone."""
        names = ("go_backwards", "zero_output_for_mask")
        of_case = {name: getattr(self, name) for name in names}
        return of_case | {"return_sequences": True, "return_state": True}


CASES = [
    Case(1, drop=1),
    Case(
        1,
        lamda=0.5,
        observation="mean",
        history="window",
        masked=True,
        zero_output_for_mask=True,
        go_backwards=True,
        layer_norm=True,
        mode="eager",
    ),
    Case(2, lamda=0.0, history="window", masked=True, go_backwards=True, mode="graph"),
    Case(2, lamda=0.5, observation="mean", go_backwards=True, layer_norm=True, drop=4),
    Case(2, observation="mean", history="window", masked=True, mode="eager"),
    Case(5, lamda=0.0, observation="mean", masked=True, zero_output_for_mask=True, layer_norm=True),
    Case(5, lamda=0.5, masked=True, go_backwards=True),
    Case(5, lamda=0.5, history="window", layer_norm=True, drop=4, mode="graph"),
    Case(5, observation="mean", history="window", masked=True, layer_norm=True),
    Case(5, drop=1, mode="plain"),
    Case(8, lamda=0.5, observation="mean", history="window"),  # more choices than steps
]


# Each of the framework's modes, each observation and history, K above T, with the estimator that
# gives the agent the task's gradient too.
STRAIGHT_THROUGH = [(CASES[n], "straight_through") for n in (3, 4, 7, 9, 10)]
RARER = [(CASES[n], "policy_gradient") for n in (3, 5, 6)] + STRAIGHT_THROUGH[-1:]
WIDE = [(CASES[n], "policy_gradient") for n in (1, 2, 8)] + STRAIGHT_THROUGH


@pytest.mark.parametrize(
    "case, estimator",
    [
        pytest.param(*one, marks=LONG if one in RARER else ())
        for one in [(case, "policy_gradient") for case in CASES] + STRAIGHT_THROUGH
    ],
    ids=lambda c: c if isinstance(c, str) else "-".join(str(one) for one in (*c[:4], c.mode)),
)
def test_layer_equals_numpy(case, estimator):
    """Outputs, states, the trace and all gradients; in float64 to its last digits."""
    n_actions, mode = case.n_actions, case.mode
    wide = (case, estimator) in WIDE
    dtype = "float64" if wide else "float32"

    def normal(shape, seed):
        return globals()["normal"](shape, seed).astype(dtype)

    def close(found, wanted, tolerance=2e-6, **options):
        assert found.dtype == dtype
        np.testing.assert_allclose(found, wanted, atol=1e-12 if wide else tolerance, **options)

    layer = DynamicSkipLSTM(
        H,
        **case.cell(),
        **case.sequence(),
        jit_compile=mode not in ("graph", "plain"),
        estimator=estimator,
        dtype=dtype,
    )
    layer.build((B, T, D))
    randomise(layer)
    x, mask = normal((B, T, D), 100), MASK if case.masked else None
    distances = np.random.default_rng(1).integers(1, n_actions + 1, (B, T))
    states = [normal((B, size), 101 + n) for n, size in enumerate(layer.state_size)]
    masks = {}
    if case.drop:
        dropped = np.random.default_rng(2).choice([0.0, 2.0], (T, B, (1 + case.drop) * H))
        dropped = np.split(dropped.astype(dtype), [H], -1)
        held = np.random.default_rng(3).choice([0.0, 1.0, 0.3], (2, T, B, H)).astype(dtype)
        masks = {"candidate_mask": dropped[0], "recurrent_mask": dropped[1], "held": held}
        given_masks = Masks(*map(tf.constant, dropped), State(*map(tf.constant, held)))
        layer.cell.masks = lambda shape, training, seed: given_masks
    d_output, d_final = (
        normal((B, T, H), 103),
        [normal(s.shape, 104 + n) for n, s in enumerate(states)],
    )
    d_log_prob, d_entropy, d_probs = (
        normal((B, T), 106),
        normal((B, T), 107),
        normal((B, T, n_actions), 108),
    )

    @MODES["eager" if mode == "plain" else mode]
    def everything(x, states, distances, mask):
        with tf.GradientTape() as tape:
            tape.watch((x, states))
            output, *final = layer(
                x, initial_state=states, mask=mask, distances=distances, training=True
            )
            trace = layer.trace
            network_loss = tf.reduce_sum(output * d_output) + sum(
                tf.reduce_sum(a * b) for a, b in zip(final, d_final, strict=True)
            )
            agent_loss = sum(
                tf.reduce_sum(a * b)
                for a, b in (
                    (trace.log_probs, d_log_prob),
                    (trace.entropies, d_entropy),
                    (trace.probs, d_probs),
                )
            )
            loss = network_loss + agent_loss
        variables = {v.name: v.value for v in layer.trainable_variables}
        gradients = tape.gradient(
            loss,
            {"x": x, "h": states[0], "c": states[1], **variables},
            unconnected_gradients="zero",
        )
        return output, final, trace, gradients

    given = None if mask is None else tf.constant(mask)
    output, final, trace, gradients = everything(
        tf.constant(x), [tf.constant(s) for s in states], tf.constant(distances, tf.int32), given
    )

    w, x, h, c = weights(layer), x.astype(np.float64), *(s.astype(np.float64) for s in states)
    options = dict(
        n_actions=n_actions,
        lamda=case.lamda,
        observation=case.observation,
        history=case.history,
        mask=mask,
        zero_output_for_mask=case.zero_output_for_mask,
        go_backwards=case.go_backwards,
        **masks,
    )
    expected, seen, expected_final = oracle.run(w, x, distances, [h, c], **options)
    close(output, expected)
    for a, b in zip(final, expected_final, strict=True):
        close(a, b)

    on, processed = np.ones((B, T), bool) if mask is None else mask, x
    if case.go_backwards:
        on, processed = on[:, ::-1], x[:, ::-1]
    np.testing.assert_array_equal(trace.mask, on)
    np.testing.assert_array_equal(trace.distances, np.where(on, distances, 0))

    def log_policy(w):
        if n_actions == 1:
            return np.zeros((B, T, 1))
        return oracle.policy(w, processed, seen)

    def chosen_log_probs(log_pi):
        return np.where(
            on, sum(np.where(distances == k + 1, log_pi[..., k], 0) for k in range(n_actions)), 0
        )

    log_pi = log_policy(w)
    close(trace.log_probs, chosen_log_probs(log_pi), 5e-6)
    close(trace.entropies, np.where(on, -(np.exp(log_pi) * log_pi).sum(-1), 0), 5e-6)
    close(trace.probs, np.where(on[..., None], np.exp(log_pi), 0), 5e-6)

    def network_loss(x, h, c, weights=None, **w):
        output, _, final = oracle.run(w, x, distances, [h, c], weights=weights, **options)
        return (output * d_output).sum((-3, -2, -1)) + sum(
            (a * b).sum((-2, -1)) for a, b in zip(final, d_final, strict=True)
        )

    def agent_loss(**w):
        log_pi = log_policy(w)
        loss = (chosen_log_probs(log_pi) * d_log_prob).sum((-2, -1))
        loss += np.where(on, -(np.exp(log_pi) * log_pi).sum(-1) * d_entropy, 0).sum((-2, -1))
        return loss + np.where(on[..., None], np.exp(log_pi) * (d_probs + d_weights), 0).sum(
            (-3, -2, -1)
        )

    network = {name: a for name, a in w.items() if name not in oracle.AGENT}
    wanted = oracle.gradients(network_loss, x=x, h=h, c=c, **network)
    d_weights = 0.0
    # as if the distances had had weights, of which the sample is one
    if estimator == "straight_through":
        chosen = np.eye(n_actions)[distances - 1]
        d_weights = oracle.gradients(
            lambda weights: network_loss(x, h, c, weights, **network), weights=chosen
        )["weights"]
        assert np.abs(d_weights).max() > 0.01
    if n_actions > 1:
        wanted |= oracle.gradients(
            agent_loss, **{name: a for name, a in w.items() if name in oracle.AGENT}
        )
    assert gradients.keys() == wanted.keys()
    for name, gradient in gradients.items():
        relative = 1e-10 if wide else 2e-5
        close(gradient, wanted[name], 2e-5, rtol=relative, err_msg=name)


# Keras says so where a reward is waited for
@pytest.mark.filterwarnings("ignore:Gradients do not exist for variables:UserWarning")
@pytest.mark.parametrize("estimator", ["policy_gradient", "straight_through"])
def test_what_an_agent_learns_from_in_any_model(estimator):
    """`compile` and `fit` of a plain Keras model, the layer and its cell: straight through the
    agent learns, by reward it waits for one.
    """
    options = dict(n_actions=3, agent_units=A, estimator=estimator)
    for layer in (
        DynamicSkipLSTM(H, **options, jit_compile=False),
        keras.layers.RNN(DynamicSkipLSTMCell(H, **options)),
    ):
        model = keras.Sequential([keras.Input((T, D)), layer, keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        before = [v.numpy() for v in layer.trainable_variables]
        model.fit(normal((8, T, D), 1), normal((8, 1), 2), batch_size=8, epochs=1, verbose=0)
        moved = {
            v.name: (v.numpy() != a).any()
            for v, a in zip(layer.trainable_variables, before, strict=True)
        }
        assert moved.pop("kernel") and moved.pop("recurrent_kernel") and moved.pop("bias")
        assert moved.keys() == set(oracle.AGENT) and set(moved.values()) == {
            estimator == "straight_through"
        }


@pytest.mark.parametrize(
    "case", long_but([CASES[3]], [CASES[3], CASES[8]]), ids=["carried", "window"]
)
def test_layer_equals_cell(case):
    """The two faces, each with the framework's gradient of its own: `cell.step` under
    keras.layers.RNN, and the layer.
    """
    options, sequence = case.cell(), case.sequence()
    layer = DynamicSkipLSTM(
        H, **options, **sequence, recurrent_dropout=0.5 if case.drop else 0.0, jit_compile=False
    )
    layer.build((B, T, D))
    randomise(layer)
    reference = keras.layers.RNN(ReplayCell(H, **options), **sequence)
    reference.build((B, T, D + 1 + H))
    reference.cell.set_weights(layer.cell.get_weights())
    x, mask = normal((B, T, D), 1), tf.constant(MASK) if case.masked else None
    distances = np.random.default_rng(1).integers(1, case.n_actions + 1, (B, T))
    kept = (
        np.random.default_rng(2).choice([0.0, 2.0], (B, T, H)).astype(np.float32)
        if case.drop
        else np.ones((B, T, H), np.float32)
    )
    if case.drop:
        layer.cell.candidate_mask = lambda shape, seed: tf.constant(kept.transpose(1, 0, 2))
    states = [normal((B, size), 11 + n) for n, size in enumerate(layer.state_size)]
    d_output = normal((B, T, H), 3)
    # The cell takes its input in the order of the sequence, the layer its distances in the order of
    # processing.
    given = [a[:, ::-1] if case.go_backwards else a for a in (distances[..., None], kept)]
    wide = np.concatenate([x, *given], -1).astype(np.float32)
    padding = (
        [np.zeros((B, case.n_actions * H), np.float32)] * 2 if case.history == "window" else []
    )
    # the cell holds the carried state of an all-case.masked sequence elsewhere
    n_rows = B - 1 if case.history == "window" else B

    @tf.function
    def both(x, wide, states):
        with tf.GradientTape(persistent=True) as tape:
            a, *final_a = layer(
                x, initial_state=states, mask=mask, distances=tf.constant(distances), training=True
            )
            b, *final_b = reference(wide, initial_state=[*padding, *states], mask=mask)
            if case.history == "window":  # of the cell's K slots the layer hands on the latest
                final_b = [s[:, -H:] for s in final_b[:2]]
            losses = [
                tf.reduce_sum(output * d_output) + tf.reduce_sum(final[0][:n_rows])
                for output, final in ((a, final_a), (b, final_b))
            ]
        n = 3 + (4 if case.layer_norm else 0)
        return (
            a,
            b,
            final_a,
            final_b,
            *(
                tape.gradient(loss, [v.value for v in one.trainable_variables[:n]])
                for loss, one in zip(losses, (layer, reference), strict=True)
            ),
        )

    a, b, final_a, final_b, gradients_a, gradients_b = both(x, wide, states)
    np.testing.assert_allclose(a, b, atol=2e-6)
    for p, q in zip(final_a, final_b, strict=True):
        np.testing.assert_allclose(p[:n_rows], q[:n_rows], atol=2e-6)
    for p, q in zip(gradients_a, gradients_b, strict=True):
        np.testing.assert_allclose(p, q, atol=2e-5, rtol=2e-5)


@pytest.mark.parametrize(
    "case",
    long_but(
        [("none", False), ("padded", False)], [("none", False), ("padded", False), ("padded", True)]
    ),
    ids=["plain", "masked", "backwards"],
)
def test_one_action_and_no_skip_are_keras_lstm(case):
    """K = 1 and lamda = 0 are the plain LSTM: outputs, states, gradients, with the same weights."""
    masked, backwards = case[0] == "padded", case[1]
    options = dict(return_sequences=True, return_state=True, go_backwards=backwards)
    lstm = keras.layers.LSTM(H, **options, use_cudnn=False)
    layers = [
        FastLSTM(H, **options, jit_compile=False),
        DynamicSkipLSTM(H, n_actions=3, lamda=0.0, **options, jit_compile=False),
    ]
    for layer in (lstm, *layers):
        layer.build((B, T, D))
    randomise(layers[1])
    for layer in (lstm, layers[0]):
        layer.cell.set_weights(layers[1].cell.get_weights()[:3])
    x, mask = tf.constant(normal((B, T, D), 1)), tf.constant(MASK) if masked else None
    states, d_output = (
        [tf.constant(normal((B, H), 2)), tf.constant(normal((B, H), 3))],
        normal((B, T, H), 4),
    )

    @tf.function
    def everything():
        results = []
        for layer in (lstm, *layers):
            n = getattr(layer.cell, "n_actions", 1)
            with tf.GradientTape() as tape:
                tape.watch((x, states))
                given = [tf.pad(s, [[0, 0], [(n - 1) * H, 0]]) for s in states]
                outputs, h, c = layer(x, initial_state=given, mask=mask)
                h, c = h[:, -H:], c[:, -H:]
                loss = (
                    tf.reduce_sum(outputs * d_output)
                    + tf.reduce_sum(h * d_output[:, 0])
                    + tf.reduce_sum(c * d_output[:, 1])
                )
            gradients = tape.gradient(
                loss, [x, *states, *(v.value for v in layer.trainable_variables[:3])]
            )
            results.append([outputs, h, c, *gradients])
        return results

    wanted, *results = everything()
    for result in results:
        for a, b in zip(result, wanted, strict=True):
            np.testing.assert_allclose(a, b, atol=2e-5)


@pytest.fixture(scope="module")
def sampled():
    """A layer over 4,000 equal sequences: (trace of sampled distances, the same with the same seed,
    with another one, greedy).
    """
    layer = DynamicSkipLSTM(H, n_actions=3, agent_units=A, return_sequences=True)
    layer.build((1, 2, D))
    randomise(layer)
    x = tf.constant(np.tile(normal((1, 2, D), 5, 2.0), (4000, 1, 1)))

    @tf.function
    def run(seed, greedy):
        layer(x, seed=seed, greedy=greedy)
        return layer.trace

    return [
        run(tf.constant(seed), greedy)
        for seed, greedy in (([1, 2], False), ([1, 2], False), ([1, 3], False), ([1, 2], True))
    ]


def chi_square(distances, probs):
    expected = len(distances) * np.asarray(probs, np.float64)
    return ((np.bincount(distances, minlength=len(probs) + 1)[1:] - expected) ** 2 / expected).sum()


def test_samples_follow_the_policy(sampled):
    trace = sampled[0]
    # 2 degrees of freedom, p = .001
    assert chi_square(trace.distances[:, 0].numpy(), trace.probs[0, 0]) < 13.8
    # given what step 0 chose there is one policy for step 1 (all distances there connect to zeros:
    # equal)
    for first in (1, 2, 3):
        rows = np.flatnonzero(trace.distances[:, 0] == first)
        assert chi_square(trace.distances.numpy()[rows, 1], trace.probs[rows[0], 1]) < 13.8
    # the test would see a wrong policy
    assert trace.probs[0, 0].numpy().max() < 0.9 and trace.probs[0, 0].numpy().min() > 0.02


def test_the_seed_decides(sampled):
    first, again, other, _ = sampled
    np.testing.assert_array_equal(first.distances, again.distances)
    assert 0.2 < np.mean(first.distances.numpy() == other.distances.numpy()) < 0.8


def test_greedy_takes_the_most_probable(sampled):
    greedy = sampled[3]
    np.testing.assert_array_equal(greedy.distances, np.argmax(greedy.probs, -1) + 1)


def test_greedy_is_for_inference_only():
    layer = DynamicSkipLSTM(H, n_actions=3, greedy=True, jit_compile=False, seed=1)
    x = normal((200, 1, D), 1)
    layer(x)
    np.testing.assert_array_equal(layer.trace.distances, np.argmax(layer.trace.probs, -1) + 1)
    layer(x, training=True)
    assert (layer.trace.distances.numpy() != np.argmax(layer.trace.probs, -1) + 1).mean() > 0.2
    layer(x, training=True, greedy=True)
    np.testing.assert_array_equal(layer.trace.distances, np.argmax(layer.trace.probs, -1) + 1)
    layer(x, greedy=False)
    first = layer.trace.distances.numpy()
    layer(x, greedy=False)
    assert (layer.trace.distances.numpy() != first).any()  # a stream of its own moves on


def test_inputs_are_dropped_once_for_all_steps_and_not_for_the_agent():
    layer = DynamicSkipLSTM(H, n_actions=3, dropout=0.5, jit_compile=False, return_sequences=True)
    layer.build((B, T, 8))
    x = normal((B, T, 8), 1)
    seen, original = {}, layer.recurrence

    def spy(projected, *rest, choice):
        seen.update(projected=projected, agent=choice.agent)
        return original(projected, *rest, choice=choice)

    spy.seen, layer.recurrence = original.seen, spy
    layer(x, training=True, seed=tf.constant([3, 4]))
    kept = layer.cell.input_mask([B, 8], tf.constant([3, 4])).numpy()
    assert set(np.unique(kept)) == {0.0, 2.0}
    kernel, bias = (w.numpy() for w in (layer.cell.kernel, layer.cell.bias))
    np.testing.assert_allclose(
        np.transpose(seen["projected"], [1, 0, 2]), (x * kept[:, None]) @ kernel + bias, atol=1e-5
    )
    w = layer.cell.agent_weights
    np.testing.assert_allclose(
        np.transpose(seen["agent"].projected, [1, 0, 2]),
        x @ w.input_kernel.numpy() + w.bias.numpy(),
        atol=1e-5,
    )
    layer(x, training=False, seed=tf.constant([3, 4]))
    np.testing.assert_allclose(
        np.transpose(seen["projected"], [1, 0, 2]), x @ kernel + bias, atol=1e-5
    )


@pytest.mark.parametrize("dtype", ["int32", "bool"])
def test_dropout_scales_whole_numbers_too(dtype):
    """1 / (1 - .4) is no whole number: what remains would be too small by .4 of it."""
    layer = DynamicSkipLSTM(H, n_actions=3, dropout=0.4, return_sequences=True)
    x, seed = tf.cast(normal((B, T, 8), 1) > 0, dtype), tf.constant([3, 4])
    wanted = layer(tf.cast(x, tf.float32), training=True, seed=seed)
    np.testing.assert_array_equal(layer(x, training=True, seed=seed), wanted)
    cell = layer.cell
    kept, _ = cell.drop(tf.cast(x[:, 0], tf.float32), True, seed)
    states = cell.get_initial_state(B)
    cell.new_seed = lambda: seed
    outputs = [cell(a, states, training=True)[0] for a in (x[:, 0], tf.cast(x[:, 0], tf.float32))]
    np.testing.assert_array_equal(*outputs)
    assert set(np.unique(kept)) == {0.0, np.float32(1 / 0.6)}


def test_recurrent_dropout_draws_a_mask_each_step_and_only_in_training():
    layer = DynamicSkipLSTM(
        64, n_actions=1, recurrent_dropout=0.25, jit_compile=False, return_sequences=True
    )
    x = normal((8, T, D), 1)
    rest = layer(x).numpy()
    np.testing.assert_array_equal(rest, layer(x))
    assert (layer(x, training=True).numpy() != rest).any()
    mask = layer.cell.candidate_mask([T, 8, 64], tf.constant([1, 2])).numpy()
    assert abs((mask == 0).mean() - 0.25) < 0.03 and np.allclose(mask[mask > 0], 1 / 0.75)
    assert (mask[0] != mask[1]).any()


# --------------------------------------------------------------------------------- as a Keras layer


def network(**kwargs):
    """Words with padding, a layer in both directions, one more: what a user builds.

    Sizes of batch and time are unknown.
    """
    options = dict(n_actions=3, agent_units=A, greedy=True, lamda=0.5, jit_compile=False, **kwargs)
    words = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(7, D, mask_zero=True)(words)
    x = keras.layers.Bidirectional(DynamicSkipLSTM(H, return_sequences=True, **options))(x)
    x = DynamicSkipLSTM(H, kernel_regularizer="l2", bias_constraint="non_neg", **options)(x)
    return keras.Model(words, keras.layers.Dense(1)(x))


def test_functional_model_fit_save_load(tmp_path):
    model = network()
    model.compile("sgd", "mse", jit_compile=False)
    words = np.array(
        [[1, 2, 3, 4, 0, 0], [5, 6, 1, 2, 3, 4], [2, 0, 0, 0, 0, 0], [3, 4, 5, 0, 0, 0]]
    )
    before = model.get_weights()
    model.fit(words, np.ones((4, 1)), epochs=1, batch_size=4, verbose=0)
    assert len(model.losses) == 1  # the regulariser's
    assert (model.layers[-2].cell.bias.numpy() >= 0).all()
    assert any((a != b).any() for a, b in zip(before, model.get_weights(), strict=True))
    wanted = model(words).numpy()
    # padding changes nothing
    np.testing.assert_allclose(model(words[:, :4][[0, 2, 3]]), wanted[[0, 2, 3]], atol=1e-6)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded(words), wanted, atol=1e-6)


def test_config_round_trip():
    options = dict(
        units=3,
        n_actions=4,
        lamda=0.25,
        agent_units=5,
        observation="mean",
        history="window",
        forget_bias=0.5,
        layer_norm=True,
        dropout=0.1,
        recurrent_dropout=0.2,
        greedy=True,
        seed=3,
        return_sequences=True,
        return_state=True,
        go_backwards=True,
        zero_output_for_mask=True,
        jit_compile=False,
        name="skip",
        kernel_initializer="he_normal",
        kernel_regularizer="l2",
        recurrent_constraint="unit_norm",
        agent_bias_initializer="ones",
        activity_regularizer="l1",
        trainable=False,
        dtype="mixed_bfloat16",
    )
    layer = DynamicSkipLSTM(**options)
    config = layer.get_config()
    assert DynamicSkipLSTM.from_config(config).get_config() == config
    assert options.keys() <= config.keys()
    for name in (
        "units",
        "lamda",
        "history",
        "greedy",
        "go_backwards",
        "zero_output_for_mask",
        "jit_compile",
        "name",
        "trainable",
    ):
        assert config[name] == options[name]
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert (
        type(copy) is DynamicSkipLSTM
        and copy.cell.lamda == 0.25
        and copy.activity_regularizer is not None
    )
    fast = FastLSTM(4, return_sequences=True)
    assert FastLSTM.from_config(fast.get_config()).get_config() == fast.get_config()


def test_stateful_goes_on_and_resets():
    """Also masked: each row goes on behind its last step that counts."""
    whole = DynamicSkipLSTM(H, n_actions=3, return_sequences=True, greedy=True, jit_compile=False)
    parts = DynamicSkipLSTM(
        H, n_actions=3, return_sequences=True, greedy=True, jit_compile=False, stateful=True
    )
    x = normal((B, T, D), 1)
    whole.build(x.shape), parts.build((B, T // 2, D))
    parts.set_weights(whole.get_weights())
    for mask in (None, MASK):
        on = np.ones_like(MASK) if mask is None else mask
        wanted = whole(x, mask=mask).numpy()
        for half in (slice(None, T // 2), slice(T // 2, None)):
            found = parts(x[:, half], mask=None if mask is None else mask[:, half]).numpy()
            wanted_half = wanted[:, half][on[:, half]]
            np.testing.assert_allclose(found[on[:, half]], wanted_half, atol=1e-6)
        parts.reset_state()


def test_states_handed_on_are_the_whole_past():
    layer = DynamicSkipLSTM(
        H, n_actions=3, return_sequences=True, return_state=True, greedy=True, jit_compile=False
    )
    x = normal((B, T, D), 1)
    wanted, *final = layer(x)
    first, *middle = layer(x[:, :2])
    second, *last = layer(x[:, 2:], initial_state=middle)
    np.testing.assert_allclose(np.concatenate([first, second], 1), wanted, atol=1e-6)
    assert [s.shape for s in final] == [(B, 3 * H)] * 2
    for a, b in zip(last, final, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("history", ["carried", "window"])
@pytest.mark.parametrize("shape", [(B, None, D), (None, T, D), (None, None, D)])
def test_unknown_sizes(history, shape):
    """One step among them, behind which a loop over the others would have none."""
    layer = DynamicSkipLSTM(H, n_actions=2, history=history, greedy=True, jit_compile=False)
    layer.build([None, None, D])

    def run(x):
        with tf.GradientTape() as tape:
            output = layer(x)
        return output, tape.gradient(output, layer.trainable_variables[0].value)

    compiled = tf.function(run, input_signature=[tf.TensorSpec(shape)])
    for n in (T, 1) if shape[1] is None else (T,):
        x = tf.constant(normal((B, n, D), 1))
        for one, other in zip(compiled(x), run(x), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("zero_output", [False, True])
def test_the_last_output_is_as_in_keras(zero_output):
    """Also where the last steps, or all, are masked."""
    options = dict(return_state=True, zero_output_for_mask=zero_output)
    lstm, layer = (
        keras.layers.LSTM(H, **options, use_cudnn=False),
        FastLSTM(H, **options, jit_compile=False),
    )
    states = [normal((B, H), 2), normal((B, H), 3)]
    x = normal((B, T, D), 1)
    layer.build(x.shape), lstm.build(x.shape)
    lstm.set_weights(layer.get_weights()[:3])
    for a, b in zip(
        layer(x, initial_state=states, mask=MASK),
        lstm(x, initial_state=states, mask=tf.constant(MASK)),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_mixed_precision():
    layer = DynamicSkipLSTM(
        8, n_actions=3, dtype="mixed_bfloat16", return_sequences=True, return_state=True
    )
    same = DynamicSkipLSTM(8, n_actions=3, return_sequences=True)
    x, mask = normal((B, T, D), 1), tf.constant(MASK)
    layer.build(x.shape), same.build(x.shape)
    same.cell.set_weights(layer.cell.get_weights())
    distances = np.random.default_rng(1).integers(1, 4, (B, T))

    @tf.function(jit_compile=True)
    def run():
        with tf.GradientTape() as tape:
            outputs, *states = layer(x, distances=distances, mask=mask)
            loss = tf.reduce_sum(tf.cast(outputs, tf.float32)) + tf.reduce_sum(
                layer.trace.log_probs
            )
        return (
            outputs,
            states,
            layer.trace.log_probs,
            tape.gradient(loss, [v.value for v in layer.trainable_variables]),
        )

    outputs, states, log_probs, gradients = run()
    assert outputs.dtype == tf.bfloat16 and {s.dtype for s in states} == {tf.bfloat16}
    assert log_probs.dtype == tf.float32 and {g.dtype for g in gradients} == {tf.float32}
    with tf.GradientTape() as tape:
        wanted = same(x, distances=distances, mask=mask)
        loss = tf.reduce_sum(wanted) + tf.reduce_sum(same.trace.log_probs)
    np.testing.assert_allclose(tf.cast(outputs, tf.float32), wanted, atol=0.02)
    for a, b in zip(
        gradients, tape.gradient(loss, [v.value for v in same.trainable_variables]), strict=True
    ):
        np.testing.assert_allclose(a, b, atol=0.02 * np.abs(b).max() + 0.02)


def test_layer_normalisation_in_mixed_precision():
    keras.utils.set_random_seed(0)  # how far rounding reaches depends on the weights
    options = {"layer_norm": True, "return_sequences": True, "jit_compile": False}
    layer, same = (
        DynamicSkipLSTM(H, **options, dtype="mixed_bfloat16"),
        DynamicSkipLSTM(H, **options),
    )
    x = normal((B, T, D), 1)
    layer.build(x.shape), same.build(x.shape)
    same.cell.set_weights(layer.cell.get_weights())
    with tf.GradientTape() as tape:
        outputs = layer(x, distances=np.ones([B, T], int))
    gradients = tape.gradient(outputs, [v.value for v in layer.trainable_variables])
    assert all(g is None or g.dtype == tf.float32 and np.isfinite(g).all() for g in gradients)
    wanted = same(x, distances=np.ones([B, T], int))
    np.testing.assert_allclose(tf.cast(outputs, tf.float32), wanted, atol=0.03)


def test_what_stands_at_masked_steps_reaches_nothing():
    layer, x = DynamicSkipLSTM(H, jit_compile=False, return_sequences=True), normal((B, T, D), 1)
    layer.build(x.shape)

    def run(hidden):
        with tf.GradientTape() as tape:
            outputs = layer(tf.where(MASK[..., None], x, hidden), mask=tf.constant(MASK))
            loss = tf.reduce_sum(outputs) + tf.reduce_sum(layer.trace.log_probs)
        return outputs, *tape.gradient(loss, layer.trainable_variables)

    for a, b in zip(run(np.nan), run(1.0), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_ragged_tensor_is_refused_with_what_to_give():
    layer = DynamicSkipLSTM(H, 2, jit_compile=False)
    x = tf.RaggedTensor.from_tensor(normal((2, 3, D), 1), lengths=[3, 1])
    words = keras.layers.Embedding(9, D, mask_zero=True)(tf.ragged.constant([[1, 2], [3]]))
    with pytest.raises(ValueError, match=r"a RaggedTensor x: give x.to_tensor\(\)"):
        layer(words)  # whose mask is ragged, too
    with pytest.raises(ValueError, match=r"a RaggedTensor x: give x.to_tensor\(\)"):
        layer(x)
    found = layer(x.to_tensor(), mask=tf.sequence_mask(x.row_lengths()))
    np.testing.assert_allclose(found[1:], layer(x.to_tensor()[1:, :1]), atol=1e-6)


def test_masking_layer_and_masks_handed_on():
    inputs = keras.Input((T, D))
    x = keras.layers.Masking(-1.0)(inputs)
    sequences = DynamicSkipLSTM(
        H, n_actions=2, greedy=True, return_sequences=True, jit_compile=False
    )
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling1D()(sequences(x)))
    x = np.where(MASK[..., None], normal((B, T, D), 1), -1.0)
    found = model(x).numpy()[:4]
    outputs = sequences(x, mask=tf.constant(MASK)).numpy()[:4]
    np.testing.assert_allclose(
        found, (outputs * MASK[:4, :, None]).sum(1) / MASK[:4].sum(1, keepdims=True), atol=1e-6
    )


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"units": 0}, "units must be a whole number of at least 1; received 0"),
        ({"units": 2.5}, "units must be"),
        ({"units": "3"}, "units must be"),
        ({"n_actions": 0}, "n_actions must be"),
        ({"agent_units": -1}, "agent_units must be"),
        ({"lamda": 1.5}, r"lamda must lie in \[0, 1\]; received 1.5"),
        ({"lamda": float("nan")}, "lamda must lie"),
        ({"dropout": 1.0}, r"dropout must lie in \[0, 1\); received 1.0"),
        ({"recurrent_dropout": -0.1}, "recurrent_dropout must lie"),
        ({"observation": "next"}, "observation must be one of previous, mean; received 'next'"),
        ({"history": "all"}, "history must be one of carried, window"),
        ({"units": True}, "units must be a whole number"),
    ],
)
def test_bad_arguments(wrong, message):
    with pytest.raises((ValueError, TypeError), match=message):
        DynamicSkipLSTM(**{"units": 3, **wrong})


def test_bad_call_arguments():
    layer = DynamicSkipLSTM(H, n_actions=3)
    with pytest.raises(ValueError, match="initial_state"):
        # one state where three are expected
        layer(normal((B, T, D), 1), initial_state=[tf.zeros([B, H])] * 2)
    with pytest.raises(ValueError, match="distances"):
        layer(normal((B, T, D), 1), distances=np.ones((B, T + 1), np.int32))
    with pytest.raises(
        ValueError, match=rf"mask must be of shape \({B}, {T}\); received \({B}, {T - 1}\)"
    ):
        layer(normal((B, T, D), 1), mask=np.ones((B, T - 1), bool))
    mask = np.random.default_rng(0).random((B, T)) < 0.5  # [B, T, 1] as for keras.layers.LSTM
    found = layer(normal((B, T, D), 1), mask=tf.constant(mask[..., None]))
    np.testing.assert_array_equal(found, layer(normal((B, T, D), 1), mask=tf.constant(mask)))
    given = np.random.default_rng(1).integers(1, 4, (B, T))
    found = layer(normal((B, T, D), 1), mask=mask.tolist(), distances=given.tolist())
    np.testing.assert_array_equal(
        found, layer(normal((B, T, D), 1), mask=tf.constant(mask), distances=given)
    )
    found = layer(normal((B, T, D), 1), mask=[None])  # as for keras.layers.LSTM: there is none
    np.testing.assert_array_equal(found, layer(normal((B, T, D), 1)))
    with pytest.raises(ValueError, match="as of the steps within TimeDistributed: give mask="):
        layer(normal((B, T, D), 1), mask=np.ones((B, T, 2), bool))
    words = np.array([[[1, 2], [3, 0], [0, 0]]])
    inputs = keras.Input([None, None], dtype="int32")
    inner = keras.layers.TimeDistributed(DynamicSkipLSTM(H))(
        keras.layers.Embedding(5, D, mask_zero=True)(inputs)
    )
    mask = keras.ops.any(keras.ops.not_equal(inputs, 0), -1)  # what the message says
    network = keras.Model(inputs, DynamicSkipLSTM(H)(inner, mask=mask))
    np.testing.assert_allclose(network(words), network(words[:, :2]), rtol=1e-5)
    with pytest.raises(TypeError, match="KStateLSTM has no cell_class: use a subclass that has"):
        KStateLSTM(H)
    for seed in (3, "a", [1, 2, 3], (1.5, 2)):
        with pytest.raises(ValueError, match=r"seed must be two integers, such as \(3, 0\)"):
            layer(normal((B, T, D), 1), training=True, seed=seed)
    with pytest.raises(ValueError, match=r"received \(\), \(\) \(of an LSTM's h and c"):
        layer(normal((B, T, D), 1), initial_state=[1, 2])
    with pytest.raises(ValueError, match="would apply to the connections too: leave return_trace"):
        DynamicSkipLSTM(H, activity_regularizer="l2", return_trace=True)(normal((B, T, D), 1))
    with pytest.raises(RuntimeError, match="no trace yet: call the layer first"):
        DynamicSkipLSTM(H).trace  # noqa: B018
    with pytest.raises(ValueError, match="expected ndim=3"):
        layer(normal((T, D), 1))
