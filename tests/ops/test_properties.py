"""Properties over shapes, strides, broadcasting, dtypes and axes, against NumPy and against themselves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg

FLOATS = ["float16", "float32", "float64"]
INTEGERS = ["uint8", "int8", "int16", "int32", "int64"]
DTYPES = ["bool", *INTEGERS, *FLOATS]
# PyTorch's category of each dtype: a higher one decides alone.
CATEGORY = {name: 0 if name == "bool" else 1 if name in INTEGERS else 2 for name in DTYPES}

shapes = st.lists(st.integers(0, 4), max_size=4).map(tuple)


@st.composite
def broadcastable(draw, count=2):
    """Draw shapes that broadcast together."""
    full = draw(st.lists(st.integers(0, 4), max_size=4))
    drawn = []
    for _ in range(count):
        start = draw(st.integers(0, len(full)))
        drawn.append(tuple(1 if draw(st.booleans()) else length for length in full[start:]))
    return drawn


@st.composite
def strided_array(draw, shape, dtype="float64"):
    """Draw an array with its dimensions in any order in memory and gaps between its elements."""
    order = draw(st.permutations(range(len(shape))))
    gap = draw(st.integers(1, 2))
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    memory = np.zeros([shape[dim] * gap for dim in order], dtype)
    view = memory[(*(slice(None, None, gap) for _ in order), ...)].transpose(np.argsort(order).astype(int))
    view[...] = rng.integers(-5, 6, shape) if dtype != "bool" else rng.integers(0, 2, shape)
    return view


@given(st.data(), broadcastable(), st.sampled_from(["add", "subtract", "multiply", "maximum", "minimum"]))
def test_binary_ops_broadcast_like_numpy(data, drawn, name):
    a, b = (data.draw(strided_array(shape)) for shape in drawn)
    result = getattr(mg, name)(mg.from_numpy(a), mg.from_numpy(b))
    np.testing.assert_array_equal(result.numpy(), getattr(np, name)(a, b))


@given(st.data(), broadcastable(count=3))
def test_gradients_have_their_inputs_shapes_and_sum_over_copies(data, drawn):
    leaves = [mg.from_numpy(data.draw(strided_array(shape))).requires_grad_() for shape in drawn]
    a, b, c = leaves
    (a * b + c).sum().backward()
    for leaf in leaves:
        assert leaf.grad.shape == leaf.shape and leaf.grad.dtype == mg.float64
    full = np.broadcast_shapes(*drawn)
    copies = np.prod(full) / max(np.prod(drawn[2]), 1)
    np.testing.assert_allclose(c.grad.numpy(), np.full(drawn[2], copies))


@pytest.mark.parametrize("first", DTYPES)
@pytest.mark.parametrize("second", DTYPES)
def test_promotion(first, second):
    """The higher category decides; within one NumPy and PyTorch agree. A 0-d tensor counts only by its category."""
    a, b = mg.ones(2, dtype=getattr(mg, first)), mg.ones(2, dtype=getattr(mg, second))
    if CATEGORY[first] == CATEGORY[second]:
        expected = np.promote_types(first, second).name
    else:
        expected = max((first, second), key=CATEGORY.get)
    assert (a * b).dtype is getattr(mg, expected)
    assert mg.promote_types(a.dtype, b.dtype) is getattr(mg, expected)
    assert mg.result_type(a, b) is getattr(mg, expected)
    with_scalar = first if CATEGORY[first] >= CATEGORY[second] else second
    assert (a * b[0]).dtype is getattr(mg, with_scalar)


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("number, category, default", [(True, 0, "bool"), (2, 1, "int64"), (2.5, 2, "float32")])
def test_python_numbers_never_widen(name, number, category, default):
    tensor = mg.ones(2, dtype=getattr(mg, name))
    expected = name if CATEGORY[name] >= category else default
    assert (tensor * number).dtype is getattr(mg, expected)
    assert (number * tensor).dtype is getattr(mg, expected)


@given(st.data(), shapes, st.booleans(), st.sampled_from(["sum", "mean", "prod", "amax", "amin", "var"]))
def test_reductions_over_any_dims(data, shape, keepdim, name):
    array = data.draw(strided_array(shape))
    dims = data.draw(st.lists(st.integers(0, max(len(shape) - 1, 0)), unique=True, max_size=len(shape)))
    negative = [dim - len(shape) if shape and data.draw(st.booleans()) else dim for dim in dims]
    if name == "prod":
        negative, dims = negative[:1], dims[:1]
    if not dims or not shape:
        return
    lengths = [shape[dim] for dim in dims]
    if 0 in lengths and name in ("amax", "amin"):
        with pytest.raises((IndexError, RuntimeError)):
            getattr(mg, name)(mg.from_numpy(array), negative, keepdim)
        return
    if 0 in lengths or (name == "var" and np.prod(lengths) < 2):
        return
    chosen = negative[0] if name == "prod" else negative
    result = getattr(mg, name)(mg.from_numpy(array), dim=chosen, keepdim=keepdim)
    options = {"ddof": 1} if name == "var" else {}
    expected = getattr(np, name)(array, axis=tuple(dims), keepdims=keepdim, **options)
    np.testing.assert_allclose(result.numpy(), expected, rtol=1e-12, atol=1e-12)


@given(st.data(), shapes)
def test_reshape_round_trips_and_views_share_memory(data, shape):
    array = data.draw(strided_array(shape))
    tensor = mg.from_numpy(array)
    flat = tensor.reshape(-1) if array.size else tensor.reshape(0)
    np.testing.assert_array_equal(flat.numpy(), array.reshape(-1))
    np.testing.assert_array_equal(flat.reshape(shape).numpy(), array)
    order = data.draw(st.permutations(range(len(shape))))
    moved = tensor.permute(*order) if shape else tensor
    np.testing.assert_array_equal(moved.numpy(), array.transpose(order))
    if array.size:
        moved.add_(1)
        np.testing.assert_array_equal(tensor.numpy(), array)
        assert np.shares_memory(moved.numpy(), array)


@given(st.data(), shapes.filter(lambda s: 0 not in s and len(s) > 0))
def test_concatenation_undoes_splitting(data, shape):
    array = data.draw(strided_array(shape))
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    size = data.draw(st.integers(1, shape[dim]))
    tensor = mg.from_numpy(array).requires_grad_()
    joined = mg.cat(tensor.split(size, dim), dim)
    np.testing.assert_array_equal(joined.detach().numpy(), array)
    weights = mg.rand(shape, dtype=mg.float64)
    (joined * weights).sum().backward()
    np.testing.assert_array_equal(tensor.grad.numpy(), weights.numpy())


@given(st.data(), shapes, st.sampled_from(FLOATS))
def test_float_results_keep_their_dtype(data, shape, dtype):
    array = data.draw(strided_array(shape, dtype))
    x = mg.from_numpy(array).requires_grad_()
    y = ((x * 2 + 1.5) / 3 - x.sigmoid()).exp().clamp(max=3.0)
    assert y.dtype is getattr(mg, dtype)
    y.sum().backward()
    assert x.grad.dtype is getattr(mg, dtype)
