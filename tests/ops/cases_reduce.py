"""Cases of reductions, running sums and extrema, order, norms and softmax."""

import numpy as np

import minigrad as mg
from minigrad.op import OPS
from tests.ops.table import case

INF = float("inf")


def op(name, **params):
    """Return the registered op as a function of tensors."""
    return lambda *tensors: OPS[name](*tensors, **params)


def with_zeros(function, *positions):
    """Return a function of x that first sets x's elements at flat positions to zero, by a product."""

    def run(x):
        keep = mg.ones(x.numel(), dtype=x.dtype)
        keep[list(positions)] = 0
        return function(x * keep.reshape(x.shape))

    return run


def zeroed_at(x, *positions):
    """Return a NumPy array with its elements at flat positions set to zero."""
    x = x.copy()
    x.reshape(-1)[list(positions)] = 0
    return x


def reduction(name, reference, **options):
    """Return the cases of a reduction: over everything, one dimension, several, kept or not, of a 0-d tensor."""
    function = getattr(mg, name)
    return [
        case(function, (2, 3), reference=reference, **options),
        case(function, (), reference=reference, **options),
        case(lambda x: function(x, 1), (2, 3, 2), reference=lambda x: reference(x, axis=1), **options),
        case(
            lambda x: function(x, -1, True), (2, 3), reference=lambda x: reference(x, axis=-1, keepdims=True), **options
        ),
        case(lambda x: function(x, (0, -1)), (2, 3, 2), reference=lambda x: reference(x, axis=(0, 2)), **options),
    ]


def truth(name, reference):
    """Return the cases of any and all."""
    function = getattr(mg, name)
    return [
        case(function, (2, 3), dtype="bool", domain=(-1, 1), reference=reference),
        case(lambda x: function(x, 0), (2, 5), dtype="int64", domain=(-1, 2), reference=lambda x: reference(x, axis=0)),
        case(
            lambda x: function(x, (0, 1), True),
            (2, 3),
            order=0,
            reference=lambda x: reference(x, axis=(0, 1), keepdims=True),
        ),
        case(function, (0,), dtype="bool", reference=reference),
    ]


def logsumexp(x, axis=None, keepdims=False):
    return np.log(np.exp(x).sum(axis=axis, keepdims=keepdims))


SUMS = {
    "sum": [
        *reduction("sum", np.sum),
        case(mg.sum, (0, 2), reference=np.sum),
        case(lambda x: mg.sum(x, 0), (2, 3), dtype="int64", domain=(-9, 9), reference=lambda x: x.sum(0)),
        case(mg.nansum, (2, 3), reference=np.sum),
        case(mg.nanmean, (2, 3), reference=np.mean),
    ],
    "spread": [
        case(
            op("spread", shape=(2, 3), dim=(1,), keepdim=True), (2, 1), reference=lambda x: np.broadcast_to(x, (2, 3))
        ),
        case(
            op("spread", shape=(2, 3, 2), dim=(0, 2), keepdim=False),
            (3,),
            reference=lambda x: np.broadcast_to(x[:, None], (2, 3, 2)),
        ),
        case(op("spread", shape=(2, 3), dim=None, keepdim=False), (), reference=lambda x: np.broadcast_to(x, (2, 3))),
    ],
    "mean": reduction("mean", np.mean),
    "is_number": [
        case(lambda x: OPS["is_number"](x / x), (3, 1), dtype="int64", domain=(-1, 2), reference=lambda x: x != 0)
    ],
    "logsumexp": [
        case(lambda x: mg.logsumexp(x, 1), (2, 3), reference=lambda x: logsumexp(x, 1)),
        case(
            lambda x: mg.logsumexp(x, (0, 2), keepdim=True), (2, 3, 2), reference=lambda x: logsumexp(x, (0, 2), True)
        ),
        case(lambda x: mg.logsumexp(x * 1000, 0), (3,), domain=(1, 1.002)),
        case(lambda x: mg.logsumexp(x, -1), (), reference=lambda x: x),
    ],
    "any": truth("any", np.any),
    "all": truth("all", np.all),
    "count_nonzero": [
        case(mg.count_nonzero, (2, 5), dtype="int64", domain=(-1, 2), reference=np.count_nonzero),
        case(
            lambda x: mg.count_nonzero(x, 0),
            (3, 4),
            dtype="bool",
            domain=(-1, 1),
            reference=lambda x: np.count_nonzero(x, 0),
        ),
    ],
    "var": [
        case(mg.var, (2, 3), reference=lambda x: x.var(ddof=1)),
        case(lambda x: mg.var(x, 0, correction=0), (4, 2), reference=lambda x: x.var(0)),
        case(
            lambda x: mg.var(x, (0, 2), keepdim=True),
            (2, 3, 2),
            reference=lambda x: x.var((0, 2), ddof=1, keepdims=True),
        ),
        case(lambda x: mg.var_mean(x, 1), (2, 3), reference=lambda x: (x.var(1, ddof=1), x.mean(1))),
    ],
    "std": [
        case(mg.std, (2, 3), reference=lambda x: x.std(ddof=1)),
        case(lambda x: mg.std(x, 0, unbiased=False), (4, 2), reference=lambda x: x.std(0)),
        case(
            lambda x: mg.std(x, -1, correction=2, keepdim=True),
            (2, 4),
            reference=lambda x: x.std(-1, ddof=2, keepdims=True),
        ),
    ],
    "norm": [
        *(
            case(
                lambda x, p=p: mg.linalg.vector_norm(x, p),
                (2, 3),
                distinct=True,
                reference=lambda x, p=p: np.linalg.norm(x.ravel(), p),
            )
            for p in (1, 1.5, 2, 2.5, 3, INF, -INF, -1)
        ),
        case(lambda x: mg.linalg.vector_norm(x, 0), (4,), order=0, reference=lambda x: np.float64(4)),
        case(lambda x: mg.norm(x, dim=1), (2, 3), reference=lambda x: np.linalg.norm(x, axis=1)),
        case(lambda x: mg.norm(x, 3, (0, 2), True), (2, 3, 2), distinct=True),
        case(lambda x, y: mg.dist(x, y, 1), (2, 3), (3,), reference=lambda x, y: abs(x - y).sum()),
        case(lambda x: mg.renorm(x, 2, 0, 1.5), (3, 4)),
    ],
}

RUNNING = {
    "cumsum": [
        case(lambda x: mg.cumsum(x, 1), (2, 3), reference=lambda x: x.cumsum(1)),
        case(lambda x: mg.cumsum(x, -2), (2, 3), reference=lambda x: x.cumsum(0)),
        case(op("cumsum", dim=0, reverse=True), (4,), reference=lambda x: x[::-1].cumsum()[::-1]),
        case(lambda x: mg.cumsum(x, 0), (), reference=lambda x: x),
        case(lambda x: mg.cumsum(x, 0), (5,), dtype="int64", domain=(-9, 9), reference=np.cumsum),
    ],
    "cumprod": [
        case(lambda x: mg.cumprod(x, 1), (2, 3), distinct=True, reference=lambda x: x.cumprod(1)),
        case(
            with_zeros(lambda x: mg.cumprod(x, 0), 2),
            (5,),
            distinct=True,
            reference=lambda x: zeroed_at(x, 2).cumprod(),
        ),
        case(with_zeros(lambda x: mg.cumprod(x, 0), 1, 3), (5, 1), distinct=True),
        case(lambda x: mg.cumprod(x, 0), (), reference=lambda x: x),
    ],
    "prod": [
        case(mg.prod, (2, 3), distinct=True, reference=np.prod),
        case(
            lambda x: mg.prod(x, 1, keepdim=True), (2, 3), distinct=True, reference=lambda x: x.prod(1, keepdims=True)
        ),
        case(
            with_zeros(lambda x: mg.prod(x, 0), 0, 3, 5),
            (3, 2),
            distinct=True,
            reference=lambda x: zeroed_at(x, 0, 3, 5).prod(0),
        ),
        case(with_zeros(mg.prod, 1), (2, 3), distinct=True, reference=lambda x: 0 * x.sum()),
        case(with_zeros(mg.prod, 1, 2), (4,), distinct=True, reference=lambda x: 0 * x.sum()),
        case(lambda x: mg.prod(x, 0), (2, 3), dtype="int64", domain=(-9, 9), reference=lambda x: x.prod(0)),
    ],
    "logcumsumexp": [
        case(lambda x: mg.logcumsumexp(x, 1), (2, 4), reference=lambda x: np.logaddexp.accumulate(x, 1)),
        case(
            lambda x: mg.logcumsumexp(x * 500, 0),
            (4,),
            domain=(-1, 1),
            reference=lambda x: np.logaddexp.accumulate(x * 500),
        ),
        case(lambda x: mg.logcumsumexp(x, 0), (), reference=lambda x: x),
    ],
    "cummax": [
        case(lambda x: mg.cummax(x, 1)[0], (2, 5), distinct=True, reference=lambda x: np.maximum.accumulate(x, 1)),
        case(lambda x: mg.cummax(x, 0), (8,), dtype="int64", domain=(-3, 3)),
    ],
    "cummin": [
        case(lambda x: mg.cummin(x, -2)[0], (5, 2), distinct=True, reference=lambda x: np.minimum.accumulate(x, 0)),
        case(lambda x: mg.cummin(x, 0), (), reference=lambda x: (x, np.zeros((), int))),
    ],
    "shifted": [
        case(op("shifted", dim=1, offset=1, fill=0), (2, 3), reference=lambda x: np.pad(x, ((0, 0), (1, 0)))[:, :-1]),
        case(
            op("shifted", dim=0, offset=-2, fill=1),
            (4, 2),
            reference=lambda x: np.pad(x, ((0, 2), (0, 0)), constant_values=1)[2:],
        ),
        case(op("shifted", dim=0, offset=5, fill=0), (4,), reference=np.zeros_like),
    ],
    "flattened": [case(op("flattened"), (2, 3), reference=np.ravel)],
    "unflattened": [case(op("unflattened", shape=(2, 3)), (6,), reference=lambda x: x.reshape(2, 3))],
    "has_zero": [
        case(op("has_zero"), (9,), dtype="int64", domain=(-1, 2), reference=lambda x: (x == 0).any()),
        case(op("has_zero"), (3,), order=0, reference=lambda x: np.False_),
    ],
    "take_along": [
        case(
            lambda x: OPS["take_along"](x, mg.tensor([[2, 0], [1, 1]]), dim=1),
            (2, 3),
            reference=lambda x: np.take_along_axis(x, np.array([[2, 0], [1, 1]]), 1),
        ),
        case(lambda x: OPS["take_along"](x, mg.tensor(0), dim=0), (), reference=lambda x: x),
        case(lambda x: mg.sort(x, 0).values, (4, 2), distinct=True, reference=lambda x: np.sort(x, 0)),
        case(lambda x: mg.topk(x, 2).values, (2, 5), distinct=True, reference=lambda x: np.sort(x)[:, :-3:-1]),
        case(lambda x: mg.quantile(x, 0.3), (2, 3), distinct=True, reference=lambda x: np.quantile(x, 0.3)),
        case(
            lambda x: mg.quantile(x, mg.tensor([0.25, 0.6], dtype=x.dtype), 1, True),
            (2, 4),
            distinct=True,
            reference=lambda x: np.quantile(x, [0.25, 0.6], 1, keepdims=True),
        ),
        case(
            lambda x: mg.nanquantile(x, 0.7, 0, interpolation="lower"),
            (4, 2),
            distinct=True,
            reference=lambda x: np.quantile(x, 0.7, 0, method="lower"),
        ),
    ],
    "add_along": [
        case(lambda g: OPS["add_along"](g, mg.tensor([[2, 2], [1, 0]]), shape=(2, 3), dim=1), (2, 2)),
        case(lambda g: OPS["add_along"](g, mg.tensor(0), shape=(), dim=0), (), reference=lambda g: g),
    ],
}


def ties(x):
    mask = x == x.max(1, keepdims=True)
    return mask / mask.sum(1, keepdims=True)


EXTREMA = {
    "amax": [
        case(mg.max, (2, 3), distinct=True, reference=np.max),
        case(
            lambda x: mg.amax(x, (0, 2), True),
            (2, 3, 2),
            distinct=True,
            reference=lambda x: x.max((0, 2), keepdims=True),
        ),
        case(lambda x: mg.aminmax(x, dim=1)[1], (2, 3), distinct=True, reference=lambda x: x.max(1)),
        case(lambda x: mg.amax(x, 0), (5,), dtype="int64", domain=(-9, 9), reference=np.max),
    ],
    "amin": [
        case(mg.min, (2, 3), distinct=True, reference=np.min),
        case(lambda x: mg.amin(x, 1), (2, 3, 2), distinct=True, reference=lambda x: x.min(1)),
    ],
    "max_along": [
        case(lambda x: mg.max(x, 1), (2, 3), distinct=True, reference=lambda x: (x.max(1), x.argmax(1))),
        case(
            lambda x: mg.max(x, 0, keepdim=True)[0], (4, 2), distinct=True, reference=lambda x: x.max(0, keepdims=True)
        ),
        case(lambda x: mg.max(x, -1)[0], (), reference=lambda x: x),
    ],
    "min_along": [
        case(lambda x: mg.min(x, 1), (2, 3), distinct=True, reference=lambda x: (x.min(1), x.argmin(1))),
        case(
            lambda x: mg.min(x, -2, keepdim=True)[0], (4, 2), distinct=True, reference=lambda x: x.min(0, keepdims=True)
        ),
    ],
    "pick": [
        case(
            lambda x: OPS["pick"](x, mg.tensor([2, 0]), dim=1, keepdim=False),
            (2, 3),
            reference=lambda x: x[[0, 1], [2, 0]],
        ),
        case(
            lambda x: OPS["pick"](x, mg.tensor([[1, 0]]), dim=0, keepdim=True),
            (3, 2),
            reference=lambda x: x[[[1, 0]], [[0, 1]]],
        ),
        case(lambda x: mg.kthvalue(x, 2, 0).values, (4, 2), distinct=True, reference=lambda x: np.sort(x, 0)[1]),
        case(
            lambda x: mg.median(x, 1, True).values,
            (2, 5),
            distinct=True,
            reference=lambda x: np.median(x, 1, keepdims=True),
        ),
        case(lambda x: mg.mode(x).values, (2, 3), distinct=True, reference=lambda x: x.min(1)),
    ],
    "unpick": [
        case(lambda g: OPS["unpick"](g, mg.tensor([2, 0]), shape=(2, 3), dim=1, keepdim=False), (2,)),
        case(lambda g: OPS["unpick"](g, mg.tensor([[1, 0]]), shape=(3, 2), dim=0, keepdim=True), (1, 2)),
    ],
    "ties": [
        case(
            lambda x: OPS["ties"](x.double(), x.double().amax(1), dim=(1,), keepdim=False),
            (3, 6),
            dtype="int64",
            reference=ties,
        )
    ],
    "argmax": [
        case(mg.argmax, (2, 3), order=0, distinct=True, reference=np.argmax),
        case(
            lambda x: mg.argmax(x, 1, True),
            (2, 3),
            order=0,
            distinct=True,
            reference=lambda x: x.argmax(1, keepdims=True),
        ),
    ],
    "argmin": [
        case(mg.argmin, (2, 3), dtype="int64", distinct=True, domain=(-20, 20), reference=np.argmin),
        case(lambda x: mg.argmin(x, -1), (2, 3, 2), order=0, distinct=True, reference=lambda x: x.argmin(-1)),
    ],
}

ORDER = {
    "argsort": [
        case(mg.argsort, (3, 7), dtype="int64", reference=lambda x: x.argsort(-1, kind="stable")),
        case(
            lambda x: mg.argsort(x, 0, descending=True),
            (4, 2),
            order=0,
            distinct=True,
            reference=lambda x: (-x).argsort(0),
        ),
        case(
            lambda x: mg.sort(x, descending=True).indices,
            (8,),
            dtype="int64",
            reference=lambda x: (-x).argsort(kind="stable"),
        ),
    ],
    "top": [
        case(
            lambda x: mg.topk(x, 3).indices, (2, 5), order=0, distinct=True, reference=lambda x: (-x).argsort(1)[:, :3]
        ),
        case(
            lambda x: mg.topk(x, 2, 0, largest=False).indices,
            (100, 2),
            order=0,
            distinct=True,
            reference=lambda x: x.argsort(0)[:2],
        ),
        case(lambda x: mg.topk(x, 2).indices, (100,), order=0, distinct=True, reference=lambda x: (-x).argsort()[:2]),
    ],
    "rank_index": [
        case(op("rank_index", k=1, dim=1), (2, 5), order=0, distinct=True, reference=lambda x: x.argsort(1)[:, 1:2])
    ],
    "median_index": [
        case(
            op("median_index", dim=0, ignore_nan=False),
            (4, 2),
            order=0,
            distinct=True,
            reference=lambda x: x.argsort(0)[1:2],
        ),
        case(
            op("median_index", dim=0, ignore_nan=True),
            (5,),
            order=0,
            distinct=True,
            reference=lambda x: x.argsort(0)[2:3],
        ),
    ],
    "mode_index": [
        case(
            lambda x: x.gather(1, OPS["mode_index"](x, dim=1)),
            (3, 9),
            dtype="int64",
            reference=lambda x: np.array([[np.bincount(line + 2).argmax() - 2] for line in x]),
        )
    ],
    "median_of_all": [
        case(mg.median, (2, 3), distinct=True, reference=lambda x: np.sort(x.ravel())[2]),
        case(mg.nanmedian, (5,), distinct=True, reference=np.median),
        case(mg.median, (), reference=lambda x: x),
    ],
    "equal_share": [
        case(
            lambda x: OPS["equal_share"](x.double(), x.double().max()),
            (9,),
            dtype="int64",
            reference=lambda x: (x == x.max()) / (x == x.max()).sum(),
        )
    ],
}

SOFTMAX = {
    "softmax": [
        case(lambda x: mg.softmax(x, 1), (2, 3), reference=lambda x: np.exp(x) / np.exp(x).sum(1, keepdims=True)),
        case(lambda x: mg.softmax(x, 0), (3, 2, 2), reference=lambda x: np.exp(x) / np.exp(x).sum(0)),
        case(lambda x: mg.softmax(x * 1000, -1), (3,), domain=(-0.002, 0.002)),
        case(lambda x: mg.softmax(x, 0), (), order=1, reference=np.ones_like),
    ],
    "log_softmax": [
        case(lambda x: mg.log_softmax(x, 1), (2, 3), reference=lambda x: x - logsumexp(x, 1, True)),
        case(lambda x: mg.log_softmax(x, -2), (3, 2), reference=lambda x: x - logsumexp(x, 0, True)),
        case(
            lambda x: mg.log_softmax(x * 1000, 0),
            (3,),
            domain=(-0.002, 0.002),
            reference=lambda x: x * 1000 - logsumexp(x * 1000),
        ),
    ],
}

CASES = {**SUMS, **RUNNING, **EXTREMA, **ORDER, **SOFTMAX}
