"""Cases of the ops that read and write at indices, slices and masks."""

import numpy as np

import minigrad as mg
from minigrad.op import OPS
from tests.ops.table import case

ROWS = [2, 0, 2, -1]
PLACES = [[0, 2], [1, 0], [0, 2]]  # (3, 2); (0, 2) is there twice along dim 0 and 1
ONCE = [[0, 2, 1], [1, 0, 2]]  # no place twice along dim 1
MASK = [[True, False, True], [False, False, True]]
SLICES = (slice(1, None), None, slice(0, 3, 2))


def index(values):
    return mg.tensor(values)


def op(name, *indices, **params):
    """Return a run of an op of a tensor, index tensors and then perhaps more tensors."""
    return lambda x, *more: OPS[name](x, *[index(i) for i in indices], *more, **params)


def scatter_add_reference(x, source):
    out = x.copy()
    np.add.at(out, (np.array(PLACES), np.arange(2)), source)
    return out


CASES = {
    "getitem": [
        case(lambda x: x[1], (3, 2), reference=lambda x: x[1]),
        case(lambda x: x[SLICES], (3, 4), reference=lambda x: x[SLICES]),
        case(lambda x: x[..., -1], (3, 2), reference=lambda x: x[..., -1]),
        case(lambda x: x[...], ()),
    ],
    "place": [case(op("place", shape=(3, 4), index=SLICES), (2, 1, 2))],
    "clear_slice": [case(op("clear_slice", index=SLICES), (3, 4))],
    "copy_slices": [case(lambda x, v: OPS["copy_slices"](x, v, index=SLICES), (3, 4), (2, 1, 2))],
    "index": [
        case(lambda x: x[index(ROWS)], (3, 2), reference=lambda x: x[ROWS]),
        case(lambda x: x[:, index(PLACES)], (2, 3), reference=lambda x: x[:, np.array(PLACES)]),
        case(lambda x: x[index([0, 1]), :, index([2, 2])], (2, 3, 4), reference=lambda x: x[[0, 1], :, [2, 2]]),
        case(lambda x: x[:, index([0, -1, 0]), index([1, 1, 1])], (2, 3, 4), reference=lambda x: x[:, [0, -1, 0], [1, 1, 1]]),
        case(lambda x: x[index(MASK)], (2, 3), reference=lambda x: x[np.array(MASK)]),
        case(lambda x: x[index(MASK), 1], (2, 3, 2), reference=lambda x: x[..., 1][np.array(MASK)]),
        case(lambda x: x.repeat_interleave(index([2, 0, 1]), 0), (3, 2), reference=lambda x: x.repeat([2, 0, 1], 0)),
        case(lambda x: x.take(index([0, 5, 5])), (2, 3), reference=lambda x: x.take([0, 5, 5])),
    ],
    "index_transposed": [case(op("index_transposed", ROWS, shape=(3, 2), dim=0), (4, 2))],
    "index_add": [case(lambda x, s: x.index_add(1, index([1, 0, 1]), s, alpha=2), (2, 3), (2, 3))],
    "index_copy": [case(lambda x, s: x.index_copy(0, index([2, 0]), s), (3, 2), (2, 2))],
    "index_fill": [case(lambda x: x.index_fill(1, index([2, 0]), 1.5), (2, 3))],
    "gather": [
        case(
            lambda x: x.gather(0, index(PLACES)),
            (3, 3),
            reference=lambda x: np.take_along_axis(x[:, :2], np.array(PLACES), 0),
        ),
        case(lambda x: x.gather(0, index(2)), (3,)),
    ],
    "gather_transposed": [case(op("gather_transposed", PLACES, shape=(3, 2), dim=0), (3, 2))],
    "scatter": [case(lambda x, s: x.scatter(1, index(ONCE), s), (2, 4), (2, 3))],
    "scatter_fill": [case(lambda x: x.scatter(0, index(PLACES), 2.5), (3, 3))],
    "scatter_add": [
        case(lambda x, s: x.scatter_add(0, index(PLACES), s), (3, 2), (3, 2), reference=scatter_add_reference),
        case(lambda x, s: x.scatter_reduce(0, index(PLACES), s, "mean"), (3, 2), (4, 2)),
        case(lambda x, s: x.scatter_reduce(0, index(PLACES), s, "sum", include_self=False), (3, 2), (3, 2)),
    ],
    "scatter_reduce": [
        case(lambda x, s: x.scatter_reduce(0, index(PLACES), s, "amax"), (3, 2), (3, 2)),
        case(lambda x, s: x.scatter_reduce(0, index(PLACES), s, "amin", include_self=False), (3, 2), (3, 2)),
    ],
    "scatter_prod": [
        case(lambda x, s: x.scatter_reduce(0, index(PLACES), s, "prod"), (3, 2), (3, 2)),
        case(lambda x, s: x.scatter(0, index(PLACES), s, reduce="multiply"), (3, 2), (3, 2)),
    ],
    "product_of_others": [
        case(lambda x, s: OPS["product_of_others"](x, index(PLACES), s, dim=0), (3, 2), (3, 2), domain=(0.5, 2.0))
    ],
    "same_as": [case(OPS["same_as"], (2, 2), (2, 2), order=0, reference=lambda a, b: (a == b).astype(a.dtype))],
    "where": [
        case(lambda a, b: mg.where(index(MASK), a, b), (2, 3), (3,), reference=lambda a, b: np.where(MASK, a, b)),
        case(lambda a: mg.where(index(MASK), a, 2.0), (2, 1)),
        case(lambda x: x.masked_fill(index(MASK), 0.5), (2, 3), reference=lambda x: np.where(MASK, 0.5, x)),
    ],
}
