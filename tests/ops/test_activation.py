"""What the table of ops does not say of activations: the ends of the number line, kinks, writing in place, errors."""

import math

import pytest

import minigrad as mg

F = mg.nn.functional
INF, NAN = float("inf"), float("nan")

FAR = [  # name, function, value at -1000, value at 1000
    ("sigmoid", mg.sigmoid, 0, 1),
    ("tanh", mg.tanh, -1, 1),
    ("softplus", F.softplus, 0, 1000),
    ("logsigmoid", F.logsigmoid, -1000, 0),
    ("silu", F.silu, 0, 1000),
    ("mish", F.mish, 0, 1000),
    ("gelu", F.gelu, 0, 1000),
    ("gelu tanh", lambda x: F.gelu(x, approximate="tanh"), 0, 1000),
    ("elu", F.elu, -1, 1000),
    ("celu", lambda x: F.celu(x, 0.5), -0.5, 1000),
    ("selu", F.selu, -1.0507009873554805 * 1.6732632423543772, 1050.7009873554805),
    ("hardswish", F.hardswish, 0, 1000),
    ("hardsigmoid", F.hardsigmoid, 0, 1),
    ("softsign", F.softsign, -1000 / 1001, 1000 / 1001),
    ("tanhshrink", F.tanhshrink, -999, 999),
]


@pytest.mark.parametrize("dtype", [mg.float64, mg.float32, mg.float16])
@pytest.mark.parametrize("function, left, right", [pytest.param(*rest, id=name) for name, *rest in FAR])
def test_far_from_zero_nothing_overflows(function, left, right, dtype):
    x = mg.tensor([-1000.0, 1000.0], dtype=dtype, requires_grad=True)
    out = function(x)
    assert out.dtype == dtype
    tolerance = 1e-3 if dtype == mg.float16 else 1e-6
    assert out.tolist() == pytest.approx([left, right], rel=tolerance, abs=tolerance)
    (gradient,) = mg.autograd.grad(out.sum(), x, create_graph=True)
    assert all(map(math.isfinite, gradient.tolist()))
    if gradient.requires_grad:
        assert all(map(math.isfinite, mg.autograd.grad(gradient.sum(), x)[0].tolist()))


@pytest.mark.parametrize(
    "function",
    [F.relu, F.relu6, F.elu, F.gelu, F.silu, F.leaky_relu, F.hardtanh, F.softplus, F.mish, F.softshrink, mg.sigmoid],
)
def test_nan_stays(function):
    assert math.isnan(function(mg.tensor([NAN, 1.0]))[0])


@pytest.mark.parametrize(
    "function",
    [F.relu, mg.relu, F.relu_, F.relu6, F.elu, F.selu, F.celu, F.hardtanh, F.hardswish, lambda x: F.threshold(x, 0, 1)],
)
def test_gradients_pass_at_nan(function):
    x = mg.tensor([NAN], requires_grad=True)
    function(x * 1).backward()
    assert x.grad.item() == pytest.approx(1.0507009873554805 if function.__name__ == "selu" else 1)


def test_gradients_stop_at_nan_where_pytorch_stops_them():
    x = mg.tensor([NAN], requires_grad=True)
    F.hardsigmoid(x).backward()
    assert x.grad.item() == 0


def test_threshold_of_integers_truncates_and_wraps():
    x = mg.tensor([0, 1, 200], dtype=mg.uint8)
    assert F.threshold(x, 0.15, -9).tolist() == [247, 1, 200]
    assert F.threshold(x, 1, 2.7).tolist() == [2, 2, 200]
    assert mg.threshold(x, -3, 4).tolist() == [4, 4, 4]
    for arguments in ((0.15, 300), (300, 4), (0.5, NAN)):
        with pytest.raises(RuntimeError, match="without overflow"):
            F.threshold(x, *arguments)


KINKS = [  # function, where, slope there
    ("relu", F.relu, 0.0, 0),
    ("relu6", F.relu6, 6.0, 0),
    ("hardtanh", F.hardtanh, 1.0, 0),
    ("leaky_relu", lambda x: F.leaky_relu(x, 0.25), 0.0, 0.25),
    ("elu", lambda x: F.elu(x, 2.0), 0.0, 2),
    ("hardswish", F.hardswish, 3.0, 1),
    ("hardswish left", F.hardswish, -3.0, 0),
    ("hardsigmoid", F.hardsigmoid, 3.0, 0),
    ("hardshrink", F.hardshrink, 0.5, 0),
    ("softshrink", F.softshrink, 0.5, 0),
    ("threshold", lambda x: F.threshold(x, 0.5, 9.0), 0.5, 0),
]


@pytest.mark.parametrize("function, at, slope", [pytest.param(*rest, id=name) for name, *rest in KINKS])
def test_slopes_at_kinks_are_pytorchs(function, at, slope):
    x = mg.tensor(at, requires_grad=True)
    assert mg.autograd.grad(function(x), x)[0].item() == slope


def test_infinite_gradients_stop_at_relu():
    x = mg.tensor([-1.0, 2.0], requires_grad=True)
    (gradient,) = mg.autograd.grad(F.relu(x), x, mg.tensor([INF, -INF]))
    assert gradient.tolist() == [0, -INF]


IN_PLACE = [
    F.relu, F.relu6, F.elu, F.selu, F.celu, F.leaky_relu, F.silu, F.mish, F.hardtanh, F.hardsigmoid, F.hardswish,
    lambda x, inplace=False: F.threshold(x, 0.5, 2.0, inplace), F.rrelu,
]  # fmt: skip


@pytest.mark.parametrize("function", IN_PLACE)
def test_in_place_gives_the_same_values_and_gradients(function):
    start = mg.tensor([-1.5, 0.3, 2.0], requires_grad=True)
    plain = function(start)
    written = start * 1
    assert function(written, inplace=True) is written
    assert written.tolist() == plain.tolist()
    weights = mg.tensor([1.0, 2.0, 3.0])
    (first,), (second,) = mg.autograd.grad(plain, start, weights), mg.autograd.grad(written, start, weights)
    assert first.tolist() == second.tolist()
    with pytest.raises(RuntimeError, match="leaf"):
        function(start, inplace=True)


def test_names_with_an_underscore_write_in_place():
    for function in (
        F.relu_,
        F.elu_,
        F.selu_,
        F.celu_,
        F.leaky_relu_,
        F.hardtanh_,
        mg.relu_,
        mg.selu_,
        mg.Tensor.relu_,
    ):
        x = mg.tensor([-1.0, 2.0])
        assert function(x) is x
        assert x[0] > -2 and x[1] >= 1 and x[0] != 1


ERRORS = [
    ("relu of bools", RuntimeError, "Boolean", lambda: F.relu(mg.tensor([True]))),
    ("relu of a number", TypeError, "must be Tensor", lambda: F.relu(1.0)),
    ("elu of integers", NotImplementedError, "int64", lambda: F.elu(mg.tensor([1]))),
    ("gelu approximate", RuntimeError, "none or tanh", lambda: F.gelu(mg.ones(2), approximate="erf")),
    ("hardtanh bounds", ValueError, "min_val", lambda: F.hardtanh(mg.ones(2), 1, -1)),
    ("celu of alpha 0", RuntimeError, "alpha", lambda: F.celu(mg.ones(2), 0)),
    ("softshrink below 0", RuntimeError, "lambda", lambda: F.softshrink(mg.ones(2), -1)),
    ("glu of an odd length", RuntimeError, "must be even", lambda: F.glu(mg.ones(3))),
    ("glu of a number", RuntimeError, "scalars", lambda: F.glu(mg.tensor(1.0))),
    ("prelu channels", RuntimeError, "channel size = 3", lambda: F.prelu(mg.ones(2, 3), mg.ones(2))),
    ("prelu of two dtypes", RuntimeError, "promoting", lambda: F.prelu(mg.ones(2), mg.ones(1, dtype=mg.float64))),
    ("rrelu bounds", RuntimeError, "Lower bound", lambda: F.rrelu(mg.ones(2), 1, 0)),
    ("softmax of integers", NotImplementedError, "int64", lambda: mg.softmax(mg.tensor([1]), 0)),
    ("softmax without dim", TypeError, "dim", lambda: mg.softmax(mg.ones(2))),
    ("softmax dim", IndexError, "Dimension out of range", lambda: mg.softmax(mg.ones(2), 1)),
]


@pytest.mark.parametrize("error, words, run", [pytest.param(*rest, id=name) for name, *rest in ERRORS])
def test_error(error, words, run):
    with pytest.raises(error, match=words):
        run()


def test_softmax_of_infinities_and_empty_lines():
    x = mg.tensor([[0.0, -INF], [1e4, 1e4], [-INF, -INF]])
    assert mg.softmax(x, 1)[:2].tolist() == [[1, 0], [0.5, 0.5]]
    assert all(map(math.isnan, mg.softmax(x, 1)[2].tolist()))
    assert mg.log_softmax(x, 1)[0].tolist() == [0, -INF]
    assert mg.softmax(mg.empty(0, 3), 1).shape == (0, 3)
    assert mg.softmax(mg.empty(3, 0), 1).shape == (3, 0)
    assert mg.softmax(mg.tensor(5.0), 0).item() == 1


def test_softmax_chooses_a_dim_with_a_warning():
    for shape, dim in (((3,), 0), ((2, 3), 1), ((2, 3, 4), 0), ((2, 3, 4, 5), 1)):
        x = mg.randn(shape)
        with pytest.warns(UserWarning, match="Implicit dimension"):
            assert mg.equal(F.softmax(x), F.softmax(x, dim))


def test_softmax_casts_first():
    x = mg.tensor([1, 2], dtype=mg.int64)
    assert mg.softmax(x, 0, dtype=mg.float64).dtype == mg.float64
    assert F.log_softmax(x, 0, dtype=mg.float32).dtype == mg.float32


def test_rrelu_draws_a_slope_per_element():
    x = -mg.ones(10_000)
    out = -F.rrelu(x, 0.2, 0.4, training=True)
    assert 0.2 <= out.min() and out.max() <= 0.4
    assert out.mean().item() == pytest.approx(0.3, abs=0.005)
    assert mg.equal(F.rrelu(x, 0.2, 0.4), x * 0.3)


def test_gumbel_softmax():
    logits = mg.tensor([[2.0, 0.0]]).repeat(4000, 1).requires_grad_()
    soft = F.gumbel_softmax(logits, tau=0.5)
    assert mg.allclose(soft.sum(1), mg.ones(4000))
    hard = F.gumbel_softmax(logits, tau=0.5, hard=True)
    assert mg.equal(mg.unique(hard.detach()), mg.tensor([0.0, 1.0]))
    assert hard.detach().mean(0)[0].item() == pytest.approx(1 / (1 + math.exp(-2)), abs=0.02)
    (gradient,) = mg.autograd.grad(hard[:, 0].sum(), logits)
    assert bool((gradient != 0).any())


@pytest.mark.parametrize("dtype", [mg.float32, mg.float64, mg.float16])
@pytest.mark.parametrize(
    "function",
    [F.relu, F.silu, lambda x: mg.clamp(x, -0.5, 1), lambda x: mg.clamp(x, 1, -0.5), lambda x: mg.clamp(x, 0, NAN)],
)
def test_large_tensors_are_as_small_ones(function, dtype, rng):
    x = mg.tensor(rng.normal(size=4000), dtype=dtype)
    x[:5] = mg.tensor([NAN, INF, -INF, 0.0, -0.0], dtype=dtype)
    whole = function(x)
    assert whole.dtype == dtype
    pieces = mg.cat([function(piece) for piece in x.split(100)])
    assert mg.equal(mg.nan_to_num(whole, nan=7.0), mg.nan_to_num(pieces, nan=7.0))
