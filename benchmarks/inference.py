"""One sentence at a time through tagger and language model, and text a word at a time.

Ours, the same networks of `keras.layers.LSTM`, and PyTorch's; each function does one piece of work
and waits for its result.
"""

import importlib.util
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmarks import timing
from benchmarks.networks import language_models, taggers, torch_language_model
from common.training.make_trainer import set_precision
from LanguageModeling.model import LanguageModel
from LanguageModeling.presets import LanguageConfig

WORDS = taggers.N_STEPS  # of a sentence, and of what is generated
REFERENCE = "dynamic_skip"
THEIRS = ("keras LSTM", "torch LSTM")
Work = dict[str, Callable[[], object]]


def measure(runs: int) -> dict[str, Any]:
    """Medians in milliseconds a word of each network, in each kind of work; and the ratios."""
    makers = {
        "tagging a sentence": tag,
        "a sentence through the language model": read,
        "generating a word at a time": generate,
    }
    found = {name: timing.interleaved(make(), runs) for name, make in makers.items()}
    networks = next(iter(found.values()))
    return {
        "milliseconds_of": {
            network: {
                name: round(timing.milliseconds(seconds[network]) / WORDS, 4)
                for name, seconds in found.items()
            }
            for network in networks
        },
        "reference": REFERENCE,
        "reference_over_of": {
            network: {
                name: round(timing.ratio(seconds, REFERENCE, network), 3)
                for name, seconds in found.items()
            }
            for network in networks
        },
    }


def tag(**flags: Any) -> Work:
    """The best tags of a sentence, as `NER/tag.py` finds them."""
    made = {cell: taggers.our_trainer(cell=cell, **flags) for cell in (REFERENCE, "lstm")}
    with taggers.around_keras_layers():
        made[THEIRS[0]] = taggers.our_trainer(cell="lstm", **flags)
    found: Work = {name: _tagged(*one) for name, one in made.items()}
    return _with_torch(found, _tagged_by_torch)


def _tagged(trainer: Any, batches: dict[str, np.ndarray]) -> Callable[[], object]:
    sentence = {name: array[:1, :1] for name, array in batches.items()}
    return lambda: trainer.infer(sentence, True)["tags"]


def _tagged_by_torch() -> Callable[[], object]:
    import torch

    config = taggers.NERConfig()
    words = taggers.encoder(config)
    sizes = len(words.chars), len(words.tags)
    model = taggers.torch_network(config, *sizes).train(False)
    batches = taggers.examples(config, *sizes)
    given = [torch.tensor(batches[name][0, :1].astype(np.int64)) for name in ("words", "chars")]
    return torch.no_grad()(lambda: model.best_tags(*given).numpy())


def read(**flags: Any) -> Work:
    """The logits behind each word of a sentence; `flags` besides the paper's preset."""
    return _language_models(_read, **flags)


def generate(**flags: Any) -> Work:
    """The most probable next word, WORDS times, as `LanguageModeling/generate.py` finds them."""
    return _language_models(_generated, **flags)


def _language_models(work: Callable, **flags: Any) -> Work:
    config, lstm = (
        language_models.config_of("paper", cell=cell, **flags) for cell in (REFERENCE, "lstm")
    )
    found = {
        REFERENCE: work(*_ours(config)),
        "lstm": work(*_ours(lstm)),
        THEIRS[0]: work(*_keras(config)),
    }
    return _with_torch(found, lambda: work(*_torch(config)))


def _read(step: Callable, state: Any) -> Callable[[], object]:
    words = language_models.random_words((1, WORDS))
    return lambda: step(words, state)[0].numpy()


def _generated(step: Callable, state: Any) -> Callable[[], object]:
    def run():
        word, now = np.ones([1, 1], np.int32), state
        for _ in range(WORDS):
            logits, now = step(word, now)
            word = logits.numpy()[:, -1].argmax(-1).astype(np.int32)[:, None]
        return word

    return run


def _ours(config: LanguageConfig) -> tuple[Callable, Any]:
    """words [1, T], state -> logits [1, T, V], state; and the first state."""
    set_precision(config)
    model = LanguageModel(config, language_models.N_WORDS, language_models.spellings())
    step = tf.function(lambda words, state: model(words, state, greedy=True)[:2], autograph=False)
    return step, model.initial_state(1)


def _keras(config: LanguageConfig) -> tuple[Callable, Any]:
    set_precision(config)
    embedding = keras.layers.Embedding(language_models.N_WORDS, config.rnn_size)
    flags = {"return_sequences": True, "return_state": True}
    layers = [keras.layers.LSTM(config.rnn_size, **flags) for _ in range(config.rnn_layers)]
    softmax = keras.layers.Dense(language_models.N_WORDS)

    def step(words: tf.Tensor, state: list):
        h, after = embedding(words), []
        for layer, before in zip(layers, state, strict=True):
            h, *now = layer(h, initial_state=before)
            after.append(now)
        return softmax(h), after

    zeros = tf.zeros([1, config.rnn_size])
    state = [[zeros, zeros] for _ in layers]
    step(tf.ones([1, 1], tf.int32), state)  # creates the weights
    return tf.function(step, autograph=False), state


def _torch(config: LanguageConfig) -> tuple[Callable, Any]:
    import torch

    model = torch_language_model.network(config, language_models.N_WORDS).train(False)
    return torch.no_grad()(lambda words, state: model(torch.tensor(words), state)), None


def _with_torch(found: Work, make: Callable[[], Callable]) -> Work:
    """With PyTorch's work too, if that is installed."""
    return found | ({THEIRS[1]: make()} if importlib.util.find_spec("torch") else {})
