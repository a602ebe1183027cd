"""What CuPy does not do by itself: functions that would raise there for some dtypes, and arguments it insists on."""
import pytest

import minigrad as mg
from minigrad.backend import cuda_is_available


@pytest.mark.parametrize("name", ["logical_and", "logical_or", "logical_xor"])
def test_logic_of_complex_numbers(gpu, name):
    x, y = mg.tensor([0j, 1j, 1 + 0j, 0j]), mg.tensor([0j, 0j, 2j, 3 + 0j])
    expected = getattr(mg, name)(x, y).tolist()
    assert getattr(mg, name)(x.to("cuda"), y.to("cuda")).tolist() == expected
    assert getattr(x.to("cuda"), name)(mg.tensor([True, False, True, True], device="cuda")).tolist() == getattr(
        x, name
    )(mg.tensor([True, False, True, True])).tolist()


def test_not_of_complex_numbers(gpu):
    x = mg.tensor([0j, 1j], device="cuda")
    assert mg.logical_not(x).tolist() == x.logical_not().tolist() == [True, False]


def test_sorting_bfloat16(gpu):
    x = mg.tensor([3.0, -1.0, 3.0, 0.5]).to(mg.bfloat16).to("cuda")
    values, inverse, counts = mg.unique(x, return_inverse=True, return_counts=True)
    assert values.dtype == mg.bfloat16 and values.is_cuda
    assert (values.tolist(), inverse.tolist(), counts.tolist()) == ([-1.0, 0.5, 3.0], [2, 0, 2, 1], [1, 1, 2])
    assert mg.unique(mg.stack([x, x]), dim=0).tolist() == [x.tolist()]
    assert mg.isin(x, x[1:2]).tolist() == [False, True, False, False]
    assert mg.sort(x)[0].tolist() == [-1.0, 0.5, 3.0, 3.0]
    assert x.topk(2)[0].tolist() == [3.0, 3.0]
    assert x.median().item() == 0.5


@pytest.mark.skipif(not cuda_is_available(), reason="the stand-in's ranges are tested in test_cuda_memory.py")
def test_ranges_of_the_profiler(gpu):
    number = mg.cuda.nvtx.range_start("a")
    assert isinstance(number, int)
    mg.cuda.nvtx.range_end(number)
