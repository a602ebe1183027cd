"""One operation on every tensor of a list: ``_foreach_NAME``, which optimizers and averages of weights call.

``_foreach_NAME(tensors, …)`` returns a tuple of results, ``_foreach_NAME_(tensors, …)`` writes into the tensors and
returns their list. A second operand is a number or a tensor without dimensions for all, or a list of one for each.

>>> import minigrad as mg
>>> weights = [mg.ones(2), mg.zeros(1)]
>>> mg._foreach_add(weights, [mg.ones(2), mg.ones(1)], alpha=2)
(tensor([3., 3.]), tensor([2.]))
>>> mg._foreach_mul_(weights, 0.5)
[tensor([0.5000, 0.5000]), tensor([0.])]
"""

from minigrad.ops.norms import vector_norm
from minigrad.ops.on_demand import FOREACH_BINARY, FOREACH_IN_PLACE, FOREACH_POINTWISE, FOREACH_RESULT, FOREACH_UNARY
from minigrad.tensor import Tensor

_CLAMPS = {"maximum": "clamp_min", "minimum": "clamp_max"}  # with numbers, and in place


def _listed(name, tensors, position=1):
    """Return tensors; TypeError unless they are a list or tuple of tensors, RuntimeError for an empty one."""
    if not isinstance(tensors, (list, tuple)) or not all(isinstance(tensor, Tensor) for tensor in tensors):
        raise TypeError(
            f"{name}(): argument 'self' (position {position}) must be tuple of Tensors, not {type(tensors).__name__}"
        )
    if not tensors:
        raise RuntimeError("Tensor list must have at least one tensor.")
    return tensors


def _for_each(name, tensors, other):
    """Return one operand for each tensor; RuntimeError for another number of them."""
    if isinstance(other, (list, tuple)):
        if len(other) != len(tensors):
            if other and not isinstance(other[0], Tensor):
                raise RuntimeError("Tensor list must have same number of elements as scalar list.")
            raise RuntimeError(
                f"Tensor lists must have the same number of tensors, got {len(tensors)} and {len(other)}"
            )
        return other
    if isinstance(other, Tensor) and other.array.ndim:
        raise RuntimeError(
            f"scalar tensor expected to be 0 dim but it has {other.array.ndim} dimensions and {other.array.size} "
            "elements."
        )
    if not isinstance(other, (Tensor, int, float, complex)):
        raise TypeError(f"{name}() takes tensors, numbers or lists of them, but got {type(other).__name__}")
    return [other] * len(tensors)


def _only(name, given):
    """Return the value of the one keyword given; TypeError for none or several."""
    if len(given) != 1:
        raise TypeError(f"{name}() takes one second operand, but got {sorted(given) or 'none'}")
    return next(iter(given.values()))


def _result(suffix, tensors, results):
    """Return what the function returns: a tuple of results, or in place the tensors."""
    return list(tensors) if suffix else tuple(results)


def _unary(name, suffix):
    method = getattr(Tensor, name + suffix)

    def foreach(self):
        return _result(suffix, self, [method(tensor) for tensor in _listed(foreach.__name__, self)])

    return foreach


def _binary(name, suffix):
    def foreach(self, *other, alpha=1, **given):
        other = other[0] if len(other) == 1 and not given else _only(foreach.__name__, given)
        if name == "pow" and not suffix and not isinstance(self, (list, tuple)):
            return tuple([self**exponent for exponent in _listed(foreach.__name__, other, 2)])
        scale = {} if alpha == 1 else {"alpha": alpha}
        results = []
        operands = _for_each(foreach.__name__, _listed(foreach.__name__, self), other)
        for tensor, operand in zip(self, operands, strict=True):
            word = _CLAMPS.get(name, name) if suffix or not isinstance(operand, Tensor) else name
            results.append(getattr(tensor, word + suffix)(operand, **scale))
        return _result(suffix, self, results)

    return foreach


def _pointwise(name, suffix):
    method = getattr(Tensor, name + suffix)

    def foreach(self, tensor1, tensor2, value=1, *, scalars=None):
        _listed(foreach.__name__, self)
        scales = value if scalars is None else scalars
        if isinstance(scales, Tensor) and scales.array.ndim == 1:
            scales = scales.tolist()
        rows = [_for_each(foreach.__name__, self, operand) for operand in (tensor1, tensor2, scales)]
        return _result(suffix, self, [method(*row, value=scale) for *row, scale in zip(self, *rows, strict=True)])

    return foreach


def _lerp(name, suffix):
    method = getattr(Tensor, name + suffix)

    def foreach(self, tensors1, weight=None, *, weights=None):
        _listed(foreach.__name__, self)
        rows = [_for_each(foreach.__name__, self, x) for x in (tensors1, weight if weights is None else weights)]
        return _result(suffix, self, [method(*row) for row in zip(self, *rows, strict=True)])

    return foreach


def _clone(self, *, memory_format=None):
    keywords = {} if memory_format is None else {"memory_format": memory_format}
    return tuple([tensor.clone(**keywords) for tensor in _listed("_foreach_clone", self)])


def _max(self):
    return tuple([tensor.max() for tensor in _listed("_foreach_max", self)])


def _mm(self, mat2):
    others = _for_each("_foreach_mm", _listed("_foreach_mm", self), _listed("_foreach_mm", mat2, 2))
    return tuple([tensor.mm(other) for tensor, other in zip(self, others, strict=True)])


def _norm(self, ord=2, dtype=None):
    return tuple([vector_norm(tensor, ord, dtype=dtype) for tensor in _listed("_foreach_norm", self)])


def _powsum(self, ord=2, dtype=None):
    return tuple([(tensor.abs() ** ord).sum(dtype=dtype) for tensor in _listed("_foreach_powsum", self)])


def _copy_(self, src, non_blocking=False):
    if not isinstance(non_blocking, bool):
        raise TypeError(f"_foreach_copy_(): argument 'non_blocking' must be bool, not {type(non_blocking).__name__}")
    sources = _for_each("_foreach_copy_", _listed("_foreach_copy_", self), _listed("_foreach_copy_", src, 2))
    for tensor, source in zip(self, sources, strict=True):
        tensor.copy_(source, non_blocking)
    return list(self)


def _zero_(self):
    for tensor in _listed("_foreach_zero_", self):
        tensor.zero_()
    return list(self)


def _define():
    makers = (_unary, FOREACH_UNARY), (_binary, FOREACH_BINARY), (_pointwise, FOREACH_POINTWISE), (_lerp, ["lerp"])
    for make, names in makers:
        for name in names:
            for suffix in ("", "_"):
                yield f"_foreach_{name}{suffix}", make(name, suffix)
    for name in (*FOREACH_RESULT, *FOREACH_IN_PLACE):
        yield f"_foreach_{name}", globals()[f"_{name}"]


for _name, _function in _define():
    _function.__name__ = _function.__qualname__ = _name
    globals()[_name] = _function
