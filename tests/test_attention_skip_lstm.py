"""AttentionSkipLSTM: the layer and its gradient against autodiff through the cell (which
test_cells.py holds to NumPy).
"""

from typing import NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.arrays import normal
from helpers.marks import long_but
from helpers.modes import MODES

from common.cells.attention import AttentionSkipLSTMCell
from common.layers.attention_skip_lstm import AttentionSkipLSTM
from common.layers.policy_gradient_model import PolicyGradientModel
from common.ops.gates import State
from common.ops.masks import Masks

B, T, D, H, A = 3, 6, 2, 4, 5


def randomise(layer):
    """All weights drawn anew, and the policy far from uniform."""
    for n, v in enumerate(v for v in layer.weights if v.dtype == "float32"):
        v.assign(normal(v.shape, n, 0.8) + (1 if v.name.endswith("gain") else 0))


# K, lamda, observation, layer_norm, recurrent dropout, loops compiled by XLA, mode
class Case(NamedTuple):
    """A layer and how it runs."""

    n_actions: int
    lamda: float = 1.0
    observation: str = "previous"
    layer_norm: bool = False
    drop: int = 0  # candidates and states, these with so many masks
    jit_compile: bool = True
    mode: str = "xla"


CASES = [
    Case(2),
    Case(3, lamda=0.5, layer_norm=True, jit_compile=False, mode="graph"),
    Case(3, lamda=0.5, observation="mean", drop=1, mode="graph"),
    Case(3, observation="mean", layer_norm=True, drop=4, jit_compile=False, mode="eager"),
    Case(5, lamda=0.3, mode="eager"),
    Case(8, lamda=0.5, observation="mean"),  # more states than steps
    Case(1),  # nothing to attend to
]


@pytest.mark.parametrize(
    "case",
    long_but([*CASES[:2], *CASES[3:5], CASES[6]], CASES),
    ids=lambda c: "-".join(str(one) for one in (*c[:3], c.mode)),
)
def test_the_layer_is_the_cell(case):
    names = ("n_actions", "lamda", "observation", "layer_norm")
    options = {name: getattr(case, name) for name in names}
    options |= {"agent_units": A}
    layer = AttentionSkipLSTM(
        H, **options, return_sequences=True, return_state=True, jit_compile=case.jit_compile
    )
    reference = keras.layers.RNN(
        AttentionSkipLSTMCell(H, **options), return_sequences=True, return_state=True
    )
    layer.build((B, T, D)), reference.build((B, T, D))
    randomise(layer)
    reference.cell.set_weights(layer.cell.get_weights())
    if case.drop:  # and hold
        sizes = H, case.drop * H, H, H
        drawn = np.random.default_rng(2).choice([0.0, 0.4, 2.0], (B, sum(sizes)))
        masks = tf.split(tf.constant(drawn, tf.float32), sizes, -1)
        of_a_step = Masks(*masks[:2], State(*(a / 2 for a in masks[2:])))
        of_all = tf.nest.map_structure(
            lambda a: None if a is None else tf.tile(a[None], [T, 1, 1]), of_a_step
        )
        layer.cell.masks = lambda shape, training, seed: of_all
        reference.cell.masks = lambda shape, training, seed: of_a_step
    x, states = normal((B, T, D), 100), [normal((B, case.n_actions * H), 101 + n) for n in range(2)]
    d_output, d_final = (
        normal((B, T, H), 103),
        [normal(s.shape, 104 + n) for n, s in enumerate(states)],
    )

    def everything(one):
        def run(x, states):
            with tf.GradientTape() as tape:
                tape.watch((x, states))
                output, *final = one(x, initial_state=states, training=True)
                loss = tf.reduce_sum(output * d_output) + sum(
                    tf.reduce_sum(a * b) for a, b in zip(final, d_final, strict=True)
                )
            variables = {v.name: v.value for v in one.trainable_variables}
            return (
                output,
                final,
                tape.gradient(loss, {"x": x, "h": states[0], "c": states[1], **variables}),
            )

        return MODES[case.mode](run)(tf.constant(x), [tf.constant(s) for s in states])

    output, final, gradients = everything(layer)
    expected, expected_final, expected_gradients = everything(reference)
    np.testing.assert_allclose(output, expected, atol=2e-6)
    for a, b in zip(final, expected_final, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-6)
    assert (
        gradients.keys() == expected_gradients.keys()
        and len(gradients) == 6 + 5 * (case.n_actions > 1) + 4 * case.layer_norm
    )
    for name, gradient in gradients.items():
        wanted = expected_gradients[name].numpy()
        assert wanted.any(), name
        np.testing.assert_allclose(
            gradient, wanted, atol=1e-5 * max(1, np.abs(wanted).max()), err_msg=name
        )


@pytest.mark.parametrize("drawn", [False, True])
def test_the_trace_says_where_it_looked(drawn):
    """Whatever `greedy` and `seed` say: nothing is drawn. Masked steps are zero."""
    layer = AttentionSkipLSTM(
        H, n_actions=3, agent_units=A, return_sequences=True, jit_compile=False
    )
    layer.build((B, T, D))
    randomise(layer)
    x, mask = normal((B, T, D), 1), np.arange(T) < [[T], [4], [0]]
    outputs = layer(
        x, mask=mask, greedy=not drawn, seed=tf.constant([1, int(drawn)]), training=drawn
    )
    np.testing.assert_array_equal(outputs, layer(x, mask=mask))
    trace, states = layer.trace, [tf.zeros([B, 3 * H])] * 2
    for t in range(T):
        pi = layer.cell.attention(x[:, t], states).numpy()
        on = mask[:, t]
        np.testing.assert_allclose(trace.probs[:, t], np.where(on[:, None], pi, 0), atol=1e-6)
        np.testing.assert_array_equal(trace.distances[:, t], np.where(on, pi.argmax(-1) + 1, 0))
        np.testing.assert_allclose(
            trace.entropies[:, t], np.where(on, -(pi * np.log(pi)).sum(-1), 0), atol=1e-6
        )
        _, new = layer.cell(x[:, t], states)
        states = [tf.where(on[:, None], a, b) for a, b in zip(new, states, strict=True)]
    assert not trace.log_probs.numpy().any()


def test_the_policy_is_computed_in_32_bits():
    """In a cell of 16 bits, too, as in the layer: its odds are those of 32, rounded."""
    policies = "mixed_bfloat16", "float32"
    half, full = (AttentionSkipLSTMCell(H, n_actions=3, dtype=name) for name in policies)
    half.build((B, D)), full.build((B, D))
    randomise(half)
    full.set_weights(half.get_weights())
    x, *states = (tf.cast(normal((B, n), n), tf.bfloat16) for n in (D, 3 * H, 3 * H))
    found = half.attention(x, states)
    wide = full.attention(*tf.nest.map_structure(lambda a: tf.cast(a, tf.float32), (x, states)))
    np.testing.assert_array_equal(found, tf.cast(wide, tf.bfloat16))


@pytest.mark.filterwarnings("ignore:no layer of this model learns from its reward")
def test_it_needs_no_policy_gradient():
    """In a `PolicyGradientModel` it trains as any layer does, and no agent is looked for in it."""
    inputs = keras.Input((T, D))
    layer = AttentionSkipLSTM(H, n_actions=3, agent_units=A, jit_compile=False)
    model = PolicyGradientModel(inputs, keras.layers.Dense(2)(layer(inputs)))
    assert model.skip_layers == []
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    before = [v.numpy() for v in model.trainable_variables]
    model.fit(normal((8, T, D), 1), np.arange(8) % 2, batch_size=8, epochs=1, verbose=0)
    assert len(before) == 3 + 5 + 2 and all(
        (a != b.numpy()).any() for a, b in zip(before, model.trainable_variables, strict=True)
    )


def test_it_takes_no_distances():
    layer = AttentionSkipLSTM(H, n_actions=3)
    with pytest.raises(
        ValueError,
        match="distances must be None: attention_skip_lstm.* takes the mean of all K states",
    ):
        layer(normal((B, T, D), 1), distances=tf.ones([B, T], tf.int32))
