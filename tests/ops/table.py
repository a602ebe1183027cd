"""A line per op: what to run, on which inputs; test_table.py checks everything else about it."""

import dataclasses
from collections.abc import Callable

import numpy as np

import minigrad as mg


@dataclasses.dataclass(frozen=True)
class Case:
    """One way of running an op.

    ``run`` takes one tensor per shape and returns a tensor or a tuple of them; ``domain`` bounds the random inputs;
    ``reference`` computes the same from NumPy arrays; ``distinct`` makes all elements differ by at least 0.1 (ops that
    choose among elements); ``order`` is up to which derivative is checked; ``dtype`` float64, or an integer type for
    ops on integers.
    """

    run: Callable
    shapes: tuple
    domain: tuple = (-2.0, 2.0)
    reference: Callable | None = None
    distinct: bool = False
    order: int = 2
    dtype: str = "float64"

    def arrays(self, dtype=None, seed=0):
        """Return the random inputs as NumPy arrays."""
        rng = np.random.default_rng(seed)
        low, high = self.domain
        chosen = np.dtype(dtype or self.dtype)
        arrays = []
        for shape in self.shapes:
            size = int(np.prod(shape))
            if self.distinct:
                values = (rng.permutation(size) - size / 2) * max(0.1, (high - low) / max(size, 1)) + 0.037
            else:
                values = rng.uniform(low, high, size)
            if chosen.kind == "b":
                values = values > (low + high) / 2
            arrays.append(values.reshape(shape).astype(chosen))
        return arrays

    def tensors(self, dtype=None, requires_grad=False, seed=0):
        """Return the random inputs as tensors."""
        tensors = [mg.from_numpy(array) for array in self.arrays(dtype, seed)]
        return [tensor.requires_grad_() if requires_grad else tensor for tensor in tensors]


def case(run, *shapes, **options):
    """Return a Case; shapes are tuples."""
    return Case(run, shapes, **options)
