"""Number prediction: what it learns, its loss by hand, and every script of the folder."""

import csv
import json
import pathlib
import runpy
import sys
import xml.etree.ElementTree

import numpy as np
import pytest
import tensorflow as tf
from helpers.marks import long_but

from common.config import parse
from common.data import bucketing
from common.errors import InputError
from common.ops.agent import Trace
from common.training import loop
from NumberPrediction import experiment as number_experiment
from NumberPrediction import inspection, reader
from NumberPrediction import model as number_model
from NumberPrediction.evaluate import EvaluateConfig, evaluate
from NumberPrediction.presets import PRESETS, NumberConfig
from NumberPrediction.produce_data import ProduceConfig, produce
from NumberPrediction.show_skips import ShowConfig, asked_distance, drawn, show

LEARNS = (
    "--rnn_size=32 --agent_units=20 --learning_rate=1e-2 --batch_size=50 --n_train=10000"
    " --n_dev=500 --n_test=700".split()
)
LEARNS += ["--nojit_compile"]
TINY = (
    "--rnn_size=4 --agent_units=3 --batch_size=10 --n_train=50 --n_dev=20 --n_test=20"
    " --max_epochs=1 --nojit_compile".split()
)


def config(*arguments) -> NumberConfig:
    return parse(NumberConfig, PRESETS, ["RL_train.py", "--notensorboard", *arguments])


def train(folder, *arguments):
    return loop.run(config(f"--run_dir={folder}", *arguments), number_experiment.build)


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """The folder of a small run that has learned the task."""
    folder = tmp_path_factory.mktemp("learned") / "run"
    # else so small an agent may settle on its first guess
    train(folder, *LEARNS, "--max_epochs=3", "--entropy_weight=0.02")
    return folder


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The same of a plain LSTM."""
    folder = tmp_path_factory.mktemp("plain") / "run"
    train(folder, *LEARNS, "--max_epochs=3", "--cell=lstm")
    return folder


def result(folder) -> dict:
    return json.loads((folder / "result.json").read_text())


# ----------------------------------------------------------------------------------------- learning


def test_it_learns_where_to_look_and_a_plain_lstm_does_not(learned, plain):
    dynamic, lstm = result(learned), result(plain)
    assert dynamic["test_accuracy_greedy"] > 0.8 and dynamic["test_accuracy_sampled"] > 0.75
    # far more than chance, far less than the above
    assert 0.15 < lstm["test_accuracy_greedy"] < 0.6
    assert lstm["test_accuracy_greedy"] == lstm["test_accuracy_sampled"]  # nothing to sample
    weights_of_lstm = 4 * 32 * (10 + 32 + 1) + 10 * (32 + 1)
    assert lstm["n_weights"] == weights_of_lstm
    assert dynamic["n_weights"] == weights_of_lstm + 20 * (10 + 32 + 1) + 10 * (20 + 1)


def test_the_last_step_looks_where_the_index_points(learned):
    run_config, trainer, _ = number_experiment.load(learned)
    found = inspection.skips(trainer.model, number_experiment.examples(run_config, "dev"))
    at_asked = [found.last_step[digit, 10 - digit - 1] for digit in range(10)]
    assert np.mean(at_asked) > 0.7
    assert (np.argmax(found.last_step, 1) == 9 - np.arange(10)).mean() >= 0.7


@pytest.mark.parametrize("preset", long_but(("paper", "released"), PRESETS))
def test_presets(preset, tmp_path):
    made = train(tmp_path / "run", *TINY, f"--preset={preset}", "--max_train_steps=3")
    assert made["epochs"] == 1 and made["flags"]["preset"] == preset
    assert 0 <= made["test_accuracy_greedy"] <= 1


def test_the_paper_s_preset_is_the_paper_s_network():
    paper = config()
    assert (paper.length, paper.rnn_size, paper.n_actions, paper.lamda, paper.agent_units) == (
        10,
        200,
        10,
        1.0,
        50,
    )
    assert (paper.batch_size, paper.learning_rate, paper.n_train, paper.n_dev, paper.n_test) == (
        100,
        1e-3,
        100_000,
        10_000,
        10_000,
    )


@pytest.mark.parametrize(
    "flag, bias",
    [("--preset=released", 0.1), ("--initializers=released", 0.1), ("--preset=paper", 0.0)],
)
def test_first_weights_of_the_release(flag, bias):
    cell = number_model.NumberModel(config(*TINY, flag)).recurrent.cell
    gate = cell.recurrent_kernel.numpy()[:, :4]
    assert np.unique(cell._policy.bias) == np.float32(bias)
    assert np.allclose(gate.T @ gate, np.eye(4), atol=1e-5) == bool(bias)


# ----------------------------------------------------------------------------------------- the loss


@pytest.mark.parametrize("reward", ["log_likelihood", "sign"])
@pytest.mark.parametrize("baseline", ["none", "leave_one_out"])
def test_loss_by_hand(reward, baseline):
    rng = np.random.default_rng(0)
    n_batch, n_steps, n_actions = 4, 3, 10
    policy = rng.dirichlet(np.ones(n_actions), (n_batch, n_steps))
    distances = rng.integers(1, n_actions + 1, (n_batch, n_steps))
    log_probs = np.log(np.take_along_axis(policy, distances[..., None] - 1, -1)[..., 0])
    entropies = -(policy * np.log(policy)).sum(-1)
    trace = Trace(
        distances,
        *(
            tf.constant(a, tf.float32)
            for a in (log_probs, entropies, policy, np.ones_like(log_probs))
        ),
    )
    logits, labels = rng.normal(size=(n_batch, 10)), np.array([3, 1, 4, 1])
    logits[0, 3] = 9  # the first one is right

    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    truth = log_p[np.arange(n_batch), labels]
    gain = truth if reward == "log_likelihood" else np.where(logits.argmax(1) == labels, 1.0, -1.0)
    weight, rl_weight = 0.1, 0.7
    task, agent = -truth.mean(), 0.0
    value = np.zeros((n_batch, n_steps))
    for b in range(n_batch):
        for t in range(n_steps):
            value[b, t] = rl_weight * gain[b] + weight * entropies[b, t:].sum()
    for b in range(n_batch):
        for t in range(n_steps):
            others = np.delete(value[:, t], b).mean() if baseline == "leave_one_out" else 0.0
            agent -= (log_probs[b, t] * (value[b, t] - others) + weight * entropies[b, t]) / (
                n_batch * n_steps
            )

    model = number_model.NumberModel(
        config(*TINY, f"--reward={reward}", f"--baseline={baseline}", f"--rl_weight={rl_weight}")
    )
    terms = tf.constant(logits, tf.float32), trace, labels
    loss, metrics = model.loss_terms(*terms, schedule={"entropy_weight": weight})
    assert float(metrics["task_loss"][0]) == pytest.approx(task, rel=1e-5)
    assert float(metrics["agent_loss"][0]) == pytest.approx(agent, rel=1e-4)
    assert float(loss) == pytest.approx(task + agent, rel=1e-4)
    assert float(metrics["accuracy"][0]) == (logits.argmax(1) == labels).mean()


# ------------------------------------------------------------------------------------------ batches


def test_an_epoch_is_every_example_once_in_an_order_of_its_own():
    numbers, labels = reader.generate(10, "paper", 57, 0, "train")
    examples = reader.Examples(numbers, labels)
    orders = []
    for seed, epoch in ((0, 0), (0, 1), (1, 0), (0, 0)):
        batches = bucketing.shuffled(number_experiment.arrays(examples), 10, seed, epoch)
        assert batches["numbers"].shape == (5, 10, 11) and batches["labels"].shape == (5, 10)
        rows = batches["numbers"].reshape(50, 11)
        assert np.array_equal(reader.rule_labels(rows, "paper"), batches["labels"].ravel())
        assert {tuple(row) for row in rows.tolist()} <= {tuple(row) for row in numbers.tolist()}
        assert len({tuple(row) for row in rows.tolist()}) == 50
        orders.append(rows.tolist())
    assert orders[0] == orders[3] and orders[0] != orders[1] and orders[0] != orders[2]


def test_evaluation_counts_every_example_once(learned, monkeypatch):
    monkeypatch.setattr(number_experiment, "EVALUATION_BATCH", 30)
    run_config, trainer, _ = number_experiment.load(learned)
    data = number_experiment.examples(run_config, "dev", length=12, label_rule="last_ten")
    data = reader.Examples(data.numbers[:100], data.labels[:100])  # three batches and a third
    logits = trainer.model(data.numbers, greedy=True)[0].numpy()
    right = logits.argmax(1) == data.labels
    assert 0 < right.mean() < 1
    found = number_experiment.evaluate(trainer, data, "dev")
    assert found["dev_accuracy_greedy"] == pytest.approx(right.mean(), abs=1e-6)
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    assert found["dev_loss_greedy"] == pytest.approx(
        -log_p[np.arange(100), data.labels].mean(), rel=1e-4
    )


# -------------------------------------------------------------------------------------------- tools


def test_evaluate_gives_the_numbers_of_the_result(learned, capsys):
    metrics = evaluate(EvaluateConfig(run_dir=str(learned)))
    assert {name: result(learned)[name] for name in metrics} == metrics
    printed = capsys.readouterr().out
    assert (
        "700 test examples of 11 inputs" in printed
        and f"test_accuracy_greedy {metrics['test_accuracy_greedy']:.5g}" in printed
    )


def test_evaluate_on_other_data(learned, tmp_path):
    produce(ProduceConfig(data_dir=str(tmp_path / "new"), seed=7, n_train=1, n_dev=1, n_test=400))
    assert (
        evaluate(EvaluateConfig(run_dir=str(learned), data_dir=str(tmp_path / "new")))[
            "test_accuracy_greedy"
        ]
        > 0.75
    )
    noise = evaluate(EvaluateConfig(run_dir=str(learned), length=10, label_rule="released"))
    assert noise["test_accuracy_greedy"] < 0.2
    with pytest.raises(
        InputError, match="expected length 20 and label rule paper, found 10 and paper"
    ):
        evaluate(EvaluateConfig(run_dir=str(learned), data_dir=str(tmp_path / "new"), length=20))


def test_skips_by_brute_force(learned):
    model = number_experiment.load(learned).model
    numbers, labels = reader.generate(10, "paper", 23, 3, "dev")
    numbers[:, -1] %= 9  # no index 9 at all
    found = inspection.skips(model, reader.Examples(numbers, labels), batch_size=10)
    trace = model(numbers, greedy=True)[1]
    for digit in range(9):
        rows = [trace.probs[i, 10].numpy() for i in range(23) if numbers[i, 10] == digit]
        assert not rows or found.last_step[digit] == pytest.approx(np.mean(rows, 0), abs=1e-5)
    assert np.isnan(found.last_step[9]).all()
    assert found.mean_distance == pytest.approx([np.mean(trace.distances[:, t]) for t in range(11)])
    assert found.deviation == pytest.approx([np.std(trace.distances[:, t]) for t in range(11)])


def test_the_asked_digit_stands_where_the_rule_says():
    for length, rule in ((10, "paper"), (20, "paper"), (20, "last_ten"), (100, "released")):
        row = np.arange(length + 1)[None] + 100  # digits that tell their position
        for digit, distance in enumerate(asked_distance(length, rule)):
            row[0, -1] = digit
            assert row[0, length - int(distance)] == reader.rule_labels(row, rule)[0]
    assert np.isnan(asked_distance(10, "released")).all()


def test_of_many_distances_those_with_anything_in_are_drawn():
    one_hot = np.eye(100)[89:99]  # each index digit one step short of the asked one
    assert drawn(one_hot, asked_distance(100, "paper")) == (90, 100)
    assert drawn(np.full((10, 100), 0.01), asked_distance(99, "released")) == (1, 100)
    assert drawn(np.full((10, 100), 0.009), asked_distance(200, "paper")) == (1, 100)
    assert drawn(np.eye(10), asked_distance(10, "paper")) == (1, 10)
    one_hot[3] = np.nan  # a digit that no example has
    assert drawn(one_hot, asked_distance(99, "released")) == (90, 99)


def test_the_picture_and_its_numbers(learned, tmp_path):
    paths = show(ShowConfig(run_dir=str(learned), out=str(tmp_path / "new folder" / "look")))
    assert [path.name for path in paths] == ["look.png", "look.svg", "look.csv", "look_by_step.csv"]
    assert paths[0].read_bytes().startswith(b"\x89PNG\r\n") and len(paths[0].read_bytes()) > 10_000
    assert xml.etree.ElementTree.parse(paths[1]).getroot().tag.endswith("svg")
    with open(paths[2], newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["index"], row["distance"]) for row in rows] == [
        (str(i), str(k)) for i in range(10) for k in range(1, 11)
    ]
    assert np.reshape([float(row["probability"]) for row in rows], (10, 10)).sum(
        1
    ) == pytest.approx(np.ones(10), abs=1e-4)
    with open(paths[3], newline="") as file:
        assert [row["step"] for row in csv.DictReader(file)] == [str(t) for t in range(1, 12)]
    before = [path.read_bytes() for path in paths]
    assert [
        path.read_bytes()
        for path in show(
            ShowConfig(run_dir=str(learned), out=str(tmp_path / "new folder" / "look"))
        )
    ] == before


def test_a_cell_that_does_not_choose_has_no_picture(plain):
    with pytest.raises(
        InputError,
        match="expected a run whose network chooses where to look, found one with --cell lstm",
    ):
        show(ShowConfig(run_dir=str(plain)))


def test_all_scripts_from_another_directory(root, tmp_path, monkeypatch, capsys):
    def script(name, *arguments):
        """What a script prints; in this process, since starting TensorFlow takes longest
        (test_bad_input.py starts them all).
        """
        monkeypatch.setattr(
            sys, "argv", [str(root / "NumberPrediction" / name), *map(str, arguments)]
        )
        capsys.readouterr()
        runpy.run_path(sys.argv[0], run_name="__main__")
        return capsys.readouterr().out

    monkeypatch.chdir(tmp_path)
    script("produce_data.py", "--n_train=50", "--n_dev=20", "--n_test=20")
    small = [flag for flag in TINY if "--n_" not in flag]
    flags = ["--data_dir=data/numbers-10-paper", "--lamda=.5", *small]
    assert "result: " in script("train_RL10_1.py", *flags)
    (folder,) = pathlib.Path("runs/NumberPrediction").iterdir()
    assert folder.name.startswith("paper-dynamic_skip-lamda0.5-") and folder.name.endswith("-seed0")
    assert "20 test examples" in script("evaluate.py", "--run_dir", folder)
    assert script("show_skips.py", "--run_dir", folder).splitlines()[0] == str(folder / "skips.png")
    assert "finished before" in script("RL_train.py", *flags)  # one run under both names
