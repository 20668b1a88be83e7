"""Classifies reviews by their likelihood under a language model that is given the class."""

import numpy as np

from common.training.compiled_steps import Trainer
from LanguageModeling.corpora import documents
from LanguageModeling.corpora.reviews import is_positive

LONGEST = 1000  # words or characters of a review, its last ones, as in Sentiment


def split(tokens: np.ndarray, end: int) -> tuple[list[np.ndarray], np.ndarray]:
    """The reviews of a text [N, 2], ids with their `end`, and their classes [n]."""
    places = np.flatnonzero(tokens[:, 0] == end) + 1
    rows = np.split(tokens, places)[:-1]
    return [row[-LONGEST:, 0] for row in rows], np.array([row[-1, 1] for row in rows])


def log_posteriors(trainer: Trainer, texts: list[np.ndarray], log_prior: np.ndarray) -> np.ndarray:
    """log p(class | text) [n, A] by Bayes' rule, of texts (ids) and log p(class) [A].

    p(text | class) is the language model's, given the class with every word (Lipton et al. 2015).
    """
    found = np.empty((len(texts), len(log_prior)))
    for a in range(len(log_prior)):
        given = [np.stack([text, np.full_like(text, a)], 1) for text in texts]
        found[:, a] = documents.log_likelihoods(trainer, given, trainer.model.end)
    found += log_prior
    return found - np.logaddexp.reduce(found, 1, keepdims=True)


def accuracies(trainer: Trainer, tokens: np.ndarray, condition: str) -> dict[str, float]:
    """The share of a text's reviews of which the class is found, each class as probable before.

    `accuracy`: whether they are favourable; with ratings also `rating_accuracy`.
    """
    texts, classes = split(tokens, trainer.model.end)
    favourable = is_positive(condition)
    log_prior = np.full(len(favourable), -np.log(len(favourable)))
    posterior = np.exp(log_posteriors(trainer, texts, log_prior))
    positive = posterior @ favourable > 0.5
    found = {"accuracy": float(np.mean(positive == favourable[classes]))}
    if condition == "rating":
        found["rating_accuracy"] = float(np.mean(posterior.argmax(1) == classes))
    return found
