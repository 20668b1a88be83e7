"""The character-aware language model: its parts against NumPy, its size by hand, its spelling, and
whole runs.
"""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.marks import LONG, long_but

from common.config import main, parse
from common.data.text import Vocabulary
from common.layers.highway import Highway
from common.training import checkpoint, loop
from common.training.compiled_steps import Trainer
from common.training.make_trainer import count_weights
from LanguageModeling import experiment as lm_experiment
from LanguageModeling import generate, reader
from LanguageModeling import model as language_model
from LanguageModeling.parts.char_cnn import CharCNN, WordsFromCharacters
from LanguageModeling.parts.spellings import Spellings, spell
from LanguageModeling.presets import PRESETS, LanguageConfig

TINY = (
    "--model=char --char_size=4 --char_filters=3,2 --highway_layers=1 --rnn_size=6 --agent_units=3"
    " --batch_size=5 --num_unroll_steps=7 --max_epochs=4 --dropout=0 --param_init=1"
    " --learning_rate=.3 --nojit_compile --notensorboard --seed=2"
).split()
LINES = ["the cat sees the dog", "a dog sees a cat", "the <unk> sleeps", "a cat sleeps"]


def config(*arguments) -> LanguageConfig:
    return parse(LanguageConfig, PRESETS, ["RL_train.py", *arguments])


def uniform(shape, dtype=None):
    return keras.initializers.RandomUniform(-1, 1)(shape, dtype)


def random_biases(layer):
    """Give every bias numbers, so that an oracle sees them."""
    for i, weight in enumerate(layer.weights):
        if weight.path.endswith("bias"):
            weight.assign(np.random.default_rng(i).normal(size=weight.shape))


# ---------------------------------------------------------------------------------------- the parts


def test_char_cnn_by_hand():
    spellings = np.array([[1, 3, 4, 2, 0], [1, 2, 0, 0, 0], [1, 5, 5, 5, 2]], np.int32)
    layer = CharCNN(6, 3, [2, 4, 1], uniform)
    layer(spellings)
    random_biases(layer)
    vectors = layer.char_vectors.embeddings.numpy()
    assert not vectors[0].any() and np.abs(vectors[1:]).min() > 0
    expected = []
    for word in spellings:
        features = []
        for width, convolution in enumerate(layer.convolutions, 1):
            kernel, bias = (w.numpy() for w in convolution.weights)
            assert kernel.shape == (width, 3, len(bias))
            places = [
                [
                    sum(vectors[word[p + j]] @ kernel[j, :, f] for j in range(width)) + bias[f]
                    for p in range(len(word) - width + 1)
                ]
                for f in range(len(bias))
            ]
            features += [np.tanh(responses).max() for responses in places]
        expected.append(features)
    np.testing.assert_allclose(layer(spellings), expected, rtol=1e-5, atol=1e-6)


def test_highway_by_hand():
    x = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    layer = Highway(3, kernel_initializer=uniform)
    layer(x)
    assert (
        layer.gate.bias.numpy().tolist() == [-2] * 3
        and layer.transform.bias.numpy().tolist() == [0] * 3
    )
    random_biases(layer)
    (w_t, b_t), (w_h, b_h) = (
        [w.numpy() for w in dense.weights] for dense in (layer.gate, layer.transform)
    )
    t = 1 / (1 + np.exp(-(x @ w_t + b_t)))
    np.testing.assert_allclose(
        layer(x), t * np.maximum(x @ w_h + b_h, 0) + (1 - t) * x, rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("jit_compile", [False, True])
def test_words_are_looked_up_by_their_spelling(jit_compile):
    """Repeated words too: the gradient counts each place; filters wider than the longest word."""
    spellings = np.array([[1, 3, 2], [1, 4, 2], [1, 2, 0]], np.int32)
    layer = WordsFromCharacters(
        spellings, 5, uniform, char_size=2, char_filters=[1, 2, 3, 4, 5], highway_layers=1
    )
    words = tf.constant([[2, 0, 2, 2], [1, 0, 0, 2]])
    layer(words)

    @tf.function(jit_compile=jit_compile)
    def look_up(words):
        with tf.GradientTape() as tape:
            y = layer(words)
            loss = tf.reduce_sum(y**2)
        return y, [
            tf.convert_to_tensor(g) for g in tape.gradient(loss, [w.value for w in layer.weights])
        ]

    with tf.GradientTape() as tape:
        spelled = layer.cnn(np.pad(spellings, [(0, 0), (0, 2)])[words.numpy().ravel()])
        expected = layer.highway[0](spelled)
        loss = tf.reduce_sum(expected**2)
    y, gradients = look_up(words)
    assert y.shape == (2, 4, 15)
    np.testing.assert_allclose(tf.reshape(y, [8, 15]), expected, rtol=1e-5, atol=1e-6)
    for found, wanted in zip(
        gradients, tape.gradient(loss, [w.value for w in layer.weights]), strict=True
    ):
        np.testing.assert_allclose(found, tf.convert_to_tensor(wanted), rtol=1e-4, atol=1e-5)


# ---------------------------------------------------------------------------------------- the sizes


def test_number_of_weights():
    """At the paper's preset with PTB's 51 characters and 10,000 words: Gui et al.'s "19 m"."""
    filters = dict(enumerate((50, 100, 150, 200, 200, 200, 200), 1))
    wide = sum(filters.values())
    assert wide == 1100
    hand = (
        51 * 15  # characters, padding among them
        + sum(width * 15 * n + n for width, n in filters.items())  # 77,600
        + 2 * 2 * (wide * wide + wide)  # two highway layers of two matrices
        + 4 * 650 * (wide + 650 + 1)  # the plain LSTM
        + 4 * 650 * (650 + 650 + 1)  # the dynamic one
        + 50 * (650 + 650 + 1)
        + 5 * (50 + 1)  # its agent
        + (650 + 1) * 10_000  # the softmax
    )
    spellings = Spellings(np.zeros((10_000, 21), np.int32), ("",) * 51)
    model = language_model.LanguageModel(
        config("--preset=char", "--nojit_compile"), 10_000, spellings
    )
    assert count_weights(model) == hand == 19_433_270
    model = language_model.LanguageModel(
        config("--preset=char_small", "--nojit_compile"), 10_000, spellings
    )
    assert count_weights(model) == 3_519_620  # what README says


def test_spelling_by_hand():
    spellings = spell(Vocabulary(("<eos>", "cab", "<unk>", "a", "<x>")), 65)
    assert spellings.characters == (
        "<pad>",
        "<word>",
        "</word>",
        "<unk>",
        "<eos>",
        "<",
        ">",
        "a",
        "b",
        "c",
        "x",
    )
    assert spellings.ids.dtype == np.int32
    assert spellings.ids.tolist() == [
        [1, 4, 2, 0, 0],
        [1, 9, 7, 8, 2],
        [1, 3, 2, 0, 0],
        [1, 7, 2, 0, 0],
        [1, 5, 10, 6, 2],
    ]
    assert spell(Vocabulary(("cab",)), max_chars=3).ids.tolist() == [[1, 5, 3]]
    assert spell(Vocabulary(("a" * 70,)), 65).ids.shape == (1, 65)


def test_ptb_has_51_characters(data_dir):
    folder = data_dir / "ptb"
    if not (folder / "ptb.train.txt").is_file():
        pytest.skip(
            f"no {folder}/ptb.train.txt: DYNAMIC_SKIP_DATA=FOLDER python -m pytest --last-skipped"
        )
    vocabulary = reader.load(str(folder)).vocabulary
    spellings = spell(vocabulary, 65)
    assert len(spellings.characters) == 51 and spellings.ids.shape == (10_000, 21)
    written = "".join(
        spellings.characters[c] for c in spellings.ids[vocabulary.ids["telecommunications"]]
    )
    assert written == "<word>telecommunications</word>" + "<pad>"


# ----------------------------------------------------------------------------------------- the runs


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    for split, repeats in (("train", 40), ("valid", 8), ("test", 8)):
        (folder / f"{split}.txt").write_text("\n".join(LINES * repeats) + "\n")
    return folder


@pytest.fixture(scope="module")
def trained(corpus, tmp_path_factory):
    """The folder of a tiny finished run."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lm_experiment, "perplexity", no_perplexity)
        loop.run(config(*TINY, f"--data_dir={corpus}", f"--run_dir={folder}"), lm_experiment.build)
    return folder


def no_perplexity(*_, **__):
    """In place of an evaluation, which takes longest and changes no weights."""
    return 5.0


def test_a_run_learns_and_keeps_the_padding_at_zero(trained):
    losses = [
        json.loads(line)["train_task_loss"]
        for line in (trained / "metrics.jsonl").read_text().splitlines()
    ]
    assert losses[-1] < losses[0] - 0.4 and losses[-1] < 1.7 < np.log(8)  # of 8 words
    _, trainer, _ = lm_experiment.load(str(trained))
    model = trainer.model
    vectors = model.embedding.cnn.char_vectors.embeddings.numpy()
    assert not vectors[0].any() and vectors[1:].any(1).all()


@LONG
def test_a_run_that_was_cut_off_ends_the_same(corpus, trained, tmp_path, monkeypatch):
    flags = config(*TINY, f"--data_dir={corpus}", f"--run_dir={tmp_path / 'run'}")
    whole, calls = Trainer.train, []

    def cut_off(*arguments, **named):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return whole(*arguments, **named)

    monkeypatch.setattr(lm_experiment, "perplexity", no_perplexity)
    monkeypatch.setattr(Trainer, "train", cut_off)
    with pytest.raises(KeyboardInterrupt):
        loop.run(flags, lm_experiment.build)
    monkeypatch.setattr(Trainer, "train", whole)
    loop.run(flags, lm_experiment.build)
    expected, found = (
        checkpoint.load_latest(folder / "checkpoints")[1] for folder in (trained, tmp_path / "run")
    )
    assert expected.keys() == found.keys() and all(
        np.array_equal(expected[name], found[name]) for name in expected
    )


def test_text_from_a_run(trained, capsys):
    words, distances = generate.generate(
        generate.GenerateConfig(run_dir=str(trained), prompt="the cat", n_words=4)
    )
    assert words[1:3] == ["the", "cat"] and len(words) == len(distances) == 7
    assert "<-" in capsys.readouterr().out


@pytest.mark.parametrize("cell", long_but(["dynamic_skip"], ["lstm", "dynamic_skip", "attention"]))
def test_every_weight_has_a_gradient(cell):
    vocabulary = Vocabulary(("<eos>", "the", "cat", "sees", "a", "dog"))
    model = lm_experiment.make_model(config(*TINY, f"--cell={cell}"), vocabulary)
    words = tf.constant(np.random.default_rng(0).integers(0, 6, (5, 4)), tf.int32)
    batch = {"words": words[:, :-1], "targets": words[:, 1:]}
    with tf.GradientTape() as tape:
        loss, metrics, _ = model.training_loss(
            batch, model.initial_state(5), tf.constant([0, 1]), {}
        )
    gradients = tape.gradient(loss, model.trainable_variables)
    for weight, gradient in zip(model.trainable_variables, gradients, strict=True):
        assert np.abs(tf.convert_to_tensor(gradient)).max() > 0, weight.path
    assert ("agent_loss" in metrics) == (cell == "dynamic_skip")


def test_all_weights_start_with_numbers_of_their_own():
    """Equal kernels of two layers would be one kernel: an initializer that is shared gives the same
    numbers again.
    """
    model = lm_experiment.make_model(
        config("--preset=released", *TINY, "--char_filters=3,3"), Vocabulary(("a", "b", "c", "d"))
    )
    kernels = [
        weight.numpy().ravel() for weight in model.trainable_variables if "bias" not in weight.path
    ]
    # the same for the same numbers on another scale
    ratios = {round(float(kernel[-1] / kernel[-2]), 4) for kernel in kernels}
    assert len(ratios) == len(kernels) > 9


@pytest.mark.parametrize(
    "flag", ["--char_size=9", "--char_filters=1,2", "--highway_layers=0", "--max_chars=9"]
)
def test_flags_of_the_other_model_are_refused(flag, capsys):
    with pytest.raises(SystemExit) as left:
        main(LanguageConfig, PRESETS, "LanguageModeling.experiment:train", ["RL_train.py", flag])
    line = capsys.readouterr().err
    name = flag.partition("=")[0]
    assert left.value.code == 2
    assert (
        line
        == f"error: {name} belongs to --model char, the model here is word: leave it out, or change"
        " the model\n"
    )
