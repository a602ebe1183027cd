"""Samplers: the order in which a DataLoader takes examples (https://docs.pytorch.org/docs/stable/data.html)."""

import itertools

from minigrad.backend import Generator, default_generator, np, to_numpy
from minigrad.tensor import Tensor


class Sampler:
    """Iterable over indices, or lists of indices; a subclass defines ``__iter__`` and, if it can, ``__len__``.

    Argument: data_source (optional), kept as an attribute; PyTorch 1 passed it.
    Source: https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.Sampler

    >>> from minigrad.utils.data import Sampler
    >>> class Backwards(Sampler):
    ...     def __iter__(self):
    ...         return iter([2, 1, 0])
    >>> list(Backwards())
    [2, 1, 0]
    """

    def __init__(self, data_source=None):
        # PyTorch 1's samplers passed their data source here; it is the subclass's own business.
        if data_source is not None:
            self.data_source = data_source

    def __class_getitem__(cls, item):
        return cls  # Sampler[int] in annotations and base classes

    def __iter__(self):
        raise NotImplementedError(f"{type(self).__name__} does not define __iter__")


def draw_seed(generator=None):
    """Return a seed of 63 bits drawn from a generator (None: the default one)."""
    source = default_generator if generator is None else generator
    return int(source.numpy.integers(1 << 63))


def _own_generator(generator):
    """Return the numpy generator to draw an epoch from; without a generator, one seeded from the default one.

    A sampler draws while the user's code draws too: its order must not depend on what the user draws meanwhile.
    """
    return (Generator().manual_seed(draw_seed()) if generator is None else generator).numpy


def _check_count(num_samples):
    if not isinstance(num_samples, int) or isinstance(num_samples, bool) or num_samples <= 0:
        raise ValueError(f"num_samples should be a positive integer value, but got num_samples={num_samples}")


def _check_replacement(replacement, error):
    if not isinstance(replacement, bool):
        raise error(f"replacement should be a boolean value, but got replacement={replacement}")


class SequentialSampler(Sampler):
    """Indices 0, 1, … in order.

    Argument: data_source, anything with a length.
    Source: https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.SequentialSampler

    >>> import minigrad as mg
    >>> list(mg.utils.data.SequentialSampler("abc"))
    [0, 1, 2]
    """

    def __init__(self, data_source):
        self.data_source = data_source

    def __iter__(self):
        return iter(range(len(self.data_source)))

    def __len__(self):
        return len(self.data_source)


class RandomSampler(Sampler):
    """Indices in random order, each once, or drawn with replacement.

    Args: ``data_source``: anything with a length; ``replacement``: whether an index may come more than once;
    ``num_samples``: how many to draw (default: all); ``generator``: to draw with (None: the default one).
    Raises TypeError and ValueError for wrong arguments.
    Source: https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.RandomSampler

    >>> import minigrad as mg
    >>> sorted(mg.utils.data.RandomSampler("abcd"))
    [0, 1, 2, 3]
    """

    def __init__(self, data_source, replacement=False, num_samples=None, generator=None):
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples
        self.generator = generator
        _check_replacement(replacement, TypeError)
        _check_count(self.num_samples)

    @property
    def num_samples(self):
        """How many indices one pass yields."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self):
        count = len(self.data_source)
        random = _own_generator(self.generator)
        if self.replacement:
            yield from random.integers(count, size=self.num_samples).tolist()
            return
        remaining = self.num_samples
        while remaining > 0:
            yield from random.permutation(count)[:remaining].tolist()
            remaining -= count

    def __len__(self):
        return self.num_samples


class SubsetRandomSampler(Sampler):
    """The given indices in random order.

    Arguments: indices (sequence), generator (None: the default one).
    Source: https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.SubsetRandomSampler

    >>> import minigrad as mg
    >>> sorted(mg.utils.data.SubsetRandomSampler([3, 9, 4]))
    [3, 4, 9]
    """

    def __init__(self, indices, generator=None):
        self.indices = indices
        self.generator = generator

    def __iter__(self):
        for position in _own_generator(self.generator).permutation(len(self.indices)).tolist():
            yield self.indices[position]

    def __len__(self):
        return len(self.indices)


class WeightedRandomSampler(Sampler):
    """Indices 0 … len(weights) - 1 drawn with probabilities proportional to the weights.

    Args: ``weights``: non-negative numbers, need not sum to 1; ``num_samples``: how many to draw; ``replacement``:
    whether an index may come more than once; ``generator``: to draw with (None: the default one).
    Raises ValueError for weights that are not one row of finite
    non-negative numbers with enough of them above 0, or arguments of a wrong type.
    Source: https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.WeightedRandomSampler

    >>> import minigrad as mg
    >>> list(mg.utils.data.WeightedRandomSampler([0, 0, 5.0], 4))
    [2, 2, 2, 2]
    """

    def __init__(self, weights, num_samples, replacement=True, generator=None):
        _check_count(num_samples)
        _check_replacement(replacement, ValueError)
        values = to_numpy(weights.array) if isinstance(weights, Tensor) else weights
        values = np.array(values, dtype=np.float64)
        if values.ndim != 1:
            raise ValueError(f"weights should be a 1d sequence but given weights have shape {values.shape}")
        if not (np.isfinite(values) & (values >= 0)).all() or not values.any():
            raise ValueError("weights should be finite numbers, none negative, at least one positive")
        possible = int(np.count_nonzero(values))
        if not replacement and possible < num_samples:
            raise RuntimeError(f"{num_samples} samples without replacement from {possible} weights above 0")
        self.weights = values
        self.num_samples = num_samples
        self.replacement = replacement
        self.generator = generator

    def __iter__(self):
        random = (default_generator if self.generator is None else self.generator).numpy
        probabilities = self.weights / self.weights.sum()
        chosen = random.choice(len(probabilities), self.num_samples, replace=self.replacement, p=probabilities)
        return iter(chosen.tolist())

    def __len__(self):
        return self.num_samples


class BatchSampler(Sampler):
    """Lists of ``batch_size`` indices of another sampler; the last, shorter one only without ``drop_last``.

    Source: https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.BatchSampler

    >>> import minigrad as mg
    >>> list(mg.utils.data.BatchSampler(range(5), batch_size=2, drop_last=False))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler, batch_size, drop_last):
        if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size <= 0:
            raise ValueError(f"batch_size should be a positive integer value, but got batch_size={batch_size}")
        if not isinstance(drop_last, bool):
            raise ValueError(f"drop_last should be a boolean value, but got drop_last={drop_last}")
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __iter__(self):
        indices = iter(self.sampler)
        while batch := list(itertools.islice(indices, self.batch_size)):
            if len(batch) < self.batch_size and self.drop_last:
                return
            yield batch

    def __len__(self):
        full, rest = divmod(len(self.sampler), self.batch_size)
        return full if self.drop_last or not rest else full + 1
