"""Matrix products of GPU arrays through the binding of cuBLAS, here with a stand-in that computes on host memory."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad.backend import PRODUCTS, cublas, has_bfloat16
from minigrad.backend.devices import cupy_module
from minigrad.kernels.matmul import matmul, matmul_into
from tests import fake_nvidia
from tests.fake_nvidia import BFLOAT16

TOLERANCE = {"f": 1e-5, "d": 1e-12, "e": 2e-3, "E": 2e-2, "F": 1e-5, "D": 1e-12}
TYPES = [np.float32, np.float64, np.float16, np.complex64, np.complex128]
TYPES += [BFLOAT16] if has_bfloat16() else []


@pytest.fixture
def library():
    found = fake_nvidia.Cublas()
    with fake_nvidia.installed(cublas=found) as cupy:
        cupy_module()
        found.cupy = cupy
        yield found


def numbers(shape, dtype, seed=0):
    generator = np.random.default_rng(seed)
    values = generator.standard_normal(shape)
    return (values + 1j * generator.standard_normal(shape) if np.dtype(dtype).kind == "c" else values).astype(dtype)


def laid_out(cupy, values, layout):
    """Return a GPU array of the values whose memory lies in a given way."""
    if layout == "columns":
        return cupy.asarray(np.ascontiguousarray(values.swapaxes(-1, -2))).swapaxes(-1, -2)
    if layout == "part":  # of larger matrices
        whole = np.zeros((*values.shape[:-2], values.shape[-2] + 1, values.shape[-1] + 3), values.dtype)
        whole[..., 1:, 2:-1] = values
        return cupy.asarray(whole)[..., 1:, 2:-1]
    if layout == "stepped":
        whole = np.zeros((*values.shape[:-1], 2 * values.shape[-1]), values.dtype)
        whole[..., ::2] = values
        return cupy.asarray(whole)[..., ::2]
    if layout == "backwards":
        return cupy.asarray(np.ascontiguousarray(values[..., ::-1, :]))[..., ::-1, :]
    if layout == "moved":  # the batch's last dimension lies between rows, as heads of attention do
        return cupy.asarray(np.ascontiguousarray(values.swapaxes(-2, -3))).swapaxes(-2, -3)
    return cupy.asarray(values)


def checked(a, b, out, expected):
    tolerance = TOLERANCE[a.dtype.char]
    assert out.dtype == a.dtype and out.shape == expected.shape
    wide = np.complex128 if a.dtype.kind == "c" else np.float64
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    np.testing.assert_allclose(out.get().astype(wide), expected, rtol=tolerance, atol=tolerance * scale)


def exact(a, b):
    wide = np.complex128 if a.dtype.kind == "c" else np.float64
    return a.astype(wide) @ b.astype(wide)


@pytest.mark.parametrize("dtype", TYPES, ids=lambda dtype: np.dtype(dtype).name)
@pytest.mark.parametrize("right", ["rows", "columns", "part", "stepped"])
@pytest.mark.parametrize("left", ["rows", "columns", "part", "backwards"])
def test_matrices_are_read_where_they_lie(library, dtype, left, right):
    a, b = numbers((3, 4), dtype), numbers((4, 5), dtype, 1)
    out = matmul(laid_out(library.cupy, a, left), laid_out(library.cupy, b, right))
    checked(a, b, out, exact(a, b))
    assert library.count("gemm") == 1 and library.count("batch") == 0


BATCHES = [
    # shapes, layouts, calls
    ((6, 2, 3), (6, 3, 4), "rows", "rows", 1),
    ((6, 2, 3), (6, 3, 4), "columns", "columns", 1),
    ((6, 2, 3), (3, 4), "rows", "rows", 1),  # one tall product
    ((6, 2, 3), (3, 4), "part", "part", 1),  # one batch
    ((2, 3), (6, 3, 4), "rows", "columns", 1),
    ((2, 5, 2, 3), (2, 5, 3, 4), "rows", "columns", 1),
    ((2, 5, 2, 3), (2, 5, 3, 4), "moved", "rows", 2),
    ((20, 9, 2, 3), (20, 9, 3, 4), "moved", "moved", 1),  # copied first: 180 products
    ((3, 1, 2, 3), (1, 5, 3, 4), "rows", "rows", 3),
    ((5, 2, 3), (7, 5, 3, 4), "rows", "rows", 5),  # grouped kernels
    ((1, 2, 3), (7, 1, 3, 4), "rows", "rows", 1),
    ((12, 11, 2, 3), (12, 1, 3, 4), "rows", "rows", 11),
    ((4, 1, 1), (4, 1, 1), "rows", "rows", 1),
    ((4, 1, 3), (4, 3, 1), "part", "columns", 1),
]


@pytest.mark.parametrize(("shape", "other", "left", "right", "calls"), BATCHES)
@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.complex128], ids=lambda dtype: dtype.__name__)
def test_batches(library, dtype, shape, other, left, right, calls):
    a, b = numbers(shape, dtype), numbers(other, dtype, 1)
    out = matmul(laid_out(library.cupy, a, left), laid_out(library.cupy, b, right))
    checked(a, b, out, exact(a, b))
    assert library.count("gemm") + library.count("batch") == calls


@pytest.mark.parametrize(
    ("shape", "other"),
    [((3,), (3,)), ((3,), (3, 4)), ((2, 3), (3,)), ((5, 2, 3), (3,)), ((3,), (5, 3, 4)), ((0,), (0,)), ((3,), (3, 1))],
)
def test_vectors(library, shape, other):
    a, b = numbers(shape, np.float64), numbers(other, np.float64, 1)
    out = matmul(library.cupy.asarray(a), library.cupy.asarray(b))
    checked(a, b, out, np.asarray(exact(a, b)))


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_any_shapes_and_layouts(data):
    library = fake_nvidia.Cublas()
    with fake_nvidia.installed(cublas=library) as cupy:
        cupy_module()
        length = st.integers(0, 3)
        rows, depth, columns = data.draw(length), data.draw(length), data.draw(length)
        batch = data.draw(st.lists(st.integers(1, 4), max_size=3))
        parts = [[data.draw(st.sampled_from((size, 1))) for size in batch][data.draw(st.integers(0, 3)) :]
                 for _ in range(2)]  # fmt: skip
        layouts = st.sampled_from(("rows", "columns", "part", "stepped", "backwards"))
        a, b = numbers((*parts[0], rows, depth), np.float64), numbers((*parts[1], depth, columns), np.float64, 1)
        x, y = laid_out(cupy, a, data.draw(layouts)), laid_out(cupy, b, data.draw(layouts))
        if data.draw(st.booleans()) and x.ndim > 2:
            order = (*range(x.ndim - 3, -1, -1), x.ndim - 2, x.ndim - 1)
            a, x = a.transpose(order), x.transpose(order)
            if y.ndim > 2:
                back = (*range(y.ndim - 3, -1, -1), y.ndim - 2, y.ndim - 1)
                b, y = b.transpose(back), y.transpose(back)
        try:
            expected = exact(a, b)
        except ValueError:
            with pytest.raises(ValueError):
                matmul(x, y)
        else:
            checked(a, b, matmul(x, y), expected)


@pytest.mark.parametrize("layout", ["rows", "columns", "part", "stepped", "backwards", "moved"])
@pytest.mark.parametrize("beta", [0.0, 1.0, 0.5])
def test_products_are_added_to_what_is_there(library, layout, beta):
    a, b = numbers((2, 3, 4, 5), np.float32), numbers((2, 1, 5, 6), np.float32, 1)
    c = numbers((2, 3, 4, 6), np.float32, 2)
    out = laid_out(library.cupy, c.copy(), layout)
    before = out.data.ptr, out.strides
    result = cublas.gemm(library.cupy.asarray(a), library.cupy.asarray(b), out, alpha=2.0, beta=beta)
    assert result is out and (out.data.ptr, out.strides) == before
    checked(a, b, out, 2 * exact(a, b) + beta * c)


def test_what_was_in_memory_does_not_matter_without_beta(library):
    a, b = library.cupy.asarray(np.ones((2, 3), np.float32)), library.cupy.asarray(np.ones((3, 2), np.float32))
    out = library.cupy.asarray(np.full((2, 2), np.nan, np.float32))
    assert matmul_into(a, b, out) is out and out.get().tolist() == [[3.0, 3.0], [3.0, 3.0]]


@pytest.mark.parametrize(("beta", "expected"), [(0.0, 0.0), (1.0, 7.0)])
def test_no_depth(library, beta, expected):
    cupy = library.cupy
    a, b = cupy.asarray(np.ones((2, 0), np.float32)), cupy.asarray(np.ones((0, 3), np.float32))
    out = cublas.gemm(a, b, cupy.asarray(np.full((2, 3), 7, np.float32)), beta=beta)
    assert out.get().tolist() == [[expected] * 3] * 2 and library.count("gemm") == 0


def test_shapes_and_types_that_do_not_fit(library):
    cupy = library.cupy
    a, b = cupy.asarray(np.ones((2, 3), np.float32)), cupy.asarray(np.ones((2, 3), np.float32))
    with pytest.raises(ValueError, match="do not fit"):
        cublas.gemm(a, b)
    with pytest.raises(ValueError, match="out is"):
        cublas.gemm(a, b.T, cupy.asarray(np.ones((2, 3), np.float32)))
    with pytest.raises(RuntimeError, match="cannot be multiplied|do not fit|mismatch"):
        mg.ones(2, 3).to("cuda") @ mg.ones(2, 3).to("cuda")
    library.status = 15
    with pytest.raises(RuntimeError, match=r"cuBLAS: a matrix product failed: not supported \(status 15\)"):
        cublas.gemm(a, b.T)


def test_integers_and_a_missing_library_are_left_to_cupy(library):
    cupy = library.cupy
    ints = cupy.asarray(np.arange(4).reshape(2, 2))
    assert matmul(ints, ints).get().tolist() == [[2, 3], [6, 11]]
    fake_nvidia.libraries.LOADED["cublas"] = None
    a = cupy.asarray(np.ones((2, 2), np.float32))
    assert not cublas.is_available() and matmul(a, a).get().tolist() == [[2.0, 2.0]] * 2
    assert library.calls == []


def test_the_handle_follows_the_stream_and_brings_its_workspace(library):
    cupy = library.cupy
    a = cupy.asarray(np.ones((2, 2), np.float32))
    for _ in range(2):
        matmul(a, a)
    first = [call for call in library.calls if call[0] != "gemm"]
    assert [call[0] for call in first] == ["create", "stream", "workspace"]
    assert first[2][2] == cublas.WORKSPACE == 32 << 20
    cupy.stream = fake_nvidia.Stream(77)
    matmul(a, a)
    cupy.stream = fake_nvidia.Stream(0)
    matmul(a, a)
    assert library.count("create") == 1 and [c[1] for c in library.calls if c[0] == "stream"] == [0, 77, 0]
    spaces = [call[1] for call in library.calls if call[0] == "workspace"]
    assert spaces[0] == spaces[2] != spaces[1]  # streams run side by side, so each has memory of its own


def test_each_thread_has_a_handle(library):
    import threading

    a = library.cupy.asarray(np.ones((2, 2), np.float32))
    matmul(a, a)
    thread = threading.Thread(target=matmul, args=(a, a))
    thread.start()
    thread.join()
    assert library.count("create") == 2


# ---------------------------------------------------------------------- precision


@pytest.fixture
def precision():
    """The switches, put back afterwards."""
    matmul_switches = mg.backends.cuda.matmul
    yield matmul_switches
    mg.set_float32_matmul_precision("highest")
    matmul_switches.allow_fp16_reduced_precision_reduction = True
    matmul_switches.allow_bf16_reduced_precision_reduction = True


PRECISIONS = [(np.float32, 68, 77), (np.complex64, 68, 77), (np.float64, 70, 70), (np.float16, 68, 68)]


@pytest.mark.parametrize(("dtype", "plain", "tf32"), PRECISIONS)
def test_tf32_is_used_when_allowed(library, precision, dtype, plain, tf32):
    a = library.cupy.asarray(np.ones((2, 2, 2), dtype))
    matmul(a, a)
    mg.set_float32_matmul_precision("high")
    matmul(a, a)
    precision.allow_tf32 = False
    matmul(a, a)
    assert [call[2] for call in library.calls if call[0] == "batch"] == [plain, tf32, plain]


def test_the_two_names_of_tf32_agree(precision):
    assert precision.allow_tf32 is False and mg.get_float32_matmul_precision() == "highest"
    for name, allowed in (("high", True), ("medium", True), ("highest", False)):
        mg.set_float32_matmul_precision(name)
        assert precision.allow_tf32 is allowed and mg.get_float32_matmul_precision() == name
    precision.allow_tf32 = True
    assert mg.get_float32_matmul_precision() == "high"
    precision.allow_tf32 = False
    assert mg.get_float32_matmul_precision() == "highest"
    with pytest.raises(RuntimeError, match="expects a bool, but got int"):
        precision.allow_tf32 = 1
    with pytest.raises(AttributeError):
        precision.allow_tf64 = True
    assert PRODUCTS.precision == "highest"


@pytest.mark.parametrize(("dtype", "name"), [(np.float16, "fp16"), (BFLOAT16, "bf16")])
def test_sums_of_parts_in_the_arrays_type_can_be_forbidden(library, precision, dtype, name):
    if dtype == np.float32:
        pytest.skip("needs ml_dtypes")
    a = library.cupy.asarray(np.ones((2, 2), dtype))
    wide = library.cupy.asarray(np.ones((2, 2), np.float32))
    matmul(a, a)
    setattr(precision, f"allow_{name}_reduced_precision_reduction", False)
    assert getattr(precision, f"allow_{name}_reduced_precision_reduction") is False
    matmul(a, a)
    matmul(wide, wide)
    assert [call[3] for call in library.calls if call[0] == "gemm"] == [0, 16, 0]


# ---------------------------------------------------------------------- tensors


def test_a_network_of_tensors_multiplies_by_cublas(library):
    mg.manual_seed(0)
    layer = mg.nn.Linear(4, 3)
    x = mg.randn(5, 2, 4)
    layer(x).square().sum().backward()
    expected = layer.weight.grad.clone()
    layer.zero_grad()
    layer.to("cuda")
    layer(x.to("cuda")).square().sum().backward()
    assert mg.allclose(layer.weight.grad.cpu(), expected, atol=1e-5)
    assert library.count("gemm") + library.count("batch") >= 2


def test_the_library_is_looked_for_once(monkeypatch):
    monkeypatch.setattr(fake_nvidia.libraries, "LOADED", {})
    monkeypatch.setattr(fake_nvidia.libraries, "_paths", lambda file: iter((f"/nowhere/{file}",)))
    monkeypatch.setattr(fake_nvidia.libraries, "_loaded", lambda file: None)
    assert not cublas.is_available() and fake_nvidia.libraries.LOADED == {"cublas": None}
    monkeypatch.setattr(fake_nvidia.libraries, "_paths", None)
    assert not cublas.is_available()
