"""The language model: vectors of words or of their spelling, LSTM layers, a softmax.

The last of the layers has dynamic skip connections.
"""

import keras
import tensorflow as tf

from common import objective
from common.layers.make_layer import auxiliary, run_layer
from common.ops.agent import Trace
from common.ops.mixture import by_chain, log_mean, repeated
from common.ops.random import fold
from common.ops.replicas import part_of_mean
from common.training.task_model import NamedTensors
from LanguageModeling.parts import make_parts
from LanguageModeling.parts.regularisation import drop, drop_words, penalty
from LanguageModeling.parts.softmax import log_likelihood
from LanguageModeling.parts.spellings import Spellings
from LanguageModeling.parts.topics import TopicContext
from LanguageModeling.presets import LanguageConfig


class LanguageModel(keras.Model):
    """Words [B, T] -> logits [B, T, V] of the next words.

    Gui et al. 2019, section 4.2; Zaremba et al. 2014; Kim et al. 2016.

        h^0_t = D(E[w_t])  or, --model char,  highway layers over a CharCNN of w_t
        h^l_t = D(layer_l(h^{l-1}_t)),   p(w_{t+1}) = softmax(S h^L_t + b),     D = dropout

    The agent of the last layer is rewarded at each step with log p(w_{t+1}).

    `--tied_embeddings`: S is E transposed. `--topics`: the first layer and the softmax get those of
    the words so far. `--condition`: words are [B, T, 2], each with a class. See also `parts/`.

    Args:
        config: the flags. n_words: V. spellings: for --model char. end: `<eos>`. n_classes: A.
        table: what `parts/suffix_model.py` and `parts/mixed_model.py` need.
    """

    def __init__(
        self,
        config: LanguageConfig,
        n_words: int,
        spellings: Spellings | None = None,
        end: int = 0,
        n_classes: int = 0,
        table: object = None,
    ):
        super().__init__(name="language_model")
        self.config, self.n_words, self.end, self.n_classes = config, n_words, end, n_classes

        uniform = make_parts.uniform_between(config.param_init)
        self.embedding = make_parts.make_embedding(config, n_words, spellings, uniform)
        if config.topics:
            self.topics = TopicContext(n_words, config.topics, name="topics")
        self.recurrent = make_parts.make_layers(config, uniform, table)
        self.softmax = make_parts.make_softmax(config, n_words, self.embedding, uniform, table)
        word = tf.zeros([1, 1] + [2] * (config.condition != "none"), tf.int32)
        self(word, self.initial_state(1))  # creates the weights

    def initial_state(self, batch_size: int) -> list:
        """Zero states of all layers, and of the topics."""
        topics = [tf.zeros([batch_size, self.config.topics])] if self.config.topics else []
        return [layer.get_initial_state(batch_size) for layer in self.recurrent] + topics

    def features(
        self,
        words: tf.Tensor,
        state: list,
        training: bool = False,
        greedy: bool = False,
        seed: tf.Tensor | None = None,
        distances: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, list, object]:
        """Words [B, T] int, state -> inputs of the softmax [B, T, H], new state, trace.

        The trace is that of the last layer, None without an agent.
        """
        seed = tf.zeros(2, tf.int32) if seed is None else seed
        h, new_state, trace = self.hidden(words, state, seed, training, greedy, distances)
        return self.outputs(h, words, state, seed, training), new_state, trace

    def hidden(
        self,
        words: tf.Tensor,
        state: list,
        seed: tf.Tensor,
        training: bool = False,
        greedy: bool = False,
        distances: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, list, object]:
        """As `features`, before the last dropout and without topics."""
        words, columns = make_parts.beside(self.config, words, self.end, self.n_classes)
        x, new_state, trace = self.embedding(words), [], None
        if training and self.config.word_dropout:
            x = drop_words(x, words, self.n_words, self.config.word_dropout, fold(seed, 4))
        if training and self.config.model != "char":
            x = drop(self.config, x, fold(seed, 0))
        if columns is not None:
            x = tf.concat([x, tf.cast(columns, x.dtype)], -1)
        if topics := state[len(self.recurrent) :]:
            f, *topics = self.topics(words, *topics)
            x = tf.concat([x, tf.cast(f, x.dtype)], -1)
        for i, (layer, layer_state) in enumerate(zip(self.recurrent, state, strict=False)):
            how = {"training": training, "greedy": greedy, "seed": fold(seed, 1, i)}
            if i == len(self.recurrent) - 1:
                how["distances"] = distances
            if training and i:
                x = drop(self.config, x, fold(seed, 2, i - 1))
            x, s, trace = run_layer(layer, x, layer_state, **how)
            new_state.append(s)
        return x, new_state + topics, trace

    def outputs(
        self, h: tf.Tensor, words: tf.Tensor, state: list, seed: tf.Tensor, training: bool
    ) -> tf.Tensor:
        """The inputs of the softmax, of outputs of the last layer h [B, T, H] and what it read."""
        x = self.drop_last(h, seed) if training else h
        if not self.config.topics:
            return x
        return tf.concat([x, tf.cast(self.topics(words, state[-1])[0], x.dtype)], -1)

    def drop_last(self, h: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """That of the last layer's outputs [B, T, H]."""
        return drop(self.config, h, fold(seed, 2, len(self.recurrent) - 1))

    def call(
        self,
        words: tf.Tensor,
        state: list,
        training: bool = False,
        greedy: bool = False,
        seed: tf.Tensor | None = None,
        distances: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, list, object]:
        """Words [B, T] int, state -> logits [B, T, V], new state, trace."""
        x, state, trace = self.features(words, state, training, greedy, seed, distances)
        return self.logits(x), state, trace

    def logits(self, x: tf.Tensor) -> tf.Tensor:
        """Logits of the next words [..., V], from the inputs of the softmax [..., H]."""
        return tf.cast(self.softmax(x), tf.float32)

    def training_loss(
        self, batch: NamedTensors, state: list, seed: tf.Tensor, schedule: NamedTensors
    ) -> tuple[tf.Tensor, dict, object]:
        """See `TaskModel`."""
        h, new_state, trace = self.hidden(batch["words"], state, seed, training=True)
        x = self.outputs(h, batch["words"], state, seed, training=True)
        auxiliary_loss, reported = auxiliary(self.recurrent)
        auxiliary_loss += penalty(self.config, x[..., : h.shape[-1]], h)
        log_likelihood = self.log_likelihood(x, batch["targets"])
        loss, metrics = self.loss_terms(log_likelihood, trace, auxiliary_loss, schedule)
        return loss, metrics | reported, new_state

    def log_likelihood(self, x: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """log p(target) [B, T] in nats, from the inputs of the softmax [B, T, H]."""
        return log_likelihood(self.softmax, x, targets)

    def loss_terms(
        self,
        log_likelihood: tf.Tensor,
        trace: Trace | None,
        auxiliary_loss: tf.Tensor | float = 0.0,
        schedule: NamedTensors | None = None,
    ) -> tuple[tf.Tensor, dict]:
        """The loss and its terms, from log p(target) [B, T].

        The task loss is a sum over the T steps, the agent's loss a mean over them, as in the
        release.
        """
        config = self.config
        reward = log_likelihood if config.reward == "log_likelihood" else tf.exp(log_likelihood)
        agent_loss = objective.agent_loss(config.agent_options, schedule)
        agents = {} if trace is None else {"": objective.Agent(trace, reward, agent_loss)}
        task_loss, n_steps = -part_of_mean(log_likelihood), log_likelihood.shape[1]
        return objective.combine(
            task_loss, agents, task_weight=n_steps, auxiliary_loss=auxiliary_loss
        )

    def evaluation_metrics(
        self, batch: NamedTensors, state: list, seed: tf.Tensor, greedy: bool, n_chains: int = 1
    ) -> tuple[dict, object]:
        """See `TaskModel`.

        With several chains: log mean_s p_s(w_t) for each word, with equal weights.
        """
        words = repeated(batch["words"], n_chains)
        masked = n_chains > 1 and self.config.draws_masks
        x, state, _ = self.features(words, state, masked, greedy, seed)
        weights, targets = batch["weights"], batch["targets"]
        n = tf.reduce_sum(weights)
        if n_chains == 1:
            found = self.log_likelihood(x, targets)
            return {"loss": (-tf.reduce_sum(found * weights), n)}, state
        # One by one: the logits of all at once would take n_chains times the memory.
        each = tf.map_fn(
            lambda x: self.log_likelihood(x, targets),
            by_chain(x, n_chains),
            fn_output_signature=tf.float32,
        )
        mixed = log_mean(each)
        return {
            "loss": (-tf.reduce_sum(mixed * weights), n),
            "chain_loss": (-tf.reduce_sum(each * weights) / n_chains, n),
        }, state

    def infer(self, batch: NamedTensors, seed: tf.Tensor, greedy: bool) -> NamedTensors:
        """log p of each row's targets from a fresh state [B], in nats."""
        state = self.initial_state(tf.shape(batch["words"])[0])
        x, *_ = self.features(batch["words"], state, False, greedy, seed)
        found = make_parts.by_row(
            lambda x, targets, weights: tf.reduce_sum(self.log_likelihood(x, targets) * weights, 1),
            x,
            batch["targets"],
            batch["weights"],
        )
        return {"log_likelihood": found}
