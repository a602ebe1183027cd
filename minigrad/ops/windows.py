"""Windows of signals: torch.hann_window and its like, and those of torch.signal.windows."""

import math

from minigrad.backend import FLOAT_CODES, as_dtype, default_float
from minigrad.kernels.special import i0
from minigrad.ops.creation import finish, make
from minigrad.ops.layout import check_layout, strided


# ---------------------------------------------------------------------- shapes: sample numbers k = 0 … last to values
def _cosines(coefficients):
    """Return the window sum_i (-1)^i a_i cos(2 pi i k / last)."""

    def shape(module, k, last):
        angle = k * (2 * math.pi / last)
        return sum((-1) ** i * a * module.cos(i * angle) for i, a in enumerate(coefficients)) + 0 * angle

    return shape


def _triangle(module, k, last):
    return 1 - module.abs(k * (2 / last) - 1)


def _kaiser(beta):
    def shape(module, k, last):
        return i0(beta * module.sqrt(module.maximum(1 - (k * 2 / last - 1) ** 2, 0))) / i0(module.asarray(float(beta)))

    return shape


def _gaussian(std):
    return lambda module, k, last: module.exp(-0.5 * ((k - last / 2) / std) ** 2)


def _exponential(center, tau):
    return lambda module, k, last: module.exp(-module.abs(k - (last / 2 if center is None else center)) / tau)


def _cosine(module, k, last):
    return module.sin((k + 0.5) * (math.pi / (last + 1)))


_HANN, _HAMMING, _BLACKMAN = (0.5, 0.5), (0.54, 0.46), (0.42, 0.5, 0.08)
_NUTTALL = (0.3635819, 0.4891775, 0.1365995, 0.0106411)


def _window(shape, length, periodic, dtype, device, requires_grad, pin_memory=False):
    """Return a window; a periodic one is a symmetric one of one sample more without its last."""
    chosen = default_float() if dtype is None else as_dtype(dtype).dtype

    def maker(module, _, dtype):
        if length < 2:
            return module.ones(length, dtype)
        k = module.arange(length, dtype="float64")
        return shape(module, k, length if periodic else length - 1).astype(dtype)

    return finish(make((), chosen, device, maker), requires_grad, pin_memory)


# ---------------------------------------------------------------------- minigrad.hann_window and its like
def _public(name, summary, parameters, shape_of, example):
    """Return minigrad.NAME(window_length, periodic=True, PARAMETERS, *, dtype, …)."""
    names = list(parameters)

    def public(
        window_length, periodic=True, *args, dtype=None, layout=None, device=None, requires_grad=False,
        pin_memory=False, **given,
    ):  # fmt: skip
        values = {**parameters, **dict(zip(names, args, strict=False)), **given}
        if len(args) > len(names) or set(values) != set(names):
            raise TypeError(f"{name}() takes window_length, periodic, {', '.join(names)} and keywords of a new tensor")
        if not hasattr(window_length, "__index__") or isinstance(window_length, bool):
            kind = type(window_length).__name__
            raise TypeError(f"{name}(): argument 'window_length' (position 1) must be int, not {kind}")
        length = window_length.__index__()
        if length < 0:
            raise RuntimeError(f"{name} requires non-negative window_length, got window_length={length}")
        if dtype is not None and as_dtype(dtype).dtype.char not in FLOAT_CODES:
            raise RuntimeError(f"{name} expects floating point dtypes, got: {dtype}")
        check_layout(layout)
        return _window(shape_of(**values), length, periodic, dtype, device, requires_grad, pin_memory)

    public.__name__ = public.__qualname__ = name
    public.__doc__ = f"""Return {summary}.

    Arguments: window_length (int), periodic (False: symmetric){"".join(f", {n} ({v})" for n, v in parameters.items())};
    dtype, layout, device, requires_grad, pin_memory. RuntimeError for negative lengths or integer dtypes.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.{name}.html

    >>> import minigrad as mg
    >>> mg.{name}(4)[1:]
    tensor([{example}])
    """
    return public


hann_window = _public(
    "hann_window", "the window sin(pi k / N)^2", {}, lambda: _cosines(_HANN), "0.5000, 1.0000, 0.5000"
)
hamming_window = _public(
    "hamming_window", "the window alpha - beta cos(2 pi k / N)", {"alpha": 0.54, "beta": 0.46},
    lambda alpha, beta: _cosines((alpha, beta)), "0.5400, 1.0000, 0.5400",
)  # fmt: skip
blackman_window = _public(
    "blackman_window", "the window 0.42 - 0.5 cos(2 pi k / N) + 0.08 cos(4 pi k / N)", {},
    lambda: _cosines(_BLACKMAN), "0.3400, 1.0000, 0.3400",
)  # fmt: skip
bartlett_window = _public(
    "bartlett_window", "the triangular window 1 - |2 k / N - 1|", {}, lambda: _triangle, "0.5000, 1.0000, 0.5000"
)
kaiser_window = _public(
    "kaiser_window", "the window I_0(beta sqrt(1 - (2 k / N - 1)^2)) / I_0(beta)", {"beta": 12.0},
    _kaiser, "0.2157, 1.0000, 0.2157",
)  # fmt: skip


# ---------------------------------------------------------------------- minigrad.signal.windows
WINDOWS = {}


def _signal_window(name, summary, parameters, shape_of, example):
    """Add minigrad.signal.windows.NAME(M, *, PARAMETERS, sym=True, dtype, …)."""

    def public(M, *, sym=True, dtype=None, layout=strided, device=None, requires_grad=False, **given):
        values = {**parameters, **given}
        if set(values) != set(parameters) or ... in values.values():
            raise TypeError(f"{name}() takes M and the keywords {', '.join(parameters)}, sym and those of a new tensor")
        if not hasattr(M, "__index__"):
            raise TypeError(f"{name}(): M must be int, not {type(M).__name__}")
        if M < 0:
            raise ValueError(f"{name} requires non-negative window length, got M={M}")
        if layout is not strided:
            raise ValueError(f"{name} is implemented for strided tensors only, got: {layout}")
        if dtype is not None and as_dtype(dtype).dtype.char not in "fd":
            raise ValueError(f"{name} expects float32 or float64 dtypes, got: {dtype}")
        if sym and values.get("center") is not None:
            raise ValueError("Center must be None for symmetric windows")
        return _window(shape_of(**values), M, not sym, dtype, device, requires_grad)

    public.__name__ = public.__qualname__ = name
    shown = "".join(f", {n} ({'required' if v is ... else v})" for n, v in parameters.items())
    given = "".join(f", {n}=[0.5, 0.5]" for n, v in parameters.items() if v is ...)
    public.__doc__ = f"""Return {summary}; k counts from 0 to N, which is M - 1 (with sym=False M).

    Arguments: M (int, number of samples){shown}, sym (False: periodic), dtype, layout, device, requires_grad.
    ValueError for negative lengths, other parameters out of their range, or dtypes but float32 and float64.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.signal.windows.{name}.html

    >>> import minigrad as mg
    >>> mg.signal.windows.{name}(3{given})[1:2]
    tensor([{example}])
    """
    WINDOWS[name] = public


def _positive(name, value, or_zero=False):
    if value < 0 or (value == 0 and not or_zero):
        raise ValueError(f"{name} must be {'non-negative' if or_zero else 'positive'}, got: {value} instead.")
    return value


def _general(a):
    if not hasattr(a, "__iter__"):
        raise TypeError("Coefficients must be a list/tuple")
    if not len(a):
        raise ValueError("Coefficients cannot be empty")
    return _cosines([float(coefficient) for coefficient in a])


for _line in [
    ("bartlett", "the triangular window 1 - |2 k / N - 1|", {}, lambda: _triangle, "1."),
    ("blackman", "Blackman's window of cosines", {}, lambda: _cosines(_BLACKMAN), "1."),
    ("cosine", "the window sin(pi (k + 0.5) / (N + 1))", {}, lambda: _cosine, "1."),
    (
        "exponential", "the window exp(-|k - center| / tau)", {"center": None, "tau": 1.0},
        lambda center, tau: _exponential(center, _positive("Tau", tau)), "1.",
    ),
    (
        "gaussian", "the window exp(-((k - N / 2) / std)^2 / 2)", {"std": 1.0},
        lambda std: _gaussian(_positive("Standard deviation", std)), "1.",
    ),
    ("general_cosine", "the window sum_i (-1)^i a_i cos(2 pi i k / N)", {"a": ...}, _general, "1."),
    (
        "general_hamming", "the window alpha - (1 - alpha) cos(2 pi k / N)", {"alpha": 0.54},
        lambda alpha: _cosines((alpha, 1 - alpha)), "1.",
    ),
    ("hamming", "Hamming's window 0.54 - 0.46 cos(2 pi k / N)", {}, lambda: _cosines(_HAMMING), "1."),
    ("hann", "the window sin(pi k / N)^2", {}, lambda: _cosines(_HANN), "1."),
    (
        "kaiser", "Kaiser's window I_0(beta sqrt(1 - (2 k / N - 1)^2)) / I_0(beta)", {"beta": 12.0},
        lambda beta: _kaiser(_positive("beta", beta, or_zero=True)), "1.",
    ),
    ("nuttall", "Nuttall's window of four cosines", {}, lambda: _cosines(_NUTTALL), "1."),
]:  # fmt: skip
    _signal_window(*_line)
