"""Arrays in row-major and channels-last order, and copies from one to the other."""

import pytest

from minigrad.backend import cupy_module, has_bfloat16, np
from minigrad.backend.dtypes import DTYPES
from minigrad.kernels.cuda.order import in_order, is_dense

SHAPES = [(2, 3, 4), (3, 33, 40), (1, 70, 5, 9), (5, 2, 1, 1), (2, 1, 3, 3), (4, 65, 3, 3), (2, 4, 3, 2, 5)]
TYPES = ["float32", "float64", "float16", "complex64", "complex128", *(["bfloat16"] if has_bfloat16() else [])]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", TYPES)
def test_there_and_back(gpu, shape, name):
    cupy_module()
    values = np.random.default_rng(0).standard_normal(shape).astype(DTYPES[name].numpy)
    x = gpu.asarray(values)
    last = in_order(x, True)
    assert is_dense(last, True) and last.dtype == x.dtype and (last is x) == is_dense(x, True)
    assert last.get().tobytes() == values.tobytes()
    back = in_order(last, False)
    assert back.flags.c_contiguous and back.get().tobytes() == values.tobytes()
    assert in_order(last, True) is last and in_order(back, False) is back


@pytest.mark.parametrize("last", [True, False])
def test_other_orders_are_copied_too(gpu, last):
    cupy_module()
    values = np.arange(2.0 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
    whole = gpu.asarray(np.pad(values, ((0, 0), (1, 1), (0, 0), (2, 0))))
    for x in (gpu.asarray(np.ascontiguousarray(values.T)).transpose(3, 2, 1, 0), whole[:, 1:-1, :, 2:]):
        found = in_order(x, last)
        assert found is not x and is_dense(found, last) and found.get().tolist() == values.tolist()


def test_empty_arrays(gpu):
    cupy_module()
    assert in_order(gpu.asarray(np.zeros((0, 3, 2, 2))), True).shape == (0, 3, 2, 2)
