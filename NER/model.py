"""The tagger: its network, trained on log p(tags), its agents on that as a reward."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from common import objective
from common.layers.make_layer import auxiliary
from common.losses import masked_mean
from common.ops.agent import Trace
from common.ops.mixture import by_chain, log_mean, repeated
from common.ops.random import fold, hits
from common.training.task_model import NamedTensors
from NER import reader
from NER.network import Network


class NERModel(Network):
    """The tagger as a `TaskModel`; see `Network` for its arguments and equations.

    Each direction has its own agent. Both are rewarded with log p(gold tags), after their last
    step.
    """

    def without_singletons(self, words: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Training words [B, T], of those seen once a share unknown, drawn anew each time."""
        rate = self.config.unknown_singletons
        if not rate or self.singletons is None:
            return words
        dropped = hits(tf.shape(words), rate, seed)
        return tf.where(dropped & tf.gather(self.singletons, words), reader.UNKNOWN_ID, words)

    def training_loss(
        self, batch: NamedTensors, state: Any, seed: tf.Tensor, schedule: NamedTensors
    ) -> tuple[tf.Tensor, dict, object]:
        """See `TaskModel`."""
        words = self.without_singletons(batch["words"], fold(seed, 5))
        inputs = words, batch["chars"], batch["lengths"], batch.get("features")
        scores, traces = self.all_scores(*inputs, training=True, seed=seed)
        auxiliary_loss, reported = auxiliary(self.recurrent_layers, batch["weights"])
        mask = _mask(batch)
        each = [self.crf.log_likelihood(one, batch["tags"], mask) for one in scores]
        log_likelihood = each[0] if len(each) == 1 else tf.add_n(each)
        if self.config.model == "idcnn" and self.config.drop_penalty:
            auxiliary_loss += self._drop_penalty(scores, self.all_scores(*inputs)[0], batch)
        terms = log_likelihood, traces, batch["weights"], auxiliary_loss, schedule
        loss, metrics = self.loss_terms(*terms)
        return loss, metrics | reported, state

    def _drop_penalty(
        self, scores: list[tf.Tensor], whole: list[tf.Tensor], batch: NamedTensors
    ) -> tf.Tensor:
        """Half the squared difference that dropout makes to the scores, times `--drop_penalty`.

        Ma et al. 2017, "Dropout with Expectation-linear Regularization", as Strubell et al. have
        it: a sum over a batch's words.
        """
        counts = tf.cast(_mask(batch), tf.float32) * batch["weights"][:, None]
        squares = [tf.reduce_sum((a - b) ** 2, -1) for a, b in zip(scores, whole, strict=True)]
        return self.config.drop_penalty / 2 * tf.reduce_sum(tf.add_n(squares) * counts)

    def loss_terms(
        self,
        log_likelihood: tf.Tensor,
        traces: Sequence[Trace | None],
        weights: tf.Tensor,
        auxiliary_loss: tf.Tensor | float = 0.0,
        schedule: NamedTensors | None = None,
    ) -> tuple[tf.Tensor, dict]:
        """The loss and its terms, from log p(tags) [B]; each direction has its own agent.

        Sentences of weight 0 only fill up the batch.
        """
        agent_loss = objective.agent_loss(self.config.agent_options, schedule)
        agents = {
            name: objective.Agent(trace, log_likelihood, agent_loss)
            for name, trace in zip(("forward", "backward"), traces, strict=True)
            if trace is not None
        }
        task_loss = -masked_mean(log_likelihood, weights)
        return objective.combine(task_loss, agents, weights=weights, auxiliary_loss=auxiliary_loss)

    def infer(
        self, batch: NamedTensors, seed: tf.Tensor, greedy: bool, n_chains: int = 1
    ) -> dict[str, tf.Tensor]:
        """The best tags [B, T], log p(given tags) [B] and, with one chain, distances [B, T].

        Distances are in the order of the words. With several chains, p(y) = mean_s p_s(y); the best
        path is approximated by the best, under that mean, of the chains' own best paths.
        """
        names = ("words", "chars", "lengths", "features")
        inputs = {name: batch[name] for name in names if name in batch}
        how = {"greedy": greedy, "seed": seed}
        if n_chains > 1 and self.config.draws_masks:  # spelling has masks, too
            inputs = {name: repeated(value, n_chains) for name, value in inputs.items()}
            scores, _ = self(**inputs, training=True, **how)
        else:
            scores, (forward, backward) = self(**inputs, n_chains=n_chains, **how)
        if n_chains > 1:
            return self._mixed(scores, repeated(_mask(batch), n_chains), batch["tags"], n_chains)
        mask = _mask(batch)
        found = {
            "tags": self.crf(scores, mask),
            "log_likelihood": self.crf.log_likelihood(scores, batch["tags"], mask),
        }
        if forward is not None:
            found |= {"forward": forward.distances}
        if backward is not None:
            found |= {"backward": tf.reverse(backward.distances, [1])}
        return found

    def _mixed(
        self, scores: tf.Tensor, mask: tf.Tensor, tags: tf.Tensor, n_chains: int
    ) -> dict[str, tf.Tensor]:
        """The best candidate path and log p(tags) of the mixture.

        scores: [B * S, T, N]. mask: [B * S, T]. tags: [B, T].
        """

        def mixed(tags: tf.Tensor) -> tf.Tensor:
            found = self.crf.log_likelihood(scores, repeated(tags, n_chains), mask)
            return log_mean(by_chain(found, n_chains))

        candidates = by_chain(self.crf(scores, mask), n_chains)
        values = tf.map_fn(mixed, candidates, fn_output_signature=tf.float32)  # [S, B]
        best = tf.gather(tf.transpose(candidates, [1, 0, 2]), tf.argmax(values, 0), batch_dims=1)
        return {"tags": best, "log_likelihood": mixed(tags)}


def _mask(batch: NamedTensors):
    return tf.sequence_mask(batch["lengths"], tf.shape(batch["words"])[1])
