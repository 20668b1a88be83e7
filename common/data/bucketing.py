"""Batches of examples of similar length: little padding, and few shapes for compiled steps."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ..errors import InputError


class Batch(NamedTuple):
    """The examples of a batch, their weights, and the length to pad them to.

    indices: [B] int64. weights: [B] float32, 1, or 0 for an example that only fills up the batch.
    length: T.
    """

    indices: np.ndarray
    weights: np.ndarray
    length: int


def bucket_lengths(lengths: Sequence[int] | np.ndarray, n_buckets: int) -> list[int]:
    """The `n_buckets` lengths with the least padding, if every example takes the next longer one.

    Exact, by dynamic programming over the distinct lengths l_1 < l_2 < ..., n_i examples having
    length l_i:

        cost(j, k) = min_{i<j} cost(i, k-1) + l_j * (n_{i+1} + ... + n_j)

    Returns them in ascending order, fewer if there are fewer distinct lengths; the last is the
    longest example's.
    """
    distinct, counts = np.unique(np.asarray(lengths), return_counts=True)
    up_to = np.concatenate([[0], np.cumsum(counts)])
    # whole[i, j]: padded size of the distinct lengths i..j-1 in one bucket; infinite where that is
    # none.
    whole = np.where(
        np.tri(len(distinct) + 1, k=-1).T > 0,
        np.append(0, distinct)[None] * (up_to[None] - up_to[:, None]),
        np.inf,
    )
    cost, cuts = whole[0], []
    for _ in range(min(n_buckets, len(distinct)) - 1):
        options = cost[:, None] + whole
        cuts.append(options.argmin(axis=0))
        cost = options.min(axis=0)
    ends = [len(distinct)]
    for cut in reversed(cuts):
        ends.append(int(cut[ends[-1]]))
    return [int(distinct[end - 1]) for end in reversed(ends)]


def batches(
    lengths: Sequence[int] | np.ndarray,
    batch_size: int,
    seed: int,
    epoch: int,
    round_to: int | Sequence[int] = 1,
) -> list[Batch]:
    """One epoch in batches of exactly `batch_size` examples of similar length.

    Every example occurs once with weight 1. Which examples of one length share a batch, and the
    order of the batches, depend only on (seed, epoch), so that a resumed run sees the same epoch.
    Every batch has the same size, which keeps the shapes static: one batch, of the shortest
    examples, is filled up by repeating its first with weight 0.

    Args:
        lengths: of every example, at least 1 each.
        batch_size: B.
        seed, epoch: non-negative; they determine the result.
        round_to: a padded length is rounded up to a multiple of this number, or, given a sequence,
            to the next of these lengths (`bucket_lengths`) and, above the largest of them, to a
            multiple of that.

    Raises:
        InputError: if there are no examples, or one is empty.
    """
    lengths = np.asarray(lengths)
    if not lengths.size or lengths.min() < 1:
        found = f"example {lengths.argmin()} is empty" if lengths.size else "there are none"
        raise InputError(
            f"batches are made of examples with at least one token, but {found}: check the data"
        )
    rng = np.random.default_rng([seed, epoch])
    shuffled = rng.permutation(len(lengths))
    longest_first = shuffled[np.argsort(-lengths[shuffled], kind="stable")]
    made = []
    for at in range(0, len(lengths), batch_size):
        indices = longest_first[at : at + batch_size]
        missing = batch_size - len(indices)
        weights = np.pad(np.ones(len(indices), np.float32), (0, missing))
        indices = np.concatenate([indices, np.repeat(indices[:1], missing)])
        made.append(Batch(indices, weights, _round_up(int(lengths[indices[0]]), round_to)))
    return [made[i] for i in rng.permutation(len(made))]


def chunks(epoch: Sequence[Batch], size: int, seed: int, number: int) -> list[list[Batch]]:
    """An epoch's batches in chunks of at most `size` batches of one length.

    The order of the chunks depends on (seed, number). A chunk is one call of a compiled step:
    batches of different lengths would need a call each.
    """
    by_length: dict[int, list[Batch]] = {}
    for batch in epoch:
        by_length.setdefault(batch.length, []).append(batch)
    made = [group[i : i + size] for group in by_length.values() for i in range(0, len(group), size)]
    return [made[i] for i in np.random.default_rng([seed, number, 1]).permutation(len(made))]


def stack(
    chunk: Sequence[Batch], arrays: Mapping[str, np.ndarray], padded: Collection[str]
) -> dict[str, np.ndarray]:
    """The examples of a chunk: arrays [N, B, ...] of the given [n, ...], and `weights` [N, B].

    Arrays named in `padded`, [n, T, ...], are cut to the length of the chunk. `lengths` are 0 for
    what only fills up a batch: none of its steps counts for a layer either.
    """
    indices = np.stack([batch.indices for batch in chunk])
    made = {
        name: (a[:, : chunk[0].length] if name in padded else a)[indices]
        for name, a in arrays.items()
    }
    weights = np.stack([batch.weights for batch in chunk])
    if "lengths" in made:
        made["lengths"] *= weights.astype(made["lengths"].dtype)
    return made | {"weights": weights}


def epoch_chunks(
    arrays: Mapping[str, np.ndarray],
    padded: Collection[str],
    buckets: Sequence[int],
    batch_size: int,
    size: int,
    seed: int,
    epoch: int,
) -> list[dict[str, np.ndarray]]:
    """One epoch of examples as chunks of at most `size` batches, as `stack` makes them.

    `arrays` [n, ...] include the examples' `lengths`.
    """
    made = chunks(batches(arrays["lengths"], batch_size, seed, epoch, buckets), size, seed, epoch)
    return [stack(chunk, arrays, padded) for chunk in made]


def shuffled(
    arrays: Mapping[str, np.ndarray], batch_size: int, seed: int, epoch: int
) -> dict[str, np.ndarray]:
    """Examples [n, ...] of one length as batches [N, B, ...], in the order of (seed, epoch).

    A remainder is left out of the epoch. Raises `InputError` if there are fewer examples than a
    batch holds.
    """
    n_examples = len(next(iter(arrays.values())))
    n = n_examples // batch_size
    if n < 1:
        raise InputError(
            f"expected at least --batch_size {batch_size} training examples, found {n_examples}:"
            " give a smaller --batch_size"
        )
    order = np.random.default_rng([seed, epoch]).permutation(n_examples)[: n * batch_size]
    return {name: a[order].reshape(n, batch_size, *a.shape[1:]) for name, a in arrays.items()}


def in_order(arrays: Mapping[str, np.ndarray], batch_size: int) -> dict[str, np.ndarray]:
    """Examples [n, ...] of one length as batches [N, B, ...] in their order.

    With `weights` [N, B]: 0 for the rows of zeros that fill up the last batch.
    """
    n_examples = len(next(iter(arrays.values())))
    size = min(batch_size, n_examples)
    n = -(-n_examples // size)
    counted = {**arrays, "weights": np.ones(n_examples, np.float32)}
    padding = (0, n * size - n_examples)
    return {
        name: np.pad(a, [padding] + [(0, 0)] * (a.ndim - 1)).reshape(n, size, *a.shape[1:])
        for name, a in counted.items()
    }


def padded_rows(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Rows of numbers of different lengths as one int32 array [n, T], padded with zeros."""
    width = max(map(len, rows))
    return np.stack([np.pad(row, (0, width - len(row))) for row in rows]).astype(np.int32)


def some(n_examples: int, limit: int, seed: int) -> np.ndarray:
    """The indices of the examples that `--max_train_examples` keeps.

    `limit` of them, drawn with the seed; all for a limit of 0.
    """
    return (
        np.random.default_rng(seed).permutation(n_examples)[:limit]
        if limit
        else np.arange(n_examples)
    )


def _round_up(length: int, round_to: int | Sequence[int]) -> int:
    if np.ndim(round_to) == 0:
        return -(-length // round_to) * round_to
    return min(
        (bucket for bucket in round_to if bucket >= length),
        default=_round_up(length, max(round_to)),
    )
