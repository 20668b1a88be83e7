"""Data order, dropout and actions: each a stream of its own that the seed decides, whatever the
others do.
"""

import numpy as np
import tensorflow as tf

from common.config import parse
from common.data import bucketing
from common.ops.random import dropout, fold
from LanguageModeling.model import LanguageModel
from LanguageModeling.presets import PRESETS, LanguageConfig
from NumberPrediction import experiment as number_experiment
from NumberPrediction import reader

WORDS = tf.constant(np.random.default_rng(0).integers(0, 11, (4, 9)), tf.int32)


def language_model(*flags) -> LanguageModel:
    tiny = ["--rnn_size=5", "--agent_units=3", "--rnn_layers=1", "--nojit_compile", *flags]
    model = LanguageModel(parse(LanguageConfig, PRESETS, ["RL_train.py", *tiny]), 11)
    # a uniform policy: what is chosen follows from the noise alone
    for weight in model.recurrent[-1].cell._policy[3:]:
        weight.assign(tf.zeros_like(weight))
    return model


def distances(model, seed) -> np.ndarray:
    _, _, trace = model.features(
        WORDS, model.initial_state(4), training=True, seed=tf.constant(seed)
    )
    return trace.distances.numpy()


def test_actions_do_not_depend_on_dropout():
    plain, dropped = language_model("--dropout=0"), language_model("--dropout=.5")
    first = distances(plain, [3, 0])
    np.testing.assert_array_equal(distances(dropped, [3, 0]), first)
    assert (distances(plain, [4, 0]) != first).any()


def test_dropout_does_not_depend_on_the_agent():
    """The features that are dropped behind the last layer, for two numbers of actions."""
    zeros = []
    for flag in ("--n_actions=2", "--n_actions=5"):
        model = language_model("--dropout=.5", flag)
        x, _, _ = model.features(
            WORDS, model.initial_state(4), training=True, seed=tf.constant([3, 0])
        )
        zeros.append(x.numpy() == 0)
    np.testing.assert_array_equal(*zeros)
    assert 0.3 < zeros[0].mean() < 0.7


def test_the_masks_of_two_places_differ():
    seed, x = tf.constant([1, 2]), tf.ones([50, 50])
    masks = [dropout(x, 0.5, fold(seed, n)).numpy() for n in (0, 1)]
    assert 0.45 < (masks[0] == masks[1]).mean() < 0.55


def test_the_order_of_the_data_follows_from_seed_and_epoch_alone():
    examples = reader.Examples(*reader.generate(10, "paper", 40, 0, "train"))
    arrays = number_experiment.arrays(examples)
    one, same, other = (
        bucketing.shuffled(arrays, 10, *pair)["numbers"] for pair in ((1, 2), (1, 2), (1, 3))
    )
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
