"""The language model of `--model mixed`: one of words and, given it, one of characters."""

import numpy as np
import tensorflow as tf

from common import objective
from common.layers.make_layer import auxiliary, run_layer
from common.ops.random import fold
from common.ops.replicas import part_of_mean
from common.training.task_model import NamedTensors
from LanguageModeling.model import LanguageModel
from LanguageModeling.parts.regularisation import drop
from LanguageModeling.parts.word_level import Words


class MixedModel(LanguageModel):
    """A `LanguageModel` by characters, given the state of one by words (Bojanowski et al. 2015).

        h^w     state of the word level behind the last word     `word_level.WordLevel`, of --cell
        h_t     = LSTM([E[c_t] ; h^w]),   p(c_{t+1}) = softmax(S h_t + b)
        loss    = .5 sum over the words -log p(w) + .5 sum over the characters -log p(c)

    The agent, if there is one, is the word level's: what it chooses with a word is rewarded with
    half log p of the characters up to the end of the next word, and of that word.
    """

    def levels(
        self,
        characters: tf.Tensor,
        state: list,
        seed: tf.Tensor,
        training: bool = False,
        greedy: bool = False,
        distances: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, list, Words]:
        """h_t [B, T, H], the new state, and what the word level made of the characters [B, T]."""
        word_level, layer = self.recurrent
        how = {"training": training, "greedy": greedy, "seed": fold(seed, 5)}
        words = word_level(characters, state[0], distances=distances, **how)
        x = self.embedding(characters)
        x = tf.concat([x, tf.cast(words.h, x.dtype)], -1)
        x = drop(self.config, x, fold(seed, 0)) if training else x
        h, new, _ = run_layer(layer, x, state[1], training=training, seed=fold(seed, 6))
        return h, [words.state, new], words

    def hidden(
        self,
        words: tf.Tensor,
        state: list,
        seed: tf.Tensor,
        training: bool = False,
        greedy: bool = False,
        distances: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, list, object]:
        """As of `LanguageModel`; `words` are characters, but the trace's steps are words."""
        h, state, level = self.levels(words, state, seed, training, greedy, distances)
        return h, state, level.trace

    def training_loss(
        self, batch: NamedTensors, state: list, seed: tf.Tensor, schedule: NamedTensors
    ) -> tuple[tf.Tensor, dict, object]:
        """See `TaskModel`."""
        h, new_state, words = self.levels(batch["words"], state, seed, training=True)
        word_level, layer = self.recurrent
        auxiliary_loss, reported = auxiliary([*word_level.recurrent, layer])
        log_p = self.log_likelihood(self.drop_last(h, seed), batch["targets"])
        agents, n_steps = {}, log_p.shape[1]
        if words.trace is not None:
            reward = tf.reduce_sum(tf.where(words.behind, log_p[..., None], 0), 1)
            reward += tf.pad(words.log_p[:, 1:], [[0, 0], [0, 1]])
            agent_loss = objective.agent_loss(self.config.agent_options, schedule)
            agents[""] = objective.Agent(words.trace, 0.5 * reward, agent_loss)
        both = tf.reduce_sum(log_p, 1) + tf.reduce_sum(words.log_p, 1)
        loss, metrics = objective.combine(
            -0.5 * part_of_mean(both) / n_steps,
            agents,
            task_weight=n_steps,
            auxiliary_loss=auxiliary_loss,
        )
        return loss, metrics | reported, new_state

    def evaluation_metrics(
        self, batch: NamedTensors, state: list, seed: tf.Tensor, greedy: bool, n_chains: int = 1
    ) -> tuple[dict, object]:
        """See `TaskModel`; of a single chain also `word_loss`, of the words that have ended."""
        if n_chains > 1:
            return super().evaluation_metrics(batch, state, seed, greedy, n_chains)
        h, state, words = self.levels(batch["words"], state, seed, greedy=greedy)
        weights = batch["weights"]
        of_words = tf.reduce_sum(tf.where(words.ends, weights[..., None], 0), 1)
        log_p = self.log_likelihood(h, batch["targets"])
        return {
            "loss": (-tf.reduce_sum(log_p * weights), tf.reduce_sum(weights)),
            "word_loss": (-tf.reduce_sum(words.log_p * of_words), tf.reduce_sum(of_words)),
        }, state

    def word_ends(self, characters: np.ndarray) -> np.ndarray:
        """The places of a text's characters [N] behind which the word level takes a step [n]."""
        row = tf.constant(characters[None], tf.int32)
        *_, ended = self.recurrent[0].places(row, tf.zeros([1], tf.int32))
        return np.flatnonzero(ended[0])
