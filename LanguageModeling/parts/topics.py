"""Topics of a text (LDA), and what the words so far say of them: `--topics`."""

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

SENTENCES = 10  # of a document
DECAY = 0.95  # g: about the last 50 words
_PRIOR, _LEAST = 0.1, 1e-4  # of topics in a document; p(z | w) at least


class Topics(NamedTuple):
    """What `fit` found."""

    of_words: np.ndarray  # p(z | w) [V, Z] float32
    bounds: list[float]  # on the log-likelihood of the text, after each round


def documents(tokens: np.ndarray, end: int) -> np.ndarray:
    """The document of each token: blocks of 10 sentences, which end in the id `end`."""
    return (np.cumsum(tokens == end) - (tokens == end)) // SENTENCES


def fit(
    tokens: np.ndarray,
    documents: np.ndarray,
    n_words: int,
    n_topics: int,
    seed: int = 0,
    n_rounds: int = 30,
    n_inner: int = 10,
) -> Topics:
    """Latent Dirichlet allocation by variational EM (Blei, Ng & Jordan 2003, section 5).

        q(theta_d) = Dirichlet(gamma_d),   phi_dw(z) ~ exp(E log theta_dz) p(w | z)
        gamma_dz   = prior + sum_w n_dw phi_dw(z),   p(w | z) ~ sum_d n_dw phi_dw(z)

    Args:
        tokens: ids of words [N]. documents: of each, ascending from 0 [N]. n_words: V.
        n_topics: Z. seed: of the first p(w | z). n_rounds, n_inner: of EM, and of gamma in each.
    """
    pairs, counts = np.unique(documents * np.int64(n_words) + tokens, return_counts=True)
    rows, words = pairs // n_words, pairs % n_words
    _, starts = np.unique(rows, return_index=True)  # of the documents among the pairs
    rows = np.repeat(np.arange(len(starts)), np.diff([*starts, len(rows)]))
    beta = np.random.default_rng(seed).gamma(100.0, 0.01, (n_words, n_topics))
    beta /= beta.sum(0)
    gamma, bounds = np.full((len(starts), n_topics), 1.0), []
    for _ in range(n_rounds):
        of_pairs = beta[words]
        for _ in range(n_inner):
            expected = np.exp(_log_mean(gamma))
            total = np.einsum("nz,nz->n", expected[rows], of_pairs)
            weighted = (counts / total)[:, None] * of_pairs
            gamma = _PRIOR + expected * np.add.reduceat(weighted, starts)
        means = _log_mean(gamma)
        phi = np.exp(means)[rows] * of_pairs
        total = phi.sum(1)
        normaliser = np.sum(_log_gamma(gamma)) - np.sum(_log_gamma(gamma.sum(1)))
        prior = np.sum(_log_gamma([n_topics * _PRIOR])) - n_topics * _log_gamma([_PRIOR])[0]
        prior *= len(gamma)
        bound = np.sum(counts * np.log(total)) + np.sum((_PRIOR - gamma) * means)
        bounds.append(float(bound + normaliser + prior))
        phi *= (counts / total)[:, None]
        beta = np.stack([np.bincount(words, column, n_words) for column in phi.T], 1)
        beta /= beta.sum(0)
    joint = beta * (gamma - _PRIOR).sum(0)
    joint = np.maximum(joint / np.maximum(joint.sum(1, keepdims=True), 1e-300), _LEAST)
    return Topics((joint / joint.sum(1, keepdims=True)).astype(np.float32), bounds)


def _log_mean(gamma: np.ndarray) -> np.ndarray:
    """E log theta [D, Z] under Dirichlet(gamma)."""
    return tf.math.digamma(gamma).numpy() - tf.math.digamma(gamma.sum(1, keepdims=True)).numpy()


def _log_gamma(a: np.ndarray | list) -> np.ndarray:
    return tf.math.lgamma(np.asarray(a, np.float64)).numpy()


class TopicContext(keras.layers.Layer):
    """Words [B, T], a state [B, Z] -> the topics of the words so far f [B, T, Z], the new state.

        log f_t = g log f_{t-1} + (1 - g) log p(z | w_t), normalised

    (Mikolov & Zweig 2012, section 3; there f is that of the last 50 words.) f_t has seen w_t, not
    the next word. The state is log f but for its norm, which cancels; zeros are no knowledge.

    Weights, not trained: `of_words` log p(z | w) [V, Z].

    Args:
        n_words, n_topics: V, Z. decay: g.
    """

    def __init__(self, n_words: int, n_topics: int, decay: float = DECAY, **kwargs: Any):
        # in float32 whatever the policy: 16 bits would round the sums of log p
        super().__init__(trainable=False, **{"dtype": "float32", **kwargs})
        self.n_words, self.n_topics, self.decay = n_words, n_topics, decay

    def build(self, *_: Any) -> None:
        self.of_words = self.add_weight(
            name="of_words", shape=(self.n_words, self.n_topics), initializer="zeros"
        )

    def call(self, words: tf.Tensor, state: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        log_p = tf.cast(tf.gather(tf.convert_to_tensor(self.of_words), words), state.dtype)
        age = tf.cast(tf.range(tf.shape(words)[1]), state.dtype)
        share = tf.where(
            age[:, None] >= age, (1 - self.decay) * self.decay ** (age[:, None] - age), 0
        )
        log_f = tf.einsum("ts,bsz->btz", share, log_p)
        log_f += self.decay ** (age[:, None] + 1) * state[:, None]
        return tf.nn.softmax(log_f), log_f[:, -1]
