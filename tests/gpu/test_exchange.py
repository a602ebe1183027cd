"""Arrays of other libraries on a GPU: DLPack, __cuda_array_interface__; with PyTorch where it sees a GPU."""

import numpy as np
import pytest

import minigrad as mg
from tests import fake_cupy

REAL = mg.cuda.is_available()
on_the_stand_in = pytest.mark.skipif(REAL, reason="the stand-in tells what it was asked for")


@pytest.fixture
def torch(gpu):
    torch = pytest.importorskip("torch")
    if not (REAL and torch.cuda.is_available()):
        pytest.skip("PyTorch sees no GPU")
    return torch


DTYPES = [mg.float32, mg.float64, mg.float16, mg.bfloat16, mg.int64, mg.uint8, mg.bool, mg.complex64]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_capsules_share_memory(gpu, dtype):
    x = mg.tensor([[1, 0, 2], [3, 4, 0]], device="cuda").to(dtype)
    for version in (None, (1, 0)):
        for source in (x, x.t(), x[:, 1:]):
            again = mg.from_dlpack(source.__dlpack__(max_version=version))
            assert again.dtype is dtype and again.data_ptr() == source.data_ptr()
            assert again.shape == source.shape and again.stride() == source.stride()
            assert again.tolist() == source.tolist() and again.device == source.device
    kind, index = x.__dlpack_device__()
    assert (int(kind), index) == (2, 0)
    assert mg.from_dlpack(x, copy=True).data_ptr() != x.data_ptr()


def test_cupys_arrays_go_in_and_out(gpu):
    x = mg.arange(4.0, device="cuda")
    theirs = gpu.from_dlpack(x)
    theirs += 1
    assert x.tolist() == [1, 2, 3, 4] and mg.from_dlpack(theirs).data_ptr() == x.data_ptr()
    with pytest.raises(BufferError, match="require gradient"):
        gpu.from_dlpack(mg.ones(1, device="cuda", requires_grad=True))


@on_the_stand_in
def test_streams_are_handed_on(gpu):
    x = mg.ones(2, device="cuda")
    fake_cupy.EXPORTS.clear()
    for stream in (-1, None, 1, 77):
        x.__dlpack__(stream=stream, max_version=(1, 0))
    x.__dlpack__()
    assert fake_cupy.EXPORTS == [(-1, (1, 0)), (None, (1, 0)), (1, (1, 0)), (77, (1, 0)), (-1, None)]
    with pytest.raises(AssertionError, match="unsupported stream on CUDA: 0"):
        x.__dlpack__(stream=0)
    fake_cupy.EXPORTS.clear()
    side = mg.cuda.Stream()
    mg.from_dlpack(x.array)
    with side:
        mg.from_dlpack(x.array)
    assert [stream for stream, _ in fake_cupy.EXPORTS] == [1, side.cuda_stream]


def test_cuda_array_interface(gpu):
    x = mg.arange(6.0, device="cuda").reshape(2, 3)
    interface = x.__cuda_array_interface__
    assert interface["shape"] == (2, 3) and interface["typestr"] == "<f4" and interface["version"] >= 2
    assert interface["data"][0] == x.data_ptr()
    for wrong, error in (
        (mg.ones(2), AttributeError),
        (mg.ones(2, device="cuda", requires_grad=True), RuntimeError),
        (mg.ones(2, device="cuda", dtype=mg.bfloat16), TypeError),
    ):
        with pytest.raises(error, match="__cuda_array_interface__"):
            _ = wrong.__cuda_array_interface__


# ---------------------------------------------------------------------- beside PyTorch
@pytest.mark.parametrize("name", ["float32", "float16", "bfloat16", "int64", "bool"])
def test_pytorchs_tensors_share_memory(torch, name):
    theirs = torch.tensor([[1, 0, 2], [3, 4, 0]], device="cuda").to(getattr(torch, name))
    for source in (theirs, theirs.t()):
        ours = mg.from_dlpack(source)
        assert ours.data_ptr() == source.data_ptr() and ours.dtype.name == name
        assert ours.tolist() == source.tolist() and ours.stride() == source.stride()
        back = torch.from_dlpack(ours)
        assert back.data_ptr() == source.data_ptr() and back.dtype is source.dtype
    if name != "bool":
        ours += 1
        torch.cuda.synchronize()
        mg.cuda.synchronize()
        assert theirs.t().tolist() == ours.tolist()


def test_pytorchs_streams_are_waited_for(torch):
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        big = torch.ones(1 << 24, device="cuda")
        for _ in range(50):
            big = big * 1.0001
        ours = mg.from_dlpack(big)
    expected = np.float32(1.0)
    for _ in range(50):
        expected = np.float32(expected * np.float32(1.0001))
    np.testing.assert_allclose(float(ours.mean()), expected, rtol=1e-4)
    x = mg.arange(6.0, device="cuda").reshape(2, 3)
    assert torch.as_tensor(x, device="cuda").tolist() == x.tolist()
