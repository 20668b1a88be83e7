"""LanguageModeling/vae/*.py: the KL and the bounds against integrals, the decoder's inputs, the
annealing, what an autoencoder learns, every script.
"""

import json
import math
import runpy
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.marks import LONG

from common.config import parse
from common.errors import InputError
from common.training import loop
from common.training.compiled_steps import Trainer
from common.training.restore import Trained
from LanguageModeling.evaluate import EvaluateConfig, evaluate
from LanguageModeling.generate import GenerateConfig, generate
from LanguageModeling.vae import experiment as vae_experiment
from LanguageModeling.vae import model as vae_model
from LanguageModeling.vae.model import SentenceVAE, kl_to_normal
from LanguageModeling.vae.presets import PRESETS, VAEConfig

TINY = "--rnn_size=6 --word_size=5 --latent_size=2 --batch_size=4 --n_buckets=1".split()
TINY += "--dropout=0 --annealing=none --nojit_compile --notensorboard --run_dir=unused".split()
N_WORDS, END, UNKNOWN = 7, 0, 1
SEED = tf.constant([3, 4])


def config(*arguments: str) -> VAEConfig:
    tiny = [one for one in TINY if "annealing" not in one or "--latent_size=0" not in arguments]
    return parse(VAEConfig, PRESETS, ["VAE_train.py", *tiny, *arguments])


def network(*arguments: str) -> SentenceVAE:
    keras.utils.set_random_seed(0)
    made = SentenceVAE(config(*arguments), N_WORDS, END, UNKNOWN)
    random = np.random.default_rng(1)
    for weight in made.variables:  # so that z matters
        weight.assign(random.normal(size=weight.shape, scale=0.8))
    return made


def sentences(n: int = 4, length: int = 5) -> dict[str, np.ndarray]:
    random = np.random.default_rng(2)
    words = random.integers(2, N_WORDS, (n, length)).astype(np.int32)
    lengths = random.integers(2, length + 1, n).astype(np.int32)
    words[np.arange(length) >= lengths[:, None] - 1] = END
    rows = np.ones(n, np.float32)
    return {"words": words, "lengths": lengths, "weights": rows, "kl_weight": 0.5 * rows}


def test_kl_is_the_integral():
    mean, deviation = 0.7, 0.4
    z = np.linspace(-8, 8, 100_001)
    log_q = -((z - mean) ** 2) / (2 * deviation**2) - math.log(deviation)
    integral = np.trapezoid(np.exp(log_q) * (log_q + z**2 / 2), z) / math.sqrt(2 * math.pi)
    found = kl_to_normal(*tf.constant([[[mean]], [[2 * math.log(deviation)]]], tf.float64))
    np.testing.assert_allclose(found, [integral], rtol=1e-8)


def test_bounds_against_the_integral_over_z():
    """One-dimensional z: the ELBO is below the bound of 3 samples, that below the one of 300, and
    this one near log p(w).
    """
    model, batch = network("--latent_size=1", "--cell=rnn"), sentences()
    for weight in model.latent.variables:  # a wide q, of which few samples are far off
        weight.assign(0.3 * weight)
    z = np.linspace(-6, 6, 241, dtype=np.float32)
    exact = []
    for words, length in zip(batch["words"], batch["lengths"], strict=True):
        words = tf.repeat(words[None, :length], len(z), 0)
        h = model.decode(model.read(words), tf.constant(z[:, None]))[0]
        log_p = tf.nn.log_softmax(model.softmax(h))
        of_words = tf.gather(log_p, words, batch_dims=2)
        density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
        p = np.exp(tf.reduce_sum(of_words, 1)) * density
        exact.append(math.log(np.trapezoid(p, z)))

    @tf.function(autograph=False)
    def nll(n_samples: int, seed: tf.Tensor) -> tf.Tensor:
        return model.evaluation_metrics(batch, (), seed, True, n_samples)[0]["nll"][0] / 4

    draws = [tf.constant([i, 0]) for i in range(6)]
    elbo, few, many = (-np.mean([nll(n, seed) for seed in draws]) for n in (1, 3, 200))
    assert elbo < few - 0.05 and few < many - 0.05 and abs(many - np.mean(exact)) < 0.05


def test_the_loss_by_hand_in_a_graph_and_in_xla():
    """-log p(w | z) + w KL; without draws, z is the mean."""
    model, batch = network("--word_keep=1", "--cell=rnn", "--highway_layers=1"), sentences()
    model.latent.log_variance.kernel.assign(tf.zeros_like(model.latent.log_variance.kernel))
    model.latent.log_variance.bias.assign([-40.0, -40.0])
    one = {name: tf.constant(a) for name, a in batch.items()}
    nll, kl = [], []
    for words, length in zip(batch["words"], batch["lengths"], strict=True):
        words = words[None, :length]
        h = model.encoder(model.embedding(words))[0][:, -1]
        mean, log_variance = model.latent(h)
        kl.append(kl_to_normal(mean, log_variance)[0])
        state, log_p, word = [model.first_state[0](mean)], 0.0, END
        for target in words[0]:
            x = tf.concat([model.embedding(tf.constant([[word]])), mean[:, None]], -1)
            h, *state = model.decoder(x, initial_state=state)
            log_p += tf.nn.log_softmax(model.softmax(h[0]))[0, target]
            word = target
        nll.append(-log_p)
    expected = np.mean(nll) + 0.5 * np.mean(kl)

    def loss(batch: dict) -> tuple:
        found, metrics, _ = model.training_loss(batch, (), SEED, {})
        return found, metrics["kl"][0] / 4, metrics["nll"][0] / 4

    for run in (
        loss,
        tf.function(loss, autograph=False),
        tf.function(loss, autograph=False, jit_compile=True),
    ):
        np.testing.assert_allclose(run(one)[:2], [expected, np.mean(kl)], rtol=2e-5)
        np.testing.assert_allclose(run(one)[2], np.mean(nll) + np.mean(kl), rtol=2e-5)


def test_words_dropped_from_the_decoders_inputs():
    words = sentences(300, 9)["words"]
    before = np.concatenate([np.full([300, 1], END), words[:, :-1]], 1)
    model = network("--word_keep=0.6")
    np.testing.assert_array_equal(model.read(words), before)
    kept = model.read(words, SEED).numpy()
    changed = kept != before
    assert set(kept[changed]) == {UNKNOWN} and not changed[:, 0].any()
    assert abs(changed[:, 1:].mean() - 0.4) < 0.04
    # without any, the order of the words does not matter to the decoder
    model.config = config("--word_keep=0")
    np.testing.assert_array_equal(model.read(words, SEED), model.read(words[:, ::-1], SEED))
    bare = SentenceVAE(config("--cell=rnn", "--latent_size=0"), 4, END, 4)
    assert bare.embedding.input_dim == 5  # where words lack <unk>


def test_annealing():
    curve = {"--annealing_middle=10", "--kl_weight=2"}
    sigmoid = config("--annealing=sigmoid", "--annealing_slope=0.3", *curve)
    steps = np.arange(0, 10_000, 7)
    found = [sigmoid.weight_of_kl(step) for step in steps]
    np.testing.assert_allclose(found, 2 / (1 + np.exp(-0.3 * (steps - 10))))
    linear = config("--annealing=linear", *curve)
    assert [linear.weight_of_kl(step) for step in (0, 5, 10, 20, 99)] == [0, 0.5, 1, 2, 2]
    assert config("--kl_weight=0.3").weight_of_kl(0) == 0.3
    with pytest.raises(InputError, match="--annealing_slope belongs to --annealing sigmoid"):
        config("--annealing=linear", "--annealing_slope=1")


@LONG
def test_without_the_kl_it_is_an_autoencoder():
    """That learns sentences by heart from which the decoder reads nothing but z."""
    wide = "--cell=rnn", "--rnn_size=14"
    model = network("--kl_weight=0", "--word_keep=0", "--latent_size=4", *wide)
    for weight in model.variables:
        weight.assign(0.3 * weight)
    batch = sentences(6)
    batch["kl_weight"][:] = 0
    n = 220
    batches = {name: np.repeat(a[None], n, 0) for name, a in batch.items()}
    trainer = Trainer(
        model, keras.optimizers.Adam(), max_grad_norm=1.0, jit_compile=False, steps_per_call=n
    )
    trainer.train(batches, (), 0, {"learning_rate": 0.04})
    loss = float(model.training_loss(batch, (), SEED, {})[1]["task_loss"][0]) / 6
    assert loss < 0.3, loss
    z = model.encode(batch["words"], batch["lengths"])[0]
    model.unknown = END  # what `decode` reads next is of no account: let it be seen
    assert len(vae_experiment.decode(model, z.numpy(), 3)) == 6


@pytest.mark.parametrize("cell", ["dynamic_skip", "skip_gru"])
def test_cells_with_agents_and_with_counters(cell):
    """The first: two agents, all past states begin alike. The second: the counters as it says."""
    model, batch = network(f"--cell={cell}"), sentences()
    loss, metrics, _ = model.training_loss(batch, (), SEED, {})
    assert np.isfinite(loss)
    agents = {name for name in metrics if name.startswith("agent_loss")}
    assert len(agents) == 2 * (cell == "dynamic_skip")
    z = tf.constant([[0.5, -1.0]])
    state = model.start(z)
    if cell == "dynamic_skip":  # all of the past states
        assert [a.shape[1] for a in state] == [5 * 6] * 2
        np.testing.assert_array_equal(state[0][:, :6], state[0][:, 24:])
    else:
        assert len(model.first_state) == 1 and np.ptp(state[0]) > 0


@pytest.mark.parametrize(
    "cell, n", [("clockwork", 1), ("skip_lstm", 2), ("skip_rnn", 1), ("lstm", 2), ("grid_lstm", 4)]
)
def test_counters_as_wide_as_the_units_are_no_units(cell, n):
    """A clockwork of four units has four counters, a Skip LSTM of one unit counters of one."""
    model = network(f"--cell={cell}", f"--rnn_size={4 if cell == 'clockwork' else 2}")
    assert len(model.first_state) == n
    z, first = tf.constant([[0.5, -1.0]]), model.decoder.get_initial_state(1)
    for made, counter in zip(model.start(z)[n:], first[n:], strict=True):
        np.testing.assert_array_equal(made, counter)


@pytest.mark.parametrize("history", ["carried", "window"])
def test_sentences_are_decoded_as_they_are_read(history):
    """Each word is the most probable one behind those before it, read at once."""
    model = network("--cell=fixed_skip", "--skip=3", f"--history={history}")
    z = np.random.default_rng(3).normal(size=[3, 2]).astype(np.float32)
    model.end = N_WORDS - 1 if history == "carried" else END
    for row, vector in zip(vae_experiment.decode(model, z, 6), z, strict=True):
        words = np.append(row, model.end)[:6].astype(np.int32)
        h = model.decode(model.read(tf.constant(words[None])), tf.constant(vector[None]))[0]
        np.testing.assert_array_equal(np.argmax(model.softmax(h)[0], 1), words)


def test_the_most_probable_sentence_has_the_most_probable_distances():
    model = network("--cell=dynamic_skip", "--n_actions=5", "--lamda=1")
    for weight in model.decoder.trainable_variables:  # so that distances matter
        weight.assign(2 * weight)
    z = np.random.default_rng(3).normal(size=[20, 2]).astype(np.float32)

    def words(temperature: float, seed: int) -> list[list[int]]:
        return [row.tolist() for row in vae_experiment.decode(model, z, 12, temperature, seed)]

    assert words(0.0, 0) == words(0.0, 1)
    assert words(1e-9, 0) != words(1e-9, 1)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a tiny run, and of its text."""
    folder = tmp_path_factory.mktemp("vae")
    lines = ["the cat sees the dog", "a dog sees a cat", "the <unk> sleeps", "a cat sleeps"]
    for split, repeats in (("train", 4), ("valid", 1), ("test", 2)):
        (folder / f"{split}.txt").write_text("\n".join(lines * repeats) + "\n")
    flags = f"--data_dir={folder} --run_dir={folder / 'run'} --max_epochs=1 --eval_samples=3"
    loop.run(config(*flags.split(), "--annealing=linear", "--cell=rnn"), vae_experiment.build)
    return folder / "run"


def test_result_and_evaluate(trained, capsys, monkeypatch):
    result = json.loads((trained / "result.json").read_text())
    assert result["task"] == "SentenceVAE"
    bounds = {"test_nll_bound3", "test_perplexity_bound3"}
    assert bounds | {"test_nll", "test_kl", "test_active_units", "valid_perplexity"} <= set(result)
    words = 2 * (6 + 6 + 4 + 4)
    nll = result["test_nll"]
    assert result["test_perplexity"] == pytest.approx(math.exp(nll * 8 / words), rel=1e-5)
    text, seen = str(trained.parent / "test.txt"), []
    monkeypatch.setattr(vae_experiment, "evaluate", lambda *a: seen.append(a) or {"test_nll": nll})
    assert evaluate(EvaluateConfig(run_dir=str(trained), text=text)) == {"test_nll": nll}
    assert f"8 sentences of {text}" in capsys.readouterr().out
    trainer, data, name, n_samples = seen[0]
    assert (name, n_samples) == ("test.txt", 3)
    found, _ = trainer.model.evaluation_metrics(data | {"weights": np.ones(8, "f")}, (), SEED, True)
    assert float(found["kl"][0]) / 8 == pytest.approx(result["test_kl"], rel=1e-4)
    with pytest.raises(InputError, match="--streams belongs to a language model"):
        evaluate(EvaluateConfig(run_dir=str(trained), streams=1))


def test_the_weight_of_the_kl_goes_on_from_epoch_to_epoch(trained):
    flags = f"--data_dir={trained.parent} --annealing=linear --cell=rnn --run_dir={trained}"
    again = config(*flags.split())
    batches = vae_experiment.build(again).train_batches
    weights = [np.concatenate([c["kl_weight"][:, 0] for c in batches(epoch)]) for epoch in (0, 1)]
    expected = [again.weight_of_kl(step) for step in range(8)]
    np.testing.assert_allclose(np.concatenate(weights), expected, rtol=1e-6)


def test_fewer_sentences_than_a_batch_fill_one_up(trained):
    """Several devices share the rows of a whole batch."""
    flags = f"--data_dir={trained.parent} --cell=rnn --run_dir={trained} --batch_size=32"
    (chunk,) = vae_experiment.build(config(*flags.split())).train_batches(0)
    assert chunk["words"].shape[:2] == chunk["kl_weight"].shape == (1, 32)
    assert chunk["weights"].sum() == 16


def test_active_units():
    model, batch = network("--cell=rnn"), sentences(6)
    model.latent.mean.kernel.assign(model.latent.mean.kernel * [1.0, 0.01])
    found = vae_experiment.evaluate(
        Trainer(model, jit_compile=False), {k: batch[k] for k in ("words", "lengths")}, "test"
    )
    assert found["test_active_units"] == 1


def test_generate_between_two_sentences(trained, capsys, root, monkeypatch):
    script = str(root / "LanguageModeling" / "generate.py")
    line = f"{script} --run_dir {trained} --n_words 4 --between".split()
    monkeypatch.setattr(sys, "argv", [*line, "the cat sleeps", "a dog sees"])
    runpy.run_path(script, run_name="__main__")
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == 6 and all(len(one.split()) <= 4 for one in shown)
    _, trainer, vocabulary = vae_experiment.load(str(trained))
    ids = [vocabulary.encode(t.split()) for t in ("the cat sleeps <eos>", "a dog sees <eos>")]
    z = vae_experiment.homotopy(trainer.model, *ids)
    ends = [trainer.model.encode(i[None], tf.constant([len(i)]))[0][0] for i in ids]
    np.testing.assert_allclose(z[1], 0.8 * ends[0] + 0.2 * ends[1], rtol=1e-5)
    made = vae_experiment.decode(trainer.model, z, 4)
    assert [" ".join(vocabulary.decode(one)) for one in made] == shown
    assert len(generate(GenerateConfig(run_dir=str(trained)))[0]) == 1  # from N(0, 1)
    for flags, said in (
        ({"between": "a"}, "expects two sentences"),
        ({"between": "a", "to": "b", "seed": 3}, "--seed has no effect with --between"),
        ({"between": "a", "to": "b", "temperature": 0.5}, "--temperature has no effect with --be"),
        ({"prompt": "a"}, "--prompt belongs to a language model's run"),
    ):
        with pytest.raises(InputError, match=said):
            generate(GenerateConfig(run_dir=str(trained), **flags))


def test_without_a_vector_it_is_a_language_model_of_sentences():
    model, batch = network("--latent_size=0"), sentences()
    metrics, _ = model.evaluation_metrics(batch, (), SEED, True)
    assert metrics["kl"][0] == 0 and not model.config.is_random
    h = model.decoder(model.embedding(model.read(batch["words"])))[0]
    log_p = tf.gather(tf.nn.log_softmax(model.softmax(h)), batch["words"], batch_dims=2).numpy()
    real = np.arange(5) < batch["lengths"][:, None]
    np.testing.assert_allclose(metrics["nll"][0], -log_p[real].sum(), rtol=1e-5)
    loss, reported, _ = model.training_loss(batch, (), SEED, {})
    assert reported["kl"][0] == 0 and np.isfinite(loss)


def test_the_agent_of_the_encoder_is_rewarded_with_the_bound(monkeypatch):
    """On its choices the KL depends, too."""
    model, batch, seen = network("--cell=dynamic_skip"), sentences(), {}
    combine = vae_model.objective.combine
    monkeypatch.setattr(
        vae_model.objective,
        "combine",
        lambda loss, agents, **more: seen.update(agents) or combine(loss, agents, **more),
    )
    _, metrics, _ = model.training_loss(batch, (), SEED, {})
    reward = float(tf.reduce_mean(seen["encoder"].reward))
    assert reward == pytest.approx(-float(metrics["task_loss"][0]) / 4, rel=1e-5)
    assert float(metrics["kl"][0]) > 0.1


def test_two_sentences_need_vectors_and_a_flag(monkeypatch):
    without = Trained(config("--latent_size=0"), None)
    monkeypatch.setattr(vae_experiment, "load", lambda *_, **__: without)
    for said, given in (
        ("this one is --latent_size 0", {"between": "a", "to": "b"}),
        ("'b' has no flag", {"to": "b"}),
    ):
        with pytest.raises(InputError, match=said):
            generate(GenerateConfig(**given))
