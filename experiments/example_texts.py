"""Texts to look at where a reader gives none: own work, of the kind that the network was trained on."""

import numpy as np

from common.data import generated_corpus
from experiments.connections import Network

_SEED = 99  # of generated texts; no run trains on it

_TEXTS = {
    "LanguageModeling": (
        "the company said it expects to report a loss for the third quarter",
        "shares of the bank which had risen in early trading fell N N after its chairman said he would resign",
        "the people who bought the old house near the river say they like it",
        "a spokesman for the group declined to comment on the offer",
    ),
    "NER": (
        "Anna Smith , who left Siemens in 1998 , now leads the Berlin office of the World Bank .",
        "Officials in Moscow said the talks with NATO would begin on Monday .",
        "Borussia Dortmund beat Real Madrid 3 - 1 in the final in Munich , and Ricken scored twice .",
    ),
    "Sentiment": (
        "a slow start and far too many speeches , but what an ending",
        "not a single scene of this film is dull , and the cast is never less than charming",
        "I wanted to like it , yet the jokes are stale and the story goes nowhere",
    ),
}


def of(network: Network) -> list[str]:
    """Some texts for a network."""
    if network.task == "NumberPrediction":
        random = np.random.default_rng(_SEED)
        return [" ".join(map(str, random.integers(0, 10, network.config.length + 1))) for _ in range(5)]
    if network.config.data_dir:
        return list(_TEXTS[network.task])
    if network.task == "LanguageModeling":
        return sorted(generated_corpus.language_model_text(40, _SEED), key=len)[-6:]
    if network.task == "NER":
        return [" ".join(words) for words, _ in generated_corpus.tagged_sentences(5, _SEED)]
    return [text for text, _ in generated_corpus.labelled_reviews(5, _SEED)]
