"""minigrad.testing compares as torch.testing does."""

import pytest

import minigrad as mg
from minigrad.testing import assert_allclose, assert_close, make_tensor

X = mg.tensor([1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    ("actual", "expected", "options"),
    [
        (X, X + 1e-6, {}),
        (X, X + 0.1, {"rtol": 0, "atol": 0.2}),
        (X, X.double(), {"check_dtype": False}),
        ([X, {"a": 1}], [X, {"a": 1}], {}),
        (1.0, 1.0 + 1e-9, {}),
        (X.numpy(), X.numpy(), {}),
        (mg.tensor([float("nan")]), mg.tensor([float("nan")]), {"equal_nan": True}),
        (mg.tensor([1, 2]), mg.tensor([1, 3]), {"rtol": 0, "atol": 1}),
        (mg.ones(2, requires_grad=True), mg.ones(2), {}),
    ],
)
def test_close(actual, expected, options):
    assert_close(actual, expected, **options)


@pytest.mark.parametrize(
    ("actual", "expected", "match"),
    [
        (X, X + 0.1, "Mismatched elements: 3 / 3"),
        (X, X[:2], "'shape' do not match"),
        (X, X.double(), "'dtype' do not match"),
        ([X], [X, X], "length"),
        ({"a": X}, {"b": X}, "keys"),
        ({"a": [X, X]}, {"a": [X, X + 1]}, r"item \['a'\]\[1\]"),
        (mg.tensor([float("nan")]), mg.tensor([float("nan")]), "not close"),
        (mg.tensor([1, 2]), mg.tensor([1, 3]), "not equal"),
        (1.0, 2.0, "Scalars"),
        (None, X, "None"),
    ],
)
def test_not_close(actual, expected, match):
    with pytest.raises(AssertionError, match=match):
        assert_close(actual, expected)
    with pytest.raises(AssertionError, match="^mine$"):
        assert_close(actual, expected, msg="mine")


def test_arguments():
    with pytest.raises(ValueError, match="must be either specified or omitted"):
        assert_close(X, X, rtol=1)
    with pytest.raises(TypeError):
        assert_close(X, 1.0)
    with pytest.warns(FutureWarning, match="assert_close"):
        assert_allclose(X, [1, 2, 3])
    with pytest.warns(FutureWarning), pytest.raises(AssertionError):
        assert_allclose(X, [1, 2, 4])


@pytest.mark.parametrize("dtype", [mg.float32, mg.float64, mg.int64, mg.uint8, mg.bool, mg.complex64])
def test_make_tensor(dtype):
    made = make_tensor((3, 4), dtype=dtype, device="cpu", noncontiguous=True)
    assert made.shape == (3, 4) and made.dtype is dtype and not made.is_contiguous()
    low = make_tensor(50, dtype=dtype, device="cpu", low=0, high=2, exclude_zero=True)
    assert bool((low != 0).all()) and bool((abs(low.to(mg.float32 if dtype is mg.bool else dtype)) < 3).all())
    with pytest.raises(ValueError, match="low"):
        make_tensor(2, dtype=dtype, device="cpu", low=1, high=1)
