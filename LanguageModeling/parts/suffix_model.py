"""The language model of `--output suffix`."""

from typing import Any

import tensorflow as tf

from LanguageModeling.model import LanguageModel
from LanguageModeling.parts.make_parts import beside


class SuffixModel(LanguageModel):
    """A `LanguageModel` whose softmax depends on the longest frequent suffix of the words so far.

        p(w_{t+1}) = softmax(U_s(t) h_t)                                  `suffixes.SuffixSoftmax`

    The state has s behind those of the layers, [B] int32.
    """

    def initial_state(self, batch_size: int) -> list:
        """As of `LanguageModel`."""
        return [*super().initial_state(batch_size), self.softmax.initial_state(batch_size)]

    def suffixes(self, words: tf.Tensor, state: list) -> tuple[tf.Tensor, tf.Tensor]:
        """s of each word [B, T] and of the last one [B]."""
        return self.softmax.states(
            beside(self.config, words, self.end, self.n_classes)[0], state[-1]
        )

    def hidden(
        self, words: tf.Tensor, state: list, *args: Any, **kwargs: Any
    ) -> tuple[tf.Tensor, list, object]:
        """As of `LanguageModel`."""
        h, new_state, trace = super().hidden(words, state[:-1], *args, **kwargs)
        return h, [*new_state, self.suffixes(words, state)[1]], trace

    def outputs(
        self, h: tf.Tensor, words: tf.Tensor, state: list, seed: tf.Tensor, training: bool
    ) -> tf.Tensor:
        """As of `LanguageModel`, and s: [B, T, H + 1]."""
        x = super().outputs(h, words, state[:-1], seed, training)
        return tf.concat([x, tf.cast(self.suffixes(words, state)[0], x.dtype)[..., None]], -1)

    def log_likelihood(self, x: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """As of `LanguageModel`."""
        return self.softmax.log_likelihood(x, targets)
