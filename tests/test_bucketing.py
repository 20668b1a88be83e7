"""Batches by length: every example once, little padding, and nothing but (seed, epoch) decides."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.data.bucketing import Batch, batches, bucket_lengths, chunks, stack
from common.errors import InputError
from NER.presets import NERConfig


def lengths_like_conll(n=3000):
    """Sentence lengths of about CoNLL's mean (14.5) and spread."""
    return np.clip(np.random.default_rng(0).gamma(1.5, 9.7, n).astype(int), 1, 113)


@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=60),
    st.integers(1, 12),
    st.integers(1, 9),
    st.integers(0, 5),
)
@settings(max_examples=60)
def test_every_example_once_and_every_batch_full(lengths, batch_size, round_to, epoch):
    epoch = batches(lengths, batch_size, seed=4, epoch=epoch, round_to=round_to)
    assert all(len(batch.indices) == len(batch.weights) == batch_size for batch in epoch)
    indices = np.concatenate([batch.indices for batch in epoch])
    weights = np.concatenate([batch.weights for batch in epoch])
    assert sorted(indices[weights == 1]) == list(range(len(lengths)))
    assert sorted(set(weights)) in ([1], [0, 1]) and len(weights) - weights.sum() < batch_size
    for batch in epoch:
        longest = max(lengths[i] for i in batch.indices)
        assert longest <= batch.length < longest + round_to and batch.length % round_to == 0


def test_seed_and_epoch_decide():
    lengths = lengths_like_conll(200)

    def order(seed, epoch):
        return [batch.indices.tolist() for batch in batches(lengths, 10, seed, epoch)]

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(1, 1) != order(2, 1)
    # Not only the order of the batches: their members change too.
    assert {frozenset(b) for b in order(1, 0)} != {frozenset(b) for b in order(1, 1)}


def test_short_and_long_batches_are_mixed():
    order = [batch.length for batch in batches(lengths_like_conll(), 10, 1, 0)]
    assert order != sorted(order) and order != sorted(order, reverse=True)


def test_little_is_padded_and_few_shapes_appear():
    lengths = lengths_like_conll()
    buckets = bucket_lengths(lengths, NERConfig().n_buckets)
    epoch = batches(lengths, 10, 1, 0, buckets)
    assert {batch.length for batch in epoch} <= set(buckets)
    assert sum(lengths) > 0.9 * sum(len(batch.indices) * batch.length for batch in epoch)


def test_longer_than_every_bucket():
    (batch,) = batches([7], 1, 0, 0, round_to=[2, 5])
    assert batch.length == 10


@given(st.lists(st.integers(1, 12), min_size=1, max_size=25), st.integers(1, 5))
@settings(max_examples=60)
def test_bucket_lengths_are_the_best(lengths, n_buckets):
    distinct = sorted(set(lengths))
    n = min(n_buckets, len(distinct))

    def cost(buckets):
        return sum(min(b for b in buckets if b >= length) for length in lengths)

    found = bucket_lengths(lengths, n_buckets)
    assert len(found) == n and found == sorted(found) and found[-1] == distinct[-1]
    assert cost(found) == min(
        cost([*few, distinct[-1]]) for few in itertools.combinations(distinct[:-1], n - 1)
    )


@pytest.mark.parametrize(
    ("lengths", "found"), [([], "there are none"), ([3, 0, 2], "example 1 is empty")]
)
def test_what_cannot_be_batched(lengths, found):
    with pytest.raises(InputError, match=found):
        batches(lengths, 2, 0, 0)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=60), st.integers(1, 4), st.integers(0, 3))
@settings(max_examples=40)
def test_runs_are_the_epoch_s_batches_grouped_by_length(lengths, size, number):
    epoch = batches(lengths, 3, seed=4, epoch=number, round_to=2)
    made = chunks(epoch, size, seed=4, number=number)
    assert all(1 <= len(run) <= size and len({batch.length for batch in run}) == 1 for run in made)
    assert sorted(id(batch) for run in made for batch in run) == sorted(map(id, epoch))
    for length in {batch.length for batch in epoch}:  # as few runs as can be
        n = sum(batch.length == length for batch in epoch)
        assert sum(run[0].length == length for run in made) == -(-n // size)
    again = chunks(epoch, size, seed=4, number=number)
    assert [[id(batch) for batch in run] for run in made] == [
        [id(batch) for batch in run] for run in again
    ]


def test_the_order_of_runs_is_that_of_seed_and_epoch():
    epoch = batches(lengths_like_conll(300), 2, 0, 0, round_to=10)

    def order(seed, number):
        return [id(run[0]) for run in chunks(epoch, 5, seed, number)]

    assert order(0, 0) == order(0, 0)
    assert order(0, 0) != order(0, 1) and order(0, 0) != order(1, 0)


def test_a_stack_holds_the_examples_of_its_batches():
    words, labels = np.arange(40).reshape(4, 10), np.array([5, 6, 7, 8])
    run = [
        Batch(np.array([3, 1]), np.array([1.0, 1.0]), 4),
        Batch(np.array([0, 0]), np.array([1.0, 0.0]), 4),
    ]
    arrays = {"words": words, "labels": labels, "lengths": np.array([4, 3, 2, 1], np.int32)}
    made = stack(run, arrays, ["words"])
    assert made["lengths"].tolist() == [[1, 3], [4, 0]]  # nothing to read in what fills up
    assert arrays["lengths"].tolist() == [4, 3, 2, 1]
    assert made["words"].tolist() == [
        [[30, 31, 32, 33], [10, 11, 12, 13]],
        [[0, 1, 2, 3], [0, 1, 2, 3]],
    ]
    assert made["labels"].tolist() == [[8, 6], [5, 5]] and made["weights"].tolist() == [
        [1, 1],
        [1, 0],
    ]
