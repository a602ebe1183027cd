"""Jacobians, Hessians and their products with vectors, of functions of tensors."""

from minigrad import engine
from minigrad.tensor import Tensor
from minigrad.variable import is_tracked


def vjp(func, inputs, v=None, create_graph=False, strict=False):
    """Return (func(inputs), vᵀ J): the product of a vector with the Jacobian, one entry per input.

    Arguments: func (of tensors, to a tensor or tuple), inputs, v (of the output's shape; may be None for a scalar
    output), create_graph (the results can be differentiated), strict (RuntimeError when an output does not depend on
    an input, instead of zeros).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.autograd.functional.vjp.html

    >>> import minigrad as mg
    >>> mg.autograd.functional.vjp(lambda x: x * x, mg.tensor([1.0, 2.0]), mg.ones(2))
    (tensor([1., 4.]), tensor([2., 4.]))
    """
    single, leaves = _leaves(inputs, create_graph)
    outputs = func(*leaves)
    results = _as_tuple(outputs)
    _check_direction("vjp", v, results)
    gradients = _gradients(results, leaves, None if v is None else _as_tuple(v), create_graph, strict, "vjp")
    return _plain(outputs, create_graph), _unwrapped(single, gradients)


def jvp(func, inputs, v=None, create_graph=False, strict=False):
    """Return (func(inputs), J v): the product of the Jacobian with a vector of the inputs' shape.

    It is computed by differentiating uᵀ J, which is linear in u, with respect to u.
    Arguments as for vjp. Source: https://docs.pytorch.org/docs/stable/generated/torch.autograd.functional.jvp.html
    """
    _, leaves = _leaves(inputs, create_graph)
    if v is None:
        if len(leaves) != 1 or leaves[0].numel() != 1:
            raise RuntimeError(
                "The vector v can only be None if the input to the user-provided function is a single Tensor "
                "with a single element."
            )
        v = leaves[0].detach() * 0 + 1
    outputs = func(*leaves)
    results = _as_tuple(outputs)
    dummies = [_like(out).requires_grad_() for out in results]
    linear = _gradients(results, leaves, dummies, True, strict, "jvp")
    pairs = [(g, d) for g, d in zip(linear, _as_tuple(v), strict=True) if is_tracked(g)]
    if not pairs:
        product = tuple(_like(out) for out in results)
    else:
        values = engine.grad(
            [g for g, _ in pairs], dummies, [d for _, d in pairs], create_graph=create_graph, allow_unused=True
        )
        product = tuple(_like(out) if value is None else value for value, out in zip(values, results, strict=True))
    return _plain(outputs, create_graph), product[0] if isinstance(outputs, Tensor) else product


def jacobian(func, inputs, create_graph=False, strict=False, vectorize=False, strategy="reverse-mode"):
    """Return the Jacobian of func: for each output and input a tensor of shape output.shape + input.shape.

    ``vectorize`` is a hint PyTorch uses to compute rows together; here it changes nothing but is checked.
    NotImplementedError for strategy="forward-mode".
    Source: https://docs.pytorch.org/docs/stable/generated/torch.autograd.functional.jacobian.html

    >>> import minigrad as mg
    >>> mg.autograd.functional.jacobian(lambda x: x * x, mg.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    if strategy != "reverse-mode":
        raise NotImplementedError(f"jacobian: strategy {strategy!r} is not supported; use 'reverse-mode'")
    if not isinstance(vectorize, bool):
        raise TypeError(f"jacobian: vectorize must be a bool, but got {vectorize!r}")
    single, leaves = _leaves(inputs, create_graph)
    outputs = func(*leaves)
    result = tuple(_unwrapped(single, _rows(out, leaves, create_graph, strict)) for out in _as_tuple(outputs))
    return result[0] if isinstance(outputs, Tensor) else result


def hessian(func, inputs, create_graph=False, strict=False, vectorize=False, outer_jacobian_strategy="reverse-mode"):
    """Return the Hessian of a scalar function.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.autograd.functional.hessian.html

    >>> import minigrad as mg
    >>> mg.autograd.functional.hessian(lambda x: (x * x * x).sum(), mg.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """

    def gradient(*values):
        return jacobian(
            lambda *args: _scalar(func(*args)),
            values if len(values) > 1 else values[0],
            create_graph=True,
            strict=strict,
        )

    return jacobian(gradient, inputs, create_graph, strict, vectorize, outer_jacobian_strategy)


def vhp(func, inputs, v=None, create_graph=False, strict=False):
    """Return (func(inputs), vᵀ H) of a scalar function.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.autograd.functional.vhp.html
    """
    single, leaves = _leaves(inputs, create_graph)
    output = _scalar(func(*leaves))
    first = _gradients((output,), leaves, None, True, strict, "vhp")
    _check_direction("vhp", v, first)
    second = _gradients(first, leaves, None if v is None else _as_tuple(v), create_graph, strict, "vhp")
    return _plain(output, create_graph), _unwrapped(single, second)


def hvp(func, inputs, v=None, create_graph=False, strict=False):
    """Return (func(inputs), H v) of a scalar function; H is symmetric, so this is vhp.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.autograd.functional.hvp.html
    """
    return vhp(func, inputs, v, create_graph, strict)


def _as_tuple(values):
    return (values,) if isinstance(values, Tensor) else tuple(values)


def _unwrapped(single, values):
    return values[0] if single else tuple(values)


def _like(tensor):
    return tensor.detach() * 0


def _leaves(inputs, create_graph):
    """Return (whether inputs is one tensor, tensors to differentiate with respect to)."""
    values = _as_tuple(inputs)
    for position, value in enumerate(values):
        if not isinstance(value, Tensor):
            raise TypeError(
                "The inputs given must be either a Tensor or a tuple of Tensors but the value at index "
                f"{position} has type {type(value).__name__}."
            )
    if create_graph:
        leaves = [value.view_as(value) if value.requires_grad else value.detach().requires_grad_() for value in values]
    else:
        leaves = [value.detach().requires_grad_() for value in values]
    return isinstance(inputs, Tensor), leaves


def _plain(outputs, create_graph):
    """Return the outputs, out of the graph unless it is wanted."""
    if create_graph:
        return outputs
    return outputs.detach() if isinstance(outputs, Tensor) else tuple(out.detach() for out in outputs)


def _scalar(output):
    if not isinstance(output, Tensor):
        raise TypeError(
            "The outputs of the user-provided function given to hessian, vhp and hvp must be a Tensor, but got "
            f"{type(output).__name__}"
        )
    if output.numel() != 1:
        raise RuntimeError(
            "The function given to hessian, vhp and hvp should return a single Tensor with a single element."
        )
    return output.reshape(())


def _check_direction(name, v, results):
    if v is None and (len(results) != 1 or results[0].numel() != 1):
        raise RuntimeError(
            f"{name}: The vector v can only be None if the user-provided function returns a single Tensor with a "
            "single element."
        )
    if v is not None:
        for direction, result in zip(_as_tuple(v), results, strict=True):
            if direction.shape != result.shape:
                raise RuntimeError(f"{name}: v has invalid size: should be {result.shape} but got {direction.shape}")


def _gradients(outputs, leaves, directions, create_graph, strict, name):
    """Return the gradients of the outputs along the directions, zeros where nothing depends on a leaf."""
    kept = [(o, None if directions is None else directions[i]) for i, o in enumerate(outputs) if is_tracked(o)]
    found = [None] * len(leaves)
    if kept:
        grads = None if directions is None else [d for _, d in kept]
        found = engine.grad(
            [o for o, _ in kept], leaves, grads, create_graph=create_graph, retain_graph=True, allow_unused=True
        )
    if strict and any(value is None for value in found):
        raise RuntimeError(
            f"{name}: the output of the user-provided function is independent of input {found.index(None)}. This "
            "is not allowed in strict mode."
        )
    return tuple(_like(leaf) if value is None else value for value, leaf in zip(found, leaves, strict=True))


def _rows(out, leaves, create_graph, strict):
    """Return, for each leaf, d out / d leaf. # out.shape + leaf.shape"""
    from minigrad.ops.join import stack

    flat = out.reshape(-1)
    rows = [_gradients((flat[index],), leaves, None, create_graph, strict, "jacobian") for index in range(flat.numel())]
    return tuple(
        stack([row[position] for row in rows]).reshape((*out.shape, *leaf.shape))
        if rows
        else _like(leaf).new_zeros((*out.shape, *leaf.shape))
        for position, leaf in enumerate(leaves)
    )
