"""The taggers that the paper compares with: features, character LSTM, convolutions, scores."""

import dataclasses
import itertools
import types

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.marks import LONG
from helpers.modes import WITHOUT_AUTOGRAPH as MODES

from common.config import from_dict, parse
from common.data.text import Vocabulary
from common.errors import InputError
from common.layers.make_layer import run_layer
from common.training.restore import Trained
from NER import experiment, features, inspection, reader
from NER.characters import CharLSTM, WordShape
from NER.idcnn import IteratedDilations
from NER.model import NERModel
from NER.network import SparseScores
from NER.presets import PRESETS, NERConfig

TINY = "--word_size=3 --dropout=0 --nojit_compile --notensorboard".split()
CLASSES = [("NNP", "I-NP"), ("VBZ", "I-VP"), ("NNP", "I-NP")]
SENTENCES = [
    reader.Sentence(["Anna", "visits", "IBM"], ["S-PER", "O", "S-ORG"], CLASSES),
    reader.Sentence(["She", "left"], ["O", "O"], [("PRP", "I-NP"), ("VBD", "I-VP")]),
]


@pytest.fixture
def rng():
    """Of one test: what it draws does not depend on those that ran before."""
    return np.random.default_rng(0)


def config(*arguments) -> NERConfig:
    recurrent = not {"--model=linear", "--model=idcnn", "--preset=idcnn"}.intersection(arguments)
    layers = ["--rnn_size=4", "--cell=lstm"] if recurrent else []
    return parse(NERConfig, PRESETS, ["RL_train.py", *TINY, *layers, *arguments])


def encoder_of(**options) -> reader.Encoder:
    return reader.Encoder.build(SENTENCES, min_count=1, max_chars=6, **options)


def batch_of(encoder) -> dict:
    arrays = encoder.encode(SENTENCES)._asdict() | {"weights": np.ones(2, np.float32)}
    return {name: tf.constant(array) for name, array in arrays.items()}


# ----------------------------------------------------------------------------------------- features


@pytest.mark.parametrize(
    "word, expected",
    [
        ("left", "lower=left lowercase prefix=le,lef,left suffix=ft,eft,left shape=aaaa short=a"),
        ("I", "lower=i initial capitals shape=A short=A"),
        ("USA", "lower=usa initial capitals prefix=US,USA suffix=SA,USA shape=AAA short=A"),
        ("eBay", "lower=ebay inner prefix=eB,eBa,eBay suffix=ay,Bay,eBay shape=aAaa short=aAa"),
        ("1996", "lower=1996 prefix=19,199,1996 suffix=96,996,1996 shape=0000 short=0"),
        (".", "lower=. punctuation shape=. short=."),
        ("'s", "lower='s lowercase punctuation possessive prefix='s suffix='s letters=s rest='"
         " shape='a short='a"),
        ("A.T.&T.", "lower=a.t.&t. initial capitals punctuation prefix=A.,A.T,A.T.,A.T.&"
         " suffix=T.,&T.,.&T.,T.&T. letters=ATT rest=..&. shape=A.A.&A. short=A.A.&A."),
        ("D56y-3", "lower=d56y-3 initial mixed punctuation prefix=D5,D56,D56y,D56y-"
         " suffix=-3,y-3,6y-3,56y-3 letters=Dy rest=56-3 shape=A00a-0 short=A0a-0"),
        ("McCartney", "lower=mccartney initial inner prefix=Mc,McC,McCa,McCar"
         " suffix=ey,ney,tney,rtney shape=AaAaaaaaa short=AaAa"),
    ],
)  # fmt: skip
def test_spelling(word, expected):
    wanted = []
    for one in expected.split():
        name, equals, values = one.partition("=")
        several = name in ("prefix", "suffix")
        wanted += (
            [f"{name}={v}" for v in values.split(",")] if several else [name + equals + values]
        )
    assert features.spelling(word) == wanted


def test_context():
    found = features.context(SENTENCES[0].words, CLASSES)
    expected = """
        word[-1]=<edge> word[1]=visits word[-1,0]=<edge>|anna word[0,1]=anna|visits
        pos[-1]=<edge> pos[1]=VBZ pos[-1,0]=<edge>|NNP pos[0,1]=NNP|VBZ pos[0]=NNP
        pos[-1,0,1]=<edge>|NNP|VBZ
        chunk[-1]=<edge> chunk[1]=I-VP chunk[-1,0]=<edge>|I-NP chunk[0,1]=I-NP|I-VP chunk[0]=I-NP
        chunk[-1,0,1]=<edge>|I-NP|I-VP
    """
    assert found[0] == expected.split()
    alone = "word[-1]=<edge> word[1]=<edge> word[-1,0]=<edge>|rome word[0,1]=rome|<edge>"
    assert features.context(["Rome"]) == [alone.split()]
    most = features.features(["Ab-'s"], [("NNP", "I-NP")])
    assert len(most[0]) <= sum(features.MOST_FEATURES.values())


def test_parts_of_speech_are_read_where_context_asks(tmp_path):
    lines = [f"{w} {p} {c} O\n" for w, (p, c) in zip(SENTENCES[0].words, CLASSES, strict=True)]
    (tmp_path / "eng.train").write_text("".join(lines).replace("VBZ I-VP O", "VBZ I-VP I-PER"))
    for name in ("eng.testa", "eng.testb"):
        (tmp_path / name).write_text((tmp_path / "eng.train").read_text())
    asked = config("--preset=huang", f"--data_dir={tmp_path}")
    assert experiment.load_data(asked).train[0].classes == CLASSES
    assert experiment.read_file(asked, str(tmp_path / "eng.testa"))[0].classes == CLASSES
    assert experiment.load_data(config(f"--data_dir={tmp_path}")).train[0].classes == ()
    assert config("--preset=huang", "--columns=1,3", "--data_dir=x").kept_columns == ()


def test_features_of_the_training_sentences_alone(tmp_path):
    encoder = encoder_of(feature_sets=["spelling", "context"])
    encoder.save(tmp_path / "encoder.json")
    assert reader.Encoder.load(tmp_path / "encoder.json") == encoder
    new = reader.Sentence(["Anna", "sleeps"], (), [("NNP", "I-NP"), ("VBZ", "I-VP")])
    found = encoder.encode([new, SENTENCES[0]]).features
    names = [encoder.features.words[i] for i in found[0, 1] if i]
    known = {one for s in SENTENCES for w in features.features(s.words, s.classes) for one in w}
    made = features.features(new.words, new.classes)[1]
    assert set(names) == known.intersection(made) and 0 < len(names) < len(made)
    assert not found[0, 2].any()  # padding


def test_sparse_scores_are_a_product_of_counts(rng):
    layer = SparseScores(6, 3)
    ids = rng.integers(0, 6, [2, 4, 5])
    layer(ids)
    layer.scores.assign(rng.normal(size=(6, 3)))
    counts = np.eye(6)[ids].sum(2)
    counts[..., 0] = 0  # no feature
    expected = counts @ layer.scores.numpy()
    for run in (mode(layer) for mode in MODES.values()):
        np.testing.assert_allclose(run(tf.constant(ids)), expected, rtol=1e-5, atol=1e-6)


def test_with_features_alone_it_is_a_linear_crf(rng):
    """Against all paths of a sentence, each scored feature by feature."""
    encoder = encoder_of(feature_sets=["spelling"], scheme="BIO")
    network = NERModel(config("--preset=huang", "--model=linear", "--features=spelling"), encoder)
    assert network.recurrent_layers == []
    network.scores.set_weights([0 * w for w in network.scores.get_weights()])
    weights = rng.normal(size=network.feature_scores.scores.shape)
    network.feature_scores.scores.assign(weights)
    transitions = rng.normal(size=network.crf.transitions.shape)
    network.crf.transitions.assign(transitions)
    batch, n_tags = batch_of(encoder), len(encoder.tags)
    rows = {name: i for i, name in enumerate(encoder.features.words)}
    emitted = [
        sum(weights[rows[one]] for one in features.spelling(word)) for word in SENTENCES[0].words
    ]

    def ruled_out(path):
        before = ["O", *(encoder.tags[i] for i in path)]
        return any(b[0] == "I" and a[1:] != b[1:] for a, b in itertools.pairwise(before))

    def score(path):
        moved = sum(transitions[a, b] for a, b in itertools.pairwise(path))
        return moved + sum(e[tag] for e, tag in zip(emitted, path, strict=True))

    paths = [p for p in itertools.product(range(n_tags), repeat=3) if not ruled_out(p)]
    scores = np.array([score(path) for path in paths])
    gold = tuple(batch["tags"].numpy()[0])
    found = network.infer(batch, tf.constant([0, 0]), True)
    expected = score(gold) - np.log(np.exp(scores).sum())
    assert found["log_likelihood"][0].numpy() == pytest.approx(expected, abs=1e-4)
    assert tuple(found["tags"][0].numpy()) == paths[scores.argmax()]


def test_the_gradient_figure_has_the_scores_of_features(monkeypatch, rng):
    encoder = encoder_of(feature_sets=["spelling"])
    network = NERModel(config("--features=spelling", "--char_encoder=none"), encoder)
    network.feature_scores.scores.assign(rng.normal(size=network.feature_scores.scores.shape))
    dev = SENTENCES[1:]
    monkeypatch.setattr(experiment, "load_data", lambda config: reader.Corpus([], dev, []))
    trained = Trained(network.config, types.SimpleNamespace(model=network), encoder)
    assert "unsupported" in inspection.page_inputs(trained)
    _, x, _, loss = inspection.gradient_probe(trained, 2, 1)
    words, chars, tags, lengths, found = map(tf.constant, encoder.encode(dev))
    scores, _ = network(words, chars, lengths, features=found)
    expected = tf.nn.sparse_softmax_cross_entropy_with_logits(tags[:, -1], scores[:, -1])
    h = run_layer(network.forward, x)[0][:, -1]
    np.testing.assert_allclose(loss(h), expected, rtol=1e-5)


# ------------------------------------------------------------------------------------- the networks


def test_huang_s_rows():
    """One direction, no CRF: each tag alone, and nothing ruled out."""
    encoder = encoder_of()
    network = NERModel(config("--nocrf", "--nobidirectional", "--char_encoder=none"), encoder)
    batch = batch_of(encoder)
    scores, (forward, backward) = network(batch["words"], batch["chars"], batch["lengths"])
    assert forward is backward is None and len(network.recurrent_layers) == 1
    assert not [v for v in network.trainable_variables if "crf" in v.path]
    found = network.infer(batch, tf.constant([0, 0]), True)
    log_p = tf.nn.log_softmax(scores).numpy()
    for row, n in enumerate((3, 2)):
        tags = batch["tags"].numpy()[row, :n]
        assert found["log_likelihood"][row].numpy() == pytest.approx(
            log_p[row, np.arange(n), tags].sum(), rel=1e-4
        )
        assert np.array_equal(found["tags"][row, :n], log_p[row, :n].argmax(-1))


def test_the_character_lstm_is_one_lstm_a_word(rng):
    layer = CharLSTM(config("--zoneout=.5,.5"), 3)  # which is of the layers above
    x, lengths = tf.constant(rng.normal(size=(3, 5, 2)), tf.float32), [5, 2, 0]
    real = tf.sequence_mask(lengths, 5)
    found = layer(x, real)
    np.testing.assert_allclose(MODES["xla"](layer)(x, real), found, atol=1e-6)
    for own, read, columns in (
        (layer.ahead, x, slice(0, 3)),
        (layer.back, tf.reverse_sequence(x, lengths, 1), slice(3, 6)),
    ):
        plain = keras.layers.LSTM(3)
        plain.build([None, None, 2])
        plain.set_weights(own.get_weights())
        np.testing.assert_allclose(found[:, columns], plain(read, mask=real), atol=1e-6)
    assert not found[2].numpy().any()


def test_shapes_of_words():
    words = "IBM I Anna iPod McCoy left 1996 A-1 a1".split()
    chars = Vocabulary.build("".join(words), specials=("<pad>", "<unk>"))
    ids = np.zeros((9, 6), np.int32)
    for row, word in zip(ids, words, strict=True):
        row[: len(word)] = chars.encode(word)
    layer = WordShape(chars)
    assert layer.kinds(tf.constant(ids)).numpy().tolist() == [0, 0, 1, 2, 1, 3, 4, 0, 3]
    assert MODES["xla"](layer)(tf.constant(ids)).shape == (9, 5)


@LONG
def test_singletons_and_a_tanh_layer(rng):
    encoder = encoder_of()
    train = [*SENTENCES, reader.Sentence(["Anna", "left"], ["S-PER", "O"])]
    once = encoder.seen_once(train)
    assert {encoder.words.words[i] for i in np.flatnonzero(once)} == {"visits", "ibm", "she"}
    network = NERModel(config("--preset=lample", "--unknown_singletons=.3"), encoder, None, once)
    words = tf.constant(np.tile(encoder.encode(SENTENCES[:1]).words, (10_000, 1)))
    found = network.without_singletons(words, tf.constant([1, 2])).numpy()
    assert np.array_equal(found[:, 0], words[:, 0])  # Anna, seen twice
    for column in (1, 2):
        unknown = found[:, column] == reader.UNKNOWN_ID
        assert unknown.mean() == pytest.approx(0.3, abs=0.02)
        assert np.array_equal(found[~unknown, column], words.numpy()[~unknown, column])
    every = NERModel(config("--preset=lample", "--unknown_singletons=1"), encoder, None, once)
    found = every.without_singletons(words[:2], tf.constant([1, 2])).numpy()
    assert (found[:, 1:3] == reader.UNKNOWN_ID).all() and found[0, 0] == words[0, 0]
    kernel, bias = network.hidden.get_weights()
    h = rng.normal(size=(1, 2, 8)).astype(np.float32)
    expected = network.scores(tf.constant(np.tanh(h @ kernel + bias)))
    np.testing.assert_allclose(network.scores_of(tf.constant(h)), expected, atol=1e-5)


def test_scores_of_each_direction(rng):
    network = NERModel(config("--scores=directions"), encoder_of())
    h = rng.normal(size=(2, 3, 8)).astype(np.float32)

    def log_softmax(x):
        return x - np.log(np.exp(x).sum(-1, keepdims=True))

    expected = 0
    for dense, part in ((network.scores, h[..., :4]), (network.backward_scores, h[..., 4:])):
        kernel, bias = dense.get_weights()
        expected += log_softmax(part @ kernel + bias)
    np.testing.assert_allclose(network.scores_of(tf.constant(h)), expected, rtol=1e-5)


def test_the_block_begins_as_the_identity(rng):
    layer = IteratedDilations(4, [1, 2, 1], 3)
    x = tf.constant(rng.normal(size=(2, 6, 3)), tf.float32)
    real = tf.sequence_mask([6, 4], 6)
    states = layer(x, real)
    first = layer.first(x * tf.cast(real, tf.float32)[..., None]).numpy() * real.numpy()[..., None]
    assert len(states) == 3
    for h in states:
        np.testing.assert_allclose(h, first, atol=1e-6)
    assert len(layer.trainable_variables) == 8  # whatever the number of passes


def test_convolutions_in_numpy_and_how_far_they_see(rng):
    layer, n = IteratedDilations(4, [1, 2, 1], 2), 2
    x = tf.constant(rng.normal(size=(1, 25, 3)), tf.float32)
    real = tf.sequence_mask([23], 25)
    layer(x, real)
    for weight in layer.trainable_variables:
        weight.assign(rng.uniform(0.1, 0.3, weight.shape))  # positive: no unit is off everywhere
    x = tf.abs(x)

    def convolve(h, one, dilation):
        kernel, bias = one.get_weights()
        padded = np.pad(h, [(dilation, dilation), (0, 0)])
        taps = [padded[i * dilation : i * dilation + len(h)] @ kernel[i] for i in range(3)]
        return np.maximum(sum(taps) + bias, 0)

    h = convolve(x.numpy()[0, :23], layer.first, 1)
    for _ in range(n):
        for one, dilation in zip(layer.block, (1, 2, 1), strict=True):
            h = convolve(h, one, dilation)
    for run in (mode(layer) for mode in MODES.values()):
        np.testing.assert_allclose(run(x, real)[-1][0, :23], h, rtol=1e-4)
    with tf.GradientTape() as tape:
        tape.watch(x)
        middle = tf.reduce_sum(layer(x, real)[-1][0, 11])
    seen = np.flatnonzero(np.abs(tape.gradient(middle, x)[0]).sum(-1))
    assert (seen.min(), seen.max()) == (11 - (1 + 4 * n), 11 + 1 + 4 * n)


def test_each_pass_of_the_convolutions_is_trained():
    encoder = encoder_of()
    flags = ["--preset=idcnn", "--filters=4", "--iterations=2", "--dropout=.5", "--drop_penalty=2"]
    network, batch = NERModel(config(*flags), encoder), batch_of(encoder)
    seed = tf.constant([0, 1])
    loss, metrics, _ = network.training_loss(batch, (), seed, {})
    inputs = [batch[name] for name in ("words", "chars", "lengths")]
    both, _ = network.all_scores(*inputs, training=True, seed=seed)
    whole, _ = network.all_scores(*inputs)
    mask = np.array([[1, 1, 1], [1, 1, 0]], bool)
    expected = 0.0
    for scores, plain in zip(both, whole, strict=True):
        log_p = network.crf.log_likelihood(scores, batch["tags"], tf.constant(mask))
        expected -= log_p.numpy().mean()
        expected += (((scores - plain).numpy() ** 2).sum(-1) * mask).sum()
    assert float(loss) == pytest.approx(expected, rel=1e-4) and len(both) == 2
    assert "agent_loss" not in metrics and isinstance(
        experiment.make_optimizer(network.config), keras.optimizers.Adam
    )


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--preset=idcnn", "--lamda=.5"], "--lamda belongs to --cell"),
        (["--preset=idcnn", "--zoneout=.1,.1"], "--zoneout belongs to --model rnn, the model here"),
        (["--model=linear", "--cell=skip_rnn", "--skip=2"], "--cell belongs to --model rnn"),
        (["--preset=idcnn", "--rnn_size=30"], "--rnn_size belongs to --model rnn, the model here"),
        (["--model=idcnn", "--nobidirectional"], "--bidirectional belongs to --model rnn"),
        (["--filters=7"], "--filters belongs to --model idcnn, the model here is rnn"),
        (["--char_encoder=none", "--char_size=7"], "--char_size belongs to --char_encoder"),
        (["--char_rnn_size=7"], "--char_rnn_size belongs to --char_encoder lstm"),
        (["--features=speling"], r"--features expects one of spelling, context; .*did you mean"),
        (["--scores=directions", "--nobidirectional"], "--scores directions expects a layer in"),
        (["--scores=directions", "--model=linear"], "found one: leave out --model linear"),
    ],
)  # fmt: skip
def test_flags_that_do_not_go_together(arguments, message):
    with pytest.raises(InputError, match=message):
        config(*arguments)
    tanh = parse(NERConfig, PRESETS, "a --preset=idcnn --scores=tanh --rnn_size=30".split())
    assert tanh.rnn_size == 30  # of the layer below the scores
    stored = config("--model=idcnn")  # with the defaults of its cell, which nothing reads
    assert from_dict(NERConfig, dataclasses.asdict(stored)) == stored
