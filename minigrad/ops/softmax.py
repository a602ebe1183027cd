"""softmax and its logarithm."""


from minigrad.backend import REAL_CODES
from minigrad.kernels import softmax as kernels
from minigrad.op import Op
from minigrad.ops.arguments import warn_of_call
from minigrad.ops.reduce import checked, sum_op
from minigrad.ops.unary import exp_op
from minigrad.precision import autocasting
from minigrad.registry import function
from minigrad.tensor import Tensor, normalize_dim


def _softmax(x, *, dim):
    return kernels.softmax(x, dim)


def _log_softmax(x, *, dim):
    return kernels.log_softmax(x, dim)


def _along(out, dim):
    """Return dim as the tuple that sum takes."""
    return (dim,) if out.ndim else ()


def _softmax_gradient(g, out, dim):
    fused = None if isinstance(g, Tensor) else kernels.gradient(g, out, dim, False)
    if fused is not None:
        return fused
    return out * (g - sum_op(g * out, dim=_along(out, dim), keepdim=True))


def _log_softmax_gradient(g, out, dim):
    fused = None if isinstance(g, Tensor) else kernels.gradient(g, out, dim, True)
    if fused is not None:
        return fused
    return g - exp_op(out) * sum_op(g, dim=_along(out, dim), keepdim=True)


softmax_op = Op(_softmax, [_softmax_gradient])
log_softmax_op = Op(_log_softmax, [_log_softmax_gradient])


def _prepared(name, input, dim, dtype):
    """Return (input cast to dtype, dim) after checks."""
    input = checked(name, input, dtype)
    if not hasattr(dim, "__index__"):
        raise TypeError(f"{name}(): argument 'dim' must be int, not {type(dim).__name__}")
    dim = normalize_dim(dim, input.array.ndim)
    if input.array.dtype.char not in REAL_CODES:
        raise NotImplementedError(f'"{name}_lastdim_kernel_impl" not implemented for {input.dtype}; pass dtype=')
    return input, dim


@function(method=True, out=True, name="softmax")
def _torch_softmax(input, dim, dtype=None):
    """Return exp(x_i) / sum_j exp(x_j) along dim.

    Arguments: input (Tensor of floats, or pass dtype), dim (int), dtype (cast to it first).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.softmax.html

    >>> import minigrad as mg
    >>> mg.softmax(mg.tensor([0.0, 0.0]), dim=0)
    tensor([0.5000, 0.5000])
    """
    input, dim = _prepared("softmax", input, dim, dtype)
    return softmax_op(input, dim=dim)


@function(method=True, out=True, name="log_softmax")
def _torch_log_softmax(input, dim, dtype=None):
    """Return log(softmax(input, dim)), computed without overflow; arguments as for softmax.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.log_softmax.html

    >>> import minigrad as mg
    >>> mg.log_softmax(mg.tensor([0.0, 0.0]), dim=0)
    tensor([-0.6931, -0.6931])
    """
    input, dim = _prepared("log_softmax", input, dim, dtype)
    return log_softmax_op(input, dim=dim)


def implicit_dim(name, ndim):
    """Return the dim torch.nn.functional picks when none is given, with its warning."""
    warn_of_call(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include dim=X as an argument."
    )
    return 0 if ndim in (0, 1, 3) else 1


@autocasting
def softmax(input, dim=None, _stacklevel=3, dtype=None):
    """Return exp(x_i) / sum_j exp(x_j) along dim.

    Arguments: input (Tensor), dim (int; choosing it by default is deprecated and warns), dtype (cast to it first).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.softmax.html

    >>> import minigrad as mg
    >>> mg.nn.functional.softmax(mg.tensor([0.0, 0.0]), dim=0)
    tensor([0.5000, 0.5000])
    """
    return _torch_softmax(input, implicit_dim("softmax", input.ndim) if dim is None else dim, dtype)


@autocasting
def log_softmax(input, dim=None, _stacklevel=3, dtype=None):
    """Return log(softmax(input, dim)), computed without overflow; arguments as for softmax.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.log_softmax.html

    >>> import minigrad as mg
    >>> mg.nn.functional.log_softmax(mg.tensor([0.0, 0.0]), dim=0)
    tensor([-0.6931, -0.6931])
    """
    return _torch_log_softmax(input, implicit_dim("log_softmax", input.ndim) if dim is None else dim, dtype)


def softmin(input, dim=None, _stacklevel=3, dtype=None):
    """Return softmax(-input, dim); arguments as for softmax.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.softmin.html

    >>> import minigrad as mg
    >>> mg.nn.functional.softmin(mg.tensor([1.0, 1.0]), dim=0)
    tensor([0.5000, 0.5000])
    """
    return _torch_softmax(-input, implicit_dim("softmin", input.ndim) if dim is None else dim, dtype)
