"""Sentiment/pooling.py: attention over steps and sentences, against NumPy and loops."""

import numpy as np
import pytest
import tensorflow as tf
from helpers.modes import WITHOUT_AUTOGRAPH as MODES

from common.config import parse
from common.errors import InputError
from common.ops.softmax import masked_softmax
from Sentiment.model import SentimentModel
from Sentiment.pooling import AttentionPooling, HierarchicalPooling, Sentences
from Sentiment.presets import PRESETS, SentimentConfig

TINY = "--rnn_size=5 --word_size=4 --dropout=0 --cell=lstm --nojit_compile".split()
rng = np.random.default_rng(0)
H = tf.constant(rng.normal(size=(3, 6, 5)), tf.float32)
MASK = tf.sequence_mask([6, 1, 4], 6)


def config(*arguments) -> SentimentConfig:
    return parse(SentimentConfig, PRESETS, ["RL_train.py", *TINY, *arguments])


@pytest.fixture(scope="module")
def pooling():
    layer = AttentionPooling()
    layer(H, MASK)
    layer.hidden.bias.assign(rng.normal(size=5))
    layer.query.assign(rng.normal(size=5))
    return layer


@pytest.mark.parametrize("how", MODES)
def test_attention_in_numpy(pooling, how):
    found = MODES[how](lambda h: pooling(h, MASK))(H).numpy()
    kernel, bias = pooling.hidden.get_weights()
    for row, n, s in zip(H.numpy(), (6, 1, 4), found, strict=True):
        e = np.exp(np.tanh(row[:n] @ kernel + bias) @ pooling.query.numpy())
        np.testing.assert_allclose(s, (e / e.sum()) @ row[:n], rtol=1e-5, atol=1e-6)


def test_what_attention_sees(pooling):
    """Padding has no weight, the order of the steps none either; without a query it is the mean."""
    weights = pooling.weights_of(H, MASK).numpy()
    assert not weights[~MASK.numpy()].any() and np.allclose(weights.sum(1), 1)
    order = [3, 0, 2, 1, 4, 5]  # of the first four, that are real in the last row
    shuffled = pooling(tf.gather(H, order, axis=1), MASK)
    np.testing.assert_allclose(shuffled[2], pooling(H, MASK)[2], rtol=1e-5)
    layer = AttentionPooling()
    layer(H, MASK)
    layer.query.assign(np.zeros(5))
    means = [row[:n].mean(0) for row, n in zip(H.numpy(), (6, 1, 4), strict=True)]
    np.testing.assert_allclose(layer(H, MASK), means, atol=1e-6)
    nothing = masked_softmax(tf.ones([2, 3]), tf.zeros([2, 3], tf.bool))
    assert not nothing.numpy().any()  # not NaN


def test_a_hierarchy_by_loops():
    """Words 2 and 3 end sentences; the last sentence of two of the texts has no end."""
    flags = "--pooling=attention", "--sentences", "--zoneout=.5,.5"
    network = SentimentModel(config(*flags), 9, 2, ends=[2, 3])
    words = np.array([[4, 2, 5, 6, 3, 7], [8, 0, 0, 0, 0, 0], [3, 5, 5, 2, 0, 0]], np.int32)
    lengths = np.array([6, 1, 4])
    pool, mask = network.pooling, tf.sequence_mask(lengths, 6)
    assert isinstance(pool, HierarchicalPooling)
    assert not any(pool.sentence_layer.cell.zoneout)  # it is of the layer over words
    pooled = pool(H, tf.constant(words), mask)
    for row, n, h, found in zip(words, lengths, H, pooled, strict=True):
        ends = sorted({t + 1 for t in range(n) if row[t] in (2, 3)} | {int(n)})
        states = []
        for start, stop in zip([0, *ends], ends, strict=False):
            part = h[None, start:stop]
            states.append(pool.of_words(part, tf.ones(part.shape[:2], tf.bool)))
        g = pool.sentence_layer(tf.stack(states, 1))[0]
        text = pool.of_sentences(g, tf.ones(g.shape[:2], tf.bool))
        np.testing.assert_allclose(found, pool.output_layer(text)[0], atol=1e-5)
    compiled = MODES["xla"](lambda h: pool(h, tf.constant(words), mask))(H)
    np.testing.assert_allclose(compiled, pooled, atol=1e-5)


def test_sentences():
    words, mask = tf.constant([[4, 2, 5, 3, 3, 0]]), tf.sequence_mask([5], 6)
    found = Sentences(words, mask, [2, 3])
    assert found.last.numpy().astype(int).tolist() == [[0, 1, 0, 1, 1, 0]]
    expected = np.zeros((6, 6), bool)
    for part in ([0, 1], [2, 3], [4]):
        expected[np.ix_(part, part)] = True
    assert np.array_equal(found.together[0], expected)


def test_flags_that_do_not_go_together():
    with pytest.raises(InputError, match="--sentences belongs to --pooling attention, the pooling"):
        config("--sentences")
