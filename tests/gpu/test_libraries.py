"""cuBLAS and cuDNN themselves, against NumPy; needs a GPU. What calls them is tested without: tests/kernels."""

import itertools

import pytest

import minigrad as mg
from minigrad.backend import CUDNN, cublas, cuda_is_available, cudnn, cupy_module, np
from minigrad.backend.dtypes import DTYPES
from minigrad.kernels import conv
from minigrad.kernels.conv.reference import forward_reference, input_reference, weight_reference
from minigrad.kernels.matmul import matmul, matmul_into

pytestmark = pytest.mark.skipif(not cuda_is_available(), reason="needs a GPU")
# One rounding of the type, and sums in float32; TF32 has ten bits of mantissa.
TOLERANCE = {"float32": 3e-5, "float64": 1e-12, "float16": 2e-3, "bfloat16": 2e-2, "complex64": 1e-5, "tf32": 3e-3}


@pytest.fixture(autouse=True)
def switches():
    """The switches, put back afterwards."""
    before = dict(vars(CUDNN))
    yield mg.backends.cudnn
    vars(CUDNN).clear()
    vars(CUDNN).update(before)
    mg.set_float32_matmul_precision("highest")


def needs(library):
    if not library.is_available():
        pytest.skip(f"{library.__name__} is not installed")


def numbers(shape, name, seed=0):
    generator = np.random.default_rng(seed)
    values = generator.standard_normal(shape)
    if name.startswith("complex"):
        values = values + 1j * generator.standard_normal(shape)
    return values.astype(DTYPES["float32" if name == "tf32" else name].numpy)


def wide(values):
    return values.astype(np.complex128 if values.dtype.kind == "c" else np.float64)


def close(found, expected, name):
    host = wide(found.get())
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    np.testing.assert_allclose(host / scale, expected / scale, rtol=0, atol=TOLERANCE[name])


# ---------------------------------------------------------------------- cuBLAS
PRODUCTS = [
    ((64, 96), (96, 80)), ((7, 5), (5, 3)), ((1, 33), (33, 1)), ((6, 20, 30), (6, 30, 10)), ((6, 20, 30), (30, 10)),
    ((20, 30), (6, 30, 10)), ((5, 8, 16), (7, 5, 16, 9)), ((2, 3, 1, 4), (2, 1, 4, 5)),
]  # fmt: skip


@pytest.mark.parametrize(("left", "right"), PRODUCTS)
@pytest.mark.parametrize("name", TOLERANCE)
@pytest.mark.parametrize("transposed", [(False, False), (True, False), (False, True), (True, True)])
def test_products(left, right, name, transposed):
    needs(cublas)
    if name == "tf32":
        mg.set_float32_matmul_precision("high")
    a, b = numbers(left, name), numbers(right, name, 1)
    gpu = cupy_module().asarray
    x, y = (
        gpu(np.ascontiguousarray(v.swapaxes(-1, -2))).swapaxes(-1, -2) if turned else gpu(v)
        for v, turned in zip((a, b), transposed, strict=True)
    )
    assert cublas.takes(x, y)
    expected = wide(a) @ wide(b)
    out = matmul(x, y)
    close(out, expected, name)
    matmul_into(x, y, out, add=True)
    close(out, 2 * expected, name)


def test_tf32_rounds_and_float32_does_not():
    needs(cublas)
    a, b = numbers((256, 512), "float32"), numbers((512, 256), "float32", 1)
    x, y = map(cupy_module().asarray, (a, b))
    exact = wide(a) @ wide(b)
    errors = []
    for precision in ("highest", "high"):
        mg.set_float32_matmul_precision(precision)
        errors.append(np.abs(matmul(x, y).get() - exact).max())
    assert errors[0] < 2e-4 < errors[1] < 0.2


# ---------------------------------------------------------------------- cuDNN
CASES = {
    "3x3": ((4, 16, 14, 15), (32, 16, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    "first": ((2, 3, 32, 32), (16, 3, 7, 7), (2, 2), (3, 3), (1, 1), 1),
    "1x1": ((4, 32, 9, 9), (64, 32, 1, 1), (1, 1), (0, 0), (1, 1), 1),
    "odd": ((3, 5, 13, 11), (7, 5, 2, 3), (2, 1), (0, 1), (1, 1), 1),
    "dilated": ((2, 16, 20, 20), (16, 16, 3, 3), (1, 1), (2, 2), (2, 2), 1),
    "groups": ((2, 16, 12, 12), (32, 8, 3, 3), (1, 1), (1, 1), (1, 1), 2),
    "depthwise": ((2, 16, 12, 12), (16, 1, 3, 3), (1, 1), (1, 1), (1, 1), 16),
    "1-d": ((4, 8, 40), (16, 8, 5), (2,), (2,), (1,), 1),
    "3-d": ((2, 8, 6, 10, 10), (16, 8, 3, 3, 3), (1, 1, 1), (1, 1, 1), (1, 1, 1), 1),
}
NAMES = ["float32", "tf32", "float64", "float16", "bfloat16"]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", ["heuristics", "benchmark", "deterministic"])
def test_convolutions(switches, case, name, mode):
    needs(cudnn)
    switches.allow_tf32, switches.benchmark = name == "tf32", mode == "benchmark"
    switches.deterministic = mode == "deterministic"
    shape, kernel, *settings, groups = case
    x, w, bias = numbers(shape, name), numbers(kernel, name, 1), numbers(kernel[:1], name, 2)
    exact = [wide(v) for v in (x, w, bias)]
    y = forward_reference(*exact, *settings, groups)
    g = numbers(y.shape, name, 3)
    gx, gw, gb, gg = map(cupy_module().asarray, (x, w, bias, g))
    close(conv.convolve(gx, gw, gb, *settings, groups), y, name)
    close(conv.convolve(gx, gw, gb, *settings, groups, relu=True), np.maximum(y, 0), name)
    close(conv.convolve_input(gg, gw, shape[2:], *settings, groups),
          input_reference(wide(g), exact[1], shape[2:], *settings, groups), name)  # fmt: skip
    close(conv.convolve_weight(gg, gx, kernel[2:], *settings, groups),
          weight_reference(wide(g), exact[0], kernel[2:], *settings, groups), name)  # fmt: skip


@pytest.mark.parametrize("kind", ["forward", "input", "weight"])
@pytest.mark.parametrize("name", ["float32", "tf32"])
def test_gradients_are_added_to_what_is_there(switches, kind, name):
    needs(cudnn)
    switches.allow_tf32 = name == "tf32"
    x, w, y = (numbers(shape, name, i) for i, shape in enumerate(((4, 16, 9, 9), (8, 16, 3, 3), (4, 8, 9, 9))))
    settings = (1, 1), (1, 1), (1, 1)
    arrays = [cupy_module().asarray(v) for v in (x, w, y)]
    assert cudnn.convolution(kind, *arrays, *settings, channels_last=False, beta=1.0)
    x, w, y = map(wide, (x, w, y))
    position, expected = {
        "forward": (2, y + forward_reference(x, w, None, *settings, 1)),
        "input": (0, x + input_reference(y, w, (9, 9), *settings, 1)),
        "weight": (1, w + weight_reference(y, x, (3, 3), *settings, 1)),
    }[kind]
    close(arrays[position], expected, name)


@pytest.mark.parametrize("tf32", [True, False])
def test_relu_of_nan_is_nan(switches, tf32):
    needs(cudnn)
    switches.allow_tf32 = tf32
    x, w, bias = (numbers(shape, "float32", i) for i, shape in enumerate(((2, 16, 8, 8), (16, 16, 3, 3), (16,))))
    x[0, 0, 4, 4] = np.nan
    y = conv.convolve(*map(cupy_module().asarray, (x, w, bias)), (1, 1), (1, 1), (1, 1), 1, relu=True).get()
    assert np.isnan(y[0, :, 3:6, 3:6]).all() and not np.isnan(y[1]).any()


def test_one_captured_graph_of_both_computes_again():
    """After a first run, which makes handles, plans and memory, everything is legal during a capture."""
    needs(cublas)
    needs(cudnn)
    cupy = cupy_module()
    stream = cupy.cuda.Stream(non_blocking=True)
    pool = cupy.cuda.MemoryPool()
    x, w, m = (cupy.asarray(numbers(shape, "float32")) for shape in ((2, 8, 6, 6), (4, 8, 3, 3), (144, 5)))
    cupy.cuda.Device().synchronize()

    def run():
        y = conv.convolve(x, w, None, (1, 1), (1, 1), (1, 1), 1)
        gw = conv.convolve_weight(y, x, (3, 3), (1, 1), (1, 1), (1, 1), 1)
        return matmul(y.reshape(2, 144), m), gw

    with stream, cupy.cuda.using_allocator(pool.malloc):
        for _ in range(2):
            run()
        stream.synchronize()
        stream.begin_capture()
        out, gw = run()
        graph = stream.end_capture()
        for seed in (5, 6):
            x.set(numbers(x.shape, "float32", seed))
            graph.launch()
            stream.synchronize()
            y = forward_reference(wide(x.get()), wide(w.get()), None, (1, 1), (1, 1), (1, 1), 1)
            close(out, y.reshape(2, 144) @ wide(m.get()), "tf32")
            close(gw, weight_reference(y, wide(x.get()), (3, 3), (1, 1), (1, 1), (1, 1), 1), "tf32")


def test_streams_side_by_side_do_not_share_workspaces():
    needs(cudnn)
    cupy = cupy_module()
    streams = [cupy.cuda.Stream(non_blocking=True) for _ in range(2)]
    x, w = numbers((8, 32, 28, 28), "float32"), numbers((32, 32, 3, 3), "float32", 1)
    gx, gw = map(cupy.asarray, (x, w))
    cupy.cuda.Device().synchronize()
    found = []
    for _, stream in itertools.product(range(4), streams):
        with stream:
            found.append(conv.convolve_weight(conv.convolve(gx, gw, None, (1, 1), (1, 1), (1, 1), 1), gx, (3, 3),
                                              (1, 1), (1, 1), (1, 1), 1))  # fmt: skip
    cupy.cuda.Device().synchronize()
    y = forward_reference(wide(x), wide(w), None, (1, 1), (1, 1), (1, 1), 1)
    expected = weight_reference(y, wide(x), (3, 3), (1, 1), (1, 1), (1, 1), 1)
    for each in found:
        close(each, expected, "tf32")
