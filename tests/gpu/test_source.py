"""Sources in CUDA C++: found, declared, compiled once, launched; and the emulator that runs them without a GPU."""
import numpy as np
import pytest

from minigrad.backend import cuda_is_available
from minigrad.kernels.cuda import source
from tests.emulator import LaunchError, Program, compiler, kernels_that_wait

TEXT = """
extern "C" __global__ void scale(T* out, const T* x, const unsigned char* mask, long long n, double by) {
  FOR_EACH(i, n) store(out + i, mask && !mask[i] ? (A)0 : load(x + i) * (A)by * TIMES);
}

extern "C" __global__ void row_sums(A* out, const T* x, long long n) {
  A sum = 0;
  for (int i = threadIdx.x; i < n; i += blockDim.x) sum += load(x + blockIdx.x * n + i);
  sum = block_sum(sum);
  if (threadIdx.x == 0) out[blockIdx.x] = sum;
}

extern "C" __global__ void reversed(T* out, const T* x) {
  extern __shared__ T held[];
  held[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  out[threadIdx.x] = held[blockDim.x - 1 - threadIdx.x];
}

extern "C" __global__ void maxima(A* out, const T* x) {
  A value = block_max(load(x + threadIdx.x));
  if (threadIdx.x == 7) *out = value;
}
"""


@pytest.fixture
def made(gpu, tmp_path, monkeypatch):
    (tmp_path / "made.cu").write_text(TEXT)
    (tmp_path / "common.cuh").write_text(source._read("common.cuh"))
    monkeypatch.setattr(source, "FOLDER", str(tmp_path))
    yield source.Source("made.cu", defines={"TIMES": (1, 3)})
    source.SOURCES.pop()


def values(gpu, shape, dtype, seed=0):
    host = np.random.default_rng(seed).standard_normal(shape).astype(dtype)
    return host, gpu.asarray(host)


def dtypes():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    return [np.dtype(name) for name in ("float32", "float64", "float16")] + [np.dtype(ml_dtypes.bfloat16)]


def test_every_dtype_is_computed_in_its_accumulator(gpu, made):
    for dtype in dtypes():
        host, x = values(gpu, 1000, dtype)
        out = gpu.empty(1000, dtype)
        launch = made.kernel("scale", dtype, TIMES=3)
        launch(threads=1000, args=(out, x, None, 1000, 0.1))
        wide = np.promote_types(dtype, np.float32)
        expected = host.astype(wide) * wide.type(0.1) * wide.type(3)
        np.testing.assert_allclose(
            out.get().astype(wide), expected.astype(dtype).astype(wide), rtol=2 * float(np.finfo(wide).eps)
        )
        assert made.kernel("scale", dtype, TIMES=3) is launch


def test_masks_flags_and_fewer_threads_than_elements(gpu, made):
    host, x = values(gpu, 777, np.float32)
    mask = host > 0
    out = gpu.empty(777, np.float32)
    made.kernel("scale", np.dtype("float32"), TIMES=1)(grid=2, block=32, args=(out, x, gpu.asarray(mask), 777, 1.0))
    np.testing.assert_array_equal(out.get(), np.where(mask, host, 0))
    made.kernel("scale", "float32", TIMES=1)(threads=0, args=(out, x, None, 0, 1.0))


@pytest.mark.parametrize("block", [32, 96, 256, 1024])
def test_block_sums(gpu, made, block):
    host, x = values(gpu, (5, 300), np.float32)
    out = gpu.empty(5, np.float32)
    made.kernel("row_sums", np.dtype("float32"), TIMES=1)(grid=5, block=block, args=(out, x, 300))
    np.testing.assert_allclose(out.get(), host.sum(1), rtol=1e-5, atol=1e-5)


def test_maxima_keep_nan(gpu, made):
    host, x = values(gpu, 64, np.float32)
    out = gpu.empty(1, np.float32)
    made.kernel("maxima", np.dtype("float32"), TIMES=1)(grid=1, block=64, args=(out, x))
    assert out.get()[0] == host.max()
    x[40] = np.nan
    made.kernel("maxima", np.dtype("float32"), TIMES=1)(grid=1, block=64, args=(out, x))
    assert np.isnan(out.get()[0])


@pytest.mark.parametrize("count", [64, 200])
def test_dynamic_shared_memory(gpu, made, count):
    host, x = values(gpu, count, np.float64)
    out = gpu.empty(count, np.float64)
    launch = made.kernel("reversed", np.dtype("float64"), TIMES=1)
    launch(grid=1, block=count, args=(out, x), shared=8 * count)
    np.testing.assert_array_equal(out.get(), host[::-1])
    launch(grid=(1, 1), block=(count, 1), args=(out, x), shared=100_000)
    np.testing.assert_array_equal(out.get(), host[::-1])


def test_what_is_not_declared_is_refused(gpu, made):
    for dtype, defines in [("int32", {"TIMES": 1}), ("float32", {"TIMES": 2}), ("float32", {})]:
        with pytest.raises(ValueError, match="not declared"):
            made.kernel("scale", dtype, **defines)


@pytest.mark.skipif(cuda_is_available(), reason="a GPU reads wrong values instead")
@pytest.mark.parametrize(
    "change",
    [{3: 1.0}, {4: 1}, {1: np.float64}, {2: np.float32}, {0: 1.5}],
    ids=["int", "double", "T*", "bytes", "pointer"],
)
def test_arguments_that_do_not_fit_are_refused(gpu, made, change):
    args = [gpu.empty(4, np.float32), gpu.empty(4, np.float32), None, 4, 1.0]
    for i, value in change.items():
        args[i] = gpu.empty(4, value) if isinstance(value, type) else value
    with pytest.raises(LaunchError, match=f"argument {next(iter(change))}"):
        made.kernel("scale", "float32", TIMES=1)(threads=4, args=args)


def test_kernels_that_wait_are_told_from_others():
    assert kernels_that_wait(TEXT + source._read("common.cuh")) >= {"row_sums", "reversed", "maxima", "block_sum"}
    assert "scale" not in kernels_that_wait(TEXT + source._read("common.cuh"))


needs_compiler = pytest.mark.skipif(compiler() is None, reason="needs g++")


@needs_compiler
def test_a_barrier_that_not_all_reach_is_reported():
    program = Program(
        'extern "C" __global__ void stuck(int* x) { if (threadIdx.x) __syncthreads(); else __shfl_sync(~0u, 1, 0); }'
    )
    with pytest.raises(LaunchError, match="never come"):
        program.launch("stuck", (1,), (32,), [np.zeros(1, np.int32)])


@needs_compiler
@pytest.mark.parametrize("step", [1, 31], ids=["the next", "the one before"])
@pytest.mark.parametrize("barrier", [True, False])
def test_a_missing_barrier_shows(step, barrier):
    """Each thread reads what its neighbour wrote, on either side."""
    program = Program(
        """extern "C" __global__ void turn(int* out, const int* x, long long step) {
             __shared__ int held[32];
             int i = threadIdx.x;
             held[i] = -1;
             __syncthreads();
             held[i] = x[i];
             BARRIER
             out[blockIdx.x * 32 + i] = held[(i + step) % 32];
           }""".replace("BARRIER", "__syncthreads();" if barrier else "")
    )
    x, out = np.arange(32, dtype=np.int32), np.zeros((2, 32), np.int32)
    program.launch("turn", (2,), (32,), [out, x, step])
    expected = np.tile(np.roll(x, -step), (2, 1))
    assert np.array_equal(out, expected) == barrier
    assert np.array_equal(out[0], expected[0]) == barrier
    assert np.array_equal(out[1], expected[1]) == barrier
