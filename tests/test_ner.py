"""Named-entity recognition: its network against its parts, its loss by hand, its batches, and every
script of the folder.
"""

import io
import json
import re
import runpy
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.marks import LONG, long_but

from common.config import parse
from common.data import bucketing
from common.data.embeddings import load_vectors
from common.data.generated_corpus import tagged_sentences
from common.data.text import read_lines
from common.errors import InputError
from common.layers.dynamic_skip_lstm import DynamicSkipLSTM
from common.ops.agent import Trace
from common.training import loop
from common.training.experiment import out_of_patience
from common.training.make_trainer import count_weights
from NER import experiment as ner_experiment
from NER import model as ner_model
from NER import reader
from NER import tag as tagging
from NER.evaluate import EvaluateConfig, evaluate
from NER.presets import PRESETS, NERConfig
from NER.tag import TagConfig

TINY = (
    "--rnn_size=6 --word_size=5 --char_size=4 --char_filters=3 --agent_units=4 --n_buckets=1"
    " --max_epochs=2 --nojit_compile --notensorboard"
).split()


def config(*arguments) -> NERConfig:
    return parse(NERConfig, PRESETS, ["RL_train.py", *TINY, *arguments])


def write_data(folder, n_train=43, n_dev=12, n_test=12):
    """A corpus in the format of CoNLL-2003, its last batch smaller than the others."""
    folder.mkdir()
    for i, (name, n) in enumerate(
        (("eng.train", n_train), ("eng.testa", n_dev), ("eng.testb", n_test))
    ):
        sentences = [
            "".join(f"{word} NN I-NP {tag}\n" for word, tag in zip(*s, strict=True))
            for s in tagged_sentences(n, i)
        ]
        (folder / name).write_text("\n".join(["-DOCSTART- -X- O O\n", *sentences]))
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data") / "conll2003")


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    """The folder of a tiny finished run."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    loop.run(config(f"--data_dir={data}", f"--run_dir={folder}"), ner_experiment.build)
    return folder


@pytest.fixture(scope="module")
def loaded(trained):
    return ner_experiment.load(str(trained))


def result(folder) -> dict:
    return json.loads((folder / "result.json").read_text())


# -------------------------------------------------------------------------------------- a whole run


def test_a_run_and_its_result(trained):
    found = result(trained)
    names = [
        f"{split}_{name}_{how}"
        for split in ("dev", "test")
        for name in ("f1", "precision", "recall", "loss")
        for how in ("greedy", "sampled")
    ]
    assert set(names) <= set(found) and all(0 <= found[name] <= 100 for name in names)
    assert {"seconds_per_epoch", "n_weights", "tokens_per_second", "best_epoch"} <= set(found)
    first, last = (
        json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()
    )
    assert last["train_task_loss"] < 0.8 * first["train_task_loss"]
    assert (first["learning_rate"], last["learning_rate"]) == (0.015, pytest.approx(0.015 / 1.05))
    assert first["step"] == 5 and last["step"] == 10


def test_weights_of_the_paper_s_network():
    paper = parse(NERConfig, PRESETS, ["RL_train.py"])
    assert (paper.rnn_size, paper.n_actions, paper.lamda, paper.agent_units, paper.scheme) == (
        200,
        5,
        1.0,
        50,
        "BIOES",
    )
    assert (
        paper.char_size,
        paper.char_filters,
        paper.char_width,
        paper.word_size,
        paper.dropout,
    ) == (30, 30, 3, 100, 0.5)
    assert (paper.learning_rate, paper.learning_rate_decay, paper.momentum, paper.batch_size) == (
        0.015,
        0.05,
        0.9,
        10,
    )
    assert paper.max_grad_norm == 5
    sentences = [reader.Sentence(words, tags) for words, tags in tagged_sentences(30, 0)]
    encoder = reader.Encoder.build(sentences, scheme="BIO")
    n_tags = len(encoder.tags)
    made = ner_model.NERModel(
        parse(NERConfig, PRESETS, ["", "--nojit_compile", "--scheme=BIO"]), encoder
    )
    direction = 4 * 200 * (130 + 200 + 1) + 50 * (130 + 200 + 1) + 5 * 51
    vectors = 100 * len(encoder.words) + 30 * len(encoder.chars)
    assert count_weights(made) == vectors + 30 * (
        3 * 30 + 1
    ) + 2 * direction + n_tags * 401 + n_tags * (n_tags + 2)


def test_the_loss_of_an_epoch_is_the_sum_of_its_terms(trained):
    """All are means over the sentences: the last batch has fewer than the others."""
    for line in (trained / "metrics.jsonl").read_text().splitlines():
        record = json.loads(line)
        terms = [v for k, v in record.items() if re.match("train_(task|agent)_loss", k)]
        assert len(terms) == 3
        assert record["train_loss"] == pytest.approx(sum(terms), rel=1e-5)


@LONG
def test_a_plain_lstm_with_other_flags(data, tmp_path):
    flags = ["--cell=lstm", "--scheme=BIO", "--notrain_vectors", "--max_train_steps=2"]
    found = loop.run(
        config(f"--data_dir={data}", f"--run_dir={tmp_path / 'run'}", *flags), ner_experiment.build
    )
    assert found["epochs"] == 1 and 0 <= found["test_f1_sampled"] <= 100
    assert found["test_loss_greedy"] == found["test_loss_sampled"]  # nothing to sample


@pytest.mark.parametrize(
    "cell",
    long_but(
        ["random_skip", "attention", "skip_lstm"],
        ["fixed_skip", "random_skip", "attention", "gru", "skip_lstm", "skip_rnn"],
    ),
)
def test_other_cells(cell, loaded):
    encoder = loaded[2]
    network = ner_model.NERModel(config(f"--cell={cell}"), encoder)
    sentences = [
        reader.Sentence(words[:n], tags[:n])
        for (words, tags), n in zip(tagged_sentences(2, 0), (5, 3), strict=True)
    ]
    data = encoder.encode(sentences)._asdict() | {"weights": np.ones(2, np.float32)}
    batch = {name: tf.constant(array) for name, array in data.items()}
    loss, metrics, _ = network.training_loss(batch, (), tf.constant([0, 1]), {})
    assert np.isfinite(loss) and ("updates" in metrics) == (cell == "skip_lstm")
    found = network.infer(batch, tf.constant([0, 1]), greedy=True)
    assert found["tags"].shape == (2, 5) and not found["tags"][1, 3:].numpy().any()


def test_training_on_some_sentences_alone(data, tmp_path):
    """Those that the seed picks, as in every task."""
    experiment = ner_experiment.build(
        config(f"--data_dir={data}", f"--run_dir={tmp_path}", "--max_train_examples=7")
    )
    (stack,) = experiment.train_batches(0)
    sentences = reader.read_conll(data / "eng.train")
    # also the sentences on which evaluate.py --split train measures
    asked = config(f"--data_dir={data}", "--max_train_examples=7")
    assert len(ner_experiment.load_data(asked).train) == 7
    kept = np.random.default_rng(0).permutation(len(sentences))[:7]
    seen = {reader.normalise(word) for i in kept for word in sentences[i].words}
    assert stack["weights"].sum() == 7
    assert (
        set(reader.Encoder.load(tmp_path / "encoder.json").words.words) - {"<pad>", "<unk>"} <= seen
    )


# -------------------------------------------------------------------------------------- the network


def batch_of(encoder, sentences, length=None):
    arrays = encoder.encode(sentences, length)
    return tf.constant(arrays.words), tf.constant(arrays.chars), tf.constant(arrays.lengths)


def test_the_backward_layer_reads_the_sentence_from_its_end(loaded):
    """Each direction, a sentence at a time without any padding, by a layer that knows neither masks
    nor directions.
    """
    run_config, trainer, encoder = loaded
    network = trainer.model
    sentences = [
        reader.Sentence(words[:n])
        for (words, _), n in zip(tagged_sentences(4, 5), (9, 1, 14, 6), strict=True)
    ]
    scores, (forward, backward) = network(*batch_of(encoder, sentences, 17), greedy=True)
    for i, sentence in enumerate(sentences):
        words, chars, lengths = batch_of(encoder, [sentence])
        x = tf.concat([network.word_vectors(words), network.spelling(chars, 0.0, None)], -1)
        outputs = []
        for layer, trace, order in (
            (network.forward, forward, 1),
            (network.backward, backward, -1),
        ):
            plain = DynamicSkipLSTM(
                6, n_actions=5, lamda=1.0, agent_units=4, return_sequences=True, jit_compile=False
            )
            plain(x)
            plain.set_weights(layer.get_weights())
            outputs.append(plain(x[:, ::order], greedy=True)[:, ::order])
            padded = trace.distances[i].numpy()
            padded = padded[: lengths[0]] if order == 1 else padded[17 - lengths[0] :]
            assert np.array_equal(padded, plain.trace.distances[0])
        expected = network.scores(tf.concat(outputs, -1))[0]
        assert np.allclose(scores[i, : lengths[0]], expected, atol=1e-5)


def test_spelling_by_brute_force(loaded):
    _, trainer, _ = loaded
    network = trainer.model
    rng = np.random.default_rng(0)
    chars = np.zeros((2, 3, 20), np.int32)
    lengths = np.array([[5, 1, 0], [20, 2, 3]])
    for b in range(2):
        for t in range(3):
            chars[b, t, : lengths[b, t]] = rng.integers(1, 20, lengths[b, t])
    found = network.spelling(tf.constant(chars), 0.0, None).numpy()
    vectors, (kernel, bias) = (
        network.char_vectors.get_weights()[0],
        network.convolution.get_weights(),
    )
    for b in range(2):
        for t in range(3):
            word = vectors[chars[b, t, : lengths[b, t]]]
            if not len(word):
                continue
            word = np.concatenate([np.zeros((1, 4)), word, np.zeros((1, 4))])
            responses = [
                np.einsum("kd,kdf->f", word[i : i + 3], kernel) + bias for i in range(len(word) - 2)
            ]
            assert np.allclose(found[b, t], np.tanh(np.max(responses, 0)), atol=1e-5)


def test_replayed_distances_give_the_same_scores(loaded):
    _, trainer, encoder = loaded
    batch = batch_of(encoder, [reader.Sentence(words) for words, _ in tagged_sentences(3, 8)])
    scores, traces = trainer.model(*batch, seed=tf.constant([3, 4]))
    again, _ = trainer.model(
        *batch, distances=tuple(trace.distances for trace in traces), greedy=True
    )
    assert np.allclose(scores, again, atol=1e-6)
    assert not np.allclose(scores, trainer.model(*batch, seed=tf.constant([5, 6]))[0], atol=1e-4)


def test_loss_by_hand(loaded):
    """Three sentences, of which the last only fills up the batch; the backward trace lies behind
    its padding.
    """
    rng = np.random.default_rng(1)
    lengths, weights, n_actions, entropy_weight, rl_weight = (
        [4, 2, 3],
        np.array([1.0, 1.0, 0.0]),
        5,
        0.1,
        0.7,
    )
    log_likelihood = np.array([-2.0, -0.5, -7.0])

    def trace(order):
        policy = rng.dirichlet(np.ones(n_actions), (3, 4))
        mask = np.array([[1.0] * n + [0.0] * (4 - n) for n in lengths])[:, ::order]
        distances = rng.integers(1, n_actions + 1, (3, 4))
        log_probs = np.log(np.take_along_axis(policy, distances[..., None] - 1, -1)[..., 0]) * mask
        entropies = -(policy * np.log(policy)).sum(-1) * mask
        return distances, log_probs, entropies, policy, mask

    total, traces = (2.0 + 0.5) / 2, []
    for order in (1, -1):
        distances, log_probs, entropies, policy, mask = trace(order)
        traces.append(
            Trace(
                distances,
                *(tf.constant(a, tf.float32) for a in (log_probs, entropies, policy, mask)),
            )
        )
        for b in range(2):
            for t in range(4):
                value = [
                    rl_weight * log_likelihood[i] + entropy_weight * entropies[i, t:].sum()
                    for i in range(2)
                ]
                baseline = value[1 - b] if mask[1 - b, t] else 0.0
                step = log_probs[b, t] * (value[b] - baseline) + entropy_weight * entropies[b, t]
                total -= mask[b, t] * step / 6  # six steps of two sentences
    network = loaded[1].model
    network.config, before = (
        config(f"--entropy_weight={entropy_weight}", f"--rl_weight={rl_weight}"),
        network.config,
    )
    loss, metrics = network.loss_terms(
        tf.constant(log_likelihood, tf.float32), traces, tf.constant(weights, tf.float32)
    )
    network.config = before
    assert float(loss) == pytest.approx(total, rel=1e-4)
    assert [float(a) for a in metrics["task_loss"]] == pytest.approx([2.5, 2.0])


# --------------------------------------------------------------------------------- data and batches


def test_an_epoch_is_every_sentence_once_in_an_order_of_its_own():
    sentences = [reader.Sentence(words, tags) for words, tags in tagged_sentences(57, 0)]
    encoder = reader.Encoder.build(sentences, scheme="BIO")
    data = encoder.encode(sentences)
    orders = []
    for seed, epoch in ((0, 0), (0, 1), (1, 0), (0, 0)):
        buckets, size = [12, 20, int(data.lengths.max())], ner_experiment.STEPS_PER_CALL
        stacks = bucketing.epoch_chunks(
            data._asdict(), ner_experiment.PADDED, buckets, 10, size, seed, epoch
        )
        rows = []
        for stack in stacks:
            n_steps = stack["words"].shape[2]
            assert (
                stack["words"].shape[1:] == (10, n_steps) == stack["tags"].shape[1:]
                and n_steps >= stack["lengths"].max()
            )
            assert stack["chars"].shape[1:] == (10, n_steps, 20)
            for words, n in zip(
                stack["words"][stack["weights"] == 1],
                stack["lengths"][stack["weights"] == 1],
                strict=True,
            ):
                assert (words[:n] > 0).all() and not words[n:].any()
                rows.append(tuple(words[:n]))
        assert sorted(rows) == sorted(
            tuple(words[:n]) for words, n in zip(data.words, data.lengths, strict=True)
        )
        orders.append(rows)
    assert orders[0] == orders[3] and orders[0] != orders[1] and orders[0] != orders[2]


def test_many_sentences_are_tagged_in_their_order(loaded, monkeypatch):
    _, trainer, encoder = loaded
    sentences = [
        reader.Sentence(words[:n], tags[:n])
        for (words, tags), n in zip(tagged_sentences(11, 3), [9, 2, 7] * 4, strict=False)
    ]
    one_by_one = [ner_experiment.tag(trainer, encoder, [sentence]) for sentence in sentences]
    monkeypatch.setattr(ner_experiment, "EVALUATION_BATCH", 4)
    found = ner_experiment.tag(trainer, encoder, sentences, n_buckets=2)
    assert found.tags == [one.tags[0] for one in one_by_one]
    assert found.log_likelihood == pytest.approx(
        [one.log_likelihood[0] for one in one_by_one], rel=1e-4
    )
    for direction in ("forward", "backward"):
        expected = [getattr(one, direction)[0].tolist() for one in one_by_one]
        assert [distances.tolist() for distances in getattr(found, direction)] == expected
        assert all(
            len(distances) == len(s.words) and min(distances) >= 1
            for distances, s in zip(expected, sentences, strict=True)
        )


def test_pretrained_vectors(data, tmp_path):
    corpus = reader.load(data)
    frequent = [word for sentence in corpus.train for word in sentence.words]
    only_in_test = next(
        w for s in corpus.test for w in s.words if w not in frequent and w.islower()
    )
    (tmp_path / "vectors.txt").write_text(
        f"the 1 2 3 4 5\n{only_in_test} 5 4 3 2 1\nnowhere 0 0 0 0 0\n"
    )
    encoder, vectors = ner_experiment.make_encoder(
        config(f"--data_dir={data}", f"--vectors={tmp_path / 'vectors.txt'}"), corpus
    )
    network = ner_model.NERModel(config(), encoder, vectors)
    rows = network.word_vectors.embeddings.numpy()
    assert rows[encoder.words.ids["the"]].tolist() == [1, 2, 3, 4, 5]
    assert rows[encoder.words.ids[only_in_test]].tolist() == [5, 4, 3, 2, 1]
    assert "nowhere" not in encoder.words and not rows[0].any() and rows[1].any()
    assert np.abs(rows[[encoder.words.ids[w] for w in (",", ".")]]).max() <= np.sqrt(3 / 5)


def test_how_many_words_the_partial_vectors_know(data_dir):
    """What the results' note says of them."""
    vectors = data_dir / "embeddings/glove.6B.100d.partial_conll.txt"
    corpus = reader.load(data_dir)
    encoder, matrix = ner_experiment.make_encoder(
        NERConfig(data_dir=str(data_dir), vectors=str(vectors)), corpus
    )
    found = load_vectors(vectors, encoder.words.words, form=reader.digits_to_zero).found > 0
    tokens = np.concatenate(
        [encoder.words.encode(map(reader.normalise, s.words)) for part in corpus for s in part]
    )
    assert found.sum() == 10_877 and found[tokens].mean() == pytest.approx(0.813, abs=5e-4)
    # the first of its kind in the file
    year = dict(line.split(" ", 1) for line in read_lines(vectors))["2008"]
    np.testing.assert_allclose(matrix[encoder.words.ids["0000"]], np.float32(year.split()))


def test_learning_rate_and_patience(data, tmp_path):
    experiment = ner_experiment.build(
        config(
            f"--data_dir={data}",
            f"--run_dir={tmp_path}",
            "--patience=2",
            "--learning_rate_decay=.5",
        )
    )
    assert experiment.schedule(2, [])["learning_rate"] == pytest.approx(0.015 / 2)

    def stops(*f1):
        return experiment.stop_early([{"dev_f1_sampled": value} for value in f1])

    assert [stops(*f1) for f1 in ((), (1, 2), (3, 1, 2), (3, 3, 3), (1, 3, 2), (3, 2, 4, 1))] == [
        False,
        False,
        True,
        True,
        False,
        False,
    ]
    assert not out_of_patience([{"a": 2}, {"a": 1}, {"a": 1}], "a", 0)


# -------------------------------------------------------------------------------------------- tools


def test_brackets():
    words, tags = "Anna Smith left Siemens .".split(), ["B-PER", "E-PER", "O", "S-ORG", "O"]
    assert tagging.bracketed(words, tags) == "[PER Anna Smith] left [ORG Siemens] ."


@LONG
def test_all_scripts_from_another_directory(root, trained, data, tmp_path, monkeypatch, capsys):
    def script(name, *arguments, typed=""):
        """What a script prints; in this process, since starting TensorFlow takes longest."""
        monkeypatch.setattr(sys, "argv", [str(root / "NER" / name), *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        capsys.readouterr()
        runpy.run_path(sys.argv[0], run_name="__main__")
        return capsys.readouterr().out

    monkeypatch.chdir(tmp_path)
    typed = "He joined the board of Avon.\n\nShe smiled .\n"
    printed = script(
        "tag.py", "--run_dir", trained, "--picture", "pictures", typed=typed
    ).splitlines()
    plain = [line.replace("[", "").replace("]", "") for line in printed]
    assert plain[0].split()[0].endswith("He") or plain[0].startswith("He")
    assert printed.count("left to right") == printed.count("right to left") == 2
    first, *_ = [i for i, line in enumerate(printed) if line == "right to left"]
    assert printed[first + 1].split()[:2] == [".", "<-"]  # read from the end
    for name in ("pictures-forward", "pictures-backward"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG") and (
            tmp_path / f"{name}.csv"
        ).exists()

    assert (
        script("tag.py", "--run_dir", trained, "--file", data / "eng.testb", "--output", "out.txt")
        == "out.txt\n"
    )
    lines = (tmp_path / "out.txt").read_text().splitlines()
    sentences = reader.read_conll(data / "eng.testb")
    assert [line.split()[0] for line in lines if line] == [
        word for sentence in sentences for word in sentence.words
    ]
    assert {len(line.split()) for line in lines} == {0, 3} and lines.count("") == len(sentences)
    printed = script("evaluate.py", "--run_dir", trained, "--file", data / "eng.testb").splitlines()
    assert printed[0].endswith(f"12 sentences of {data / 'eng.testb'}")
    for name in (
        "f1_greedy",
        "f1_sampled",
        "precision_sampled",
        "recall_greedy",
        "loss_greedy",
        "loss_sampled",
    ):
        assert f"eng.testb_{name} {result(trained)[f'test_{name}']:.5g}" in printed
    assert "finished before" in script(
        "RL_train.py", f"--data_dir={data}", f"--run_dir={trained}", *TINY
    )


# ---------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    "spoil, expected",
    [
        (
            lambda data: (data / "eng.testa").unlink(),
            r"eng.testa: expected a text file, found nothing there",
        ),
        (
            lambda data: (data / "eng.train").write_text("EU NNP I-NP I-ORG\nrejects VBZ O\n"),
            r"eng.train:2: expected 4 columns .* found 3",
        ),
        (
            lambda data: (data / "eng.testb").write_text("EU NNP I-NP ORG\n"),
            r"eng.testb:1: expected an entity tag .* found 'ORG'",
        ),
        (
            lambda data: (data / "eng.testb").write_bytes(b"\xff NNP I-NP O\n"),
            r"eng.testb:1: expected UTF-8 text",
        ),
        (
            lambda data: (data / "eng.train").rename(data / "train"),
            "expected eng.train eng.testa eng.testb or",
        ),
    ],
)
def test_bad_data(spoil, expected, tmp_path):
    spoil(write_data(tmp_path / "data", 3, 3, 3))
    with pytest.raises(InputError, match=expected):
        ner_experiment.build(config(f"--data_dir={tmp_path / 'data'}", f"--run_dir={tmp_path}"))


@pytest.mark.parametrize(
    "content, expected",
    [
        (None, "expected a file of word vectors at"),
        ("the 1 2 3\n", "expected vectors of dimension 5, found 3"),
        ("the 1 2 3 4 5\na 1 2 3\n", ":2: expected a word and 5 numbers, found 3"),
    ],
)
def test_bad_vectors(content, expected, data, tmp_path):
    path = tmp_path / "vectors.txt"
    if content:
        path.write_text(content)
    with pytest.raises(InputError, match=expected):
        ner_experiment.build(
            config(f"--data_dir={data}", f"--vectors={path}", f"--run_dir={tmp_path}")
        )


def test_tools_refuse_what_they_cannot_use(trained, tmp_path):
    with pytest.raises(InputError, match="--output needs the gold tags"):
        tagging.tag(TagConfig(run_dir=str(trained), output="x"))
    with pytest.raises(InputError, match="--run_dir is empty"):
        tagging.tag(TagConfig())
    with pytest.raises(InputError, match="no run in"):
        evaluate(EvaluateConfig(run_dir=str(tmp_path)))
    (tmp_path / "gold.txt").write_text("EU NNP\n")
    with pytest.raises(InputError, match="gold.txt:1: expected 4 columns"):
        tagging.tag(TagConfig(run_dir=str(trained), file=str(tmp_path / "gold.txt")))


def test_a_run_without_its_encoder(trained, tmp_path):
    for name in ("flags.json", "checkpoints/best.npz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((trained / name).read_bytes())
    with pytest.raises(InputError, match="encoder.json: expected a text file, found nothing there"):
        ner_experiment.load(str(tmp_path))


def test_mixed_precision_keeps_the_crf_in_32_bits(data):
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        sentences = reader.read_conll(data / "eng.testa")[:2]
        encoder = reader.Encoder.build(sentences)
        network = ner_model.NERModel(config(), encoder)
        scores, _ = network(*batch_of(encoder, sentences), greedy=True)
        assert scores.dtype == tf.float32 and network.crf.transitions.dtype == "float32"
    finally:
        keras.mixed_precision.set_global_policy("float32")
