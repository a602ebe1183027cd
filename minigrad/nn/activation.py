"""Activation functions as layers."""

import warnings

from minigrad.nn import functional
from minigrad.nn.factory import filled_tensor
from minigrad.nn.module import Module
from minigrad.nn.multihead import MultiheadAttention
from minigrad.variable import Parameter

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "LeakyReLU",
    "LogSigmoid",
    "LogSoftmax",
    "Mish",
    "MultiheadAttention",
    "PReLU",
    "RReLU",
    "ReLU",
    "ReLU6",
    "SELU",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softmax2d",
    "Softmin",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Tanh",
    "Tanhshrink",
    "Threshold",
]

_PAGE = "Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.{}.html"


def _plain(name, function, formula):
    """Return the layer class of a function without settings."""

    def forward(self, input):
        return getattr(functional, function)(input)

    forward.__doc__ = f"Return {formula}."
    doc = f"{formula}, elementwise.\n\n    {_PAGE.format(name)}\n    "
    return type(name, (Module,), {"__doc__": doc, "__module__": __name__, "forward": forward})


def _inplace(name, function, formula):
    """Return the layer class of a function that can work in place."""

    def __init__(self, inplace=False):
        Module.__init__(self)
        self.inplace = inplace

    def forward(self, input):
        return getattr(functional, function)(input, inplace=self.inplace)

    def extra_repr(self):
        return "inplace=True" if self.inplace else ""

    __init__.__qualname__ = f"{name}.__init__"
    forward.__doc__ = f"Return {formula}."
    extra_repr.__doc__ = "Return the settings."
    doc = f"{formula}, elementwise.\n\n    Argument: inplace (overwrite the input).\n    {_PAGE.format(name)}\n    "
    members = {
        "__doc__": doc,
        "__module__": __name__,
        "__init__": __init__,
        "forward": forward,
        "extra_repr": extra_repr,
    }
    return type(name, (Module,), {"__constants__": ["inplace"], **members})


Sigmoid = _plain("Sigmoid", "sigmoid", "1 / (1 + exp(-x))")
Tanh = _plain("Tanh", "tanh", "tanh(x)")
LogSigmoid = _plain("LogSigmoid", "logsigmoid", "log(1 / (1 + exp(-x)))")
Softsign = _plain("Softsign", "softsign", "x / (1 + |x|)")
Tanhshrink = _plain("Tanhshrink", "tanhshrink", "x - tanh(x)")
Hardsigmoid = _inplace("Hardsigmoid", "hardsigmoid", "min(max(x + 3, 0), 6) / 6")
SiLU = _inplace("SiLU", "silu", "x sigmoid(x)")
Mish = _inplace("Mish", "mish", "x tanh(log(1 + exp(x)))")
Hardswish = _inplace("Hardswish", "hardswish", "x min(max(x + 3, 0), 6) / 6")
SELU = _inplace("SELU", "selu", "1.0507 (x for x > 0, 1.6733 (exp(x) - 1) elsewhere)")


class ReLU(Module):
    """max(0, x), elementwise.

    Argument: inplace (overwrite the input).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ReLU.html

    >>> import minigrad as mg
    >>> mg.nn.ReLU()(mg.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """

    __constants__ = ["inplace"]

    def __init__(self, inplace=False):
        super().__init__()
        self.inplace = inplace

    def forward(self, input):
        """Return max(0, x)."""
        return functional.relu(input, self.inplace)

    def extra_repr(self):
        """Return the settings."""
        return "inplace=True" if self.inplace else ""


class Threshold(Module):
    """x where x > threshold, value elsewhere.

    Arguments: threshold, value, inplace (bool). Shape: any.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Threshold.html

    >>> import minigrad as mg
    >>> mg.nn.Threshold(0.5, 9.0)(mg.tensor([-1.0, 0.0, 2.0]))
    tensor([9., 9., 2.])
    """

    __constants__ = ["threshold", "value", "inplace"]

    def __init__(self, threshold, value, inplace=False):
        super().__init__()
        self.threshold = threshold
        self.value = value
        self.inplace = inplace

    def forward(self, input):
        """Return the thresholded input."""
        return functional.threshold(input, self.threshold, self.value, self.inplace)

    def extra_repr(self):
        """Return the settings."""
        return f"threshold={self.threshold}, value={self.value}" + (", inplace=True" if self.inplace else "")


class RReLU(Module):
    """x where x ≥ 0, a x elsewhere; a is drawn from U(lower, upper) while training, and their mean in evaluation.

    Arguments: lower, upper, inplace (bool). Shape: any.
    Source: Xu et al. 2015; https://docs.pytorch.org/docs/stable/generated/torch.nn.RReLU.html

    >>> import minigrad as mg
    >>> mg.nn.RReLU(0.25, 0.75).eval()(mg.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.5000,  0.0000,  2.0000])
    """

    __constants__ = ["lower", "upper", "inplace"]

    def __init__(self, lower=1.0 / 8, upper=1.0 / 3, inplace=False):
        super().__init__()
        self.lower = lower
        self.upper = upper
        self.inplace = inplace

    def forward(self, input):
        """Return the randomly leaky input."""
        return functional.rrelu(input, self.lower, self.upper, self.training, self.inplace)

    def extra_repr(self):
        """Return the settings."""
        return f"lower={self.lower}, upper={self.upper}" + (", inplace=True" if self.inplace else "")


class Hardtanh(Module):
    """x clamped to [min_val, max_val]; AssertionError unless max_val > min_val.

    Arguments: min_val, max_val, inplace (bool). Shape: any.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Hardtanh.html

    >>> import minigrad as mg
    >>> mg.nn.Hardtanh()(mg.tensor([-1.0, 0.0, 2.0]))
    tensor([-1.,  0.,  1.])
    """

    __constants__ = ["min_val", "max_val", "inplace"]

    def __init__(self, min_val=-1.0, max_val=1.0, inplace=False, min_value=None, max_value=None):
        super().__init__()
        for old, new, value in (("min_value", "min_val", min_value), ("max_value", "max_val", max_value)):
            if value is not None:
                warnings.warn(
                    f"keyword argument `{old}` is deprecated and rename to `{new}`", FutureWarning, stacklevel=2
                )
        self.min_val = min_val if min_value is None else min_value
        self.max_val = max_val if max_value is None else max_value
        self.inplace = inplace
        if self.max_val <= self.min_val:
            raise AssertionError(f"max_val ({self.max_val}) has to be larger than min_val ({self.min_val})")

    def forward(self, input):
        """Return the clamped input."""
        return functional.hardtanh(input, self.min_val, self.max_val, self.inplace)

    def extra_repr(self):
        """Return the settings."""
        return f"min_val={self.min_val}, max_val={self.max_val}" + (", inplace=True" if self.inplace else "")


class ReLU6(Hardtanh):
    """min(max(0, x), 6).

    Argument: inplace (bool). Shape: any.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ReLU6.html

    >>> import minigrad as mg
    >>> mg.nn.ReLU6()(mg.tensor([-1.0, 2.0, 8.0]))
    tensor([0., 2., 6.])
    """

    def __init__(self, inplace=False):
        super().__init__(0.0, 6.0, inplace)

    def extra_repr(self):
        """Return the settings."""
        return "inplace=True" if self.inplace else ""


class _WithAlpha(Module):
    """An activation with a factor alpha."""

    __constants__ = ["alpha", "inplace"]

    def __init__(self, alpha=1.0, inplace=False):
        super().__init__()
        self.alpha = alpha
        self.inplace = inplace

    def extra_repr(self):
        """Return the settings."""
        return f"alpha={self.alpha}" + (", inplace=True" if self.inplace else "")


class ELU(_WithAlpha):
    """x where x > 0, alpha (exp(x) - 1) elsewhere.

    Arguments: alpha, inplace (bool). Shape: any.
    Source: Clevert et al. 2016; https://docs.pytorch.org/docs/stable/generated/torch.nn.ELU.html

    >>> import minigrad as mg
    >>> mg.nn.ELU()(mg.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.6321,  0.0000,  2.0000])
    """

    def forward(self, input):
        """Return the activation."""
        return functional.elu(input, self.alpha, self.inplace)


class CELU(_WithAlpha):
    """max(0, x) + min(0, alpha (exp(x / alpha) - 1)).

    Arguments: alpha, inplace (bool). Shape: any.
    Source: Barron 2017; https://docs.pytorch.org/docs/stable/generated/torch.nn.CELU.html

    >>> import minigrad as mg
    >>> mg.nn.CELU(2.0)(mg.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.7869,  0.0000,  2.0000])
    """

    def forward(self, input):
        """Return the activation."""
        return functional.celu(input, self.alpha, self.inplace)


class GLU(Module):
    """a sigmoid(b), a and b the halves of the input along a dimension.

    Argument: dim, of even size. Shape: (…, 2 N, …) to (…, N, …).
    Source: Dauphin et al. 2017; https://docs.pytorch.org/docs/stable/generated/torch.nn.GLU.html

    >>> import minigrad as mg
    >>> mg.nn.GLU()(mg.tensor([1.0, 2.0, 0.0, 0.0]))
    tensor([0.5000, 1.0000])
    """

    __constants__ = ["dim"]

    def __init__(self, dim=-1):
        super().__init__()
        self.dim = dim

    def forward(self, input):
        """Return the gated half."""
        return functional.glu(input, self.dim)

    def extra_repr(self):
        """Return the settings."""
        return f"dim={self.dim}"


class GELU(Module):
    """x Φ(x), Φ the normal distribution function, or its approximation by tanh.

    Argument: approximate ("none" or "tanh").
    Shape: any.
    Source: Hendrycks & Gimpel 2016; https://docs.pytorch.org/docs/stable/generated/torch.nn.GELU.html

    >>> import minigrad as mg
    >>> mg.nn.GELU()(mg.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.1587,  0.0000,  1.9545])
    """

    __constants__ = ["approximate"]

    def __init__(self, approximate="none"):
        super().__init__()
        self.approximate = approximate

    def forward(self, input):
        """Return the activation."""
        return functional.gelu(input, approximate=self.approximate)

    def extra_repr(self):
        """Return the settings."""
        return f"approximate={self.approximate!r}"


class _Shrink(Module):
    """An activation with a bound lambd."""

    __constants__ = ["lambd"]

    def __init__(self, lambd=0.5):
        super().__init__()
        self.lambd = lambd

    def extra_repr(self):
        """Return the settings."""
        return f"{self.lambd}"


class Hardshrink(_Shrink):
    """x where |x| > lambd, 0 elsewhere.

    Argument: lambd (default 0.5). Shape: any.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Hardshrink.html

    >>> import minigrad as mg
    >>> mg.nn.Hardshrink()(mg.tensor([-1.0, 0.25, 2.0]))
    tensor([-1.,  0.,  2.])
    """

    def forward(self, input):
        """Return the activation."""
        return functional.hardshrink(input, self.lambd)


class Softshrink(_Shrink):
    """x drawn towards 0 by lambd.

    Argument: lambd (at least 0, default 0.5). Shape: any.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Softshrink.html

    >>> import minigrad as mg
    >>> mg.nn.Softshrink()(mg.tensor([-1.0, 0.25, 2.0]))
    tensor([-0.5000,  0.0000,  1.5000])
    """

    def forward(self, input):
        """Return the activation."""
        return functional.softshrink(input, self.lambd)


class LeakyReLU(Module):
    """x where x > 0, negative_slope x elsewhere.

    Arguments: negative_slope, inplace (bool). Shape: any.
    Source: Maas et al. 2013; https://docs.pytorch.org/docs/stable/generated/torch.nn.LeakyReLU.html

    >>> import minigrad as mg
    >>> mg.nn.LeakyReLU(0.1)(mg.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.1000,  0.0000,  2.0000])
    """

    __constants__ = ["inplace", "negative_slope"]

    def __init__(self, negative_slope=1e-2, inplace=False):
        super().__init__()
        self.negative_slope = negative_slope
        self.inplace = inplace

    def forward(self, input):
        """Return the activation."""
        return functional.leaky_relu(input, self.negative_slope, self.inplace)

    def extra_repr(self):
        """Return the settings."""
        return f"negative_slope={self.negative_slope}" + (", inplace=True" if self.inplace else "")


class Softplus(Module):
    """log(1 + exp(beta x)) / beta; x itself where beta x > threshold.

    Arguments: beta, threshold. Shape: any.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Softplus.html

    >>> import minigrad as mg
    >>> mg.nn.Softplus()(mg.tensor([-1.0, 0.0, 2.0]))
    tensor([0.3133, 0.6931, 2.1269])
    """

    __constants__ = ["beta", "threshold"]

    def __init__(self, beta=1.0, threshold=20.0):
        super().__init__()
        self.beta = beta
        self.threshold = threshold

    def forward(self, input):
        """Return the activation."""
        return functional.softplus(input, self.beta, self.threshold)

    def extra_repr(self):
        """Return the settings."""
        return f"beta={self.beta}, threshold={self.threshold}"


class PReLU(Module):
    """x where x > 0, a x elsewhere, with a learnable a for all channels or one each.

    Arguments: num_parameters (1 or the number of channels), init, device, dtype.
    Shape: any, or (N, C, …) for one a per channel.
    Source: He et al. 2015; https://docs.pytorch.org/docs/stable/generated/torch.nn.PReLU.html

    >>> import minigrad as mg
    >>> mg.nn.PReLU()(mg.tensor([-1.0, 0.0, 2.0])).detach()
    tensor([-0.2500,  0.0000,  2.0000])
    >>> mg.nn.PReLU(3).weight.shape
    minigrad.Size([3])
    """

    __constants__ = ["num_parameters"]

    def __init__(self, num_parameters=1, init=0.25, device=None, dtype=None):
        super().__init__()
        self.num_parameters = num_parameters
        self.init = init
        self.weight = Parameter(filled_tensor(num_parameters, init, device, dtype))

    def reset_parameters(self):
        """Set every slope to ``init``."""
        from minigrad.nn.init import constant_

        constant_(self.weight, self.init)

    def forward(self, input):
        """Return the activation."""
        return functional.prelu(input, self.weight)

    def extra_repr(self):
        """Return the settings."""
        return f"num_parameters={self.num_parameters}"


class _AlongDim(Module):
    """A function of all elements along a dimension."""

    __constants__ = ["dim"]

    def __init__(self, dim=None):
        super().__init__()
        self.dim = dim

    def extra_repr(self):
        """Return the settings."""
        return f"dim={self.dim}"


class Softmax(_AlongDim):
    """exp(x) / Σ exp(x) along a dimension.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Softmax.html

    >>> import minigrad as mg
    >>> mg.nn.Softmax(dim=0)(mg.zeros(2))
    tensor([0.5000, 0.5000])
    """

    def forward(self, input):
        """Return the softmax."""
        return functional.softmax(input, self.dim, _stacklevel=5)


class Softmin(_AlongDim):
    """Softmax of -x.

    Argument: dim, along which the values sum to 1. Shape: any.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Softmin.html

    >>> import minigrad as mg
    >>> mg.nn.Softmin(dim=0)(mg.tensor([0.0, 0.0]))
    tensor([0.5000, 0.5000])
    """

    def forward(self, input):
        """Return the softmin."""
        return functional.softmin(input, self.dim, _stacklevel=5)


class LogSoftmax(_AlongDim):
    """Logarithm of the softmax along a dimension.

    Argument: dim. Shape: any.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.LogSoftmax.html

    >>> import minigrad as mg
    >>> mg.nn.LogSoftmax(dim=0)(mg.tensor([0.0, 0.0]))
    tensor([-0.6931, -0.6931])
    """

    def forward(self, input):
        """Return the logarithm of the softmax."""
        return functional.log_softmax(input, self.dim, _stacklevel=5)


class Softmax2d(Module):
    """Softmax over the channels of (N, C, H, W) or (C, H, W).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Softmax2d.html

    >>> import minigrad as mg
    >>> mg.nn.Softmax2d()(mg.zeros(1, 4, 2, 3))[0, :, 0, 0]
    tensor([0.2500, 0.2500, 0.2500, 0.2500])
    """

    def forward(self, input):
        """Return the softmax over channels."""
        if input.dim() not in (3, 4):
            raise ValueError(f"Softmax2d: expected input to be 3D or 4D, got {input.dim()}D instead")
        return functional.softmax(input, -3, _stacklevel=5)
