"""Matrix products against NumPy's, the shapes with a way of their own among them."""

import numpy as np
import pytest

from minigrad.kernels.matmul import LARGE_OUTER, matmul

SHAPES = [
    ((1, 1), (1, 1)),
    ((3, 1), (1, 5)),
    ((LARGE_OUTER // 1024, 1), (1, 1024)),
    ((LARGE_OUTER // 1500 + 1, 1), (1, 1500)),
    ((1, 30), (30, 4)),
    ((0, 3), (3, 2)),
    ((2, 0), (0, 3)),
    ((2, 3, 4), (4, 5)),
]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64])
@pytest.mark.parametrize(("first", "second"), SHAPES, ids=str)
def test_matmul(first, second, dtype):
    rng = np.random.default_rng(0)
    a, b = (rng.integers(-4, 5, shape).astype(dtype) for shape in (first, second))  # whole numbers: exact in float16
    actual = matmul(a, b)
    assert actual.dtype == dtype
    np.testing.assert_array_equal(actual, np.matmul(a.astype(np.int64), b.astype(np.int64)))
    np.testing.assert_array_equal(matmul(a[::-1], b), actual[..., ::-1, :] if a.ndim == 2 else actual[::-1])
