"""parts/topics.py: planted topics, their course by hand, and in the language model."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import tiny_runs

from common.config import parse
from common.errors import InputError
from LanguageModeling import experiment
from LanguageModeling.model import LanguageModel
from LanguageModeling.parts import topics
from LanguageModeling.presets import PRESETS, LanguageConfig

B, T, H, V, Z = 2, 4, 3, 7, 3


def config(*flags):
    sizes = [f"--rnn_size={H}", "--rnn_layers=1", "--cell=lstm", "--run_dir=x", "--nojit_compile"]
    return parse(LanguageConfig, PRESETS, ["RL_train.py", *sizes, *flags])


@pytest.mark.parametrize("mixed", [False, True])
def test_planted_topics_are_found(mixed):
    """Of words that no two topics share, from documents of one topic or of several."""
    rng, n_words, n_documents = np.random.default_rng(0), 8, 300
    shares = rng.dirichlet([0.3] * Z, n_documents) if mixed else np.eye(Z)[np.arange(300) % Z]
    of_tokens = np.stack([rng.choice(Z, 40, p=row) for row in shares])
    tokens = (of_tokens * n_words + rng.integers(0, n_words, of_tokens.shape)).ravel()
    found = topics.fit(tokens, np.repeat(np.arange(n_documents), 40), Z * n_words, Z)
    of_words = found.of_words.reshape(Z, n_words, Z)
    best = of_words.argmax(-1)
    assert (best == best[:, :1]).all() and len({*best[:, 0]}) == Z
    assert of_words.max(-1).min() > 0.85 and np.allclose(of_words.sum(-1), 1)
    assert min(np.diff(found.bounds)) > -1e-6 and found.bounds[-1] > found.bounds[0] + 1000
    # each word at most as surprising as by its own frequency, at least as by its topic's
    assert -np.log(Z * n_words) < found.bounds[-1] / tokens.size < -np.log(n_words)


def test_documents_are_ten_sentences():
    ends = np.arange(1, 51) % 2  # two tokens a sentence
    np.testing.assert_array_equal(topics.documents(ends, 0), np.repeat([0, 1, 2], [20, 20, 10]))


@pytest.mark.parametrize("jit_compile", [None, False, True])
def test_the_course_of_topics_is_numpys(jit_compile):
    """Step by step, over two windows."""
    layer, rng = topics.TopicContext(V, Z, decay=0.8), np.random.default_rng(1)
    layer.build()
    of_words = rng.dirichlet([1.0] * Z, V).astype(np.float32)
    layer.of_words.assign(np.log(of_words))
    words = rng.integers(0, V, (B, 2 * T)).astype(np.int32)
    f, expected = np.full((B, Z), 1 / Z), []
    for t in range(2 * T):
        f = f**0.8 * of_words[words[:, t]] ** 0.2
        f /= f.sum(-1, keepdims=True)
        expected.append(f)
    run = layer if jit_compile is None else tf.function(layer, jit_compile=jit_compile)
    state, found = tf.zeros([B, Z]), []
    for window in np.split(words, 2, 1):
        f, state = run(tf.constant(window), state)
        found.append(f)
    np.testing.assert_allclose(np.concatenate(found, 1), np.stack(expected, 1), rtol=1e-5)


def test_a_single_topic_is_a_bias():
    """f = 1: the weights on it are one more bias, of the layer and of the softmax."""
    one, none = (LanguageModel(config(*flags), V) for flags in (["--topics=1"], []))
    for n, weight in enumerate(one.trainable_variables):
        weight.assign(np.random.default_rng(n).normal(size=weight.shape))
    assert len(one.trainable_variables) == len(none.trainable_variables)
    table, kernel, recurrent_kernel, bias, softmax, softmax_bias = (
        weight.numpy() for weight in one.trainable_variables
    )
    values = [table, kernel[:H], recurrent_kernel, bias + kernel[H], softmax[:H]]
    for weight, value in zip(none.weights, [*values, softmax_bias + softmax[H]], strict=True):
        weight.assign(value)
    words = np.random.default_rng(1).integers(0, V, (B, T)).astype(np.int32)
    found, state, _ = one(words, one.initial_state(B))
    np.testing.assert_allclose(found, none(words, none.initial_state(B))[0], atol=1e-5)
    assert state[-1].shape == (B, 1)


@pytest.mark.parametrize("flags", ["--topics=2", "--tied_embeddings --regularisation=awd"])
def test_in_16_bits(flags):
    """The trainer's loop wants states of one dtype; f_t is as exact as in 32."""
    policy = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        model = LanguageModel(config(*flags.split()), V)
    finally:
        keras.mixed_precision.set_global_policy(policy)
    words, before = tf.ones([B, T], tf.int32), model.initial_state(B)
    batch = {"words": words, "targets": words}
    with tf.GradientTape() as tape:
        loss, _, after = model.training_loss(batch, before, tf.zeros(2, tf.int32), {})
    gradients = tape.gradient(loss, [v.value for v in model.trainable_variables])
    assert all(np.isfinite(tf.convert_to_tensor(g)).all() for g in gradients)
    for a, b in zip(tf.nest.flatten(before), tf.nest.flatten(after), strict=True):
        assert a.dtype == b.dtype
    assert model(words, before)[0].dtype == tf.float32


def test_a_model_that_is_loaded_brings_its_topics(tmp_path, monkeypatch):
    """Its first layer was trained with them: none are fitted to be thrown away."""
    data = tiny_runs.write_texts(tmp_path / "data")
    run = tiny_runs.make("LanguageModeling", tmp_path / "run", data, "--topics=2")
    monkeypatch.setattr(topics, "fit", None)
    (tmp_path / "other").mkdir()
    flags = tiny_runs.arguments("LanguageModeling", data, "--topics=2", f"--load_model={run}")
    flags = ["RL_train.py", *flags, "--seed=1", f"--run_dir={tmp_path / 'other'}"]
    model = experiment.build(parse(LanguageConfig, PRESETS, flags)).model
    loaded = experiment.load(str(run)).trainer.model
    np.testing.assert_array_equal(model.topics.of_words, loaded.topics.of_words)
    assert np.std(loaded.topics.of_words) > 0


def test_topics_with_another_softmax_are_refused():
    with pytest.raises(InputError, match="--topics 2 enter a softmax of their own: leave"):
        config("--topics=2", "--tied_embeddings")
