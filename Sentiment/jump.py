"""Reads a text in rounds and jumps over what lies between.

Yu, Lee & Le 2017, "Learning to Skim Text".
"""

from typing import NamedTuple

import keras
import tensorflow as tf

from common.layers.make_layer import run_layer
from common.losses import masked_mean
from common.ops import agent
from common.ops.agent import Trace
from common.ops.random import fold
from Sentiment.presets import SentimentConfig


class Skimmed(NamedTuple):
    """What was read of a batch of texts.

    The trace's choices follow the rounds but the last, after which there is nothing to choose:
    choice a in 1..J+1 is a jump of a - 1 words.
    """

    h: tf.Tensor  # [B, H] the state after the last word read
    trace: Trace  # of [B, N-1] choices, masked where a text had ended or was left
    values: tf.Tensor | None  # [B, N-1] the learned baseline, of no gradient in h
    n_read: tf.Tensor  # [B] int32, words read


class JumpReader(keras.layers.Layer):
    """Words [B, T] -> the state after reading some of them, in N rounds of R words.

        q_i = softmax(W h_i + b)             over jumps of 0 .. J words, [B, J+1]
        j_i ~ q_i                            after round i, of which h_i is the last state

    j = 0 ends the reading; j > 0 goes on with the j-th word after the last one read, so that 1
    skips none. A text also ends with its last word, and after round N. The layer's state is kept
    from round to round. The agent is rewarded after its last choice, and learns W and b alone; the
    layer learns from the task's loss.

    The learned baseline is b_i = v . h_i + c, a prediction of the reward; it does not move h.

    Args:
        config: the flags; in training R is `--reads`, N `--jumps`, else `--test_reads` and
            `--test_jumps`. J is `--max_jump`. layer: of `make_layer`, without an agent of its own.
    """

    def __init__(self, config: SentimentConfig, layer: keras.layers.Layer):
        super().__init__(name="jump_reader")
        self.config, self.layer = config, layer
        self.policy = keras.layers.Dense(config.max_jump + 1, name="policy")
        self.value = None
        if config.baseline == "learned":
            self.value = keras.layers.Dense(1, name="value")
        self._metrics_of_call = ()

    @property
    def metrics_of_call(self) -> dict[str, tuple[tf.Tensor, tf.Tensor]]:
        """What the layer reports, as (sum, weight), over the rounds of the latest call."""
        return dict(self._metrics_of_call)

    def call(
        self,
        x: tf.Tensor,
        lengths: tf.Tensor,
        seed: tf.Tensor,
        training: bool = False,
        greedy: bool = False,
        choices: tf.Tensor | None = None,
    ) -> Skimmed:
        """x [B, T, D], lengths [B]. `choices` [B, N-1] int, as in a trace, are replayed."""
        config = self.config
        reads, rounds = (
            (config.reads, config.jumps) if training else (config.test_reads, config.test_jumps)
        )
        n_rows, n_actions = tf.shape(x)[0], config.max_jump + 1
        lengths = tf.cast(lengths, tf.int32)
        noise = agent.gumbel_noise([rounds - 1, n_rows, n_actions], seed)
        first, n_read = tf.zeros([n_rows], tf.int32), tf.zeros([n_rows], tf.int32)
        reading, h, state = tf.ones([n_rows], tf.bool), None, None
        made: list[tuple[tf.Tensor, ...]] = []
        reported: dict[str, tuple[tf.Tensor, tf.Tensor]] = {}
        for i in range(rounds):
            places = first[:, None] + tf.range(reads)
            real = reading[:, None] & (places < lengths[:, None])
            words = tf.gather(x, tf.minimum(places, tf.shape(x)[1] - 1), batch_dims=1)
            how = {"training": training, "seed": fold(seed, i + 1)}
            outputs, state, _ = run_layer(self.layer, words, state, real, **how)
            for name, pair in getattr(self.layer, "metrics_of_call", {}).items():
                before = reported.get(name, (0.0, 0.0))
                reported[name] = before[0] + pair[0], before[1] + pair[1]
            # a text that has ended keeps its state
            h = outputs[:, -1] if h is None else tf.where(real[:, :1], outputs[:, -1], h)
            n_read += tf.reduce_sum(tf.cast(real, tf.int32), 1)
            if i == rounds - 1:
                break
            reading &= first + reads < lengths
            seen = tf.stop_gradient(h)
            logits = tf.cast(self.policy(seen), tf.float32)
            if choices is not None:
                action = tf.cast(choices[:, i], tf.int32)
            else:
                action = agent.greedy(logits if greedy else logits + noise[i])
            action = tf.where(reading, action, 1)
            value = () if self.value is None else (tf.cast(self.value(seen)[:, 0], tf.float32),)
            made.append((action, *agent.statistics(logits, action), reading, *value))
            first += reads + action - 2  # from the last word read, a - 1 on
            reading &= action > 1
        actions, log_probs, entropies, probs, mask, *values = (
            tf.stack(column, 1) for column in zip(*made, strict=True)
        )
        mask = tf.cast(mask, tf.float32)
        trace = Trace(
            tf.where(mask > 0, actions, 0),
            log_probs * mask,
            entropies * mask,
            probs * mask[..., None],
            mask,
        )
        self._metrics_of_call = tuple(reported.items())
        return Skimmed(h, trace, *(values or [None]), n_read)


def value_loss(values: tf.Tensor, reward: tf.Tensor, trace: Trace, weights: tf.Tensor) -> tf.Tensor:
    """The mean square of the reward [B] less the baseline [B, N-1], over the choices."""
    error = tf.stop_gradient(reward)[:, None] - values
    return masked_mean(error**2, trace.mask * weights[:, None])
