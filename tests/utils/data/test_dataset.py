"""Datasets by index and by iteration."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad.utils.data import (
    ChainDataset,
    ConcatDataset,
    Dataset,
    IterableDataset,
    StackDataset,
    Subset,
    TensorDataset,
    random_split,
)


class Squares(Dataset):
    def __init__(self, count):
        self.count = count

    def __getitem__(self, index):
        return index**2

    def __len__(self):
        return self.count


class Count(IterableDataset):
    def __init__(self, count):
        self.count = count

    def __iter__(self):
        return iter(range(self.count))

    def __len__(self):
        return self.count


class Batched(Dataset):
    """A dataset that fetches many examples at once, and notes how."""

    def __init__(self):
        self.calls = []

    def __getitem__(self, index):
        raise AssertionError("one at a time")

    def __getitems__(self, indices):
        self.calls.append(list(indices))
        return [index * 10 for index in indices]

    def __len__(self):
        return 10


def test_tensor_dataset():
    data = TensorDataset(mg.arange(6).reshape(3, 2), mg.tensor([5, 6, 7]))
    x, y = data[1]
    assert x.tolist() == [2, 3]
    assert y.item() == 6
    assert len(data) == 3
    x, _ = data[[2, 0]]
    assert x.tolist() == [[4, 5], [0, 1]]


def test_tensor_dataset_keeps_the_graph():
    table = mg.ones(3, 2, requires_grad=True)
    (batch,) = next(iter(mg.utils.data.DataLoader(TensorDataset(table), batch_size=2)))
    batch.sum().backward()
    assert table.grad.tolist() == [[1, 1], [1, 1], [0, 0]]


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: TensorDataset(mg.zeros(2), mg.zeros(3)), AssertionError, "Size mismatch"),
        (lambda: TensorDataset(), ValueError, "at least one"),
        (lambda: ConcatDataset([]), AssertionError, "empty"),
        (lambda: ConcatDataset([Squares(2), Count(2)]), AssertionError, "IterableDataset"),
        (lambda: list(ChainDataset([Squares(2)])), AssertionError, "only supports IterableDataset"),
        (lambda: len(ChainDataset([Squares(2)])), AssertionError, "only supports IterableDataset"),
        (lambda: ConcatDataset([Squares(2)])[-3], ValueError, "exceed"),
        (lambda: ConcatDataset([Squares(2)])[2], IndexError, "out of range"),
        (lambda: StackDataset(), ValueError, "At least one"),
        (lambda: StackDataset([1], x=[1]), ValueError, "not both"),
        (lambda: StackDataset([1], [1, 2]), ValueError, "Size mismatch"),
        (lambda: Dataset()[0], NotImplementedError, "__getitem__"),
        (lambda: iter(IterableDataset()), NotImplementedError, "__iter__"),
        (lambda: random_split(range(5), [2, 2]), ValueError, "Sum of input lengths"),
        (lambda: random_split(range(5), [1.2, -0.2]), ValueError, "between 0 and 1"),
    ],
)
def test_errors(make, error, text):
    with pytest.raises(error, match=text):
        make()


@settings(max_examples=40, deadline=None)
@given(lengths=st.lists(st.integers(0, 5), min_size=1, max_size=5))
def test_concat_is_list_concatenation(lengths):
    parts = [list(range(10 * number, 10 * number + length)) for number, length in enumerate(lengths)]
    whole = sum(parts, [])
    data = ConcatDataset(parts)
    assert len(data) == len(whole)
    assert [data[i] for i in range(len(data))] == whole
    assert [data[i - len(data)] for i in range(len(data))] == whole


def test_addition():
    both = Squares(3) + Squares(2)
    assert [both[i] for i in range(5)] == [0, 1, 4, 0, 1]
    chain = Count(2) + Count(3)
    assert list(chain) == [0, 1, 0, 1, 2]
    assert len(chain) == 5


def test_stack():
    pairs = StackDataset(Squares(3), ["a", "b", "c"])
    assert pairs[2] == (4, "c")
    assert pairs.__getitems__([0, 2]) == [(0, "a"), (4, "c")]
    named = StackDataset(x=Batched(), y=range(10))
    assert named.__getitems__([3, 4]) == [{"x": 30, "y": 3}, {"x": 40, "y": 4}]
    assert len(named) == 10


def test_stack_checks_the_nested_batch():
    class Short(Batched):
        def __getitems__(self, indices):
            return [0]

    with pytest.raises(ValueError, match="output size mismatch"):
        StackDataset(Short(), range(10)).__getitems__([1, 2])


def test_subset_passes_batches_on():
    source = Batched()
    assert Subset(source, [5, 6, 7]).__getitems__([2, 0]) == [70, 50]
    assert source.calls == [[7, 5]]
    assert Subset(Subset(Squares(9), [8, 7, 6]), [2])[0] == 36
    assert len(Subset(source, [5, 6, 7])) == 3


@settings(max_examples=40, deadline=None)
@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=4), seed=st.integers(0, 2**63 - 1))
def test_random_split_is_a_partition(lengths, seed):
    data = list(range(sum(lengths)))
    parts = random_split(data, lengths, generator=mg.Generator().manual_seed(seed))
    assert [len(part) for part in parts] == lengths
    assert sorted(item for part in parts for item in part) == data
    again = random_split(data, lengths, generator=mg.Generator().manual_seed(seed))
    assert [list(part) for part in parts] == [list(part) for part in again]


@pytest.mark.parametrize(
    ("count", "fractions", "lengths"),
    [(10, [0.3, 0.7], [3, 7]), (10, [1 / 3, 1 / 3, 1 / 3], [4, 3, 3]), (9, [0.5, 0.5], [5, 4]), (1, [1.0], [1])],
)
def test_random_split_by_fractions(count, fractions, lengths):
    assert [len(part) for part in random_split(range(count), fractions)] == lengths


def test_random_split_warns_of_an_empty_part():
    with pytest.warns(UserWarning, match="split at index 1 is 0"):
        random_split(range(3), [3, 0])


def test_random_split_uses_the_default_generator():
    mg.manual_seed(5)
    first = list(random_split(range(50), [25, 25])[0])
    mg.manual_seed(5)
    assert list(random_split(range(50), [25, 25])[0]) == first != list(range(25))


def test_generic_syntax():
    class Numbers(Dataset[int]):
        def __getitem__(self, index):
            return np.float32(index)

    assert Numbers()[3] == 3
    assert mg.utils.data.DataLoader[int] is mg.utils.data.DataLoader
