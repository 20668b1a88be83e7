"""Training steps of other systems' networks, ours and the same ones of Keras' own layers.

Theirs are functional models in a step such as `fit` compiles, as a plain graph and by XLA. The CRF
is ours in both: Keras has none. The masks of a variational LSTM are `dropout` and
`recurrent_dropout` of `keras.layers.LSTM`, which are drawn once for a sequence, too; dropped words
are drawn one by one, where ours are the same wherever they stand, and windows begin at zero, where
ours carry the state.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from benchmarks import timing
from benchmarks.networks import language_models, sentiment_networks, taggers
from common.layers.crf import CRF
from NER.characters import WordShape
from NER.experiment import make_optimizer
from NER.idcnn import identity_kernel
from NER.presets import PRESETS, NERConfig
from NER.reader import Encoder
from Sentiment.presets import SentimentConfig

OURS, GRAPH, XLA = "ours", "keras layers, graph", "keras layers, XLA"
RATE = 1e-5  # takes the same time as any other


class Theirs(NamedTuple):
    """A network of Keras' layers: its loss of a batch, weights, optimizer and STEPS batches."""

    loss: Callable[[dict[str, tf.Tensor]], tf.Tensor]
    weights: list
    optimizer: Callable[[], keras.optimizers.Optimizer]
    batches: dict[str, np.ndarray]


def measure(runs: int) -> dict[str, Any]:
    """Medians in milliseconds of a step of each system, ours and theirs; and the ratios."""
    found: dict[str, dict[str, list[float]]] = {}
    for name, (make, n_steps) in SYSTEMS.items():
        ours, theirs = make()
        ways = {OURS: ours, GRAPH: steps(theirs, False), XLA: steps(theirs, True)}
        seconds = timing.interleaved(ways, runs, warm_up=1)
        found[name] = {way: [s / n_steps for s in values] for way, values in seconds.items()}
    return {
        "milliseconds_of": {
            way: {name: round(timing.milliseconds(found[name][way]), 2) for name in found}
            for way in (OURS, GRAPH, XLA)
        },
        "reference": OURS,
        "reference_over_of": {
            way: {name: round(timing.ratio(found[name], OURS, way), 3) for name in found}
            for way in (OURS, GRAPH, XLA)
        },
    }


def steps(theirs: Theirs, jit_compile: bool) -> Callable[[], object]:
    """A training step over each of the batches, a call each, as `fit` makes them."""
    loss, weights, make, batches = theirs
    optimizer = make()
    optimizer.build(weights)

    @tf.function(jit_compile=jit_compile, autograph=False)
    def step(batch: dict[str, tf.Tensor]):
        with tf.GradientTape() as tape:
            value = loss(batch)
        optimizer.apply(tape.gradient(value, weights), weights)
        return value

    n_steps = len(next(iter(batches.values())))
    each = [
        {name: tf.constant(array[i]) for name, array in batches.items()} for i in range(n_steps)
    ]
    return lambda: [step(batch) for batch in each][-1].numpy()


def lstm(units: int, **kwargs: Any) -> layers.LSTM:
    """Keras' layer over a sequence, without cuDNN."""
    return layers.LSTM(units, use_cudnn=False, **kwargs)


def tagger(preset: str, **flags: Any) -> tuple[Callable[[], object], Theirs]:
    """A tagger of a preset in NER/presets.py, ours and theirs."""
    flags = {**PRESETS[preset], **flags}
    config = NERConfig(**flags)
    encoder = taggers.encoder(config)
    network = {"lample": lample, "idcnn": dilated}[preset](config, encoder)
    crf = CRF(encoder.tags, config.scheme)
    crf.build([None, None, len(encoder.tags)])

    def loss(batch: dict[str, tf.Tensor]):
        inputs, mask = [batch["words"], batch["chars"]], batch["words"] != 0
        scores = network(inputs, training=True)
        value = -tf.reduce_mean(crf.log_likelihood(scores, batch["tags"], mask))
        if config.model != "idcnn":
            return value
        change = tf.reduce_sum((scores - network(inputs)) ** 2, -1) * tf.cast(mask, tf.float32)
        return value + config.drop_penalty / 2 * tf.reduce_sum(change)

    def optimizer() -> keras.optimizers.Optimizer:
        made = make_optimizer(config)
        settings = {"learning_rate": RATE, "global_clipnorm": config.max_grad_norm}
        return type(made).from_config(made.get_config() | settings)

    weights = network.trainable_variables + crf.trainable_variables
    batches = taggers.examples(config, len(encoder.chars), len(encoder.tags))
    return taggers.our_steps(**flags), Theirs(loss, weights, optimizer, batches)


def lample(config: NERConfig, encoder: Encoder) -> keras.Model:
    """Lample et al. 2016: words [B, T], characters [B, T, C] -> scores [B, T, N]."""
    words = keras.Input([None], dtype="int32")
    chars = keras.Input([None, config.max_chars], dtype="int32")
    letters = layers.Embedding(len(encoder.chars), config.char_size, mask_zero=True)(
        ops.reshape(chars, [-1, config.max_chars])
    )
    spelled = layers.Bidirectional(lstm(config.char_rnn_size))(letters)
    spelled = ops.reshape(spelled, [-1, taggers.N_STEPS, 2 * config.char_rnn_size])
    x = layers.Embedding(len(encoder.words), config.word_size, mask_zero=True)(words)
    x = layers.Dropout(config.dropout)(layers.Concatenate()([x, spelled]))
    h = layers.Bidirectional(lstm(config.rnn_size, return_sequences=True))(
        x, mask=ops.not_equal(words, 0)
    )
    h = layers.Dense(config.rnn_size, "tanh")(layers.Dropout(config.dropout)(h))
    return keras.Model([words, chars], layers.Dense(len(encoder.tags))(h))


def dilated(config: NERConfig, encoder: Encoder) -> keras.Model:
    """Strubell et al. 2017, one pass through the block: as `lample`."""
    words = keras.Input([None], dtype="int32")
    chars = keras.Input([None, config.max_chars], dtype="int32")
    shapes = WordShape(encoder.chars)(ops.reshape(chars, [-1, config.max_chars]))
    shapes = ops.reshape(shapes, [-1, taggers.N_STEPS, shapes.shape[-1]])
    inside = ops.expand_dims(ops.cast(ops.not_equal(words, 0), "float32"), -1)
    x = layers.Embedding(len(encoder.words), config.word_size)(words)
    x = layers.Dropout(config.dropout)(layers.Concatenate()([x, shapes]))
    same = {"padding": "same", "activation": "relu"}
    h = layers.Conv1D(config.filters, 3, **same)(x * inside) * inside
    for dilation in config.dilations:
        same |= {"dilation_rate": dilation, "kernel_initializer": identity_kernel}
        h = layers.Conv1D(config.filters, 3, **same)(h) * inside
    h = layers.Dropout(config.dropout)(h)
    return keras.Model([words, chars], layers.Dense(len(encoder.tags))(h))


def attention_pooling(**flags: Any) -> tuple[Callable[[], object], Theirs]:
    """Chen et al. 2016: attention over the states of one LSTM, at the paper's size."""
    flags = {"cell": "lstm", "pooling": "attention", **flags}
    config = SentimentConfig(**flags)
    words = keras.Input([None], dtype="int32")
    x = layers.Embedding(sentiment_networks.N_WORDS, config.word_size, mask_zero=True)(words)
    h = lstm(config.rnn_size, return_sequences=True)(x)
    e = layers.Dense(1, use_bias=False)(layers.Dense(config.rnn_size, "tanh")(h))
    a = layers.Softmax()(ops.squeeze(e, -1), mask=ops.not_equal(words, 0))
    s = layers.Dropout(config.dropout)(ops.einsum("bt,bth->bh", a, h))
    model = keras.Model(words, layers.Dense(sentiment_networks.N_CLASSES)(s))
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return sentiment_networks.our_steps(**flags), Theirs(
        lambda batch: cross_entropy(batch["labels"], model(batch["words"], training=True)),
        model.trainable_variables,
        lambda: keras.optimizers.Adam(RATE),
        sentiment_networks.examples(config),
    )


def variational(**flags: Any) -> tuple[Callable[[], object], Theirs]:
    """Gal & Ghahramani 2016, at the small scale, with the same masks for all gates."""
    flags = {"cell": "lstm", "regularisation": "variational", "dropout": 0.2, **flags}
    config = language_models.config_of("small", **flags)
    rate, n_words = config.dropout, language_models.N_WORDS
    words = keras.Input([None], dtype="int32")
    h = layers.Embedding(n_words, config.rnn_size)(words)
    h = layers.Dropout(config.word_dropout, noise_shape=(None, None, 1))(h)
    masks = {"dropout": rate, "recurrent_dropout": config.state_dropout}
    for _ in range(config.rnn_layers):
        h = lstm(config.rnn_size, return_sequences=True, **masks)(h)
    h = layers.Dropout(rate, noise_shape=(None, 1, None))(h)
    model = keras.Model(words, layers.Dense(n_words)(h))
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    tokens = language_models.tokens(config)
    return language_models.our_steps(config), Theirs(
        lambda batch: cross_entropy(batch["targets"], model(batch["words"], training=True)),
        model.trainable_variables,
        lambda: keras.optimizers.SGD(RATE, global_clipnorm=config.max_grad_norm),
        {"words": tokens[..., :-1], "targets": tokens[..., 1:]},
    )


# What makes ours and theirs, and how many steps a call takes.
SYSTEMS = {
    "tagger of Lample et al.": (functools.partial(tagger, "lample"), taggers.STEPS),
    "dilated convolutions": (functools.partial(tagger, "idcnn"), taggers.STEPS),
    "attention pooling": (attention_pooling, sentiment_networks.STEPS),
    "variational LSTM": (variational, language_models.STEPS),
}
