"""What the table of ops does not say of reductions: result types, dimensions, empty inputs, ties, precision, order."""

import math

import numpy as np
import pytest

import minigrad as mg

NAN, INF = float("nan"), float("inf")
I64, U8, F16, F32, F64, B = mg.int64, mg.uint8, mg.float16, mg.float32, mg.float64, mg.bool

RESULT_TYPES = [
    ("sum(bool)", lambda: mg.ones(2, dtype=B).sum(), I64),
    ("sum(uint8)", lambda: mg.ones(2, dtype=U8).sum(0), I64),
    ("sum(half)", lambda: mg.ones(2, dtype=F16).sum(), F16),
    ("sum(dtype)", lambda: mg.ones(2).sum(dtype=mg.int32), mg.int32),
    ("prod(int32)", lambda: mg.ones(2, dtype=mg.int32).prod(), I64),
    ("cumsum(int8)", lambda: mg.ones(2, dtype=mg.int8).cumsum(0), I64),
    ("cumprod(dtype)", lambda: mg.ones(2, dtype=I64).cumprod(0, dtype=F16), F16),
    ("mean(dtype)", lambda: mg.ones(2, dtype=I64).mean(dtype=F32), F32),
    ("amax(uint8)", lambda: mg.ones(2, dtype=U8).amax(), U8),
    ("argmax", lambda: mg.ones(2).argmax(), I64),
    ("any(uint8)", lambda: mg.ones(2, dtype=U8).any(), U8),
    ("all(float)", lambda: mg.ones(2).all(), B),
    ("count_nonzero", lambda: mg.ones(2).count_nonzero(), I64),
    ("logsumexp(int)", lambda: mg.ones(2, dtype=I64).logsumexp(0), F32),
    ("var(half)", lambda: mg.ones(2, dtype=F16).var(), F16),
    ("median(int)", lambda: mg.ones(3, dtype=I64).median(), I64),
    ("histc", lambda: mg.ones(3).histc(4), F32),
    ("bincount(weights)", lambda: mg.bincount(mg.ones(2, dtype=I64), mg.ones(2)), F32),
    ("searchsorted", lambda: mg.searchsorted(mg.ones(2), mg.ones(2), out_int32=True), mg.int32),
]


@pytest.mark.parametrize("run, dtype", [pytest.param(run, dtype, id=name) for name, run, dtype in RESULT_TYPES])
def test_result_type(run, dtype):
    assert run().dtype == dtype


ERRORS = [
    ("dim out of range", IndexError, r"\[-2, 1\], but got 2", lambda: mg.ones(2, 3).sum(2)),
    ("dim of a 0-d tensor", IndexError, "Dimension out of range", lambda: mg.tensor(1.0).sum(1)),
    ("dim twice", RuntimeError, "dim 1 appears multiple times", lambda: mg.ones(2, 3).sum((1, -1))),
    ("dim no int", TypeError, "dim must be an int", lambda: mg.ones(2).sum("a")),
    ("keepdim no bool", TypeError, "keepdim", lambda: mg.ones(2, 3).sum(0, 1)),
    ("keyword", TypeError, "unexpected keyword", lambda: mg.ones(2).sum(dims=0)),
    ("mean of integers", RuntimeError, "floating point", lambda: mg.ones(2, dtype=I64).mean()),
    ("var of integers", RuntimeError, "floating point", lambda: mg.ones(2, dtype=I64).var()),
    ("max of nothing", RuntimeError, "numel\\(\\) == 0", lambda: mg.empty(0).max()),
    ("amax of an empty dim", IndexError, "non-zero size", lambda: mg.empty(2, 0).amax(1)),
    ("argmax of nothing", IndexError, "numel\\(\\) == 0", lambda: mg.empty(0).argmax()),
    ("argmax of bools", NotImplementedError, "bool", lambda: mg.ones(2, dtype=B).argmax()),
    ("max with both", TypeError, "combination", lambda: mg.ones(2).max(0, other=mg.ones(2))),
    ("max with keepdim only", TypeError, "without dim", lambda: mg.ones(2).max(keepdim=True)),
    ("topk too many", RuntimeError, "out of range", lambda: mg.ones(3).topk(4)),
    ("kthvalue 0", RuntimeError, "out of range", lambda: mg.ones(3).kthvalue(0)),
    ("quantile 2", RuntimeError, r"\[0, 1\]", lambda: mg.ones(3).quantile(2)),
    ("quantile of integers", RuntimeError, "float or double", lambda: mg.ones(3, dtype=I64).quantile(0.5)),
    ("quantile of two dtypes", RuntimeError, "same dtype", lambda: mg.ones(3).quantile(mg.tensor(0.5, dtype=F64))),
    ("norm of integers", RuntimeError, "floating point", lambda: mg.ones(3, dtype=I64).norm()),
    ("norm 'bad'", RuntimeError, "'fro' and 'nuc'", lambda: mg.ones(3).norm("bad")),
    ("bincount below 0", RuntimeError, "non-negative", lambda: mg.bincount(mg.tensor([-1]))),
    ("histc with max < min", RuntimeError, "larger", lambda: mg.histc(mg.ones(3), 2, 1, 0)),
    (
        "searchsorted sides",
        RuntimeError,
        "opposites",
        lambda: mg.searchsorted(mg.ones(2), mg.ones(2), right=True, side="left"),
    ),
    ("searchsorted shapes", RuntimeError, "must match", lambda: mg.searchsorted(mg.ones(2, 3), mg.ones(3, 3))),
    ("searchsorted of a str", TypeError, "must be Tensor, not str", lambda: mg.searchsorted(mg.ones(2), "a")),
    ("bucketize of a list", TypeError, "must be Tensor, not list", lambda: mg.bucketize([1.0], mg.ones(2))),
    ("diff of a number", RuntimeError, "one-dimensional", lambda: mg.diff(mg.tensor(1.0))),
    ("cov of 3 dims", RuntimeError, "two or fewer", lambda: mg.cov(mg.ones(1, 2, 3))),
    ("logcumsumexp of integers", NotImplementedError, "int64", lambda: mg.logcumsumexp(mg.ones(2, dtype=I64), 0)),
]


@pytest.mark.parametrize("error, words, run", [pytest.param(*rest, id=name) for name, *rest in ERRORS])
def test_error(error, words, run):
    with pytest.raises(error, match=words):
        run()


@pytest.mark.parametrize("name", ["sum", "mean", "amax", "logsumexp", "var", "std", "nansum", "any", "all", "norm"])
@pytest.mark.parametrize("dim", [0, -1, (0, 2), (2, 1, 0), [1]])
def test_shapes(name, dim):
    x = mg.randn(2, 3, 4)
    dims = {d % 3 for d in ([dim] if isinstance(dim, int) else dim)}
    function = (lambda **options: x.norm(2, **options)) if name == "norm" else getattr(x, name)
    assert function(dim=dim).shape == tuple(n for axis, n in enumerate(x.shape) if axis not in dims)
    assert function(dim=dim, keepdim=True).shape == tuple(1 if axis in dims else n for axis, n in enumerate(x.shape))


def test_numpys_names_of_keywords():
    x = mg.arange(6.0).reshape(2, 3)
    assert x.sum(axis=0, keepdims=True).tolist() == [[3, 5, 7]]
    assert x.mean(axis=1).tolist() == [1, 4]
    assert x.max(axis=1).indices.tolist() == [2, 2]
    assert x.argmin(axis=0).tolist() == [0, 0, 0]


def test_empty_inputs():
    x = mg.empty(0, 3)
    assert x.sum().item() == 0
    assert x.sum(0).tolist() == [0, 0, 0]
    assert x.prod(0).tolist() == [1, 1, 1]
    assert math.isnan(x.mean())
    assert x.logsumexp(0).tolist() == [-INF] * 3
    assert x.all().item() is True
    assert x.any().item() is False
    assert x.amax(1).shape == (0,)
    assert x.cumsum(0).shape == (0, 3)
    assert x.sort(0).values.shape == (0, 3)
    assert mg.empty(0).norm().item() == 0
    assert math.isnan(mg.empty(0).median())
    assert mg.unique(mg.empty(0)).shape == (0,)


def test_scalars_have_a_dimension_for_reductions():
    x = mg.tensor(3.0)
    assert x.sum(0).item() == x.sum(-1).item() == 3
    assert x.max(0).indices.item() == 0
    assert x.sort().values.item() == 3
    assert x.cumsum(0).shape == ()
    assert x.median(0).values.item() == 3


def test_float32_sums_keep_their_digits(rng):
    """Along every dimension as accurate as pairwise summation: naive addition would be off by about 1e-4."""
    values = rng.uniform(0, 1, (100_000, 3)).astype(np.float32)
    exact = values.astype(np.float64).sum(0)
    np.testing.assert_allclose(mg.from_numpy(values).sum(0).numpy(), exact, rtol=2e-6)
    np.testing.assert_allclose(mg.from_numpy(values.T.copy()).sum(1).numpy(), exact, rtol=2e-6)
    np.testing.assert_allclose(mg.from_numpy(values).sum().item(), exact.sum(), rtol=2e-6)
    np.testing.assert_allclose(mg.from_numpy(values).mean(0).numpy(), exact / 1e5, rtol=2e-6)


def test_float16_is_accumulated_in_float32():
    x = mg.ones(4096, dtype=F16)
    assert x.sum().item() == 4096
    assert (x * 60000).mean().item() == pytest.approx(60000, rel=1e-3)
    assert (x * 300).norm().item() == 19200
    assert x.cumsum(0)[-1].item() == 4096
    assert (x * 300).var().item() == 0


def test_ties_share_the_gradient_of_a_whole_maximum():
    x = mg.tensor([[1.0, 3.0], [3.0, 3.0]], requires_grad=True)
    for function in (mg.max, mg.amax):
        (gradient,) = mg.autograd.grad(function(x), x)
        assert gradient.tolist() == [[0, pytest.approx(1 / 3)], [pytest.approx(1 / 3)] * 2]
    (gradient,) = mg.autograd.grad(x.max(1).values.sum(), x)
    assert gradient.tolist() == [[0, 1], [1, 0]]


def test_nan_is_the_largest():
    x = mg.tensor([1.0, NAN, 3.0])
    assert math.isnan(x.max()) and x.argmax().item() == 1 and x.max(0).indices.item() == 1
    assert math.isnan(x.min()) and x.argmin().item() == 1
    assert x.sort().indices.tolist() == [0, 2, 1]
    assert x.sort(descending=True).indices.tolist() == [1, 2, 0]
    assert x.topk(2).indices.tolist() == [1, 2]
    assert math.isnan(x.median()) and x.median(0).indices.item() == 1
    assert x.nanmedian().item() == 1
    assert x.nansum().item() == 4 and x.nanmean().item() == 2
    assert math.isnan(x.quantile(0.5)) and x.nanquantile(0.5).item() == 2
    assert x.cummax(0).indices.tolist() == [0, 1, 1]


@pytest.mark.parametrize("descending", [False, True])
def test_sort_is_stable(descending):
    x = mg.tensor([2, 1, 2, 1, 2])
    expected = [0, 2, 4, 1, 3] if descending else [1, 3, 0, 2, 4]
    assert x.argsort(descending=descending).tolist() == expected


def test_topk_of_many(rng):
    """Long lines go through a partial sort: the same values as a full one, in order, at the right places."""
    array = rng.standard_normal((3, 500)).astype(np.float32)
    x = mg.from_numpy(array)
    for largest in (True, False):
        values, indices = x.topk(7, largest=largest)
        expected = np.sort(array, 1)[:, ::-1][:, :7] if largest else np.sort(array, 1)[:, :7]
        np.testing.assert_array_equal(values.numpy(), expected)
        np.testing.assert_array_equal(np.take_along_axis(array, indices.numpy(), 1), expected)


def test_gradients_of_products_with_zeros():
    for values, expected in [
        ([2.0, 0.0, 5.0], [0, 10, 0]),
        ([0.0, 0.0, 5.0], [0, 0, 0]),
        ([2.0, 3.0, 5.0], [15, 10, 6]),
    ]:
        x = mg.tensor(values, dtype=F64, requires_grad=True)
        assert mg.autograd.grad(x.prod(), x)[0].tolist() == expected
        assert mg.autograd.gradgradcheck(lambda x: x.prod(0), x)
        assert mg.autograd.gradcheck(lambda x: x.cumprod(0), x)
        assert mg.autograd.gradgradcheck(lambda x: x.cumprod(0), x)


def test_logsumexp_and_softmax_of_infinities():
    x = mg.tensor([[-INF, -INF], [0.0, -INF], [INF, 0.0], [1e4, 1e4]], dtype=F64)
    assert x.logsumexp(1).tolist() == [-INF, 0, INF, pytest.approx(1e4 + math.log(2))]
    x = x[1:2].clone().requires_grad_()
    assert mg.autograd.grad(x.logsumexp(1).sum(), x)[0].tolist() == [[1, 0]]
    assert x.logcumsumexp(1).tolist() == [[0, 0]]
    assert mg.autograd.grad(x.logcumsumexp(1).sum(), x)[0].tolist() == [[2, 0]]


def test_degrees_of_freedom():
    x = mg.tensor([1.0, 2.0, 4.0])
    assert x.var(unbiased=False).item() == pytest.approx(14 / 9)
    assert x.var(0, False).item() == pytest.approx(14 / 9)
    assert x.var(False).item() == pytest.approx(14 / 9)
    assert x.std(correction=2).item() == pytest.approx(math.sqrt(14 / 3))
    with pytest.warns(UserWarning, match="degrees of freedom"):
        assert math.isnan(mg.tensor([1.0]).var())
    with pytest.warns(UserWarning, match="degrees of freedom"):
        assert mg.tensor([1.0, 2.0]).var(correction=5).item() == INF


def test_norm_of_zero_has_a_zero_gradient():
    for p in (1, 2, 3, 1.5, INF):
        x = mg.zeros(3, requires_grad=True)
        assert mg.autograd.grad(x.norm(p), x)[0].tolist() == [0, 0, 0], p


def test_unique():
    x = mg.tensor([[3, 1], [3, 3]])
    values, inverse, counts = mg.unique(x, return_inverse=True, return_counts=True)
    assert (values.tolist(), inverse.tolist(), counts.tolist()) == ([1, 3], [[1, 0], [1, 1]], [1, 3])
    rows = mg.tensor([[2, 1], [0, 5], [2, 1], [0, 4]])
    values, inverse, counts = mg.unique(rows, dim=0, return_inverse=True, return_counts=True)
    assert values.tolist() == [[0, 4], [0, 5], [2, 1]]
    assert (inverse.tolist(), counts.tolist()) == ([2, 1, 2, 0], [1, 1, 2])
    assert mg.equal(values[inverse], rows)
    assert mg.unique_consecutive(mg.tensor([1, 1, 2, 1])).tolist() == [1, 2, 1]


def test_the_results_fields_have_pytorchs_names():
    x = mg.tensor([[3.0, 1.0, 2.0]])
    for result in (x.max(1), x.min(1), x.sort(), x.topk(2), x.kthvalue(1), x.median(1), x.mode(1), x.cummax(1)):
        assert result._fields == ("values", "indices")
        assert type(result).__name__ in ("max", "min", "sort", "topk", "kthvalue", "median", "mode", "cummax")
    assert mg.aminmax(x)._fields == ("min", "max")


def test_out_of_several_results():
    x = mg.tensor([[3.0, 1.0], [2.0, 5.0]])
    out = (mg.empty(2), mg.empty(2, dtype=I64))
    result = mg.max(x, 1, out=out)
    assert result.values is out[0] and result.indices is out[1]
    assert (out[0].tolist(), out[1].tolist()) == ([3, 5], [0, 1])
