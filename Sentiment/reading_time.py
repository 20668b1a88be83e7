"""Attention by the predicted reading time of each word, without eye tracking to learn from.

Long et al. 2017, "A Cognition Based Attention Model for Sentiment Analysis", predict reading times
from features of words, fitted to eye tracking (GECO and others), which is not available here. This
is a substitute, fitted to self-paced reading: the Natural Stories Corpus of Futrell et al. 2021,
`processed_wordinfo.tsv` with the mean time of each word of ten stories (alignment of 2025-05-12;
CC BY-NC-SA 4.0, so the data are not here). Ordinary least squares over the 10,246 words that have
one before them, ' that word:

    ms = 363.5 + 3.06 letters - 4.99 zipf + 28.4 mark + 1.28 letters' - 3.46 zipf' + 11.3 mark'

R^2 is .169; the correlation with a story that was left out .39, a mean over the ten (.29 to .49);
with letters and zipf of the word alone .095 and .28. So it is weak, and mostly about punctuation.

* letters: letters and digits of the word.
* zipf: log10 of how often it occurs in 10^9 words. In the fit as of the package wordfreq 3.1.1,
  here as in the training texts, where each word of the vocabulary is counted once more than it
  occurs.
* mark: 1 where punctuation follows. In the stories it is attached to the word; here it is a token
  of its own, so a word has it where the next token has neither letters nor digits, be it a bracket
  or quotation mark that opens. The word before is the last token that is a word. A mark is read
  with the word before it and has that word's time.

Capitals, which add 11 ms and .004 to R^2, are left out: the texts are in lower case.
"""

import collections
from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from common.data.text import PADDING, UNKNOWN, Vocabulary
from common.ops.softmax import masked_softmax
from Sentiment.pooling import AttentionPooling

# In ms, of a word's letters, zipf and mark: for its own time, and for the next word's.
COEFFICIENTS = ((3.06, 1.28), (-4.99, -3.46), (28.4, 11.3))
MEANS = (4.43, 5.79, 0.118)  # of the three features in the stories
DEVIATION = 18.6  # of the predictions there, in ms


def word_features(vocabulary: Vocabulary, texts: Iterable[Sequence[str]]) -> np.ndarray:
    """Letters and zipf [V, 2] float32 of the words of a vocabulary, from the training texts.

    The unknown word has the mean letters of the words that the vocabulary lacks, and a count of 0.
    """
    counts = collections.Counter(word for text in texts for word in text)
    n_words = sum(counts.values()) + len(vocabulary)
    unknown = [_letters(word) for word in counts if word not in vocabulary and _letters(word)]
    features = np.zeros((len(vocabulary), 2), np.float32)
    for row, word in zip(features, vocabulary.words, strict=True):
        known = word not in (PADDING, UNKNOWN)
        row[0] = _letters(word) if known else np.mean(unknown or [MEANS[0]])
        row[1] = np.log10(1e9 * (1 + counts[word] * known) / n_words)
    return features


def _letters(word: str) -> int:
    return sum(character.isalnum() for character in word)


class ReadingTimes(keras.layers.Layer):
    """Words [B, T] and which are real -> their predicted reading times z [B, T] float32.

        z_t = (ms_t - mean) / deviation

    with the mean and deviation of the predictions in the stories. The first word of a text has no
    word before it, which then adds what it adds on average; marks before the first word have 0.

    Weights, not trained: `features` [V, 2], see `word_features`.
    """

    def __init__(self, n_words: int, **kwargs: Any):
        # in float32 whatever the policy: 16 bits would round the sums
        super().__init__(trainable=False, **{"dtype": "float32", **kwargs})
        self.n_words = n_words

    def build(self, *_: Any) -> None:
        self.features = self.add_weight(
            name="features", shape=(self.n_words, 2), initializer="zeros"
        )

    def call(self, words: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        letters, zipf = tf.unstack(tf.gather(tf.convert_to_tensor(self.features), words), axis=-1)
        is_word = mask & (letters > 0)
        marked = tf.cast(tf.pad((mask & ~is_word)[:, 1:], [[0, 0], [0, 1]]), tf.float32)
        features = tf.stack([letters, zipf, marked], -1) - tf.constant(MEANS)
        own, after = tf.unstack(features @ (tf.constant(COEFFICIENTS) / DEVIATION), axis=-1)
        number = tf.cumsum(tf.cast(is_word, tf.int32), 1)  # of the word a token belongs to, from 1
        n_steps = tf.shape(words)[1]
        places = tf.sort(tf.where(is_word, tf.range(n_steps), n_steps - 1))  # of words 1, 2, ...

        def of_word(values: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
            place = tf.gather(places, tf.maximum(number - 1, 0), batch_dims=1)
            return tf.where(number > 0, tf.gather(values, place, batch_dims=1), 0.0)

        return of_word(own, number) + of_word(after, number - 1)


class ReadingTimePooling(keras.layers.Layer):
    """States [B, T, H] -> their mean [B, H], weighted by the predicted reading times of the words.

        a = softmax of g z over the real words
        s = sum_t a_t h_t

    or, `with_attention`, m s_LA + (1 - m) s, where s_LA is that of `AttentionPooling` and m the
    sigmoid of a number. With g = 0 s is the mean.

    Weights: `gain` g, 1 at the start; `mix`, the number, 0; those of the parts.
    """

    def __init__(self, n_words: int, with_attention: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        self.times = ReadingTimes(n_words, name="times")
        self.attention = AttentionPooling(name="attention") if with_attention else None
        self.supports_masking = True

    def compute_mask(self, *_: Any) -> None:
        """No mask: the steps are summed."""

    def build(self, *_: Any) -> None:
        self.gain = self.add_weight(name="gain", shape=(), initializer="ones")
        if self.attention is not None:
            self.mix = self.add_weight(name="mix", shape=(), initializer="zeros")

    def weights_of(self, words: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """The weights a [B, T] float32 of words [B, T] in a mask."""
        return masked_softmax(tf.cast(self.gain, tf.float32) * self.times(words, mask), mask)

    def call(self, h: tf.Tensor, words: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """h [B, T, H], words and mask [B, T]."""
        s = tf.einsum("bt,bth->bh", tf.cast(self.weights_of(words, mask), h.dtype), h)
        if self.attention is None:
            return s
        m = tf.cast(tf.sigmoid(self.mix), h.dtype)
        return m * self.attention(h, mask) + (1 - m) * s
