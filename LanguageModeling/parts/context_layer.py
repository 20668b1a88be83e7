"""The recurrent layer of --model document: it starts anew in each sentence, with a context."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from common.cells.base import shift
from common.layers.make_layer import make_layer
from common.ops.softmax import masked_softmax
from LanguageModeling.presets import LanguageConfig


class ContextCell(keras.layers.Layer):
    """One step of a recurrence over the sentences of documents (Ji et al. 2015).

    Where the word read is `<eos>`, a sentence begins: the layers' states are set to 0, and the last
    h of the sentence before becomes its context c; after a second `<eos>` a document begins, and c
    is a learned vector. Within a sentence c stays.

        sentence    h_t = cell(x_t)                         a model of sentences
        stream      the same, states and all carried on     a model of the text
        input       h_t = cell([x_t ; c])                   "context to context"
        output      cell(x_t), and the softmax gets [h_t ; c]
        attention   c_t = sum_j a_j m_j,  a = softmax_j(v tanh(W h_{t-1} + U m_j))
                    h_t = cell([x_t ; c_t]),  the softmax gets tanh(h_t + Q c_t + P x_t)

    with m_j the last h of each of the `n_sentences` sentences before.

    Inputs [B, D + 1]: x and, 0 or 1, whether the word is `<eos>`. States, flat: those of the cells,
    h [B, H], m [B, n * H], their number [B, 1], and [B, 1], 0 right behind an `<eos>`.

    Args:
        cells: one step each, the lowest first. context: see above. n_sentences: n.
        initializer: of the matrices.
    """

    def __init__(
        self,
        cells: Sequence[keras.layers.Layer],
        context: str,
        n_sentences: int,
        initializer: Callable,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.cells, self.context, self.initializer = list(cells), context, initializer
        self.units = self.cells[-1].units
        self.n = n_sentences if context == "attention" else 1
        self.output_size = self.units * (2 if context == "output" else 1)
        inner = [size for cell in self.cells for size in tf.nest.flatten(cell.state_size)]
        self.state_size = [*inner, self.units, self.n * self.units, 1, 1]

    def build(self, input_shape: tuple) -> None:
        size, matrix = input_shape[-1] - 1, {"initializer": self.initializer}
        if self.context in ("input", "output", "attention"):
            self.first = self.add_weight(name="first", shape=(self.units,), initializer="zeros")
        if self.context == "attention":
            shapes = {"query": (self.units, self.units), "keys": (self.units, self.units)}
            shapes |= {"scores": (self.units, 1), "of_context": (self.units, self.units)}
            shapes |= {"of_word": (size, self.units)}
            for name, shape in shapes.items():
                setattr(self, name, self.add_weight(name=name, shape=shape, **matrix))
        if self.context in ("input", "attention"):
            size += self.units
        for cell in self.cells:
            if not cell.built:
                cell.build((input_shape[0], size))
            size = self.units

    def get_initial_state(self, batch_size: int | tf.Tensor | None = None) -> list[tf.Tensor]:
        """Zero states: a document begins, whatever the first word."""
        return [tf.zeros([batch_size, size], self.compute_dtype) for size in self.state_size]

    def call(
        self, inputs: tf.Tensor, states: list[tf.Tensor], training: bool = False
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """inputs [B, D + 1], states -> what the softmax gets and the new states."""
        x, begins = inputs[:, :-1], inputs[:, -1:]
        *inner, h, memory, known, inside = states
        if self.context != "stream":
            memory = tf.where(begins > 0, shift(memory, h), memory)
            known = tf.minimum(known + begins, self.n)
            known *= 1 - begins * (1 - inside)  # a document begins
            inner, h = [s * (1 - begins) for s in inner], h * (1 - begins)
        inside = 1 - begins
        c = self.vector(h, memory, known)
        y = tf.concat([x, c], -1) if self.context in ("input", "attention") else x
        new = []
        for cell in self.cells:
            n = len(tf.nest.flatten(cell.state_size))
            y, after = cell(y, inner[:n], training=training)
            new, inner = [*new, *tf.nest.flatten(after)], inner[n:]
        out = tf.concat([y, c], -1) if self.context == "output" else y
        if self.context == "attention":
            out = tf.tanh(y + c @ self.of_context + x @ self.of_word)
        return out, [*new, y, memory, known, inside]

    def vector(self, h: tf.Tensor, memory: tf.Tensor, known: tf.Tensor) -> tf.Tensor | None:
        """The context [B, H]; None where nothing reads it."""
        if self.context in ("sentence", "stream"):
            return None
        m = tf.reshape(memory, [-1, self.n, self.units])
        there = tf.cast(tf.range(self.n, 0, -1), known.dtype) <= known  # the latest stands last
        if self.context == "attention":
            scores = tf.tanh((h @ self.query)[:, None] + m @ self.keys) @ self.scores
            m = masked_softmax(scores[..., 0], there)[..., None] * m
        first = tf.cast(tf.convert_to_tensor(self.first), m.dtype)
        return tf.where(known > 0, tf.reduce_sum(m, 1), first)


def make_context_layer(config: LanguageConfig, **shared: Any) -> keras.layers.RNN:
    """The layer of --model document: [B, T, D + 1] -> [B, T, H], or 2 H with --context output."""
    cells = [make_layer(config, config.rnn_size, **shared).cell for _ in range(config.rnn_layers)]
    options = config.context, config.context_sentences, shared["kernel_initializer"]
    cell = ContextCell(cells, *options, name="cell")
    return keras.layers.RNN(cell, return_sequences=True, return_state=True, name="recurrent")
