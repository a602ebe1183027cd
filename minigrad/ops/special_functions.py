"""Special functions: the error function and its relatives, gamma functions, Bessel functions, entropy."""

import math

from minigrad.backend import REAL_CODES, np, xp
from minigrad.inplace import write_out
from minigrad.kernels import gamma as gamma_kernels
from minigrad.kernels import special as kernels
from minigrad.op import Op
from minigrad.ops.combine import xlog1py_op
from minigrad.ops.define import binary_function, require_tensor, unary_function
from minigrad.ops.masked import keep_where
from minigrad.ops.power import log_op
from minigrad.ops.unary import exp_op
from minigrad.registry import function
from minigrad.tensor import Tensor

_TWO_OVER_ROOT_PI = 2 / math.sqrt(math.pi)
_LOG_ROOT_TWO_PI = 0.5 * math.log(2 * math.pi)


def _named(kernel, name):
    """Return the kernel under the name its op is to have."""

    def forward(x):
        return kernel(x)

    forward.__name__ = name
    return forward


def _polygamma(x, *, n):
    return kernels.polygamma(x, n)


def _incomplete(upper):
    """Return the forward of the lower or the upper regularised incomplete gamma function."""

    def forward(a, x):
        out = gamma_kernels.incomplete(a, x, upper)
        widest = max(getattr(value, "dtype", np.dtype(np.float16)).itemsize for value in (a, x))
        return out.astype(np.dtype(f"f{widest}"))

    return forward


def _incomplete_gradient(g, a, x):
    return g * exp_op((a - 1) * log_op(x) - x - lgamma_op(a))


def _order_gradient(g):
    raise NotImplementedError("the derivative of the incomplete gamma function by its order is not implemented")


def _zeta(s, q):
    out = kernels.zeta(s, q)
    single = all(getattr(value, "dtype", np.dtype(np.float32)).char == "f" for value in (s, q))
    return out.astype(np.float32) if single else out


def _zeta_no_gradient(g):
    raise NotImplementedError("the derivative of zeta with respect to its first argument is not implemented")


def _entr(x):
    module = xp(x)
    out = -x * module.log(x)
    out = module.where(x == 0, 0, out)
    return module.where(x < 0, -np.inf, out).astype(x.dtype)


erf_op = Op(_named(kernels.erf, "erf"), [lambda g, x: g * (exp_op(-(x * x)) * _TWO_OVER_ROOT_PI)], promote="float")
erfc_op = Op(_named(kernels.erfc, "erfc"), [lambda g, x: g * (exp_op(-(x * x)) * -_TWO_OVER_ROOT_PI)], promote="float")
erfcx_op = Op(
    _named(kernels.erfcx, "erfcx"), [lambda g, x, out: g * (x * out * 2 - _TWO_OVER_ROOT_PI)], promote="float"
)
erfinv_op = Op(
    _named(kernels.erfinv, "erfinv"),
    [lambda g, out: g * (exp_op(out * out) * (1 / _TWO_OVER_ROOT_PI))],
    promote="float",
)
ndtri_op = Op(
    _named(kernels.ndtri, "ndtri"), [lambda g, out: g * exp_op(out * out * 0.5 + _LOG_ROOT_TWO_PI)], promote="float"
)
log_ndtr_op = Op(
    _named(kernels.log_ndtr, "log_ndtr"),
    [lambda g, x, out: g * exp_op(x * x * -0.5 - out - _LOG_ROOT_TWO_PI)],
    promote="float",
)
lgamma_op = Op(_named(kernels.lgamma, "lgamma"), [lambda g, x: g * digamma_op(x)], promote="float")
digamma_op = Op(_named(kernels.digamma, "digamma"), [lambda g, x: g * polygamma_op(x, n=1)], promote="float")
polygamma_op = Op(_polygamma, [lambda g, x, n: g * polygamma_op(x, n=n + 1)], promote="float")
i0_op = Op(_named(kernels.i0, "i0"), [lambda g, x: g * i1_op(x)], promote="float")
i1_op = Op(_named(kernels.i1, "i1"), [lambda g, x: g * _i1_slope(x)], promote="float")
i0e_op = Op(_named(kernels.i0e, "i0e"), [lambda g, x, out: g * (i1e_op(x) - sign_of(x) * out)], promote="float")
i1e_op = Op(_named(kernels.i1e, "i1e"), [lambda g, x, out: g * _i1e_slope(x, out)], promote="float")
entr_op = Op(_entr, [lambda g, x: g * (-log_op(x) - 1)], promote="float")
sign_of = Op(lambda x: xp(x).sign(x), [None], name="sign_of")
igamma_op = Op(
    _incomplete(False), [_order_gradient, _incomplete_gradient], name="igamma", promote="same", broadcast=True
)
igammac_op = Op(
    _incomplete(True),
    [_order_gradient, lambda g, a, x: -_incomplete_gradient(g, a, x)],
    name="igammac",
    promote="same",
    broadcast=True,
)
one_at_zero = Op(lambda x: (x == 0).astype(x.dtype), [None], name="one_at_zero")


def over_x(x, value, first=0.5, second=0.0625):
    """Return value / x, at zero by its series first + second x², so that its derivatives are right there too: I_1's."""
    zero = keep_where(x, x == 0)
    return keep_where(value / (x + one_at_zero(x)), x != 0) + one_at_zero(x) * first + zero * zero * second


def _i1_slope(x):
    """Return the derivative I_0(x) - I_1(x) / x."""
    return i0_op(x) - over_x(x, i1_op(x))


def _i1e_slope(x, out):
    """Return the derivative of exp(-|x|) I_1(x)."""
    return i0e_op(x) - out * sign_of(x) - over_x(x, out)


for _name, _op, _summary, _input, _result in [
    ("erf", erf_op, "Return the error function 2/sqrt(pi) * integral of exp(-t^2) from 0 to input.", 0.5, "0.5205"),
    ("erfc", erfc_op, "Return 1 - erf(input), exact in the tail.", 0.5, "0.4795"),
    ("erfinv", erfinv_op, "Return x with erf(x) = input; inf at 1, NaN outside [-1, 1].", 0.5, "0.4769"),
    ("lgamma", lgamma_op, "Return log(|gamma(input)|).", 4.0, "1.7918"),
    ("digamma", digamma_op, "Return the derivative of lgamma.", 1.0, "-0.5772"),
    ("i0", i0_op, "Return the modified Bessel function of the first kind and order 0.", 1.0, "1.2661"),
]:
    unary_function(_op, _name, _summary, (f"mg.{_name}(mg.tensor({_input}))", f"tensor({_result})"))


for _name, _op, _summary, _result in [
    ("igamma", igamma_op, "Return the regularised lower incomplete gamma function of order input at other.", "0.5940"),
    ("igammac", igammac_op, "Return 1 - igamma, the upper incomplete gamma function.", "0.4060"),
]:
    binary_function(
        _op,
        _name,
        _summary,
        (f"mg.{_name}(mg.tensor(2.0), mg.tensor(2.0))", f"tensor({_result})"),
        tensors_only=True,
    )


@function()
def polygamma(n, input, *, out=None):
    """Return the n-th derivative of digamma.

    Arguments: n (int, not negative), input (Tensor). NotImplementedError for a negative n.
    Source: https://docs.pytorch.org/docs/stable/special.html#torch.special.polygamma

    >>> import minigrad as mg
    >>> mg.polygamma(1, mg.tensor([1.0]))
    tensor([1.6449])
    """
    require_tensor("polygamma", input, "input", 2)
    if not isinstance(n, int):
        raise TypeError(f"polygamma(): argument 'n' (position 1) must be int, not {type(n).__name__}")
    if n < 0:
        raise RuntimeError("polygamma(n, x) does not support negative n.")
    result = digamma_op(input) if n == 0 else polygamma_op(input, n=n)
    return result if out is None else write_out(out, result, "polygamma")


@function(method=True, inplace=True, name="polygamma", public=False)
def _polygamma_method(self, n):
    """Return the n-th derivative of digamma of this tensor.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.polygamma.html

    >>> import minigrad as mg
    >>> mg.tensor([1.0]).polygamma(1)
    tensor([1.6449])
    """
    return polygamma(n, self)


@function(method=True, inplace=True, out=True)
def mvlgamma(input, p):
    """Return the log of the multivariate gamma function of dimension p: p(p-1)/4 log(pi) + sum_i lgamma(input - i/2).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.mvlgamma.html

    >>> import minigrad as mg
    >>> mg.mvlgamma(mg.tensor([3.0]), 2)
    tensor([1.5502])
    """
    require_tensor("mvlgamma", input)
    if p < 1:
        raise RuntimeError("p has to be greater than or equal to 1")
    if input.array.dtype.char not in REAL_CODES and input.array.dtype.kind == "b":
        raise RuntimeError("mvlgamma: The input tensor may not be a boolean tensor.")
    total = lgamma_op(input)
    for i in range(1, p):
        total = total + lgamma_op(input - i / 2)
    return total + p * (p - 1) / 4 * math.log(math.pi)


# ---------------------------------------------------------------------- minigrad.special
SPECIAL = {}  # functions that only the namespace special has


def _special(name, op, summary, value, result):
    """Add the function of one tensor to the namespace."""
    call = op.call if hasattr(op, "call") else op

    def public(input, *, out=None):
        require_tensor("special_" + name, input)
        answer = call(input)
        return answer if out is None else write_out(out, answer, name)

    public.__name__ = public.__qualname__ = name
    public.__doc__ = f"""{summary}

    Arguments: input (Tensor of any shape), out (Tensor the result is written to).
    Source: https://docs.pytorch.org/docs/stable/special.html#torch.special.{name}

    >>> import minigrad as mg
    >>> mg.special.{name}(mg.tensor({value}))
    tensor({result})
    """
    SPECIAL[name] = public


def _ndtr(input):
    """Return the standard normal distribution function, erfc(-x / sqrt 2) / 2."""
    return erfc_op(input * -math.sqrt(0.5)) * 0.5


_special("erfcx", erfcx_op, "Return exp(x^2) erfc(x).", 1.0, "0.4276")
_special("entr", entr_op, "Return -x log(x); 0 at zero, -inf below.", 0.5, "0.3466")
_special("i0e", i0e_op, "Return exp(-|x|) i0(x).", 1.0, "0.4658")
_special("i1", i1_op, "Return the modified Bessel function of the first kind and order 1.", 1.0, "0.5652")
_special("i1e", i1e_op, "Return exp(-|x|) i1(x).", 1.0, "0.2079")
_special("log_ndtr", log_ndtr_op, "Return log(ndtr(x)), exact in the left tail.", 0.0, "-0.6931")
_special("ndtr", _ndtr, "Return the standard normal distribution function.", 0.0, "0.5000")
_special("ndtri", ndtri_op, "Return x with ndtr(x) = input.", 0.5, "0.")

zeta_op = Op(
    _zeta,
    [_zeta_no_gradient, lambda g, s, q: -g * s * zeta_op(s + 1, q)],
    promote="float", broadcast=True,
)  # fmt: skip


def _special_of_two(name, op, summary, example):
    """Add the function of two tensors or numbers, not both numbers, to the namespace."""

    def public(input, other, *, out=None):
        if not isinstance(other, Tensor):
            require_tensor("special_" + name, input)
        answer = op(input, other)
        return answer if out is None else write_out(out, answer, name)

    public.__name__ = public.__qualname__ = name
    public.__doc__ = f"""{summary}

    Arguments: input, other (Tensor or number; shapes broadcast), out (Tensor the result is written to).
    Source: https://docs.pytorch.org/docs/stable/special.html#torch.special.{name}

    >>> import minigrad as mg
    >>> mg.special.{name}(mg.tensor(2.0), 1.0)
    tensor({example})
    """
    SPECIAL[name] = public


_special_of_two("zeta", zeta_op, "Return the Hurwitz zeta function sum over k >= 0 of (other + k)^-input.", "1.6449")
_special_of_two("xlog1py", xlog1py_op, "Return input * log(1 + other), which is 0 where input is 0.", "1.3863")
