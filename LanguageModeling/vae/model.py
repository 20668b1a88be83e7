"""The sentence VAE: an encoder to a vector of the sentence, a decoder from it."""

from typing import Any

import keras
import tensorflow as tf

from common import objective
from common.layers.highway import Highway
from common.layers.make_layer import auxiliary, make_layer, run_layer
from common.losses import masked_mean
from common.ops import replicas
from common.ops.agent import Trace
from common.ops.mixture import log_mean
from common.ops.random import dropout, fold, hits
from common.training.task_model import NamedTensors
from LanguageModeling.parts.softmax import log_likelihood
from LanguageModeling.vae.presets import VAEConfig


def kl_to_normal(mean: tf.Tensor, log_variance: tf.Tensor) -> tf.Tensor:
    """KL(N(mean, variance) || N(0, 1)), summed over the last axis.

    -1/2 sum (1 + log s^2 - m^2 - s^2)
    """
    each = 1 + log_variance - mean**2 - tf.exp(log_variance)
    return -0.5 * tf.reduce_sum(each, -1)


class Latent(keras.layers.Layer):
    """h [B, H] -> mean and log variance of a sentence's vector, [B, Z] each.

        y = h, through the highway layers;   m = W y + b,   log s^2 = W' y + b'

    Args:
        size: Z. units: H. highway_layers: their number.
    """

    def __init__(self, size: int, units: int, highway_layers: int = 0, **kwargs: Any):
        super().__init__(**kwargs)
        self.highway = [Highway(units, name=f"highway_{i}") for i in range(highway_layers)]
        self.mean = keras.layers.Dense(size, name="mean")
        self.log_variance = keras.layers.Dense(size, name="log_variance")

    def call(self, h: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        for layer in self.highway:
            h = layer(h)
        return tf.cast(self.mean(h), tf.float32), tf.cast(self.log_variance(h), tf.float32)


class SentenceVAE(keras.Model):
    """Sentences w_1 .. w_n, the last word their end -> log p(w) and a bound on it.

    Bowman et al. 2016, "Generating Sentences from a Continuous Space".

        m, log s^2 = Latent(h_n of the encoder over E[w_1] .. E[w_n])
        z          = m + s e,    e ~ N(0, 1)
        h_0        = tanh(W z + b)                              every tensor of the decoder's state
        h_t        = decoder([D(E[v_t]) ; z], h_{t-1}),         v_1 = end,  v_t = w_{t-1} or <unk>
        loss       = -sum_t log p(w_t | h_t) + kl_weight KL(N(m, s^2) || N(0, 1))

    with p(. | h) = softmax(S h + b). `--word_keep` is the probability that v_t is w_{t-1} in
    training. Where words lack <unk>, its vector is one more. Without z (`--latent_size 0`) a plain
    language model of sentences is left.

    With an agent in `--cell` that of the decoder is rewarded at each step with log p(w_t), that of
    the encoder at the end with minus the loss, of which both terms depend on its choices.

    Args:
        config: the flags. n_words: V. end, unknown: ids of these words; V for one that there is
            not.
    """

    def __init__(self, config: VAEConfig, n_words: int, end: int, unknown: int):
        super().__init__(name="sentence_vae")
        self.config, self.end, self.unknown = config, end, unknown
        self.embedding = keras.layers.Embedding(
            max(n_words, unknown + 1), config.word_size, name="embedding"
        )
        if config.latent_size:
            self.encoder = make_layer(config, config.rnn_size, name="encoder")
            sizes = config.latent_size, config.rnn_size, config.highway_layers
            self.latent = Latent(*sizes, name="latent")
        self.decoder = make_layer(config, config.rnn_size, name="decoder")
        # What a cell keeps beside its units begins as the cell says.
        n_states = len(self.decoder.get_initial_state(1))
        self.of_units = range(n_states - getattr(self.decoder.cell, "n_counters", 0))
        self.first_state = [
            keras.layers.Dense(config.rnn_size, "tanh", name=f"first_state_{i}")
            for i in (self.of_units if config.latent_size else ())
        ]
        self.softmax = keras.layers.Dense(n_words, name="softmax")
        one = tf.ones([1], tf.int32)
        mean, _, _ = self.encode(one[None] * end, one)  # creates the weights
        self.softmax(self.decode(one[None] * end, mean)[0])

    def encode(
        self, words: tf.Tensor, lengths: tf.Tensor, training: bool = False, **how: Any
    ) -> tuple[tf.Tensor, tf.Tensor, Trace | None]:
        """Words [B, T], lengths [B] -> mean and log variance [B, Z], trace.

        `how`: greedy and seed, as for `run_layer`.
        """
        if not self.config.latent_size:
            nothing = tf.zeros([tf.shape(words)[0], 0])
            return nothing, nothing, None
        mask = tf.sequence_mask(lengths, tf.shape(words)[1])
        x = self.embedding(words)
        outputs, _, trace = run_layer(self.encoder, x, mask=mask, training=training, **how)
        last = tf.gather(outputs, tf.maximum(lengths, 1) - 1, batch_dims=1)
        return *self.latent(last), trace

    def draw(
        self, mean: tf.Tensor, log_variance: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """z and the noise e that made it, [B, Z] each."""
        e = replicas.rows(
            lambda shape: tf.random.stateless_normal(shape, seed), tf.unstack(tf.shape(mean))
        )
        return mean + tf.exp(0.5 * log_variance) * e, e

    def start(self, z: tf.Tensor) -> list[tf.Tensor]:
        """The decoder's first state, of z [B, Z]; of several past states each."""
        state = self.decoder.get_initial_state(tf.shape(z)[0])
        for i, layer in zip(self.of_units, self.first_state, strict=False):
            slots = state[i].shape[-1] // self.config.rnn_size
            state[i] = tf.tile(tf.cast(layer(z), state[i].dtype), [1, slots])
        return state

    def decode(
        self,
        inputs: tf.Tensor,
        z: tf.Tensor,
        state: list[tf.Tensor] | None = None,
        mask: tf.Tensor | None = None,
        training: bool = False,
        seed: tf.Tensor | None = None,
        greedy: bool = False,
    ) -> tuple[tf.Tensor, list[tf.Tensor], Trace | None]:
        """Words read [B, T], z [B, Z], state -> h [B, T, H], new state, trace."""
        seed = tf.zeros(2, tf.int32) if seed is None else seed
        x = self.embedding(inputs)
        if training:
            x = dropout(x, self.config.dropout, fold(seed, 0))
        if self.config.latent_input and self.config.latent_size:
            again = tf.repeat(tf.cast(z, x.dtype)[:, None], tf.shape(x)[1], 1)
            x = tf.concat([x, again], -1)
        state = self.start(z) if state is None else state
        how = {"training": training, "greedy": greedy, "seed": fold(seed, 1)}
        return run_layer(self.decoder, x, state, mask, **how)

    def read(self, words: tf.Tensor, seed: tf.Tensor | None = None) -> tf.Tensor:
        """What the decoder reads before each of the words [B, T]; with a seed, words dropped."""
        before = tf.concat([tf.fill([tf.shape(words)[0], 1], self.end), words[:, :-1]], 1)
        if seed is None or self.config.word_keep == 1:
            return before
        dropped = hits(tf.shape(words), 1 - self.config.word_keep, seed)
        return tf.where(dropped & (tf.range(tf.shape(words)[1]) > 0), self.unknown, before)

    def log_likelihood(self, h: tf.Tensor, words: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """log p(word) [B, T] in nats of h [B, T, H]; 0 where the mask is false."""
        return tf.where(mask, log_likelihood(self.softmax, h, words), 0.0)

    def training_loss(
        self, batch: NamedTensors, state: Any, seed: tf.Tensor, schedule: NamedTensors
    ) -> tuple[tf.Tensor, dict, object]:
        """See `TaskModel`. `batch["kl_weight"]` [B] is that of the step."""
        words, weights = batch["words"], batch["weights"]
        mask = tf.sequence_mask(batch["lengths"], tf.shape(words)[1])
        how = {"training": True, "seed": fold(seed, 0)}
        mean, log_variance, encoder = self.encode(words, batch["lengths"], **how)
        z, _ = self.draw(mean, log_variance, fold(seed, 1))
        how["seed"] = fold(seed, 2)
        h, _, decoder = self.decode(self.read(words, fold(seed, 3)), z, mask=mask, **how)
        layers = [*([self.encoder] if self.config.latent_size else []), self.decoder]
        auxiliary_loss, reported = auxiliary(layers, weights)

        log_p = self.log_likelihood(h, words, mask)
        of_sentence, kl = tf.reduce_sum(log_p, 1), kl_to_normal(mean, log_variance)
        bound = of_sentence - batch["kl_weight"] * kl
        task_loss = masked_mean(-bound, weights)
        agent_loss = objective.agent_loss(self.config.agent_options, schedule)
        rewards = {"encoder": (encoder, bound), "decoder": (decoder, log_p)}
        agents = {
            name: objective.Agent(trace, reward, agent_loss)
            for name, (trace, reward) in rewards.items()
            if trace is not None
        }
        loss, metrics = objective.combine(
            task_loss, agents, weights=weights, auxiliary_loss=auxiliary_loss
        )
        n = replicas.total(tf.reduce_sum(weights))
        metrics |= {
            "nll": (tf.reduce_sum((kl - of_sentence) * weights), n),
            "kl": (tf.reduce_sum(kl * weights), n),
            "kl_weight": (tf.reduce_sum(batch["kl_weight"] * weights), n),
        }
        return loss, metrics | reported, state

    def evaluation_metrics(
        self, batch: NamedTensors, state: Any, seed: tf.Tensor, greedy: bool, n_chains: int = 1
    ) -> tuple[dict, object]:
        """See `TaskModel`.

        `nll`, -log p(w | z) + KL for a z of each sentence, and `kl`, both a sentence; `loss`, the
        former a word. With S chains they are of the importance-weighted bound (Burda et al. 2016)

            log 1/S sum_s p(w | z_s) p(z_s) / q(z_s | w),      z_s ~ q = N(m, s^2)
        """
        words, weights = batch["words"], batch["weights"]
        mask = tf.sequence_mask(batch["lengths"], tf.shape(words)[1])
        how = {"greedy": greedy, "seed": fold(seed, 0)}
        mean, log_variance, _ = self.encode(words, batch["lengths"], **how)
        kl = kl_to_normal(mean, log_variance)

        def weighed(sample: tf.Tensor, exact: bool = False) -> tf.Tensor:
            """log p(w | z) + log p(z) - log q(z | w) [B]; `exact`: their mean over z, -KL."""
            z, e = self.draw(mean, log_variance, fold(seed, 1, sample))
            how = {"greedy": greedy, "seed": fold(seed, 2, sample), "mask": mask}
            h, _, _ = self.decode(self.read(words), z, **how)
            ratio = -kl if exact else 0.5 * tf.reduce_sum(e**2 + log_variance - z**2, -1)
            return tf.reduce_sum(self.log_likelihood(h, words, mask), 1) + ratio

        if n_chains == 1:
            bound = weighed(0, exact=True)
        else:  # one by one: the logits of all samples at once would take as many times the memory
            each = tf.map_fn(weighed, tf.range(n_chains), fn_output_signature=tf.float32)
            bound = log_mean(each)
        n = tf.reduce_sum(weights)
        n_words = tf.reduce_sum(tf.cast(batch["lengths"], tf.float32) * weights)
        nll = -tf.reduce_sum(bound * weights)
        kl = tf.reduce_sum(kl * weights)
        return {"nll": (nll, n), "kl": (kl, n), "loss": (nll, n_words)}, state

    def infer(self, batch: NamedTensors, seed: tf.Tensor, greedy: bool) -> NamedTensors:
        """The means of the sentences' vectors [B, Z]."""
        how = {"greedy": greedy, "seed": seed}
        return {"mean": self.encode(batch["words"], batch["lengths"], **how)[0]}
