"""The language model: vectors of words or of their spelling, LSTM layers of which the last connects dynamically, a softmax."""

import math
import pathlib

import keras
import numpy as np
import tensorflow as tf

from common import losses
from common.data.text import Vocabulary
from common.errors import InputError
from common.layers.make_layer import auxiliary, make_layer, run_layer
from common.ops.agent import Trace
from common.ops.random import dropout, fold
from common.ops.replicas import part_of_mean
from common.ops.softmax import log_likelihood
from common.training import checkpoint, loop
from common.training.compiled_steps import Tensors, Trainer
from common.training.experiment import Experiment
from common.training.metrics import greedy_and_sampled, means
from common.training.restore import load_run, restore
from LanguageModeling import reader
from LanguageModeling.char_cnn import WordsFromCharacters
from LanguageModeling.presets import LanguageConfig
from LanguageModeling.schedule import learning_rate

VOCABULARY = "vocabulary.txt"  # in the run's folder


class LanguageModel(keras.Model):
    """Words [B, T] -> logits [B, T, V] of the next words (Gui et al. 2019, section 4.2; Zaremba et al. 2014; Kim et al. 2016).

        h^0_t = D(E[w_t])  or, --model char,  highway layers over a CharCNN of w_t
        h^l_t = D(layer_l(h^{l-1}_t)),   p(w_{t+1}) = softmax(S h^L_t + b),     D = dropout

    The agent of the last layer is rewarded at each step with log p(w_{t+1}).

    Args:
        config: the flags. n_words: V. spellings: of the V words, for --model char.
    """

    def __init__(self, config: LanguageConfig, n_words: int, spellings: reader.Spellings | None = None):
        super().__init__(name="language_model")
        self.config, self.n_words = config, n_words

        # Not the initializers themselves, which would give every weight the same numbers.
        def uniform(shape: tuple[int, ...], dtype: str | None = None):
            return keras.initializers.RandomUniform(-config.param_init, config.param_init)(shape, dtype)

        initializers = {"kernel_initializer": uniform, "recurrent_initializer": uniform}
        agent = {"agent_initializer": uniform} if config.cell == "dynamic_skip" else {}
        if config.model == "char":
            chars = spellings.ids, len(spellings.characters)
            self.embedding = WordsFromCharacters(*chars, uniform, **config.char_flags, name="embedding")
        else:
            self.embedding = keras.layers.Embedding(n_words, config.rnn_size, embeddings_initializer=uniform, name="embedding")
        self.recurrent = [
            make_layer(config, config.rnn_size, "lstm", name=f"lstm_{i}", **initializers) for i in range(config.rnn_layers - 1)
        ] + [make_layer(config, config.rnn_size, name="recurrent", **initializers, **agent)]
        self.softmax = keras.layers.Dense(n_words, kernel_initializer=uniform, name="softmax")
        self(tf.zeros([1, 1], tf.int32), self.initial_state(1))  # creates the weights

    def initial_state(self, batch_size: int) -> list:
        """Zero states of all layers."""
        return [layer.get_initial_state(batch_size) for layer in self.recurrent]

    def features(
        self, words: tf.Tensor, state: list, training: bool = False, greedy: bool = False, seed: tf.Tensor | None = None,
        distances: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, list, object]:  # fmt: skip
        """words [B, T] int, state -> what the softmax sees [B, T, H], the new state, the trace of the last layer (or None)."""
        seed = tf.zeros(2, tf.int32) if seed is None else seed
        rate = self.config.dropout if training else 0.0
        x, new_state, trace = self.embedding(words), [], None
        if self.config.model == "word":
            x = dropout(x, rate, fold(seed, 0))
        for i, (layer, layer_state) in enumerate(zip(self.recurrent, state, strict=True)):
            last = {"distances": distances} if i == len(self.recurrent) - 1 else {}
            x, s, trace = run_layer(layer, x, layer_state, training=training, greedy=greedy, seed=fold(seed, 1, i), **last)
            x = dropout(x, rate, fold(seed, 2, i))
            new_state.append(s)
        return x, new_state, trace

    def call(
        self, words: tf.Tensor, state: list, training: bool = False, greedy: bool = False, seed: tf.Tensor | None = None,
        distances: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, list, object]:  # fmt: skip
        """words [B, T] int, state -> logits [B, T, V], the new state, the trace."""
        x, state, trace = self.features(words, state, training, greedy, seed, distances)
        return tf.cast(self.softmax(x), tf.float32), state, trace

    def losses(self, batch: Tensors, state: list, seed: tf.Tensor, knobs: Tensors) -> tuple[tf.Tensor, dict, object]:
        """See `common/training/compiled_steps.py`. The task's loss is summed over the steps, the agent's a mean, as in the release."""
        x, state, trace = self.features(batch["words"], state, training=True, seed=seed)
        extra, reported = auxiliary(self.recurrent)
        loss, metrics = self.loss_terms(self.log_likelihood(x, batch["targets"]), trace)
        return loss + extra, metrics | reported, state

    def log_likelihood(self, x: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """log p(target) [B, T] of what the softmax sees [B, T, H], in nats."""
        kernel, bias = (tf.cast(w, x.dtype) for w in (self.softmax.kernel, self.softmax.bias))
        flat = log_likelihood(tf.reshape(x, [-1, x.shape[-1]]), kernel, bias, tf.reshape(targets, [-1]))
        return tf.reshape(flat, tf.shape(targets))

    def loss_terms(self, log_likelihood: tf.Tensor, trace: Trace | None) -> tuple[tf.Tensor, dict]:
        """The loss and its terms, of log p(target) [B, T]: cross-entropy for the network, a policy gradient for the agent."""
        config, n_steps = self.config, log_likelihood.shape[1]
        task_loss = -part_of_mean(log_likelihood)
        metrics = {"task_loss": (task_loss, 1.0)}
        if trace is None:
            return n_steps * task_loss, metrics
        reward = log_likelihood if config.reward == "log_likelihood" else tf.exp(log_likelihood)
        agent_loss = losses.policy_gradient(trace, tf.stop_gradient(reward), **config.agent_options)
        metrics |= {"agent_loss": (agent_loss, 1.0), "entropy": (losses.masked_mean(trace.entropies, trace.mask), 1.0)}
        return n_steps * task_loss + agent_loss, metrics

    def evaluate(self, batch: Tensors, state: list, seed: tf.Tensor, greedy: bool) -> tuple[dict, object]:
        """See `common/training/compiled_steps.py`."""
        x, state, _ = self.features(batch["words"], state, greedy=greedy, seed=seed)
        weights = batch["weights"]
        loss = -tf.reduce_sum(self.log_likelihood(x, batch["targets"]) * weights)
        return {"loss": (loss, tf.reduce_sum(weights))}, state


def perplexity(trainer: Trainer, tokens: np.ndarray, n_streams: int, n_steps: int, greedy: bool = False, samples: int = 1) -> float:
    """exp of the mean negative log-likelihood of each token given those before it, in nats.

    The text is read as `n_streams` parts side by side (20, as in training), or in order with `n_streams=1`.
    """
    words, targets, weights = reader.padded_streams(tokens, n_streams, n_steps)
    batches = {"words": words, "targets": targets, "weights": weights}
    state = trainer.model.initial_state(n_streams)
    values = [means(trainer.evaluate(batches, state, greedy, i))["loss"] for i in range(1 if greedy else samples)]
    return math.exp(sum(values) / len(values))


def evaluate(
    trainer: Trainer, tokens: np.ndarray, split: str, n_streams: int | None = None, samples: int | None = None
) -> dict[str, float]:
    """Perplexity of a text: `SPLIT_perplexity` with sampled distances, `SPLIT_perplexity_greedy` with the most probable ones.

    It is read as so many streams as a batch has, and sampled as often as `--eval_samples` says, unless given.
    """
    config = trainer.model.config
    size = n_streams or config.batch_size, config.num_unroll_steps

    def measure(greedy: bool) -> dict[str, float]:
        return {"perplexity": perplexity(trainer, tokens, *size, greedy, samples or config.eval_samples)}

    found = greedy_and_sampled(measure, split, config.has_agent)
    return {name.removesuffix("_sampled"): value for name, value in found.items()}


def make_model(config: LanguageConfig, vocabulary: Vocabulary) -> LanguageModel:
    """The model of `--model` for these words."""
    spellings = reader.spell(vocabulary, config.max_chars) if config.model == "char" else None
    return LanguageModel(config, len(vocabulary), spellings)


def build(config: LanguageConfig) -> Experiment:
    """Data, model and schedule of a run."""
    corpus = reader.load(config.data_dir)
    words, targets = reader.streams(corpus.train, config.batch_size, config.num_unroll_steps)
    model = make_model(config, corpus.vocabulary)
    if config.load_model:
        load_weights(model, config.load_model, corpus.vocabulary)
    corpus.vocabulary.save(pathlib.Path(config.run_dir, VOCABULARY))
    print(f"corpus: {corpus.name}, {len(corpus.train):,} training tokens, {len(corpus.vocabulary):,} words", flush=True)

    def measure(trainer: Trainer, split: str) -> dict[str, float]:
        if split == "dev":
            return {"valid_perplexity": perplexity(trainer, corpus.valid, config.batch_size, config.num_unroll_steps)}
        return evaluate(trainer, corpus.valid, "valid") | evaluate(trainer, corpus.test, "test")

    return Experiment(
        model=model,
        optimizer=keras.optimizers.SGD(config.learning_rate),
        train_batches=lambda epoch: [{"words": words, "targets": targets}],
        initial_state=model.initial_state(config.batch_size),
        knobs=lambda epoch, records: {"learning_rate": learning_rate(config, records)},
        evaluate=measure,
        monitor="-valid_perplexity",
        tokens_per_epoch=words.size,
    )


def load(run_dir: str, checkpoint_file: str = "") -> tuple[LanguageConfig, LanguageModel, Vocabulary]:
    """Flags, model and vocabulary of a run; see `load_run`."""

    def make(config: LanguageConfig) -> LanguageModel:
        return make_model(config, Vocabulary.load(pathlib.Path(run_dir, VOCABULARY)))

    config, model = load_run(run_dir, LanguageConfig, make, checkpoint_file)
    return config, model, Vocabulary.load(pathlib.Path(run_dir, VOCABULARY))


def load_weights(model: LanguageModel, path: str, vocabulary: Vocabulary | None = None) -> None:
    """Weights of a run folder (its best checkpoint) or of a checkpoint file.

    Raises `InputError` if they do not fit, or if they lie in a run that has other words than `vocabulary`, where that is given. Words
    are all there is to compare, for --model char too: they decide which characters there are.
    """
    file = pathlib.Path(path)
    file = file / "checkpoints" / "best.npz" if file.is_dir() else file
    _, arrays, _ = checkpoint.load(file)
    words = file.absolute().parent.parent / VOCABULARY
    if vocabulary is not None and file.absolute().parent.name == "checkpoints" and words.is_file():
        theirs = Vocabulary.load(words)
        if theirs != vocabulary:
            found = f"{len(theirs):,} words, other ones than the {len(vocabulary):,} here"
            raise InputError(f"--load_model {path}: that run knows {found}; give the data that it was trained on")
    restore(model.variables, arrays)


def train(config: LanguageConfig) -> None:
    """The whole run: train, select on valid, test."""
    loop.run(config, build)
