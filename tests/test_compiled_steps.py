"""The compiled steps: steps against NumPy, the same whatever the calls they are divided into,
seeds, totals, losses that are not finite.
"""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.marks import LONG

from common.ops.random import fold
from common.training.compiled_steps import EVALUATE, Trainer
from common.training.metrics import add, greedy_and_sampled, means

N, B, D = 7, 4, 3


def draw(*shapes):
    random = np.random.default_rng(0)
    return [random.normal(size=shape).astype(np.float32) for shape in shapes]


BATCHES = dict(zip("xy", draw((N, B, D), (N, B)), strict=True))
START = np.array([[1.0], [-2.0], [0.5]], np.float32)


class Regression(keras.Model):
    """y = x w, squared error; carries the sum of x from batch to batch and adds noise of the step's
    seed.
    """

    def __init__(self, noise=0.0):
        super().__init__()
        self.noise = noise
        self.w = self.add_weight(shape=(D, 1), name="w")
        self.unused = self.add_weight(shape=(2,), name="unused")
        self.w.assign(START)
        self.built = True

    def initial_state(self, batch_size):
        return tf.zeros([D])

    def residual(self, batch, seed):
        noise = self.noise * tf.random.stateless_normal(tf.shape(batch["y"]), seed)
        return (batch["x"] @ tf.convert_to_tensor(self.w))[:, 0] - batch["y"] + noise

    def training_loss(self, batch, state, seed, schedule):
        loss = tf.reduce_mean(self.residual(batch, seed) ** 2) * schedule["scale"]
        return (
            loss,
            {"largest": (tf.reduce_max(batch["x"]), 2.0)},
            state + tf.reduce_sum(batch["x"], 0),
        )

    def evaluation_metrics(self, batch, state, seed, greedy):
        error = self.residual(batch, seed)
        return {
            "error": (tf.reduce_sum(tf.abs(error) if greedy else error), tf.cast(B, tf.float32))
        }, state + 1.0

    def infer(self, batch, seed, greedy):
        return {"residual": self.residual(batch, seed) * (-1.0 if greedy else 1.0)}


def trainer(noise=0.0, **options):
    model = Regression(noise)
    return Trainer(
        model,
        keras.optimizers.SGD(0.0, weight_decay=options.pop("weight_decay", None)),
        **{"jit_compile": False, "steps_per_call": 3, **options},
    )


KNOBS = {"learning_rate": 0.1, "scale": 2.0}


def train(noise=0.0, start=0, stop=None, first_step=0, batches=BATCHES, **options):
    """Weights, state and totals after training."""
    one = trainer(noise, **options)
    state, totals = one.train(
        batches, one.model.initial_state(B), first_step, KNOBS, None, start, stop
    )
    return one.model.w.numpy(), np.asarray(state), totals


def by_hand(batches, max_grad_norm=0.0, weight_decay=0.0):
    """The same in NumPy: weights, losses and gradient norms of each step."""
    w, losses, norms = START.astype(np.float64), [], []
    for x, y in zip(batches["x"].astype(np.float64), batches["y"].astype(np.float64), strict=True):
        error = (x @ w)[:, 0] - y
        gradient = 2 * 2 * (x.T @ error[:, None]) / B
        norm = np.sqrt((gradient**2).sum())
        clipped = gradient * (min(1, max_grad_norm / norm) if max_grad_norm else 1)
        w = w - 0.1 * (clipped + weight_decay * w)
        losses.append(2 * (error**2).mean())
        norms.append(norm)
    return w, losses, norms


@pytest.mark.parametrize(
    "max_grad_norm, jit_compile, weight_decay",
    [*itertools.product([0.0, 1.5], [False, True], [0.0]), (1.5, False, 0.2)],
)
def test_steps_by_hand(max_grad_norm, jit_compile, weight_decay):
    """Weight decay is not clipped."""
    w, losses, norms = by_hand(BATCHES, max_grad_norm, weight_decay)
    assert min(norms) < 1.5 < max(norms)  # some are clipped
    found, state, totals = train(
        max_grad_norm=max_grad_norm, jit_compile=jit_compile, weight_decay=weight_decay or None
    )
    np.testing.assert_allclose(found, w, rtol=1e-5)
    np.testing.assert_allclose(state, BATCHES["x"].sum((0, 1)), rtol=1e-5)
    assert set(totals) == {"largest", "loss", "gradient_norm"}
    np.testing.assert_allclose(totals["loss"], [sum(losses), N], rtol=1e-5)
    np.testing.assert_allclose(totals["gradient_norm"], [sum(norms), N], rtol=1e-5)
    np.testing.assert_allclose(
        totals["largest"], [BATCHES["x"].max((1, 2)).sum(), 2 * N], rtol=1e-6
    )
    assert means(totals)["loss"] == pytest.approx(np.mean(losses), rel=1e-5)


def test_how_steps_are_divided_does_not_matter():
    wanted, state, _ = train(noise=1.0)
    for size in (1, 7, 50):
        found, other, _ = train(noise=1.0, steps_per_call=size)
        np.testing.assert_array_equal(found, wanted)
        np.testing.assert_array_equal(other, state)


def test_going_on_within_a_stack():
    """Up to a step, then from it on: the same weights, and what each call reports."""
    wanted, *_ = train(noise=1.0)
    one = trainer(noise=1.0)
    calls = []
    state, _ = one.train(
        BATCHES, one.model.initial_state(B), 0, KNOBS, lambda *a: calls.append(a), 0, 5
    )
    assert [n for n, *_ in calls] == [3, 5] and [float(m["loss"][1]) for *_, m in calls] == [3, 2]
    state, _ = one.train(BATCHES, state, 5, KNOBS, lambda *a: calls.append(a), 5)
    assert [n for n, *_ in calls[2:]] == [2]
    np.testing.assert_array_equal(one.model.w.numpy(), wanted)


def test_random_numbers_follow_from_seed_and_step():
    first = train(noise=1.0)[0]
    np.testing.assert_array_equal(train(noise=1.0)[0], first)
    assert (train(noise=1.0, seed=1)[0] != first).any()
    assert (train(noise=1.0, first_step=1)[0] != first).any()


def test_samples_of_each_example():
    """Rows side by side, each with noise of its own."""
    found = train(noise=1.0, n_samples=3)
    repeated = {name: np.repeat(a, 3, axis=1) for name, a in BATCHES.items()}
    wanted = train(noise=1.0, batches=repeated)
    np.testing.assert_equal(found, wanted)
    assert (found[0] != train(noise=1.0)[0]).any()


def test_evaluate():
    one = trainer()
    error = BATCHES["x"] @ START[:, 0] - BATCHES["y"]
    np.testing.assert_allclose(
        one.evaluate(BATCHES, tf.zeros([]))["error"], [error.sum(), N * B], rtol=1e-4, atol=1e-4
    )
    np.testing.assert_allclose(
        one.evaluate(BATCHES, tf.zeros([]), greedy=True)["error"],
        [np.abs(error).sum(), N * B],
        rtol=1e-5,
    )
    noisy = trainer(noise=1.0)
    found = [noisy.evaluate(BATCHES, tf.zeros([]), sample=i)["error"][0] for i in (0, 0, 1)]
    assert found[0] == found[1] != found[2]
    np.testing.assert_array_equal(noisy.model.w.numpy(), START)


def test_every_batch_has_a_seed_of_its_own():
    """Wherever a call, or a chunk of predictions, begins."""
    one = trainer(noise=1.0, seed=5)
    seed = fold(tf.constant([5, EVALUATE]), 2)
    expected = [
        one.model.residual({name: a[i] for name, a in BATCHES.items()}, fold(seed, i))
        for i in range(N)
    ]
    found = one.evaluate(BATCHES, tf.zeros([]), sample=2)["error"]
    np.testing.assert_allclose(found, [np.sum(expected), N * B], rtol=1e-4)
    predicted = one.infer(BATCHES, sample=2)["residual"]
    np.testing.assert_allclose(predicted, expected, rtol=1e-4, atol=1e-5)
    rest = {name: a[3:] for name, a in BATCHES.items()}
    np.testing.assert_array_equal(one.infer(rest, sample=2, first=3)["residual"], predicted[3:])


@pytest.mark.parametrize("size", [1, 3, 50])
def test_an_evaluation_carries_the_state(size):
    """From batch to batch, and from call to call."""

    class Counting(Regression):
        def evaluation_metrics(self, batch, state, seed, greedy):
            return {"before": (state, 1.0)}, state + 1.0

    one = Trainer(Counting(), jit_compile=False, steps_per_call=size)
    found = one.evaluate(BATCHES, tf.zeros([]))["before"]
    assert found.tolist() == [sum(range(N)), N]


def test_infer():
    one = trainer()
    expected = BATCHES["x"] @ START[:, 0] - BATCHES["y"]
    np.testing.assert_allclose(one.infer(BATCHES)["residual"], expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        one.infer(BATCHES, greedy=True)["residual"], -expected, rtol=1e-5, atol=1e-6
    )


def test_lengths_share_a_graph():
    """Of 2 and 3 steps: one graph to train and one to predict, the same numbers."""

    class Steps(Regression):
        def residual(self, batch, seed):
            traced.append(batch["x"].shape[1])
            return super().residual({**batch, "x": tf.reduce_sum(batch["x"], 1)}, seed)

        def training_loss(self, batch, state, seed, schedule):
            loss, metrics, _ = super().training_loss(batch, 0.0, seed, schedule)
            return loss, metrics, state

    def run(many_lengths):
        model = Steps()
        one = Trainer(
            model,
            keras.optimizers.SGD(0.0),
            jit_compile=False,
            steps_per_call=N,
            many_lengths=many_lengths,
        )
        for x in chunks:
            one.train({**BATCHES, "x": x}, (), 0, KNOBS)
        found = [one.infer({**BATCHES, "x": x})["residual"] for x in chunks]
        return [model.w.numpy(), *found]

    chunks = draw(*((N, B, n_steps, D) for n_steps in (2, 3)))
    traced = []
    apart = run(False)
    assert traced == [2, 3] * 2
    traced.clear()
    for a, b in zip(run(True), apart, strict=True):
        np.testing.assert_array_equal(a, b)
    assert traced == [None] * 2


@pytest.mark.parametrize("bad_step", [0, 4])
def test_a_loss_that_is_not_finite(bad_step):
    """The step is named, counted from the start of the run; the calls before it were reported, its
    own was not.
    """
    one, calls = trainer(), []
    y = BATCHES["y"].copy()
    y[bad_step, 0] = np.inf
    with pytest.raises(
        FloatingPointError, match=rf"^step {100 + bad_step}: loss, gradient_norm not finite"
    ):
        one.train(
            BATCHES | {"y": y},
            one.model.initial_state(B),
            100,
            KNOBS,
            lambda *a: calls.append(a[0]),
        )
    assert calls == [3][: bad_step // 3]


def test_add():
    total = add({"a": np.array([1.0, 2.0])}, {"a": tf.constant([3.0, 4.0])})
    assert total["a"].dtype == np.float64 and total["a"].tolist() == [4, 6]
    assert means({"a": total["a"], "none": np.zeros(2)}) == {"a": 4 / 6, "none": 0.0}


@pytest.mark.parametrize("has_agent", [True, False])
def test_greedy_and_sampled(has_agent):
    calls = []
    found = greedy_and_sampled(
        lambda greedy: {"f1": float(len(calls)), "calls": calls.append(greedy)}, "dev", has_agent
    )
    assert calls == [True, False][: 1 + has_agent]
    assert (found["dev_f1_greedy"], found["dev_f1_sampled"], len(found)) == (
        0.0,
        float(has_agent),
        4,
    )


@LONG
def test_a_second_call_at_full_size():
    """TensorFlow's graph optimiser left temporary variables behind, which the next call met."""
    from benchmarks.networks import language_models

    steps = language_models.our_steps(language_models.config_of("paper", cell="gru"))
    steps(), steps()
