"""Sentiment classification: its network against its parts, its loss by hand, its batches, and every
script of the folder.
"""

import io
import json
import re
import runpy
import sys

import numpy as np
import pytest
import tensorflow as tf
from helpers.marks import LONG

from common.config import parse
from common.data import bucketing
from common.data.text import Vocabulary
from common.errors import InputError
from common.layers.dynamic_skip_lstm import DynamicSkipLSTM
from common.ops.agent import Trace
from common.training import checkpoint, loop
from common.training.compiled_steps import Trainer
from common.training.make_trainer import count_weights
from Sentiment import experiment as sentiment_experiment
from Sentiment import model as sentiment_model
from Sentiment import reader
from Sentiment.evaluate import EvaluateConfig, evaluate
from Sentiment.predict import PredictConfig, predict
from Sentiment.presets import PRESETS, SentimentConfig

TINY = (
    "--dataset=sst5 --rnn_size=6 --word_size=5 --agent_units=4 --n_buckets=2 --batch_size=8"
    " --max_epochs=8 --learning_rate=.05 --patience=0 --nojit_compile --notensorboard"
).split()
GOOD, BAD = "(4 (4 fine) (3 work))", "(0 (0 awful) (2 film))"
TREES = {  # what is said in the middle decides
    "train": (
        [
            f"(4 (2 the) {GOOD})",
            f"(0 (2 the) {BAD})",
            f"(4 {GOOD} (2 .))",
            f"(0 {BAD} (2 .))",
            "(2 (2 a) (2 film))",
        ]
        * 6
    ),
    "dev": (
        [f"(4 (2 a) (4 {GOOD} (2 .)))", f"(0 (2 a) (0 {BAD} (2 .)))", "(2 (2 the) (2 film))"] * 3
    ),
    "test": [f"(4 (2 the) (4 {GOOD} (2 .)))", "(2 a)", f"(0 {BAD} (2 !))"] * 4,
}


def config(*arguments) -> SentimentConfig:
    return parse(SentimentConfig, PRESETS, ["RL_train.py", *TINY, *arguments])


def write_data(folder, **changed):
    """A corpus in the format of SST."""
    folder.mkdir()
    for name, trees in (TREES | changed).items():
        (folder / f"{name}.txt").write_text("\n".join(trees) + "\n")
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data") / "sst")


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    """The folder of a tiny finished run."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    loop.run(config(f"--data_dir={data}", f"--run_dir={folder}"), sentiment_experiment.build)
    return folder


@pytest.fixture(scope="module")
def loaded(trained):
    return sentiment_experiment.load(str(trained))


def result(folder) -> dict:
    return json.loads((folder / "result.json").read_text())


def make(*arguments, n_words=20, n_classes=3):
    return sentiment_model.SentimentModel(config(*arguments), n_words, n_classes)


# -------------------------------------------------------------------------------------- a whole run


def test_a_run_and_its_result(trained):
    found = result(trained)
    names = [
        f"{split}_{name}_{how}"
        for split in ("dev", "test")
        for name in ("accuracy", "loss")
        for how in ("greedy", "sampled")
    ]
    assert set(names) | {
        "seconds_per_epoch",
        "n_weights",
        "tokens_per_second",
        "best_epoch",
    } <= set(found)
    assert found["test_accuracy_greedy"] > 0.6  # chance is a third
    records = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    assert [record["step"] for record in records] == [4, 8, 12, 16, 20, 24, 28, 32]
    assert records[-1]["train_task_loss"] < 0.8 * records[0]["train_task_loss"]
    words = Vocabulary.load(trained / "vocabulary.txt").words
    assert words[:2] == ("<pad>", "<unk>") and set(words[2:]) == set(
        "the a fine work awful film .".split()
    )


def test_the_paper_s_network():
    paper = parse(SentimentConfig, PRESETS, ["RL_train.py"])
    assert (paper.dataset, paper.rnn_size, paper.n_actions, paper.lamda, paper.agent_units) == (
        "imdb",
        128,
        3,
        0.5,
        50,
    )
    assert (
        paper.word_size,
        paper.dropout,
        paper.batch_size,
        paper.learning_rate,
        paper.max_tokens,
    ) == (300, 0.2, 50, 2e-3, 400)
    network = sentiment_model.SentimentModel(
        parse(SentimentConfig, PRESETS, ["", "--nojit_compile"]), 40, 2
    )
    assert (
        count_weights(network)
        == 300 * 40 + 4 * 128 * (300 + 128 + 1) + 50 * (300 + 128 + 1) + 3 * 51 + 2 * 129
    )


# -------------------------------------------------------------------------------------- the network


@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_padding_reaches_nothing(pooling):
    """Each text alone, by a layer that knows no masks."""
    network = make(f"--pooling={pooling}")
    rng = np.random.default_rng(0)
    lengths = [7, 1, 4]
    words = np.zeros((3, 9), np.int32)
    for row, n in zip(words, lengths, strict=True):
        row[:n] = rng.integers(1, 20, n)
    logits, trace = network(tf.constant(words), tf.constant(lengths), greedy=True)
    plain = DynamicSkipLSTM(
        6, n_actions=3, lamda=0.5, agent_units=4, return_sequences=True, jit_compile=False
    )
    for i, n in enumerate(lengths):
        x = network.word_vectors(words[i : i + 1, :n])
        plain(x)
        plain.set_weights(network.recurrent.get_weights())
        outputs = plain(x, greedy=True)[0]
        h = outputs[-1] if pooling == "last" else tf.reduce_mean(outputs, 0)
        assert np.allclose(logits[i], network.classifier(h[None])[0], atol=1e-5)
        assert (
            np.array_equal(trace.distances[i, :n], plain.trace.distances[0])
            and not trace.distances[i, n:].numpy().any()
        )


@pytest.mark.parametrize(
    "cell", ["lstm", "fixed_skip", "random_skip", "attention", "gru", "skip_lstm", "clockwork"]
)
def test_other_cells(cell):
    network = make(f"--cell={cell}", "--pooling=mean")
    batch = {
        "words": tf.constant([[3, 4, 5], [6, 7, 0]]),
        "lengths": tf.constant([3, 2]),
        "labels": tf.constant([0, 2]),
    }
    batch["weights"] = tf.ones(2)
    loss, metrics, _ = network.training_loss(batch, (), tf.constant([0, 1]), {})
    assert (
        np.isfinite(loss)
        and ("updates" in metrics) == (cell == "skip_lstm")
        and "agent_loss" not in metrics
    )


def test_what_fills_up_a_batch_costs_nothing():
    network = make("--cell=skip_lstm", "--update_cost=.5", "--pooling=mean")
    texts = {
        "words": np.array([[3, 4, 5], [6, 7, 0]]),
        "lengths": np.array([3, 2]),
        "labels": np.array([0, 2]),
    }
    found = []
    for batch_size in (2, 4):
        (batch,) = bucketing.batches(texts["lengths"], batch_size, 0, 0, 3)
        stacked = bucketing.stack([batch], texts, ["words"])
        one = {name: tf.constant(a[0]) for name, a in stacked.items()}
        loss, metrics, _ = network.training_loss(one, (), tf.constant([0, 1]), {})
        found.append([float(loss), *(float(a) for a in metrics["updates"])])
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5)
    assert found[0][2] == 5  # steps


def test_loss_by_hand():
    """Three texts, of which the last only fills up the batch."""
    rng = np.random.default_rng(1)
    lengths, n_actions, entropy_weight, rl_weight = [4, 2, 3], 3, 0.1, 0.7
    policy = rng.dirichlet(np.ones(n_actions), (3, 4))
    mask = np.array([[1.0] * n + [0.0] * (4 - n) for n in lengths])
    distances = rng.integers(1, n_actions + 1, (3, 4))
    log_probs = np.log(np.take_along_axis(policy, distances[..., None] - 1, -1)[..., 0]) * mask
    entropies = -(policy * np.log(policy)).sum(-1) * mask
    trace = Trace(
        distances, *(tf.constant(a, tf.float32) for a in (log_probs, entropies, policy, mask))
    )
    logits, labels = rng.normal(size=(3, 5)), np.array([4, 0, 2])
    logits[0, 4] = 5  # the first one is right
    log_p = (logits - np.log(np.exp(logits).sum(1, keepdims=True)))[np.arange(3), labels]

    task = total = -(log_p[0] + log_p[1]) / 2
    for b in range(2):
        for t in range(4):
            value = [
                rl_weight * log_p[i] + entropy_weight * entropies[i, t:].sum() for i in range(2)
            ]
            baseline = value[1 - b] if mask[1 - b, t] else 0.0
            total -= (
                mask[b, t]
                * (log_probs[b, t] * (value[b] - baseline) + entropy_weight * entropies[b, t])
                / 6
            )
    network = make(f"--entropy_weight={entropy_weight}", f"--rl_weight={rl_weight}")
    loss, metrics = network.loss_terms(
        tf.constant(logits, tf.float32), trace, labels, tf.constant([1.0, 1.0, 0.0])
    )
    assert float(loss) == pytest.approx(total, rel=1e-4)
    assert [float(a) for a in metrics["task_loss"]] == pytest.approx([2 * task, 2.0], rel=1e-4)
    assert [float(a) for a in metrics["accuracy"]] == [1.0 + float(logits[1].argmax() == 0), 2.0]


# --------------------------------------------------------------------------------- data and batches


def test_an_epoch_is_every_text_once_in_an_order_of_its_own():
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 30, 53)
    examples = [reader.Example([f"w{i}"] * n, i % 2) for i, n in enumerate(lengths)]
    data = reader.encode(examples, reader.vocabulary(examples))
    orders = []
    for seed, epoch in ((0, 0), (0, 1), (1, 0), (0, 0)):
        rows = []
        buckets, size = [10, 20, int(lengths.max())], sentiment_experiment.STEPS_PER_CALL
        for stack in bucketing.epoch_chunks(
            data._asdict(), ("words",), buckets, 10, size, seed, epoch
        ):
            assert stack["words"].shape[1] == 10 and stack["words"].shape[2] in (
                10,
                20,
                lengths.max(),
            )
            counts = stack["weights"] == 1
            rows += list(
                zip(
                    stack["words"][counts][:, 0],
                    stack["lengths"][counts],
                    stack["labels"][counts],
                    strict=True,
                )
            )
        assert sorted(rows) == sorted(zip(data.words[:, 0], data.lengths, data.labels, strict=True))
        orders.append(rows)
    assert orders[0] == orders[3] and orders[0] != orders[1] and orders[0] != orders[2]


def test_evaluation_counts_every_text_once(loaded, monkeypatch):
    run_config, trainer, vocabulary = loaded
    examples = sentiment_experiment.load_data(run_config).test[:11]
    one_by_one = sentiment_experiment.predict(
        trainer, vocabulary, [example.words for example in examples]
    )
    labels = np.array([example.label for example in examples])
    monkeypatch.setattr(sentiment_experiment, "EVALUATION_BATCH", 4)
    found = sentiment_experiment.evaluate(
        trainer, reader.encode(examples, vocabulary), "dev", n_buckets=2
    )
    assert found["dev_accuracy_greedy"] == pytest.approx(
        (one_by_one.probs.argmax(1) == labels).mean()
    )
    assert found["dev_loss_greedy"] == pytest.approx(
        -np.log(one_by_one.probs[np.arange(11), labels]).mean(), rel=1e-4
    )
    assert [len(distances) for distances in one_by_one.distances] == [
        len(example.words) for example in examples
    ]


def test_a_sample_of_the_training_texts(data, tmp_path):
    experiment = sentiment_experiment.build(
        config(f"--data_dir={data}", f"--run_dir={tmp_path}", "--max_train_examples=9")
    )
    assert sum(stack["weights"].sum() for stack in experiment.train_batches(0)) == 9
    # --patience=0
    assert experiment.stop_early([{"dev_accuracy_sampled": a} for a in (3, 2, 1, 0)]) is False


def test_the_binary_task_leaves_neutral_texts_out(data, tmp_path):
    experiment = sentiment_experiment.build(
        config("--dataset=sst2", f"--data_dir={data}", f"--run_dir={tmp_path}")
    )
    assert experiment.model.classifier.units == 2
    assert sum(stack["weights"].sum() for stack in experiment.train_batches(0)) == 24


def test_pretrained_vectors(data, tmp_path):
    (tmp_path / "vectors.txt").write_text("the 1 2 3 4 5\nnowhere 0 0 0 0 0\n")
    experiment = sentiment_experiment.build(
        config(
            f"--data_dir={data}", f"--run_dir={tmp_path}", f"--vectors={tmp_path / 'vectors.txt'}"
        )
    )
    rows, vocabulary = (
        experiment.model.word_vectors.embeddings.numpy(),
        Vocabulary.load(tmp_path / "vocabulary.txt"),
    )
    assert rows[vocabulary.ids["the"]].tolist() == [1, 2, 3, 4, 5]
    assert not rows[0].any() and 0 < np.abs(rows[vocabulary.ids["film"]]).max() <= 0.25


# ----------------------------------------------------------------------------------------- resuming


@LONG
def test_a_run_that_was_cut_off_among_batches_of_several_shapes_ends_the_same(
    data, trained, tmp_path, monkeypatch
):
    flags = config(f"--data_dir={data}", f"--run_dir={tmp_path / 'run'}", "--checkpoint_seconds=0")
    whole, calls = Trainer.train, []

    def cut_off(self, batches, *arguments, **named):
        calls.append(batches["words"].shape[1:])
        if len(calls) == 4:
            raise KeyboardInterrupt
        return whole(self, batches, *arguments, **named)

    # takes longest, and changes no weights
    monkeypatch.setattr(sentiment_experiment, "evaluate", lambda *_: {"dev_accuracy_sampled": 0.0})
    monkeypatch.setattr(Trainer, "train", cut_off)
    with pytest.raises(KeyboardInterrupt):
        loop.run(flags, sentiment_experiment.build)
    assert len(set(calls)) > 1
    monkeypatch.setattr(Trainer, "train", whole)
    loop.run(flags, sentiment_experiment.build)
    expected, found = (
        checkpoint.load(folder / "checkpoints" / "checkpoint-32.npz")[1]
        for folder in (trained, tmp_path / "run")
    )
    assert len(expected) == len(found) > 20  # weights, and what Adam keeps of each
    assert all(np.array_equal(a, b) for a, b in zip(expected.values(), found.values(), strict=True))


# -------------------------------------------------------------------------------------------- tools


@LONG
def test_all_scripts_from_another_directory(root, trained, data, tmp_path, monkeypatch, capsys):
    def script(name, *arguments, typed=""):
        """What a script prints; in this process, since starting TensorFlow takes longest."""
        monkeypatch.setattr(sys, "argv", [str(root / "Sentiment" / name), *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        capsys.readouterr()
        runpy.run_path(sys.argv[0], run_name="__main__")
        return capsys.readouterr().out

    monkeypatch.chdir(tmp_path)
    printed = script(
        "predict.py",
        "--run_dir",
        trained,
        "--picture",
        "picture",
        typed="The FINE work .\n\nunheard of\n",
    ).splitlines()
    judged = [line for line in printed if line.startswith("very negative")]
    assert len(judged) == 2 and judged[0].endswith("the fine work .")
    shares = [float(share) for share in re.findall(r"\d\.\d{3}", judged[0])]
    assert len(shares) == 5 and sum(shares) == pytest.approx(1, abs=0.003)
    assert printed[1].split()[:2] == ["the", "<-"]
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG") and (
        tmp_path / "picture.csv"
    ).exists()

    printed = script("evaluate.py", "--run_dir", trained).splitlines()
    assert printed[0].endswith("12 texts of test")
    for name in ("accuracy_greedy", "accuracy_sampled", "loss_greedy", "loss_sampled"):
        assert f"test_{name} {result(trained)[f'test_{name}']:.5g}" in printed
    assert "finished before" in script(
        "RL_train.py", f"--data_dir={data}", f"--run_dir={trained}", *TINY
    )


# ---------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    "changed, expected",
    [
        ({"dev": ["(2 (2 a) (2 film)"]}, r"dev.txt:1: expected a tree .* found no end"),
        ({"train": ["(2 a)", "(7 a)"]}, r"train.txt:2: expected a tree .* found '7' for a label"),
        ({"test": [""]}, r"test.txt: expected trees, found none"),
    ],
)
def test_bad_data(changed, expected, tmp_path):
    write_data(tmp_path / "data", **changed)
    with pytest.raises(InputError, match=expected):
        sentiment_experiment.build(
            config(f"--data_dir={tmp_path / 'data'}", f"--run_dir={tmp_path}")
        )


def test_vectors_of_another_size(data, tmp_path):
    (tmp_path / "vectors.txt").write_text("the 1 2 3\n")
    with pytest.raises(InputError, match="expected vectors of dimension 5, found 3"):
        sentiment_experiment.build(
            config(
                f"--data_dir={data}",
                f"--run_dir={tmp_path}",
                f"--vectors={tmp_path / 'vectors.txt'}",
            )
        )


def test_tools_refuse_what_they_cannot_use(trained, loaded, tmp_path):
    with pytest.raises(InputError, match="--run_dir is empty"):
        predict(PredictConfig())
    with pytest.raises(InputError, match="no run in"):
        evaluate(EvaluateConfig(run_dir=str(tmp_path)))
    with pytest.raises(InputError, match="at least one word, found none in text 2"):
        sentiment_experiment.predict(*loaded[1:], [["a"], []])
    with pytest.raises(InputError, match="nowhere.txt: expected a text file, found nothing there"):
        predict(PredictConfig(run_dir=str(trained), file=str(tmp_path / "nowhere.txt")))
