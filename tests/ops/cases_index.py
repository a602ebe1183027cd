"""Cases of indexing: reading and writing by slices, masks and integer arrays; gather, scatter and their relatives."""

import numpy as np

import minigrad as mg
from minigrad.op import OPS
from tests.ops.table import case

ROWS = [2, 0, 2, 1]  # names a row twice
PLACES = [[0, 2, 2], [1, 0, 1]]  # along dimension 0 or 1 of a matrix (3, 3): repeats within a column and a row
DISTINCT = [[0, 2, 1], [1, 0, 2]]  # along dimension 0: no place twice
MASK = [[True, False, True], [False, False, True]]


def op(name, **params):
    """Return the registered op as a function of tensors."""
    return lambda *tensors: OPS[name](*tensors, **params)


def indexed(name, index, **params):
    """Return the op applied to (first tensor, index, other tensors)."""
    return lambda x, *rest: OPS[name](x, mg.tensor(index), *rest, **params)


def assigned(x, index, value):
    """Return a copy of x with a value written at an index."""
    out = x.clone() if isinstance(x, mg.Tensor) else x.copy()
    out[index] = value
    return out


def accumulated(reduce, dim, index):
    """Return the NumPy function of (x, source) that combines source into x by a ufunc."""

    def run(x, source):
        out = x.copy()
        mesh = list(np.ogrid[: len(index), : len(index[0])])
        mesh[dim] = np.array(index)
        reduce.at(out, tuple(mesh), source[: len(index), : len(index[0])])
        return out

    return run


SLICES = {
    "getitem": [
        case(lambda x: x[1], (3, 2), reference=lambda x: x[1]),
        case(lambda x: x[..., None, ::2], (3, 4), reference=lambda x: x[..., None, ::2]),
        case(lambda x: x[-1, 1:], (3, 4), reference=lambda x: x[-1, 1:]),
        case(lambda x: x[1:1], (3, 2), reference=lambda x: x[1:1]),
        case(lambda x: x[()], (), reference=lambda x: x),
    ],
    "place": [
        case(op("place", shape=(3, 4), index=(slice(0, 3, 2), ...)), (2, 4)),
        case(op("place", shape=(3,), index=(1, ...)), (), reference=lambda g: np.array([0, g, 0])),
    ],
    "copy_slices": [
        case(lambda x, v: assigned(x, 1, v), (3, 2), (2,), reference=lambda x, v: assigned(x, 1, v)),
        case(
            lambda x, v: assigned(x, (..., slice(0, None, 2)), v),
            (2, 3),
            (),
            reference=lambda x, v: assigned(x, np.s_[..., ::2], v),
        ),
    ],
    "clear_slice": [
        case(op("clear_slice", index=(slice(1, None), 0)), (3, 2), reference=lambda x: assigned(x, np.s_[1:, 0], 0))
    ],
}

ROWS_BY_INDEX = {
    "index": [
        case(lambda x: x[ROWS], (3, 2), reference=lambda x: x[ROWS]),
        case(lambda x: x[:, mg.tensor([[1, -1]])], (2, 3), reference=lambda x: x[:, [[1, -1]]]),
        case(lambda x: x[mg.tensor(MASK)], (2, 3), reference=lambda x: x[np.array(MASK)]),
        case(lambda x: x[[0, 1], :, [2, 0]], (2, 2, 3), reference=lambda x: x[[0, 1], :, [2, 0]]),
        case(lambda x: mg.index_select(x, 1, mg.tensor(ROWS)), (2, 3, 2), reference=lambda x: x[:, ROWS]),
        case(lambda x: mg.take(x, mg.tensor(PLACES)), (2, 2), reference=lambda x: x.ravel()[PLACES]),
        case(lambda x: mg.masked_select(x, mg.tensor([True, False])), (3, 2), reference=lambda x: x[:, 0]),
        case(lambda x: mg.repeat_interleave(x, 2, 0), (2, 3), reference=lambda x: x.repeat(2, 0)),
    ],
    "index_transposed": [
        case(indexed("index_transposed", ROWS, shape=(3, 2), dim=0), (4, 2)),
        case(indexed("index_transposed", PLACES, shape=(2, 3), dim=1), (2, 2, 3)),
    ],
    "index_add": [
        case(
            lambda x, v: mg.index_add(x, 0, mg.tensor(ROWS), v),
            (3, 2),
            (4, 2),
            reference=lambda x, v: x + np.array([v[1], v[3], v[0] + v[2]]),
        ),
        case(lambda x, v: mg.index_add(x, 1, mg.tensor([0, 0]), v, alpha=0.5), (2, 3), (2, 2)),
    ],
    "index_copy": [
        case(
            lambda x, v: mg.index_copy(x, 0, mg.tensor([2, 0]), v),
            (3, 2),
            (2, 2),
            reference=lambda x, v: assigned(x, [2, 0], v),
        ),
        case(
            lambda x, v: mg.index_copy(x, 1, mg.tensor([1]), v),
            (2, 3),
            (2, 1),
            reference=lambda x, v: assigned(x, np.s_[:, [1]], v),
        ),
    ],
    "index_fill": [
        case(
            lambda x: mg.index_fill(x, 1, mg.tensor([2, 0]), 1.5),
            (2, 3),
            reference=lambda x: assigned(x, np.s_[:, [2, 0]], 1.5),
        )
    ],
}


def with_zeros(x, source):
    """Return x with products at PLACES, some of whose factors are 0."""
    return mg.scatter_reduce(x, 1, mg.tensor(PLACES), source * mg.tensor([0.0, 1.0, 1.0]), "prod")


PLACES_BY_INDEX = {
    "gather": [
        case(
            lambda x: mg.gather(x, 0, mg.tensor(PLACES)),
            (3, 3),
            reference=lambda x: np.take_along_axis(x, np.array(PLACES), 0),
        ),
        case(lambda x: mg.gather(x, 1, mg.tensor([[1]])), (2, 3), reference=lambda x: x[:1, 1:2]),
        case(lambda x: mg.take_along_dim(x, mg.tensor([[1, 0]]), 1), (2, 3), reference=lambda x: x[:, [1, 0]]),
    ],
    "gather_transposed": [case(indexed("gather_transposed", PLACES, shape=(3, 3), dim=1), (2, 3))],
    "scatter": [
        case(lambda x, v: mg.scatter(x, 0, mg.tensor(DISTINCT), v), (3, 3), (2, 3)),
        case(
            lambda x, v: mg.scatter(x, 1, mg.tensor([[2], [0]]), v),
            (2, 3),
            (3, 2),
            reference=lambda x, v: assigned(x, ([0, 1], [2, 0]), v[:2, 0]),
        ),
    ],
    "scatter_fill": [
        case(
            lambda x: mg.scatter(x, 1, mg.tensor([[2], [0]]), 1.5),
            (2, 3),
            reference=lambda x: assigned(x, ([0, 1], [2, 0]), 1.5),
        )
    ],
    "scatter_add": [
        case(
            lambda x, v: mg.scatter_add(x, 0, mg.tensor(PLACES), v),
            (3, 3),
            (2, 3),
            reference=accumulated(np.add, 0, PLACES),
        ),
        case(
            lambda x, v: mg.scatter_reduce(x, 1, mg.tensor(PLACES), v, "sum"),
            (3, 3),
            (2, 4),
            reference=accumulated(np.add, 1, PLACES),
        ),
        case(lambda x, v: mg.scatter_reduce(x, 0, mg.tensor(PLACES), v, "mean", include_self=False), (3, 3), (2, 3)),
        case(
            lambda x, v: mg.scatter_add(x, 0, mg.tensor(ROWS), v),
            (3,),
            (4,),
            dtype="int64",
            reference=lambda x, v: x + np.array([v[1], v[3], v[0] + v[2]]),
        ),
    ],
    "scatter_reduce": [
        case(
            lambda x, v: mg.scatter_reduce(x, 0, mg.tensor(PLACES), v, "amax"),
            (3, 3),
            (2, 3),
            reference=accumulated(np.maximum, 0, PLACES),
        ),
        case(lambda x, v: mg.scatter_reduce(x, 1, mg.tensor(PLACES), v, "amin", include_self=False), (2, 3), (2, 3)),
        case(lambda x, v: mg.index_reduce(x, 0, mg.tensor(ROWS), v, "amin"), (3, 2), (4, 2)),
        case(
            lambda x, v: mg.scatter_reduce(x, 1, mg.tensor(PLACES), v, "amin"),
            (2, 3),
            (2, 3),
            dtype="int64",
            domain=(-9, 9),
            reference=accumulated(np.minimum, 1, PLACES),
        ),
    ],
    "same_as": [case(op("same_as"), (9,), (9,), dtype="int64", reference=np.equal)],
    "scatter_prod": [
        case(
            lambda x, v: mg.scatter_reduce(x, 1, mg.tensor(PLACES), v, "prod"),
            (2, 3),
            (2, 3),
            domain=(0.4, 2),
            reference=accumulated(np.multiply, 1, PLACES),
        ),
        case(lambda x, v: mg.scatter(x, 0, mg.tensor(PLACES), v, reduce="multiply"), (3, 3), (2, 3), domain=(-2, -0.4)),
        # Two and one zeros among the factors of a place.
        case(lambda x, v: with_zeros(x * 0, v) + x, (2, 3), (2, 3)),
        case(lambda x, v: with_zeros(x, v), (2, 3), (2, 3)),
        case(lambda v: mg.scatter_reduce(mg.zeros(3, dtype=v.dtype), 0, mg.tensor(ROWS), v, "prod"), (4,), order=1),
    ],
    "product_of_others": [
        case(lambda x, v: OPS["product_of_others"](x, mg.tensor(PLACES), v, dim=1), (2, 3), (2, 3), domain=(0.4, 2))
    ],
}

MASKED = {
    "where": [
        case(lambda a, b: mg.where(mg.tensor(MASK), a, b), (2, 3), (3,), reference=lambda a, b: np.where(MASK, a, b)),
        case(lambda a: mg.where(a > 0, a, 0.0), (3, 4), distinct=True, reference=lambda a: np.where(a > 0, a, 0)),
        case(lambda a: mg.masked_fill(a, mg.tensor(MASK), -1.5), (2, 3), reference=lambda a: np.where(MASK, -1.5, a)),
        case(lambda a, v: mg.masked_fill(a, mg.tensor([True, False, False]), v), (2, 3), ()),
    ]
}

CASES = {**SLICES, **ROWS_BY_INDEX, **PLACES_BY_INDEX, **MASKED}
