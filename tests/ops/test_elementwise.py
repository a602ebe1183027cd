"""What the table of ops does not say of elementwise functions: result types, errors, operands, writing in place."""

import decimal
import doctest
import math

import numpy as np
import pytest

import minigrad as mg
from minigrad.ops.special_functions import SPECIAL as SPECIAL_FUNCTIONS
from minigrad.registry import FUNCTIONS

I32, I64, U8, F16, F32, F64, B = mg.int32, mg.int64, mg.uint8, mg.float16, mg.float32, mg.float64, mg.bool


def ones(dtype, shape=(2,)):
    return mg.ones(shape, dtype=dtype)


RESULT_TYPES = [
    ("int / int", lambda: ones(I64) / ones(I32), F32),
    ("int / number", lambda: ones(U8) / 2, F32),
    ("bool / bool", lambda: ones(B) / ones(B), F32),
    ("int // int", lambda: ones(I32) // 2, I32),
    ("int * float number", lambda: ones(I64) * 2.0, F32),
    ("half * float number", lambda: ones(F16) * 2.0, F16),
    ("half * 0-d double", lambda: ones(F16) * mg.tensor(2.0, dtype=F64), F16),
    ("half + float", lambda: ones(F16) + ones(F32), F32),
    ("int64 + float16", lambda: ones(I64) + ones(F16), F16),
    ("bool + bool", lambda: ones(B) + ones(B), B),
    ("bool * int", lambda: ones(B) * 3, I64),
    ("number - float", lambda: 1 - ones(F32), F32),
    ("int ** int", lambda: ones(I32) ** 2, I32),
    ("int ** float", lambda: ones(I32) ** 0.5, F32),
    ("number ** int", lambda: 2 ** ones(I64), I64),
    ("exp(int)", lambda: mg.exp(ones(I64)), F32),
    ("sqrt(bool)", lambda: mg.sqrt(ones(B)), F32),
    ("erf(half)", lambda: mg.erf(ones(F16)), F16),
    ("abs(int8)", lambda: abs(ones(mg.int8)), mg.int8),
    ("ceil(int)", lambda: mg.ceil(ones(I32)), I32),
    ("square(bool)", lambda: mg.square(ones(B)), I64),
    ("lgamma(double)", lambda: mg.lgamma(ones(F64)), F64),
    ("clamp(int, float)", lambda: mg.clamp(ones(I64), min=0.5), F32),
    ("float_power", lambda: mg.float_power(ones(F16), 2), F64),
    ("eq", lambda: ones(F16) == 1, B),
    ("logical_and", lambda: mg.logical_and(ones(F32), ones(I64)), B),
    ("maximum", lambda: mg.maximum(ones(I64), ones(F32)), F32),
    ("bitwise_and", lambda: ones(U8) & ones(I32), I32),
    ("shift", lambda: ones(U8) << 2, U8),
]


@pytest.mark.parametrize("run, dtype", [pytest.param(run, dtype, id=name) for name, run, dtype in RESULT_TYPES])
def test_result_type(run, dtype):
    assert run().dtype == dtype


ERRORS = [
    ("bool - bool", RuntimeError, "Subtraction", lambda: ones(B) - ones(B)),
    ("number - bool", RuntimeError, "Subtraction", lambda: 1 - ones(B)),
    ("float - True", RuntimeError, "Subtraction", lambda: ones(F32) - True),
    ("-bool", RuntimeError, "not implemented", lambda: -ones(B)),
    ("+bool", RuntimeError, "bool tensor", lambda: +ones(B)),
    ("int // 0", RuntimeError, "ZeroDivisionError", lambda: ones(I64) // 0),
    ("int % 0", RuntimeError, "ZeroDivisionError", lambda: ones(I64) % mg.zeros(2, dtype=I32)),
    ("fmod(int, 0)", RuntimeError, "ZeroDivisionError", lambda: mg.fmod(ones(I64), 0)),
    ("div trunc by 0", RuntimeError, "ZeroDivisionError", lambda: mg.div(ones(I64), 0, rounding_mode="trunc")),
    ("rounding_mode", RuntimeError, "rounding_mode", lambda: mg.div(ones(F32), 2, rounding_mode="up")),
    ("int ** -1", RuntimeError, "negative integer powers", lambda: ones(I64) ** -1),
    ("bool ** bool", NotImplementedError, "bool", lambda: ones(B) ** ones(B)),
    ("float & int", NotImplementedError, "bitwise_and", lambda: ones(F32) & 1),
    ("~float", TypeError, "integer and Boolean", lambda: ~ones(F32)),
    ("shapes", RuntimeError, "must match the size", lambda: ones(F32, (2, 3)) + ones(F32, (2, 4))),
    ("alpha of integers", RuntimeError, "alpha", lambda: mg.add(ones(I64), 1, alpha=1.5)),
    ("bool alpha", RuntimeError, "Boolean alpha", lambda: mg.add(ones(F32), 1, alpha=True)),
    ("add a string", TypeError, "add", lambda: mg.add(ones(F32), "a")),
    ("tensor + string", TypeError, "unsupported operand", lambda: ones(F32) + "a"),
    ("dict * tensor", TypeError, "unsupported operand", lambda: {} * ones(F32)),
    ("tensor < None", TypeError, "not supported", lambda: ones(F32) < None),
    ("exp(number)", TypeError, "must be Tensor, not float", lambda: mg.exp(2.0)),
    ("maximum with a number", TypeError, "must be Tensor, not int", lambda: mg.maximum(ones(F32), 2)),
    ("eq of a number first", TypeError, "must be Tensor, not int", lambda: mg.eq(2, ones(F32))),
    ("clamp without bounds", RuntimeError, "At least one", lambda: mg.clamp(ones(F32))),
    ("clamp with mixed bounds", TypeError, "both", lambda: mg.clamp(ones(F32), 0, ones(F32))),
    ("lerp of two dtypes", RuntimeError, "expected dtype", lambda: mg.lerp(ones(F32), ones(F64), 0.5)),
    ("addcdiv of integers", RuntimeError, "addcdiv", lambda: mg.addcdiv(ones(I64), ones(I64), ones(I64))),
    ("isclose of two dtypes", RuntimeError, "did not match", lambda: mg.isclose(ones(F32), ones(F64))),
    ("polygamma(-1)", RuntimeError, "negative n", lambda: mg.polygamma(-1, ones(F32))),
    ("heaviside of two dtypes", RuntimeError, "different dtypes", lambda: mg.heaviside(ones(F32), ones(F64))),
    ("float_power_ of float", RuntimeError, "float64", lambda: ones(F32).float_power_(2)),
]


@pytest.mark.parametrize("error, words, run", [pytest.param(*rest, id=name) for name, *rest in ERRORS])
def test_error(error, words, run):
    with pytest.raises(error, match=words):
        run()


class Other:
    """An operand that Tensor does not know and that knows what to do itself."""

    def __radd__(self, tensor):
        return "reflected"

    __rsub__ = __rmul__ = __rtruediv__ = __rpow__ = __rfloordiv__ = __rmod__ = __rand__ = __radd__

    def __gt__(self, tensor):
        return "reflected"


@pytest.mark.parametrize(
    "run",
    [
        lambda x, o: x + o, lambda x, o: x - o, lambda x, o: x * o, lambda x, o: x / o, lambda x, o: x**o,
        lambda x, o: x // o, lambda x, o: x % o, lambda x, o: x & o, lambda x, o: x < o,
    ],
)  # fmt: skip
def test_unknown_operands_get_their_turn(run):
    assert run(ones(I64), Other()) == "reflected"


def test_equality_with_what_is_no_operand_is_pythons():
    x = ones(F32)
    assert (x == None) is False  # noqa: E711
    assert (x != "a") is True


def test_numbers_wrap_around_in_small_integers():
    x = mg.tensor([250, 5], dtype=U8)
    assert (x + 10).tolist() == [4, 15]
    assert (x + 300).tolist() == [38, 49]
    assert (x - 6).tolist() == [244, 255]


@pytest.mark.parametrize("name", ["exp_", "sqrt_", "neg_", "sigmoid_", "abs_", "floor_", "square_", "reciprocal_"])
def test_in_place_unary_writes_and_returns_its_tensor(name):
    values = np.array([0.25, 1.0, 4.0])
    x = mg.tensor(values)
    view = x[1:]
    assert getattr(x, name)() is x
    expected = getattr(mg.tensor(values), name[:-1])()
    assert x.tolist() == expected.tolist()
    assert view.tolist() == expected.tolist()[1:]


def test_in_place_operators_keep_the_dtype_or_refuse():
    x = mg.tensor([1, 2])
    with pytest.raises(RuntimeError, match="can't be cast"):
        x += 0.5
    with pytest.raises(RuntimeError, match="can't be cast"):
        x /= 2
    x *= 3
    x //= 2
    assert x.tolist() == [1, 3]
    half = ones(F16)
    half += ones(F64)
    assert half.dtype == F16
    with pytest.raises(RuntimeError, match="doesn't match the broadcast shape"):
        half += ones(F16, (3, 2))


def test_out_is_written_and_returned():
    out = mg.empty(2)
    assert mg.exp(mg.tensor([0.0, 1.0]), out=out) is out
    assert mg.allclose(out, mg.tensor([1.0, math.e]))
    assert mg.add(out, 1, alpha=2, out=out) is out
    assert mg.allclose(out, mg.tensor([3.0, math.e + 2]))
    with pytest.raises(RuntimeError, match="can't be cast"):
        mg.div(ones(F32), 2, out=mg.empty(2, dtype=I64))


def test_out_of_a_wider_dtype():
    """Elementwise arithmetic converts its result; matrix products, copies and constructors do not, as in PyTorch."""
    wide = mg.zeros(2, 2, dtype=mg.float64)
    assert mg.add(mg.eye(2), 1, out=wide).tolist() == [[2, 1], [1, 2]]
    refused = {
        "mm": lambda: mg.mm(mg.eye(2), mg.eye(2), out=wide),
        "matmul": lambda: mg.linalg.matmul(mg.eye(2), mg.eye(2), out=wide),
        "eye": lambda: mg.eye(2, dtype=mg.float32, out=wide),
        "tril": lambda: mg.tril(mg.eye(2), out=wide),
        "max": lambda: mg.max(mg.ones(2, 2, 2), 0, out=(wide, mg.zeros(2, 2, dtype=mg.int64))),
    }
    for call in refused.values():
        with pytest.raises(RuntimeError, match="Expected out tensor to have dtype minigrad.float32"):
            call()
    assert mg.max(mg.eye(2), mg.ones(2), out=wide) is wide and mg.eye(2, out=wide).tolist() == [[1, 0], [0, 1]]
    with pytest.raises(RuntimeError, match="as_tuple"):
        mg.nonzero(wide, as_tuple=True, out=wide.long())


def test_constructors_resize_their_out_without_a_warning():
    out = mg.zeros(5)
    assert mg.linspace(0, 1, 3, out=out).shape == (3,) and mg.full((2, 2), 1.0, out=out).shape == (2, 2)
    with pytest.warns(UserWarning, match="resized"):
        mg.mul(mg.ones(3), 2, out=out)


def test_cat_skips_empty_vectors_but_gives_them_a_gradient():
    empty, matrix = mg.zeros(0, requires_grad=True), mg.ones(2, 3, requires_grad=True)
    joined = mg.cat((empty, matrix), 1)
    joined.sum().backward()
    assert joined.shape == (2, 3) and empty.grad.shape == (0,) and matrix.grad.sum() == 6
    assert mg.cat((mg.zeros(0, dtype=mg.float64), matrix)).dtype == mg.float64


NAN = float("nan")


def test_nan_propagates_or_is_ignored():
    x, y = mg.tensor([NAN, 1.0, NAN]), mg.tensor([2.0, NAN, NAN])
    assert all(map(math.isnan, mg.maximum(x, y).tolist()))
    assert all(map(math.isnan, mg.minimum(x, y).tolist()))
    assert mg.fmax(x, y).tolist()[:2] == [2.0, 1.0]
    assert math.isnan(mg.fmax(x, y)[2])
    assert math.isnan(mg.clamp(x, 0, 1)[0])
    assert math.isnan(mg.clamp(mg.tensor([1.0]), mg.tensor([NAN]), mg.tensor([2.0]))[0])
    assert mg.sign(x)[0] == 0
    assert mg.isnan(x).tolist() == [True, False, True]


def test_gradients_at_kinks():
    def slope(function, at):
        x = mg.tensor(at, requires_grad=True)
        return mg.autograd.grad(function(x), x)[0].item()

    assert slope(mg.abs, 0.0) == 0
    assert slope(lambda x: mg.clamp(x, 0, 1), 0.0) == 1
    assert slope(lambda x: mg.clamp(x, 0, 1), 1.5) == 0
    assert slope(lambda x: mg.maximum(x, x.detach()), 2.0) == 0.5
    assert slope(lambda x: x**0, 0.0) == 0
    assert slope(lambda x: mg.pow(x, mg.tensor(0.0)), 0.0) == 0
    assert slope(lambda x: mg.pow(0.0, x), 0.0) == 0
    assert slope(mg.floor, 0.5) == 0
    assert slope(mg.sinc, 0.0) == 0
    assert slope(lambda x: mg.xlogy(x, mg.tensor(0.0)), 0.0) == 0
    assert slope(lambda x: mg.nan_to_num(x), float("inf")) == 0


def test_infinite_gradients_stop_where_the_function_is_flat():
    x = mg.tensor([-1.0, 1.0], requires_grad=True)
    (gradient,) = mg.autograd.grad(mg.clamp(x, min=0), x, mg.tensor([float("inf"), 2.0]))
    assert gradient.tolist() == [0, 2]


def test_integer_powers_below_zero_round_to_zero():
    base = mg.tensor([1, -1, -1, 2, 0])
    assert mg.pow(base, mg.tensor([-3, -3, -2, -1, -1])).tolist() == [1, -1, 1, 0, 0]


def test_shifts_beyond_the_width():
    x = mg.tensor([-8, 8], dtype=mg.int8)
    assert (x << 9).tolist() == [0, 0]
    assert (x >> 9).tolist() == [-1, 0]
    assert (x >> 1).tolist() == [-4, 4]


def test_special_functions_at_the_ends():
    infinity = float("inf")
    assert mg.erfinv(mg.tensor([-1.0, 1.0])).tolist() == [-infinity, infinity]
    assert math.isnan(mg.erfinv(mg.tensor(1.5)))
    assert mg.lgamma(mg.tensor([0.0, -1.0, 1.0, 2.0])).tolist() == [infinity, infinity, 0, 0]
    assert mg.digamma(mg.tensor([0.0])).tolist() == [-infinity]
    assert mg.erfc(mg.tensor(5.0, dtype=F64)).item() == pytest.approx(math.erfc(5.0), rel=1e-14)
    assert mg.special.log_ndtr(mg.tensor(-1e3, dtype=F64)).item() == pytest.approx(-500007.8266948, rel=1e-10)


SPECIAL = {
    "erf": ("erf", -6, 6), "erfc": ("erfc", -6, 26), "erfcx": ("erfcx", -20, 1e4),
    "erfinv": ("erfinv", -0.9999, 0.9999),
    "lgamma": ("gammaln", 2.5, 200), "digamma": ("psi", 2, 100), "i0e": ("i0e", -50, 50), "i1e": ("i1e", -50, 50),
    "ndtri": ("ndtri", 1e-12, 0.4), "log_ndtr": ("log_ndtr", -50, 5),
}  # fmt: skip


@pytest.mark.parametrize("name", SPECIAL)
def test_special_kernels_reach_float64(name, rng):
    """Against SciPy: a few units in the last place, or 1e-13 where the argument's own rounding is amplified."""
    scipy_special = pytest.importorskip("scipy.special")
    from minigrad.kernels import special

    reference, low, high = SPECIAL[name]
    x = rng.uniform(low, high, 40_000)  # several blocks
    np.testing.assert_allclose(getattr(special, name)(x), getattr(scipy_special, reference)(x), rtol=2e-13)


def test_hurwitz_zeta_reaches_float64(rng):
    scipy_special = pytest.importorskip("scipy.special")
    from minigrad.kernels import special

    s, q = rng.uniform(1.05, 40, 20_000), 10 ** rng.uniform(-2, 3, 20_000)
    np.testing.assert_allclose(special.zeta(s, q), scipy_special.zeta(s, q), rtol=1e-13)
    # Left of zero: by the recurrence from the right.
    q = -rng.uniform(0, 9, 1000)
    expected = scipy_special.zeta(5, q + 9) + sum((q + k) ** -5 for k in range(9))
    np.testing.assert_allclose(special.zeta(np.array(5.0), q), expected, rtol=1e-11)


def test_polygamma_and_zeta_at_the_ends():
    x = mg.tensor([math.inf, -math.inf, NAN, -1.0, 0.0, -1e10], dtype=F64)
    np.testing.assert_equal(mg.polygamma(4, x).numpy(), [NAN, -math.inf, NAN, -math.inf, -math.inf, -math.inf])
    assert mg.polygamma(1, x)[0] == 0
    q = mg.tensor([math.inf, NAN, 0.0, -2.0], dtype=F64)
    np.testing.assert_equal(mg.special.zeta(2.0, q).numpy(), [NAN, NAN, math.inf, math.inf])
    assert mg.special.zeta(mg.tensor(math.inf), 1.0) == 1
    assert mg.polygamma(4, mg.tensor(-700000.5, dtype=F64)).item() == pytest.approx(0, abs=1e-8)


def incomplete_gamma_exactly(a, x):
    """Return P(a, x) from its series, in 50 digits."""
    with decimal.localcontext() as context:
        context.prec = 50
        a, x = decimal.Decimal(a), decimal.Decimal(x)
        n, term = a, 1 / a
        total = term
        while term > total * decimal.Decimal("1e-30"):
            n += 1
            term *= x / n
            total += term
        half_log_two_pi = decimal.Decimal("0.91893853320467274178032973640561763986")
        log_gamma = (a - decimal.Decimal("0.5")) * a.ln() - a + half_log_two_pi
        inverse = 1 / a
        log_gamma += inverse / 12 - inverse**3 / 360 + inverse**5 / 1260 - inverse**7 / 1680 + inverse**9 / 1188
        return float(total * (a * x.ln() - x - log_gamma).exp())


@pytest.mark.parametrize(
    "a, x",
    [(1e5, 9.9e4), (1e5, 1.001e5), (1e4, 1e4), (1000.0, 900.0), (150.0, 110.0), (101.0, 71.0), (90.0, 80.0)],
)
def test_incomplete_gamma_of_large_orders(a, x):
    expected = incomplete_gamma_exactly(a, x)
    lower, upper = (f(mg.tensor(a, dtype=F64), mg.tensor(x, dtype=F64)).item() for f in (mg.igamma, mg.igammac))
    assert lower == pytest.approx(expected, rel=1e-12, abs=1e-300)
    assert upper == pytest.approx(1 - expected, rel=1e-12)


def test_incomplete_gamma_agrees_with_scipy(rng):
    scipy_special = pytest.importorskip("scipy.special")
    a = 10 ** rng.uniform(-3, 6, 20_000)
    for x in (10 ** rng.uniform(-3, 6.5, a.size), np.abs(a + rng.normal(size=a.size) * np.sqrt(a)), a.copy()):
        lower, upper = (f(mg.from_numpy(a), mg.from_numpy(x)).numpy() for f in (mg.igamma, mg.igammac))
        np.testing.assert_allclose(lower, scipy_special.gammainc(a, x), rtol=0, atol=1e-12)
        np.testing.assert_allclose(upper, scipy_special.gammaincc(a, x), rtol=0, atol=1e-12)


def test_incomplete_gamma_at_the_ends():
    a = mg.tensor([0.0, 2.0, math.inf, math.inf, 2.0, NAN, NAN, -1.0, 0.0])
    x = mg.tensor([1.0, 0.0, 1.0, math.inf, math.inf, 0.0, 1.0, 1.0, 0.0])
    np.testing.assert_equal(mg.igamma(a, x).numpy(), np.float32([1, 0, 0, NAN, 1, 0, NAN, NAN, NAN]))
    np.testing.assert_equal(mg.igammac(a, x).numpy(), np.float32([0, 1, 1, NAN, 0, 1, NAN, NAN, NAN]))


def test_floor_divide_of_two_numbers():
    assert mg.floor_divide(7.5, 2).tolist() == 3.0
    assert mg.floor_divide(-7, 2).dtype == I64
    out = mg.empty(())
    assert mg.floor_divide(7.5, 2, out=out) is out


def test_float32_erf_is_good_to_six_units(rng):
    x = rng.uniform(-5, 5, 40_000).astype(np.float32)
    expected = np.vectorize(math.erf)(x.astype(np.float64))
    np.testing.assert_allclose(mg.erf(mg.from_numpy(x)).numpy(), expected, rtol=5e-7)


def made_from_tables():
    """Return {name: function} of the public functions that are made in loops, which doctest does not find by itself."""
    functions = {name: f for name, f in FUNCTIONS.items() if f.__module__ == "minigrad.ops.define"}
    functions |= {name: FUNCTIONS[name] for name in ("var", "std", "var_mean", "std_mean")}
    return functions | {"special." + name: f for name, f in SPECIAL_FUNCTIONS.items()}


@pytest.mark.parametrize("name", sorted(made_from_tables()))
def test_examples_of_functions_made_from_tables(name):
    test = doctest.DocTestFinder().find(made_from_tables()[name], name)[0]
    assert test.examples, f"{name} has no example"
    report = []
    doctest.DocTestRunner(verbose=False).run(test, out=report.append)
    assert not report, "".join(report)


def test_erfinv_of_float32_is_that_of_float64():
    """float32 has a formula of its own: everywhere within a unit in the last place, to the last number below 1."""
    steps = 1 - 2.0 ** -np.arange(1, 25)
    numbers = np.concatenate([np.linspace(-1, 1, 40_001), steps, -steps, [1e-30, -0.0, np.nan, 1.5]]).astype("float32")
    single = mg.erfinv(mg.tensor(numbers)).numpy()
    double = mg.erfinv(mg.tensor(numbers, dtype=mg.float64)).numpy()
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, double, rtol=1.2e-7)
    assert np.array_equal(np.signbit(single[:-2]), np.signbit(double[:-2]))
    assert mg.erfinv(mg.tensor(numbers).reshape(-1, 3)[:, ::2]).shape == (len(numbers) // 3, 2)
