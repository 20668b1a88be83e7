"""Documents, which have an empty line between them: how probable they are, and how coherent.

In a stream of tokens each sentence ends in `<eos>`, so that of an empty line is a second one.
"""

import numpy as np

from common.data import bucketing
from common.training.compiled_steps import Trainer

_BATCH, _BUCKETS = 16, 6  # documents side by side, and their padded lengths
_MOST = 200  # sentences of a document in the test: a text without marks is one document


def split(tokens: np.ndarray, end: int) -> list[list[np.ndarray]]:
    """The documents of a text's tokens [N]: their sentences, each with its `end`."""
    found: list[list[np.ndarray]] = [[]]
    for sentence in np.split(tokens, np.flatnonzero(tokens == end) + 1)[:-1]:
        if len(sentence) > 1:
            found[-1].append(sentence)
        elif found[-1]:
            found.append([])
    return found if found[-1] else found[:-1]


def log_likelihoods(trainer: Trainer, texts: list[np.ndarray], end: int) -> np.ndarray:
    """log p of each text, ids [N, ...], from a fresh state behind an `end`: [n], in nats.

    Ids may have a column of classes beside them, of which the `end` takes the first one's.
    """
    lengths = np.array([*map(len, texts)], np.int32)
    size = min(_BATCH, len(texts))
    buckets = bucketing.bucket_lengths(lengths, _BUCKETS)
    found = np.zeros(len(texts))
    for batch in bucketing.batches(lengths, size, 0, 0, buckets):
        rows = [texts[i] for i in batch.indices]
        shape = (len(rows), batch.length + 1, *rows[0].shape[1:])
        ids, weights = np.zeros(shape, np.int32), np.zeros(shape[:2], np.float32)
        for row, weight, text in zip(ids, weights, rows, strict=True):
            row[1 : len(text) + 1], weight[1 : len(text) + 1] = text, 1
            row[0] = text[0]
            row[(0, *[0] * (text.ndim - 1))] = end
        targets = ids[:, 1:] if ids.ndim == 2 else ids[:, 1:, 0]
        words = ids[:, :-1]
        if ids.ndim == 3:  # the class is that of the target
            words = np.concatenate([words[..., :1], ids[:, 1:, 1:]], -1)
        given = {"words": words, "targets": targets, "weights": weights[:, 1:]}
        values = trainer.infer({name: a[None] for name, a in given.items()}, True)
        real = batch.weights > 0
        found[batch.indices[real]] = values["log_likelihood"][0][real]
    return found


def pairs(tokens: np.ndarray, end: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Each document of two sentences or more, and with its sentences in a random other order.

    Of a longer one the first 200 sentences are taken.
    """
    random, found = np.random.default_rng(0), []
    for sentences in split(tokens, end):
        sentences = sentences[:_MOST]
        if len({one.tobytes() for one in sentences}) < 2:
            continue
        text = other = np.concatenate(sentences)
        while np.array_equal(text, other):
            other = np.concatenate([sentences[i] for i in random.permutation(len(sentences))])
        found.append((text, other))
    return found


def coherence(trainer: Trainer, texts: list[tuple[np.ndarray, np.ndarray]], end: int) -> float:
    """The share of documents more probable than with their sentences in a random other order.

    The coherence test of Ji et al. 2015, section 5.3, of the `pairs` of a text. Those that are as
    probable, to 1e-5 of the log-likelihood, count for one half.
    """
    originals, shuffled = (
        log_likelihoods(trainer, list(side), end) for side in zip(*texts, strict=True)
    )
    even = np.abs(originals - shuffled) <= 1e-5 * np.abs(originals)
    return float(np.mean(np.where(even, 0.5, originals > shuffled)))
