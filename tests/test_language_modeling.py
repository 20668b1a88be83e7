"""Language modelling: sizes, schedule, loss by hand, exact reading, every script of the folder."""

import dataclasses
import json
import math

import numpy as np
import pytest
import tensorflow as tf
from helpers.marks import long_but

from common.config import parse
from common.data.text import Vocabulary
from common.errors import InputError
from common.training import loop
from common.training.make_trainer import count_weights, make_trainer
from LanguageModeling import experiment as lm_experiment
from LanguageModeling import model as language_model
from LanguageModeling.evaluate import EvaluateConfig, evaluate
from LanguageModeling.generate import GenerateConfig, continue_text, generate
from LanguageModeling.presets import PRESETS, LanguageConfig
from LanguageModeling.schedule import learning_rate

TINY = (
    "--rnn_size=6 --agent_units=3 --batch_size=5 --num_unroll_steps=7 --max_epochs=1"
    " --max_train_steps=3 --nojit_compile".split()
)


def config(*arguments) -> LanguageConfig:
    return parse(LanguageConfig, PRESETS, ["RL_train.py", "--notensorboard", *arguments])


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A folder with three short texts."""
    folder = tmp_path_factory.mktemp("corpus")
    lines = ["the cat sees the dog", "a dog sees a cat", "the <unk> sleeps", "a cat sleeps"]
    for split, repeats in (("train", 40), ("valid", 8), ("test", 8)):
        (folder / f"{split}.txt").write_text("\n".join(lines * repeats) + "\n")
    return folder


@pytest.fixture(scope="module")
def trained(corpus, tmp_path_factory):
    """The folder of a tiny run."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    loop.run(config(f"--data_dir={corpus}", f"--run_dir={folder}", *TINY), lm_experiment.build)
    return folder


@pytest.mark.parametrize(
    ("arguments", "n_weights"),
    [
        # the card's command; the paper's "20 m"
        (["--rnn_size=650", "--lamda=1", "--n_actions=5"], 19_840_505),
        (["--preset=released"], 23_419_005),
        (["--cell=lstm"], 2 * 3_382_600 + 13_010_000),
        # about as many as AWD-LSTM has, the table of words counted once
        (["--preset=modern", "--cell=lstm"], 3 * 5_123_200 + 8_010_000),
    ],
)
def test_number_of_weights(arguments, n_weights):
    assert (
        count_weights(language_model.LanguageModel(config(*arguments, "--nojit_compile"), 10_000))
        == n_weights
    )


@pytest.mark.parametrize(
    "flag, bias",
    [("--preset=released", 0.1), ("--initializers=released", 0.1), ("--preset=paper", 0.0)],
)
def test_first_weights_of_the_release(flag, bias):
    *below, last = language_model.LanguageModel(config(*TINY, flag), 11).recurrent
    gates = [layer.cell.recurrent_kernel.numpy()[:, :6] for layer in (last, below[0])]
    assert np.unique(last.cell._policy.bias) == np.float32(bias)
    assert [np.allclose(gate.T @ gate, np.eye(6), atol=1e-5) for gate in gates] == [
        bool(bias),
        False,
    ]


def test_the_learning_rate_follows_the_records():
    paper = config("--learning_rate_decay=0.5", "--lr_threshold=0.2")
    records = [{"valid_perplexity": p} for p in (100.0, 98.0, 97.5, 96.9, 90.0)]
    # 98.0 beats 100.0 by 1; 97.5 does not beat 98.0 by 1; 96.9 does, as the release counts
    assert [learning_rate(paper, records[:n]) for n in range(6)] == [1.0, 1.0, 1.0, 0.5, 0.5, 0.5]
    slow = [{"valid_perplexity": 100 - 0.4 * n} for n in range(8)]  # 1 lower at every third epoch
    assert [learning_rate(paper, slow[:n]) for n in range(9)] == [
        *(1.0, 1.0, 0.5, 0.25, 0.25, 0.2, 0.2, 0.2, 0.2)
    ]
    low = config("--learning_rate=0.1", "--lr_threshold=0.2", "--decay_after=1")
    # below the threshold: not raised to it
    assert [learning_rate(low, records[:n]) for n in range(3)] == [0.1] * 3
    small = config("--preset=small")
    found = [learning_rate(small, records[:1] * n) for n in range(13)]
    assert found[:4] == [1.0] * 4 and found[4:7] == [0.5, 0.25, 0.125]


def test_the_steps_of_modern_are_the_sources():
    """A rate of 30 for the mean over a window, its norm at most .25, weight decay 1.2e-6."""
    flags = config("--preset=modern")
    factors = flags.num_unroll_steps, flags.max_grad_norm, flags.weight_decay
    found = [flags.learning_rate * one for one in factors]
    np.testing.assert_allclose(found, [30, 30 * 0.25, 30 * 1.2e-6])


def test_the_loss_is_summed_over_the_steps_and_the_agents_is_a_mean():
    agent = (
        "--agent_units=3",
        "--n_actions=3",
        "--baseline=none",
        "--rl_weight=0.3",
        "--entropy_weight=0",
    )
    settings = config("--rnn_size=4", "--dropout=0", *agent)
    model = language_model.LanguageModel(settings, 11)
    words = tf.constant(np.random.default_rng(0).integers(0, 11, (2, 6)), tf.int32)
    batch, seed = {"words": words[:, :-1], "targets": words[:, 1:]}, tf.constant([1, 2])
    loss, metrics, _ = model.training_loss(batch, model.initial_state(2), seed, {})
    logits, _, trace = model(batch["words"], model.initial_state(2), seed=seed)
    log_p = np.take_along_axis(
        tf.nn.log_softmax(logits).numpy(), batch["targets"].numpy()[..., None], 2
    )[..., 0]
    to_go = np.cumsum(log_p[:, ::-1], 1)[:, ::-1]
    agent = -0.3 * np.mean(trace.log_probs.numpy() * to_go)
    np.testing.assert_allclose(loss, -5 * log_p.mean() + agent, rtol=1e-5)
    np.testing.assert_allclose(metrics["agent_loss"][0], agent, rtol=1e-4)


def test_a_run_is_not_loaded_with_flags_that_it_does_not_read(trained):
    with pytest.raises(InputError, match="--rl_weight belongs to --estimator policy_gradient"):
        lm_experiment.load(str(trained), estimator="straight_through", rl_weight=2.0)


def test_perplexity_is_that_of_the_text_read_in_order(trained):
    _, trainer, vocabulary = lm_experiment.load(str(trained))
    model = trainer.model
    tokens = vocabulary.encode(
        "the cat sees a dog <eos> a cat sleeps <eos> the <unk> sleeps <eos>".split()
    )
    trainer = make_trainer(model, config(*TINY))
    logits, _, _ = model(tf.constant(tokens[None, :-1]), model.initial_state(1), greedy=True)
    log_p = np.take_along_axis(tf.nn.log_softmax(logits[0]).numpy(), tokens[1:, None], 1)
    found = lm_experiment.perplexity(trainer, tokens, n_streams=1, n_steps=5, greedy=True)
    assert found == pytest.approx(math.exp(-log_p.mean()), rel=1e-5)


def test_result_and_evaluate(trained, corpus, capsys):
    result = json.loads((trained / "result.json").read_text())
    capsys.readouterr()
    assert {
        "valid_perplexity",
        "test_perplexity",
        "test_perplexity_greedy",
        "n_weights",
        "seconds_per_epoch",
    } <= set(result)
    for split in ("valid", "test"):  # read and sampled as the run did
        found = evaluate(EvaluateConfig(run_dir=str(trained), split=split))
        assert found == pytest.approx(
            {name: result[name] for name in (f"{split}_perplexity", f"{split}_perplexity_greedy")},
            rel=1e-6,
        )
    assert f"{8 * 20 - 1} tokens of test, read as 5 streams\n" in capsys.readouterr().out
    drawn = [
        evaluate(EvaluateConfig(run_dir=str(trained), samples=2, mc_dropout=masks))
        for masks in (None, True)
    ]
    assert drawn[0]["test_perplexity_mixture2"] != drawn[1]["test_perplexity_mixture2"]
    text = evaluate(EvaluateConfig(run_dir=str(trained), text=str(corpus / "test.txt"), streams=1))
    # in order: more history
    assert text["test.txt_perplexity_greedy"] != pytest.approx(
        found["test_perplexity_greedy"], rel=1e-6
    )


def test_a_text_shorter_than_the_streams(trained, tmp_path):
    (tmp_path / "short.txt").write_text("the cat\n")
    config = EvaluateConfig(run_dir=str(trained), text=str(tmp_path / "short.txt"))
    with pytest.raises(
        InputError,
        match=(
            r"streams \+ 1 = 6 tokens, found 3; give more text or fewer streams \(--streams of"
            r" evaluate.py"
        ),
    ):
        evaluate(config)
    assert evaluate(dataclasses.replace(config, streams=1))["short.txt_perplexity"] > 1


def test_weights_that_have_diverged_are_told(trained, monkeypatch):
    def measure(*_, **__):
        raise OverflowError("math range error")

    monkeypatch.setattr(lm_experiment, "perplexity", measure)
    with pytest.raises(InputError, match="the loss on test is too large for a number: these"):
        evaluate(EvaluateConfig(run_dir=str(trained)))


def test_words_are_those_of_the_run(trained, corpus, monkeypatch):
    """Not those of the training text as it is now: an evaluation reads the same, so its perplexity
    is the same.
    """
    seen = []
    monkeypatch.setattr(
        lm_experiment, "perplexity", lambda trainer, tokens, *_: seen.append(tokens.tolist()) or 7.0
    )
    evaluate(EvaluateConfig(run_dir=str(trained)))
    train = corpus / "train.txt"
    text = train.read_text()
    try:
        train.write_text("zebras sleep <unk> cat\n" * 9 + text.replace("the dog", "the zebra"))
        evaluate(EvaluateConfig(run_dir=str(trained)))
        evaluate(EvaluateConfig(run_dir=str(trained), split="train"))
    finally:
        train.write_text(text)
    words = lm_experiment.load(str(trained))[2]
    assert (
        words.decode(seen[0]) == (corpus / "test.txt").read_text().replace("\n", " <eos> ").split()
    )
    assert seen[1] == seen[2] == seen[3] == seen[0] and words.decode(seen[4][:5]) == [
        "<unk>",
        "<unk>",
        "<unk>",
        "cat",
        "<eos>",
    ]


def test_without_an_agent_a_text_is_read_once(monkeypatch):
    seen = []

    def perplexity(*arguments):
        seen.append(arguments[-2:])
        return 7.0

    monkeypatch.setattr(lm_experiment, "perplexity", perplexity)
    names = ("valid_perplexity", "valid_perplexity_greedy", "valid_perplexity_mixture3")
    for cell, calls in (
        ("lstm", [(True, 1)]),
        ("dynamic_skip", [(True, 1), (False, 1), (False, 3)]),
    ):
        model = language_model.LanguageModel(
            config(*TINY, f"--cell={cell}", "--eval_samples=3"), 11
        )
        n_chains = model.config.n_chains
        found = lm_experiment.evaluate(
            make_trainer(model, model.config), np.arange(9), "valid", n_chains=n_chains
        )
        assert found == dict.fromkeys(names[: max(2, len(calls))], 7.0) and seen == calls
        seen.clear()


def test_generate_prints_the_text_and_its_connections(trained, tmp_path, capsys):
    picture = tmp_path / "arcs"
    words, distances = generate(
        GenerateConfig(run_dir=str(trained), prompt="the cat", n_words=5, picture=str(picture))
    )
    assert (
        words[1:3] == ["the", "cat"]
        and len(words) == 8 == len(distances)
        and set(distances) <= set(range(1, 6))
    )
    assert "<-" in capsys.readouterr().out and (tmp_path / "arcs.png").stat().st_size > 1000
    with pytest.raises(InputError, match="zebra"):
        model = lm_experiment.load(str(trained))[2]
        type(model)(tuple(w for w in model.words if w != "<unk>")).encode(["zebra"])


def test_continued_text_follows_from_the_seed(trained):
    _, trainer, vocabulary = lm_experiment.load(str(trained))
    model = trainer.model
    start = vocabulary.encode(["<eos>"])
    one, same, other = (
        continue_text(model, start, 12, 1.0, seed)[0].tolist() for seed in (0, 0, 1)
    )
    assert one == same != other


def test_at_temperature_0_distances_are_the_most_probable_ones_too(trained):
    """Or the text would depend on the seed."""
    model = lm_experiment.load(str(trained))[1].model
    for variable in model.trainable_variables:
        variable.assign(np.random.default_rng(0).normal(0, 0.5, variable.shape))
    found = [np.stack(continue_text(model, [0, 1], 12, 0.0, seed)) for seed in range(3)]
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
    _, _, trace = model(tf.constant(found[0][:1], tf.int32), model.initial_state(1), greedy=True)
    np.testing.assert_array_equal(found[0][1], trace.distances[0])


def test_continued_text_of_windows_is_read_as_one(corpus, tmp_path):
    """With --history window a call of one step connects to nothing, whatever its distance."""
    arguments = [f"--data_dir={corpus}", *TINY, "--history=window", "--lamda=1"]
    model = lm_experiment.build(config(f"--run_dir={tmp_path}", *arguments)).model
    for variable in model.trainable_variables:
        variable.assign(np.random.default_rng(0).normal(0, 0.5, variable.shape))
    ids, distances = continue_text(model, [0, 1, 2], 9, 0.0, 5)
    words, state = tf.constant(ids[None], tf.int32), model.initial_state(1)
    logits, _, trace = model(words, state, greedy=True)
    np.testing.assert_array_equal(distances, trace.distances[0])
    np.testing.assert_array_equal(ids[3:], np.argmax(logits[0, 2:-1], -1))
    assert len(ids) == 12 and (distances > 1).any()
    ids, distances = continue_text(model, [0, 1, 2], 9, 1.0, 5)
    words = tf.constant(ids[None], tf.int32)
    _, _, trace = model(words, state, seed=tf.constant([5, 0]))
    np.testing.assert_array_equal(distances, trace.distances[0])


def test_weights_can_be_taken_from_another_run(trained, corpus, tmp_path):
    arguments = [f"--data_dir={corpus}", f"--load_model={trained}", "--learning_rate=0", *TINY]
    result = loop.run(config(f"--run_dir={tmp_path / 'run'}", *arguments), lm_experiment.build)
    before = json.loads((trained / "result.json").read_text())
    assert result["test_perplexity_greedy"] == pytest.approx(
        before["test_perplexity_greedy"], rel=1e-6
    )
    with pytest.raises(InputError, match="of another model"):
        changed = [a for a in arguments if "rnn_size" not in a]
        loop.run(
            config(f"--run_dir={tmp_path / 'other'}", "--rnn_size=7", *changed), lm_experiment.build
        )


@pytest.mark.parametrize("model", long_but(["word"], ["word", "char"]))
def test_weights_of_a_run_with_other_words_are_refused(model, corpus, tmp_path, monkeypatch):
    """Of as many, which fit: in a run's folder and for its checkpoints, of which only copies
    elsewhere say nothing.
    """
    flags = [f"--data_dir={corpus}", f"--model={model}", *TINY]
    if model == "char":
        flags += ["--char_size=3", "--char_filters=3"]
    monkeypatch.setattr(lm_experiment, "perplexity", lambda *_, **__: 7.0)
    loop.run(config(f"--run_dir={tmp_path / 'run'}", *flags), lm_experiment.build)
    best = tmp_path / "run" / "checkpoints" / "best.npz"
    words = lm_experiment.load(str(tmp_path / "run"))[2]
    other = Vocabulary(words.words[::-1])
    network = lm_experiment.make_model(config(*flags), words)
    for path in (best.parent.parent, best):
        lm_experiment.load_weights(network, str(path), words)
        with pytest.raises(
            InputError,
            match=(
                f"--load_model {path}: that run knows 8 words, other ones than the 8 here; give the"
                " data"
            ),
        ):
            lm_experiment.load_weights(network, str(path), other)
    (tmp_path / "copy.npz").write_bytes(best.read_bytes())
    lm_experiment.load_weights(network, str(tmp_path / "copy.npz"), other)


def test_a_run_compares_its_words_with_those_of_load_model(trained, corpus, tmp_path):
    for split in ("train", "valid", "test"):
        (tmp_path / f"{split}.txt").write_text(
            (corpus / f"{split}.txt").read_text().replace("sleeps", "walks")
        )
    with pytest.raises(InputError, match="other ones than the 8 here"):
        arguments = [
            f"--data_dir={tmp_path}",
            f"--load_model={trained}",
            f"--run_dir={tmp_path / 'run'}",
            *TINY,
        ]
        loop.run(config(*arguments), lm_experiment.build)
