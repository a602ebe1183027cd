"""The orders samplers give."""

import collections

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad.utils.data import (
    BatchSampler,
    DistributedSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)


def seeded(seed=0):
    return mg.Generator().manual_seed(seed)


def test_sequential():
    assert list(SequentialSampler("abc")) == [0, 1, 2]
    assert len(SequentialSampler("abc")) == 3


@settings(max_examples=40, deadline=None)
@given(count=st.integers(1, 30), seed=st.integers(0, 2**32))
def test_random_is_a_permutation(count, seed):
    order = list(RandomSampler(range(count), generator=seeded(seed)))
    assert sorted(order) == list(range(count))
    assert all(type(index) is int for index in order)
    assert order == list(RandomSampler(range(count), generator=seeded(seed)))


def test_random_epochs_differ():
    sampler = RandomSampler(range(100), generator=seeded())
    assert list(sampler) != list(sampler)


def test_random_without_a_generator_follows_manual_seed_and_nothing_else():
    mg.manual_seed(3)
    first = list(RandomSampler(range(20)))
    mg.manual_seed(3)
    order = []
    for index in RandomSampler(range(20)):
        order.append(index)
        mg.rand(3)
    assert order == first


def test_random_more_samples_than_data():
    order = list(RandomSampler(range(4), num_samples=10))
    assert len(order) == len(RandomSampler(range(4), num_samples=10)) == 10
    assert sorted(order[:4]) == sorted(order[4:8]) == [0, 1, 2, 3]
    assert len(set(order[8:])) == 2


def test_random_with_replacement():
    order = list(RandomSampler(range(5), replacement=True, num_samples=2000, generator=seeded()))
    counts = collections.Counter(order)
    assert set(counts) == set(range(5))
    assert all(330 < count < 470 for count in counts.values())


def test_subset_random():
    sampler = SubsetRandomSampler([7, 3, 9], generator=seeded())
    assert sorted(sampler) == [3, 7, 9]
    assert len(sampler) == 3
    assert len({tuple(sampler) for _ in range(50)}) == 6


def test_weighted():
    order = list(WeightedRandomSampler([1.0, 0.0, 3.0], 4000, generator=seeded()))
    counts = collections.Counter(order)
    assert set(counts) == {0, 2}
    assert 2850 < counts[2] < 3150
    assert sorted(WeightedRandomSampler(mg.tensor([1.0, 5.0, 2.0]), 3, replacement=False)) == [0, 1, 2]


@pytest.mark.parametrize(
    ("length", "batch_size", "drop_last", "batches"),
    [
        (5, 2, False, [[0, 1], [2, 3], [4]]),
        (5, 2, True, [[0, 1], [2, 3]]),
        (4, 2, False, [[0, 1], [2, 3]]),
        (4, 2, True, [[0, 1], [2, 3]]),
        (1, 2, True, []),
        (0, 2, False, []),
    ],
)
def test_batch(length, batch_size, drop_last, batches):
    sampler = BatchSampler(SequentialSampler(range(length)), batch_size, drop_last)
    assert list(sampler) == batches
    assert len(sampler) == len(batches)


@settings(max_examples=30, deadline=None)
@given(length=st.integers(1, 30), replicas=st.integers(1, 5), drop=st.booleans(), shuffle=st.booleans())
def test_distributed_shares(length, replicas, drop, shuffle):
    shares = [DistributedSampler(range(length), replicas, rank, shuffle, drop_last=drop) for rank in range(replicas)]
    taken = [list(share) for share in shares]
    assert {len(indices) for indices in taken} == {len(shares[0])}
    together = [index for indices in taken for index in indices]
    if drop:
        assert len(set(together)) == len(together) == length // replicas * replicas
    else:
        assert set(together) == set(range(length))


def test_distributed_epochs():
    sampler = DistributedSampler(range(50), 2, 0)
    first = list(sampler)
    assert list(sampler) == first
    sampler.set_epoch(1)
    assert list(sampler) != first


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: RandomSampler(range(3), replacement=1), TypeError),
        (lambda: RandomSampler(range(3), num_samples=0), ValueError),
        (lambda: RandomSampler(range(3), num_samples=True), ValueError),
        (lambda: RandomSampler(range(3), num_samples=2.0), ValueError),
        (lambda: WeightedRandomSampler([1, 2], 0), ValueError),
        (lambda: WeightedRandomSampler([1, 2], 1, replacement=1), ValueError),
        (lambda: WeightedRandomSampler([[1, 2]], 1), ValueError),
        (lambda: WeightedRandomSampler([1, -2], 1), ValueError),
        (lambda: WeightedRandomSampler([1, float("nan")], 1), ValueError),
        (lambda: WeightedRandomSampler([0, 0], 1), ValueError),
        (lambda: WeightedRandomSampler([1, 0], 2, replacement=False), RuntimeError),
        (lambda: BatchSampler(range(3), 0, False), ValueError),
        (lambda: BatchSampler(range(3), True, False), ValueError),
        (lambda: BatchSampler(range(3), 2, 1), ValueError),
        (lambda: DistributedSampler(range(3)), ValueError),
        (lambda: DistributedSampler(range(3), 2, 2), ValueError),
        (lambda: iter(Sampler()), NotImplementedError),
    ],
)
def test_errors(make, error):
    with pytest.raises(error):
        make()
