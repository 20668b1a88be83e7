"""Sentiment/reading_time.py: predicted reading times and means weighted by them, by hand."""

import numpy as np
import pytest
import tensorflow as tf
from helpers.marks import LONG

from common.config import parse
from common.data.text import PADDING, UNKNOWN, Vocabulary
from common.training import loop
from Sentiment import experiment, reader
from Sentiment.presets import PRESETS, SentimentConfig
from Sentiment.reading_time import ReadingTimePooling, word_features

WORDS = Vocabulary((PADDING, UNKNOWN, "film", ",", "it's", ".", "i"))
TEXTS = [["film", ",", "it's", "film", "."], ["rare", "seldom", "?"]]
# letters and zipf: 8 tokens of text and one more for each of 7 words; two words are unknown
COUNTS = [0, 0, 2, 1, 1, 1, 0]
LETTERS = [(4 + 6) / 2, (4 + 6) / 2, 4, 0, 3, 0, 1]
ZIPF = [np.log10((count + 1) / 15 * 1e9) for count in COUNTS]
# "( film , . it's" with a mark before the first word; "i"; padding; an unknown word
IDS = np.array([[3, 2, 3, 5, 4, 0], [6, 0, 0, 0, 0, 0], [4, 6, 1, 2, 5, 0]], np.int32)
LENGTHS = [5, 1, 5]
MASK = tf.sequence_mask(LENGTHS, 6)
rng = np.random.default_rng(0)
H = tf.constant(rng.normal(size=(3, 6, 5)), tf.float32)


def by_hand(ids) -> list[float]:
    """The times of a text, word by word, as a reader of the module's first lines has them."""

    def parts(t):  # of the word at t: its own share, and the next word's, in ms
        mark = t + 1 < len(ids) and not LETTERS[ids[t + 1]]
        letters, zipf = LETTERS[ids[t]], ZIPF[ids[t]]
        return (
            3.06 * letters - 4.99 * zipf + 28.4 * mark,
            1.28 * letters - 3.46 * zipf + 11.3 * mark,
        )

    mean = 3.06 * 4.43 - 4.99 * 5.79 + 28.4 * 0.118, 1.28 * 4.43 - 3.46 * 5.79 + 11.3 * 0.118
    found, z, previous = [], 0.0, None
    for t, word in enumerate(ids):
        if LETTERS[word]:
            after = mean[1] if previous is None else parts(previous)[1]
            z, previous = (parts(t)[0] - mean[0] + after - mean[1]) / 18.6, t
        found.append(z)
    return found


@pytest.fixture(scope="module")
def pooling():
    layer = ReadingTimePooling(len(WORDS), with_attention=True)
    layer(H, tf.constant(IDS), MASK)
    layer.times.features.assign(word_features(WORDS, TEXTS))
    return layer


def test_features_of_words():
    found = word_features(WORDS, TEXTS)
    np.testing.assert_allclose(found, np.stack([LETTERS, ZIPF], 1), rtol=1e-6)


@pytest.mark.parametrize("how", ["eager", "graph", "xla"])
def test_reading_times_and_weights_by_hand(pooling, how):
    def both(words):
        return pooling.times(words, MASK), pooling.weights_of(words, MASK), pooling(H, words, MASK)

    if how != "eager":
        both = tf.function(both, jit_compile=how == "xla", autograph=False)
    times, weights, s = both(tf.constant(IDS))
    attention = pooling.attention(H, MASK)
    for i, n in enumerate(LENGTHS):
        z = by_hand(IDS[i, :n])
        np.testing.assert_allclose(times[i, :n], z, rtol=1e-5, atol=1e-5)
        a = np.exp(z) / np.exp(z).sum()
        np.testing.assert_allclose(weights[i], [*a, *[0] * (6 - n)], rtol=1e-5)  # padding: 0
        expected = (a @ H[i, :n].numpy() + attention[i]) / 2  # m = 1 / 2
        np.testing.assert_allclose(s[i], expected, rtol=1e-5, atol=1e-6)


def test_limits(pooling):
    """g = 0 is the mean; m of 1 the attention alone, of 0 the times alone."""
    words = tf.constant(IDS)
    a = pooling.weights_of(words, MASK)
    for mix, expected in (
        (200.0, pooling.attention(H, MASK)),
        (-200.0, tf.einsum("bt,bth->bh", a, H)),
    ):
        pooling.mix.assign(mix)
        np.testing.assert_allclose(pooling(H, words, MASK), expected, rtol=1e-5, atol=1e-6)
    pooling.gain.assign(0.0)
    means = [row[:n].mean(0) for row, n in zip(H.numpy(), LENGTHS, strict=True)]
    np.testing.assert_allclose(pooling(H, words, MASK), means, atol=1e-6)
    pooling.gain.assign(1.0), pooling.mix.assign(0.0)


@LONG
def test_a_run_and_what_is_loaded_of_it(tmp_path, monkeypatch):
    """Gain and mix learn; the features are those of the training texts, with the run's weights."""
    texts = [("so good , yes", "good"), ("so bad . no", "bad")] * 6
    for split in ("train", "dev", "test"):
        lines = ["text\tlabel", *("\t".join(one) for one in texts)]
        (tmp_path / f"{split}.tsv").write_text("\n".join(lines) + "\n")
    flags = (
        "--dataset=own --rnn_size=4 --word_size=3 --cell=lstm --max_epochs=1 --batch_size=4"
        " --nojit_compile --notensorboard --pooling=attention_and_reading_time"
    )
    where = f"--data_dir={tmp_path}", f"--run_dir={tmp_path / 'run'}"
    config = parse(SentimentConfig, PRESETS, ["RL_train.py", *flags.split(), *where])
    monkeypatch.setattr(experiment, "evaluate", lambda *_: {"dev_accuracy_sampled": 0.5})
    loop.run(config, experiment.build)
    loaded = experiment.load(config.run_dir)
    pool, words = loaded.model.pooling, loaded.encoder
    train = reader.load("own", str(tmp_path)).train
    features = word_features(words, (example.words for example in train))
    assert np.array_equal(pool.times.features, features) and features.any()
    learned = float(pool.gain.value), float(pool.mix.value)
    assert learned[0] != 1 and learned[1] != 0 and np.isfinite(learned).all()
    assert pool.times.features.path not in {v.path for v in loaded.model.trainable_variables}
    probs = experiment.predict(loaded.trainer, words, [["so", "good", "!"]]).probs
    assert probs.shape == (1, 2) and np.allclose(probs.sum(), 1)
