"""Clipping gradients by norm or by value."""

import math
import warnings

from minigrad.backend import xp
from minigrad.kernels import cuda
from minigrad.tensor import Tensor, wrap
from minigrad.variable import touch

__all__ = ["clip_grad_norm", "clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm"]


def _as_list(tensors):
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


def _gradients(parameters):
    return [parameter.grad for parameter in _as_list(parameters) if parameter.grad is not None]


def _norm(array, kind):
    """Return the norm of all elements of a raw array as a float."""
    if not array.size:
        return 0.0
    if kind == math.inf:
        return float(abs(array).max())
    flat = array.reshape(-1)
    if kind == 2.0:
        wide = flat.astype("float32") if array.dtype.char in "eE" else flat
        return math.sqrt(float(xp(array).dot(wide, wide)))
    return float((abs(flat.astype("float64")) ** kind).sum()) ** (1.0 / kind) if kind else float((flat != 0).sum())


def get_total_norm(tensors, norm_type=2.0, error_if_nonfinite=False, foreach=None):
    """Return the norm of all elements of the tensors together, as a 0-d tensor.

    Arguments: tensors (Tensor or iterable), norm_type (p, or inf), error_if_nonfinite (RuntimeError for NaN or inf),
    foreach (how PyTorch loops; the result is the same).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.get_total_norm.html

    >>> import minigrad as mg
    >>> mg.nn.utils.get_total_norm([mg.tensor([3.0]), mg.tensor([4.0])])
    tensor(5.)
    """
    tensors = _as_list(tensors)
    kind = float(norm_type)
    if not tensors:
        return wrap(xp(0.0).asarray(0.0, "float32"))
    first = tensors[0].array
    if _on_gpu(tensors) and kind > 0 and all(tensor.array.dtype == first.dtype for tensor in tensors):
        total = wrap(cuda.optimizer.norm([tensor.array for tensor in tensors], kind))
        if error_if_nonfinite:
            _check_finite(total.item(), kind)
        return total
    norms = xp(first).asarray([_norm(tensor.array, kind) for tensor in tensors], first.dtype)
    total = _norm(norms, kind)
    if error_if_nonfinite:
        _check_finite(total, kind)
    return wrap(xp(first).asarray(total, first.dtype))


def _on_gpu(tensors):
    """Whether a GPU's kernels take the tensors, all of one device; then nothing waits for it."""
    home = tensors[0].device if tensors else None
    if home is None or home.type != "cuda" or any(tensor.device != home for tensor in tensors):
        return False
    return cuda.optimizer.takes_all([tensor.array for tensor in tensors])


def _check_finite(total, kind):
    """RuntimeError for a norm that is inf or NaN."""
    if not math.isfinite(total):
        raise RuntimeError(
            f"The total norm of order {kind} for gradients from `parameters` is non-finite, so it cannot be clipped. "
            "To "
            "disable this error and scale the gradients by the non-finite norm anyway, set `error_if_nonfinite=False`"
        )


def clip_grads_with_norm_(parameters, max_norm, total_norm, foreach=None):
    """Scale the parameters' gradients in place by min(1, max_norm / (total_norm + 1e-6))."""
    gradients = _gradients(parameters)
    if isinstance(total_norm, Tensor) and total_norm.is_cuda and _on_gpu(gradients):
        cuda.optimizer.clip([gradient.array for gradient in gradients], total_norm.array, max_norm)
        for gradient in gradients:
            touch(gradient.array)
        return
    coefficient = float(max_norm) / (float(total_norm) + 1e-6)
    factor = coefficient if coefficient < 1 or math.isnan(coefficient) else 1.0
    if factor == 1.0:
        return
    for gradient in gradients:
        gradient.array *= factor
        touch(gradient.array)


def clip_grad_norm_(parameters, max_norm, norm_type=2.0, error_if_nonfinite=False, foreach=None):
    """Scale gradients in place so that their norm, taken together, is at most max_norm; returns the norm before.

    Arguments: parameters (Tensor or iterable), max_norm, norm_type (p, or inf), error_if_nonfinite (RuntimeError where
    the norm is NaN or inf), foreach (how PyTorch loops; the result is the same).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.clip_grad_norm_.html

    >>> import minigrad as mg
    >>> w = mg.nn.Parameter(mg.zeros(2))
    >>> w.grad = mg.tensor([3.0, 4.0])
    >>> mg.nn.utils.clip_grad_norm_([w], max_norm=1.0), w.grad
    (tensor(5.), tensor([0.6000, 0.8000]))
    """
    parameters = _as_list(parameters)
    total = get_total_norm(_gradients(parameters), norm_type, error_if_nonfinite, foreach)
    clip_grads_with_norm_(parameters, max_norm, total, foreach)
    return total


def clip_grad_norm(parameters, max_norm, norm_type=2.0, error_if_nonfinite=False, foreach=None):
    """Deprecated name of clip_grad_norm_."""
    warnings.warn(
        "`nn.utils.clip_grad_norm` is now deprecated in favor of `nn.utils.clip_grad_norm_`.",
        FutureWarning,
        stacklevel=2,
    )
    return clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite, foreach)


def clip_grad_value_(parameters, clip_value, foreach=None):
    """Clamp every gradient's elements to [-clip_value, clip_value], in place.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.clip_grad_value_.html

    >>> import minigrad as mg
    >>> w = mg.nn.Parameter(mg.zeros(2))
    >>> w.grad = mg.tensor([3.0, -0.5])
    >>> mg.nn.utils.clip_grad_value_(w, 1.0)
    >>> w.grad
    tensor([ 1.0000, -0.5000])
    """
    bound = float(clip_value)
    for gradient in _gradients(parameters):
        array = gradient.array
        array[...] = xp(array).clip(array, -bound, bound)
        touch(array)
