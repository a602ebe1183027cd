"""Datasets: sources of examples, by index or by iteration (https://docs.pytorch.org/docs/stable/data.html).

A dataset that can take many examples at once has ``_gather(indices)``, which returns the finished batch as a tuple of
tensors, or None where it cannot; the DataLoader then skips collating example by example.
"""

import bisect
import itertools
import math
import warnings

from minigrad.backend import default_generator


class Dataset:
    """Source of examples by index: a subclass defines ``__getitem__`` and, for most samplers, ``__len__``.

    It may also define ``__getitems__(indices)``, which returns a list of examples at once.
    Raises NotImplementedError where a subclass does not define ``__getitem__``.
    Source: https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.Dataset

    >>> import minigrad as mg
    >>> class Squares(mg.utils.data.Dataset):
    ...     def __getitem__(self, index):
    ...         return index ** 2
    ...     def __len__(self):
    ...         return 5
    >>> (Squares() + Squares())[8]
    9
    """

    def __class_getitem__(cls, item):
        return cls  # Dataset[int] in annotations and base classes

    def __getitem__(self, index):
        raise NotImplementedError(f"{type(self).__name__} does not define __getitem__")

    def __add__(self, other):
        return ConcatDataset([self, other])


class IterableDataset(Dataset):
    """Source of examples by iteration: a subclass defines ``__iter__``.

    With worker processes every worker iterates its own copy: ``get_worker_info()`` tells it which share is its own.
    Source: https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.IterableDataset

    >>> import minigrad as mg
    >>> class Count(mg.utils.data.IterableDataset):
    ...     def __iter__(self):
    ...         return iter(range(5))
    >>> [batch.tolist() for batch in mg.utils.data.DataLoader(Count(), batch_size=2)]
    [[0, 1], [2, 3], [4]]
    """

    def __iter__(self):
        raise NotImplementedError(f"{type(self).__name__} does not define __iter__")

    def __add__(self, other):
        return ChainDataset([self, other])


class TensorDataset(Dataset):
    """Examples are the tuples of rows of tensors with the same first dimension N.

    Raises AssertionError where the first dimensions differ.
    Source: https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.TensorDataset

    >>> import minigrad as mg
    >>> data = mg.utils.data.TensorDataset(mg.arange(6).reshape(3, 2), mg.arange(3))
    >>> data[1]
    (tensor([2, 3]), tensor(1))
    """

    def __init__(self, *tensors):
        if not tensors:
            raise ValueError("TensorDataset expects at least one tensor")
        lengths = [tensor.size(0) for tensor in tensors]
        if len(set(lengths)) > 1:
            raise AssertionError(f"Size mismatch between tensors: their first dimensions are {lengths}")
        self.tensors = tensors

    def __getitem__(self, index):
        return tuple([tensor[index] for tensor in self.tensors])

    def __len__(self):
        return self.tensors[0].size(0)

    def _gather(self, indices):
        if type(self).__getitem__ is not TensorDataset.__getitem__ or not all(type(i) is int for i in indices):
            return None
        return tuple([tensor[indices] for tensor in self.tensors])


class StackDataset(Dataset):
    """Examples of several datasets side by side: a tuple of them, or a dict when they are given by name.

    Raises ValueError for no dataset, both kinds, or datasets of different lengths.
    Source: https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.StackDataset

    >>> import minigrad as mg
    >>> mg.utils.data.StackDataset(image=["a", "b"], label=[0, 1])[1]
    {'image': 'b', 'label': 1}
    """

    def __init__(self, *args, **kwargs):
        if args and kwargs:
            raise ValueError("StackDataset takes datasets by position (tuples) or by name (dicts), not both")
        if not args and not kwargs:
            raise ValueError("At least one dataset should be passed")
        self.datasets = kwargs or args
        lengths = [len(dataset) for dataset in self._parts()]
        if len(set(lengths)) > 1:
            raise ValueError(f"Size mismatch between datasets: their lengths are {lengths}")
        self._length = lengths[0]

    def _parts(self):
        return list(self.datasets.values() if isinstance(self.datasets, dict) else self.datasets)

    def _assemble(self, values):
        return dict(zip(self.datasets, values)) if isinstance(self.datasets, dict) else tuple(values)

    def __getitem__(self, index):
        return self._assemble([dataset[index] for dataset in self._parts()])

    def __getitems__(self, indices):
        columns = []
        for dataset in self._parts():
            column = examples_of(dataset, indices)
            if len(column) != len(indices):
                raise ValueError(
                    f"Nested dataset's output size mismatch. Expected {len(indices)}, got {len(column)} from "
                    f"{type(dataset).__name__}.__getitems__"
                )
            columns.append(column)
        return [self._assemble(row) for row in zip(*columns)]

    def __len__(self):
        return self._length


class ConcatDataset(Dataset):
    """Datasets one after the other. Raises AssertionError for no dataset and for an IterableDataset among them.

    Argument: datasets (iterable of map-style datasets).
    Source: https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.ConcatDataset

    >>> import minigrad as mg
    >>> mg.utils.data.ConcatDataset([[1, 2], [3, 4, 5]])[-2]
    4
    """

    def __init__(self, datasets):
        self.datasets = list(datasets)
        if not self.datasets:
            raise AssertionError("datasets should not be an empty iterable")
        for dataset in self.datasets:
            if isinstance(dataset, IterableDataset):
                raise AssertionError("ConcatDataset does not support IterableDataset; chain those with ChainDataset")
        self.cumulative_sizes = list(itertools.accumulate(len(dataset) for dataset in self.datasets))

    def __len__(self):
        return self.cumulative_sizes[-1]

    def __getitem__(self, idx):
        position = idx
        if position < 0:
            position += len(self)
            if position < 0:
                raise ValueError("absolute value of index should not exceed dataset length")
        which = bisect.bisect_right(self.cumulative_sizes, position)
        if which == len(self.datasets):
            raise IndexError(f"index {idx} is out of range for {len(self)} examples")
        start = self.cumulative_sizes[which - 1] if which else 0
        return self.datasets[which][position - start]


class ChainDataset(IterableDataset):
    """Iterable datasets one after the other.

    Argument: datasets (iterable of IterableDatasets).
    Source: https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.ChainDataset

    >>> from minigrad.utils.data import ChainDataset, IterableDataset
    >>> class Count(IterableDataset):
    ...     def __iter__(self):
    ...         return iter(range(2))
    >>> list(ChainDataset([Count(), Count()]))
    [0, 1, 0, 1]
    """

    def __init__(self, datasets):
        self.datasets = datasets

    def __iter__(self):
        for dataset in self._checked():
            yield from dataset

    def __len__(self):
        return sum(len(dataset) for dataset in self._checked())

    def _checked(self):
        for dataset in self.datasets:
            if not isinstance(dataset, IterableDataset):
                raise AssertionError(f"ChainDataset only supports IterableDataset, but got {type(dataset).__name__}")
            yield dataset


class Subset(Dataset):
    """The examples of a dataset at the given indices.

    Source: https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.Subset

    >>> import minigrad as mg
    >>> mg.utils.data.Subset("abcdef", [4, 0])[0]
    'e'
    """

    def __init__(self, dataset, indices):
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, idx):
        if isinstance(idx, list):
            return self.dataset[[self.indices[i] for i in idx]]
        return self.dataset[self.indices[idx]]

    def __getitems__(self, indices):
        return examples_of(self.dataset, [self.indices[i] for i in indices])

    def __len__(self):
        return len(self.indices)

    def _gather(self, indices):
        if type(self).__getitem__ is not Subset.__getitem__ or type(self).__getitems__ is not Subset.__getitems__:
            return None
        gather = getattr(self.dataset, "_gather", None)
        return None if gather is None else gather([self.indices[i] for i in indices])


def examples_of(dataset, indices):
    """Return the list of a dataset's examples at the indices, taken at once where it offers ``__getitems__``."""
    take = getattr(dataset, "__getitems__", None)
    return take(indices) if callable(take) else [dataset[i] for i in indices]


def random_split(dataset, lengths, generator=default_generator):
    """Return random non-overlapping Subsets of the given lengths, or fractions that sum to 1.

    With fractions each length is rounded down and what remains goes, one each, to the first subsets in turn.
    Raises ValueError where lengths do not sum to the dataset's length or a fraction is outside [0, 1].
    Source: https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.random_split

    >>> import minigrad as mg
    >>> generator = mg.Generator().manual_seed(42)
    >>> [len(part) for part in mg.utils.data.random_split(range(10), [0.75, 0.25], generator=generator)]
    [8, 2]
    """
    total = sum(lengths)
    if math.isclose(total, 1) and total <= 1:
        lengths = _lengths_of_fractions(len(dataset), lengths)
    elif total != len(dataset):
        raise ValueError(
            f"Sum of input lengths does not equal the length of the input dataset! ({total} and {len(dataset)})"
        )
    for number, length in enumerate(lengths):
        if length == 0:
            message = f"Length of split at index {number} is 0. This might result in an empty dataset."
            warnings.warn(message, stacklevel=2)
    order = (default_generator if generator is None else generator).numpy.permutation(len(dataset)).tolist()
    stops = itertools.accumulate(lengths)
    return [Subset(dataset, order[stop - length : stop]) for stop, length in zip(stops, lengths)]


def _lengths_of_fractions(count, fractions):
    """Return the lengths of parts that are the given fractions of count."""
    for number, fraction in enumerate(fractions):
        if not 0 <= fraction <= 1:
            raise ValueError(f"Fraction at index {number} is not between 0 and 1")
    lengths = [math.floor(count * fraction) for fraction in fractions]
    for remainder in range(count - sum(lengths)):
        lengths[remainder % len(lengths)] += 1
    return lengths
