"""Predictions as mixtures of sampled chains: against NumPy on the same chains, in every task."""

import dataclasses
import types

import numpy as np
import pytest
import tensorflow as tf
from helpers import tiny_runs
from helpers.marks import LONG

import NER.experiment
import NumberPrediction.experiment
import Sentiment.experiment
from common.config import parse
from common.errors import InputError
from common.ops import mixture
from common.training import loop
from common.training.metrics import random_and_mixed
from NER.reader import Encoder, Sentence
from NumberPrediction.reader import Examples
from Sentiment.reader import Arrays

TASKS = ("LanguageModeling", "NumberPrediction", "NER", "Sentiment")
S = 5


@pytest.mark.parametrize("compiled", [None, False, True])
def test_the_mean_of_probabilities(compiled):
    log_p = np.random.default_rng(0).normal(size=(3, 2, 4)).astype(np.float32)

    def mix(a):
        return mixture.log_mean(mixture.by_chain(tf.reshape(a, [6, 4]), 3))

    found = (mix if compiled is None else tf.function(mix, jit_compile=compiled))(
        tf.constant(log_p.transpose(1, 0, 2))
    )
    np.testing.assert_allclose(found, np.log(np.exp(log_p).mean(0)), rtol=1e-5)
    assert (found.numpy() >= log_p.mean(0)).all()  # Jensen
    rows = mixture.repeated(tf.constant([[1], [2]]), 3)
    np.testing.assert_array_equal(mixture.by_chain(rows, 3)[:, :, 0], [[1, 2]] * 3)
    sparse = mixture.repeated(tf.sparse.from_dense([[1, 0], [0, 2]]), 3)
    np.testing.assert_array_equal(tf.sparse.to_dense(sparse), [[1, 0]] * 3 + [[0, 2]] * 3)
    ragged = mixture.repeated(tf.ragged.constant([[1], [2, 3]]), 2)
    assert ragged.to_list() == [[1], [1], [2, 3], [2, 3]]


def test_too_little_memory_for_a_mixture_names_the_flag():
    """With it the same command goes on where it is."""

    def measure(greedy, n_chains=1):
        if n_chains > 1:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
        return {"loss": 1.0}

    assert set(random_and_mixed(measure, "test", True, 1)) == {
        "test_loss_greedy",
        "test_loss_sampled",
    }
    with pytest.raises(
        InputError, match=r"for 16 samples \(OOM .*\): ask for fewer, --eval_samples"
    ):
        random_and_mixed(measure, "test", True, 16)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Of each task its experiment with an open policy, and one training batch as one for
    evaluation.
    """
    data, found = tiny_runs.write_texts(tmp_path_factory.mktemp("texts")), {}
    for task in TASKS:
        config_class, presets, build = tiny_runs.entrypoint(task)
        folder = tmp_path_factory.mktemp(task)
        config = parse(
            config_class, presets, ["x", *tiny_runs.arguments(task, data), f"--run_dir={folder}"]
        )
        experiment = build(config)
        random = np.random.default_rng(1)
        # chains that differ, and predictions that differ with them
        for variable in experiment.model.trainable_variables:
            variable.assign(random.normal(0, 0.5, variable.shape))
        batch = {name: tf.constant(a[0]) for name, a in experiment.train_batches(0)[0].items()}
        if task in ("LanguageModeling", "NumberPrediction"):
            shape = batch["targets"].shape if task == "LanguageModeling" else batch["labels"].shape
            batch["weights"] = tf.ones(shape)
        found[task] = config, experiment.model, batch
    return found


@pytest.fixture
def mc_dropout(made, monkeypatch):
    """A function that sets --mc_dropout in a task's network for the test."""

    def turn_on(task):
        config, model, _ = made[task]
        flags = {"mc_dropout": True, "dropout": 0.4, "eval_samples": S}
        monkeypatch.setattr(model, "config", dataclasses.replace(config, **flags))

    return turn_on


def rows_of(batch):
    return len(next(iter(batch.values())))


def before(model, n_rows):
    """The state before a batch, which only a language model has."""
    return model.initial_state(n_rows) if hasattr(model, "initial_state") else ()


@pytest.mark.parametrize(
    ("task", "masks"),
    [
        *((task, False) for task in ("LanguageModeling", "NumberPrediction", "Sentiment")),
        *((task, True) for task in ("LanguageModeling", "Sentiment")),
    ],
)
def test_against_the_same_chains(made, mc_dropout, task, masks):
    """The chains' own log-likelihoods by the network's other methods, mixed in NumPy."""
    _, model, batch = made[task]
    if masks:
        mc_dropout(task)
    seed = tf.constant([3, 4])
    metrics, _ = model.evaluation_metrics(batch, before(model, S * rows_of(batch)), seed, False, S)
    if task == "LanguageModeling":
        words = tf.repeat(batch["words"], S, axis=0)
        logits, _, trace = model(words, model.initial_state(len(words)), seed=seed, training=masks)
        labels, weights = batch["targets"].numpy(), batch["weights"].numpy()
    else:
        inputs = (
            (batch["numbers"],)
            if task == "NumberPrediction"
            else (batch["words"], batch["lengths"])
        )
        logits, trace = model(
            *(tf.repeat(a, S, axis=0) for a in inputs),
            seed=seed,
            training=masks,
        )
        labels, weights = batch["labels"].numpy(), batch["weights"].numpy()
    assert len(np.unique(trace.distances)) > 1
    probs = tf.nn.softmax(logits).numpy().astype(np.float64)
    probs = probs.reshape(len(labels), S, *labels.shape[1:], -1).swapaxes(0, 1)
    right = np.take_along_axis(probs, np.broadcast_to(labels, probs.shape[:-1])[..., None], -1)[
        ..., 0
    ]
    found = {name: float(a / b) for name, (a, b) in metrics.items()}
    assert found["loss"] == pytest.approx(
        -np.average(np.log(right.mean(0)), weights=weights), rel=1e-4
    )
    assert found["chain_loss"] == pytest.approx(
        -np.average(np.log(right).mean(0), weights=weights), rel=1e-4
    )
    assert found["loss"] < found["chain_loss"]  # Jensen, strictly: the chains differ
    if task != "LanguageModeling":
        hits = probs.mean(0).argmax(-1) == labels
        assert found["accuracy"] == pytest.approx(np.average(hits, weights=weights))


@pytest.mark.parametrize("masks", [False, True])
def test_tags_of_a_mixture(made, mc_dropout, masks):
    """Candidates are the chains' best paths; by brute force over them."""
    _, model, batch = made["NER"]
    if masks:
        mc_dropout("NER")
    seed = tf.constant([3, 4])
    found = model.infer(batch, seed, False, S)
    inputs = [tf.repeat(batch[name], S, axis=0) for name in ("words", "chars", "lengths")]
    scores, _ = model(*inputs, seed=seed, training=masks)
    n_rows, n_steps = batch["words"].shape
    mask = tf.sequence_mask(inputs[2], n_steps)
    paths = model.crf(scores, mask).numpy().reshape(n_rows, S, n_steps)
    for row in range(n_rows):
        chains = tf.reshape(scores, [n_rows, S, n_steps, -1])[row]

        def p(path, chains=chains, row=row):
            tags = tf.tile(tf.constant(path)[None], [S, 1])
            real = tf.reshape(mask, [n_rows, S, n_steps])[row]
            return np.exp(
                model.crf.log_likelihood(chains, tags, real).numpy().astype(np.float64)
            ).mean()

        values = [p(path) for path in paths[row]]
        assert p(found["tags"][row].numpy()) == pytest.approx(max(values), rel=1e-5)
        assert float(found["log_likelihood"][row]) == pytest.approx(
            np.log(p(batch["tags"][row].numpy())), rel=1e-4
        )


@pytest.mark.parametrize("task", TASKS)
def test_chains_that_agree_are_one(made, task):
    """A policy that is certain: the mixture is the single chain."""
    _, model, batch = made[task]
    layers = (
        [model.forward, model.backward]
        if task == "NER"
        else [model.recurrent[-1] if task == "LanguageModeling" else model.recurrent]
    )
    trained = [layer.cell.agent_weights.action_bias.numpy() for layer in layers]
    variables = [
        next(v for v in layer.cell.trainable_variables if v.name == "action_bias")
        for layer in layers
    ]
    for variable in variables:
        variable.assign([0.0, 200.0, 0.0])
    seed, n = tf.constant([3, 4]), rows_of(batch)
    if task == "NER":
        one, many = model.infer(batch, seed, False), model.infer(batch, seed, False, S)
        np.testing.assert_array_equal(one["tags"], many["tags"])
        np.testing.assert_allclose(one["log_likelihood"], many["log_likelihood"], rtol=1e-4)
    else:
        one, _ = model.evaluation_metrics(batch, before(model, n), seed, False)
        many, _ = model.evaluation_metrics(batch, before(model, n * S), seed, False, S)
        for name in one:
            np.testing.assert_allclose(one[name], many[name], rtol=1e-4)
    for variable, value in zip(variables, trained, strict=True):
        variable.assign(value)


@pytest.mark.parametrize(
    "cell, expected",
    [
        ("dynamic_skip", True),
        pytest.param("random_skip", True, marks=LONG),
        pytest.param("lstm", False, marks=LONG),
    ],
)
def test_the_final_evaluation_mixes_what_is_random(cell, expected, tmp_path):
    config_class, presets, build = tiny_runs.entrypoint("NumberPrediction")
    flags = [
        flag
        for flag in tiny_runs.arguments("NumberPrediction", tmp_path, f"--cell={cell}")
        if "agent_units" not in flag
    ]
    config = parse(
        config_class, presets, ["x", *flags, "--eval_samples=3", f"--run_dir={tmp_path / 'run'}"]
    )
    result = loop.run(config, build)
    names = {
        "dev_accuracy_mixture3",
        "dev_loss_mixture3",
        "test_accuracy_mixture3",
        "test_loss_mixture3",
    }
    assert (names <= set(result)) == expected and (names & set(result) != set()) == expected
    from NumberPrediction.evaluate import EvaluateConfig, evaluate

    again = EvaluateConfig(run_dir=str(tmp_path / "run"), samples=3)
    if not expected:
        with pytest.raises(InputError, match="in this run nothing is: leave it out"):
            evaluate(again)
        again = dataclasses.replace(again, samples=None)
    later = evaluate(again)
    assert {name: result[name] for name in later} == later and (
        "test_loss_mixture3" in later
    ) == expected


@pytest.mark.parametrize("task", [NER, NumberPrediction, Sentiment])
def test_chains_are_no_more_rows_than_without_them(task, monkeypatch):
    """16 chains of 250 reviews each took 17 GB."""
    rows = []

    def evaluate(batches, n_chains=1, **_):
        rows.append(n_chains * len(batches["weights"][0]))
        return {"loss": np.ones(2)}

    def infer(batches, greedy, sample, first, n_chains):
        evaluate(batches, n_chains)
        shape = batches["words"].shape
        return {"tags": np.zeros(shape, int), "log_likelihood": np.zeros(shape[:2])}

    model = types.SimpleNamespace(config=types.SimpleNamespace(has_agent=True))
    trainer = types.SimpleNamespace(evaluate=evaluate, infer=infer, model=model)
    monkeypatch.setattr(task.experiment, "EVALUATION_BATCH", 6)
    if task is NER:
        sentences = [Sentence(["a", "b"], ["O", "O"])] * 9
        data = Encoder.build(sentences), sentences
    elif task is NumberPrediction:
        data = (Examples(np.zeros([9, 4], np.int8), np.zeros(9, np.int8)),)
    else:
        data = (Arrays(np.ones([9, 2], np.int32), np.zeros(9, np.int32), np.full(9, 2)),)
    task.experiment.evaluate(trainer, *data, "dev", n_chains=3)
    assert set(rows) == {6}
    rows.clear()
    task.experiment.evaluate(trainer, *data, "dev", n_chains=8)
    assert max(rows) == 8


def test_masks_of_dropout_need_a_mixture_and_a_rate():
    """They make any network's predictions random, and have no part in others."""
    config_class, presets, _ = tiny_runs.entrypoint("NER")

    def config(*arguments):
        return parse(config_class, presets, ["x", *arguments])

    for flags in (["--eval_samples=1"], ["--eval_samples=3", "--dropout=0"]):
        with pytest.raises(
            InputError, match=r"give --eval_samples \(evaluate.py: --samples\), 2 or"
        ):
            config("--mc_dropout", *flags)
    for flags in (["--cell=lstm"], ["--preset=idcnn"]):
        assert config("--eval_samples=3", *flags).n_chains == 1
        assert config("--eval_samples=3", "--mc_dropout", *flags).n_chains == 3
