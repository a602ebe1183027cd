"""Derivatives of functions: grad, vjp, jvp, Jacobians and Hessians, which nest and return trees like their inputs."""

import functools

from minigrad.autograd.grad_mode import enable_grad
from minigrad.backend import xp
from minigrad.func.batching import Draws, check_randomness
from minigrad.func.levels import Level, Pushforward, pulled_back
from minigrad.ops.join import stack
from minigrad.tensor import Tensor, wrap
from minigrad.utils._pytree import tree_flatten, tree_unflatten


def _chosen(argnums, args):
    """Return (the arguments to differentiate as a tree, function that puts fresh ones in their places)."""
    if not isinstance(argnums, (int, tuple)):
        raise RuntimeError(f"argnums must be int or Tuple[int, ...], got: {type(argnums)}")
    if isinstance(argnums, tuple):
        if not argnums:
            raise RuntimeError("argnums must be non-empty")
        if not all(isinstance(position, int) for position in argnums):
            raise RuntimeError(f"argnums must be int or Tuple[int, ...], got: {argnums}")
    places = []
    for position in (argnums,) if isinstance(argnums, int) else argnums:
        if not -len(args) <= position < len(args):
            raise RuntimeError(f"Got argnum={position}, but only {len(args)} positional inputs")
        places.append(position % len(args))
    if len(set(places)) != len(places):
        raise RuntimeError(f"argnums elements must be unique, got {argnums}")

    def placed(fresh):
        values = list(args)
        for place, value in zip(places, (fresh,) if isinstance(argnums, int) else fresh, strict=True):
            values[place] = value
        return values

    return args[places[0]] if isinstance(argnums, int) else tuple(args[place] for place in places), placed


def _without_aux(name, result, has_aux):
    """Return (output, aux) of a function's result; RuntimeError where it is no such pair."""
    if not has_aux:
        return result, None
    if not isinstance(result, tuple) or len(result) != 2:
        raise RuntimeError(f"{name}: output of function f should be a tuple: (output, aux) if has_aux is True")
    for leaf in tree_flatten(result[1])[0]:
        if not isinstance(leaf, Tensor):
            raise RuntimeError(f"Expected tensors, got unsupported type {type(leaf)}")
    return result


def _tensors_of(name, output):
    """Return (leaves, spec) of a function's output; RuntimeError where not all are tensors."""
    leaves, spec = tree_flatten(output)
    for leaf in leaves:
        if not isinstance(leaf, Tensor):
            raise RuntimeError(
                f"{name}: expected f(*primals) to return only tensors, got unsupported type {type(leaf)}"
            )
    if not leaves:
        raise RuntimeError(f"{name}: expected f(*primals) to return at least one tensor, got no tensors")
    return leaves, spec


def grad_and_value(func, argnums=0, has_aux=False):
    """Return a function that computes the gradient of func's scalar output and that output, as (gradient, output).

    Arguments: func, argnums (int or tuple: the positional arguments, tensors or trees of them, to differentiate with
    respect to), has_aux (func returns (output, aux); the result is then (gradient, (output, aux))).
    RuntimeError for an output that is no 0-d tensor; ValueError for an argument that is no tensor.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.func.grad_and_value.html

    >>> import minigrad as mg
    >>> mg.func.grad_and_value(lambda x: (x ** 2).sum())(mg.tensor([1.0, 2.0]))
    (tensor([2., 4.]), tensor(5.))
    """

    @functools.wraps(func)
    def differentiated(*args, **kwargs):
        level, name = Level(), "grad_and_value(f)(*args)"
        tree, placed = _chosen(argnums, args)
        fresh, leaves, spec = level.enter(tree)
        with enable_grad():
            output, aux = _without_aux(name, func(*placed(fresh), **kwargs), has_aux)
        if not isinstance(output, Tensor):
            raise RuntimeError(f"{name}: Expected f(*args) to return a Tensor, got {type(output)}")
        if output.ndim:
            raise RuntimeError(
                f"{name}: Expected f(*args) to return a scalar Tensor, got tensor with {output.ndim} dims. Maybe you "
                "wanted to use the vjp or jacrev APIs instead?"
            )
        one = wrap(xp(output.array).ones_like(output.array))
        gradients = pulled_back([output], leaves, [one], level.is_seen([output]))
        gradient, output, aux = level.leave((tree_unflatten(gradients, spec), output, aux))
        return (gradient, (output, aux)) if has_aux else (gradient, output)

    return differentiated


def grad(func, argnums=0, has_aux=False):
    """Return a function that computes the gradient of func's scalar output; with has_aux (gradient, aux).

    Arguments and errors as for grad_and_value.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.func.grad.html

    >>> import minigrad as mg
    >>> mg.func.grad(mg.func.grad(lambda x: x ** 3))(mg.tensor(2.0))
    tensor(12.)
    """
    both = grad_and_value(func, argnums, has_aux)

    @functools.wraps(func)
    def differentiated(*args, **kwargs):
        gradient, result = both(*args, **kwargs)
        return (gradient, result[1]) if has_aux else gradient

    return differentiated


def vjp(func, *primals, has_aux=False):
    """Return (func(*primals), pull), where pull(cotangents) gives the vector-Jacobian product for each primal.

    Cotangents have the output's structure and shapes (RuntimeError otherwise); with has_aux func returns
    (output, aux) and vjp (output, pull, aux).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.func.vjp.html

    >>> import minigrad as mg
    >>> output, pull = mg.func.vjp(lambda x: x * x, mg.tensor([1.0, 2.0]))
    >>> pull(mg.ones(2))
    (tensor([2., 4.]),)
    """
    level = Level()
    fresh, leaves, spec = level.enter(primals)
    with enable_grad():
        output, aux = _without_aux("vjp(f, *primals)", func(*fresh), has_aux)
    outputs, output_spec = _tensors_of("vjp(f, *primals)", output)

    def pull(cotangents, *, retain_graph=True, create_graph=None):
        """Return the product; the graph is kept, and recorded anew where gradients are recorded."""
        given, given_spec = tree_flatten(cotangents)
        if given_spec != output_spec:
            raise RuntimeError(
                "Expected pytree structure of cotangents to be the same as pytree structure of outputs to the "
                f"function. cotangents: {given_spec}, primal output: {output_spec}"
            )
        later = Level()
        later.own, later.leaves = level.own, level.leaves
        recorded = later.is_seen([*outputs, *given])
        return later.leave(tree_unflatten(pulled_back(outputs, leaves, given, recorded), spec))

    left, aux = level.leave((output, aux))
    return (left, pull, aux) if has_aux else (left, pull)


def jvp(func, primals, tangents, *, strict=False, has_aux=False):
    """Return (func(*primals), J v) for tangents v of the primals' structure and shapes.

    There is no forward mode: v is brought through the derivative of u -> Jᵀ u, which costs two backward passes.

    Arguments: func, primals (tuple), tangents (tuple), strict (RuntimeError where the output does not depend on the
    primals, instead of zeros), has_aux (func returns (output, aux), jvp (output, J v, aux)).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.func.jvp.html

    >>> import minigrad as mg
    >>> mg.func.jvp(lambda x: x * x, (mg.tensor([1.0, 2.0]),), (mg.tensor([1.0, 0.0]),))
    (tensor([1., 4.]), tensor([2., 0.]))
    """
    name = "jvp(f, primals, tangents)"
    if not isinstance(primals, tuple):
        raise RuntimeError(f"{name}: Expected primals to be a tuple. E.g. it should be valid to call f(*primals).")
    level = Level()
    push, output, aux = _pushed(name, func, primals, has_aux, level, tangents, strict)
    output, product, aux = level.leave((output, push(tangents), aux))
    return (output, product, aux) if has_aux else (output, product)


def _pushed(name, func, primals, has_aux, level, tangents=None, strict=False):
    """Return (function from tangents to J v as trees, output, aux)."""
    fresh, leaves, spec = level.enter(primals)
    if not leaves:
        raise RuntimeError(f"{name}: Expected primals to contain at least one Tensor.")
    if tangents is not None:
        _checked_tangents(name, tangents, leaves, spec)
    with enable_grad():
        output, aux = _without_aux(name, func(*fresh), has_aux)
    outputs, output_spec = _tensors_of(name, output)
    if strict and not all(out.requires_grad for out in outputs):
        raise RuntimeError(f"{name}: The output of f is independent of the inputs. This is not allowed with strict.")
    watched = outputs if tangents is None else [*outputs, *tree_flatten(tangents)[0]]
    forward = Pushforward(level, outputs, leaves, level.is_seen(watched))

    def push(tangents):
        return tree_unflatten(forward(_checked_tangents(name, tangents, leaves, spec)), output_spec)

    return push, output, aux


def _checked_tangents(name, tangents, leaves, spec):
    """Return the list of tangents; RuntimeError where their structure or shapes are not the primals'."""
    given, given_spec = tree_flatten(tangents)
    if given_spec != spec:
        raise RuntimeError(
            f"{name}: Expected primals and tangents to have the same python structure. For example, if primals is a "
            f"tuple of 3 tensors, tangents also must be. Got primals with structure {spec} and tangents with structure "
            f"{given_spec}"
        )
    for tangent, leaf in zip(given, leaves, strict=True):
        if not isinstance(tangent, Tensor):
            raise RuntimeError(f"{name}: expected tangents to be tensors, got {type(tangent)}")
        if tangent.shape != leaf.shape:
            raise RuntimeError(
                f"{name}: a tangent has a different size than its primal, which is not supported: "
                f"{list(tangent.shape)} for {list(leaf.shape)}."
            )
    return given


def linearize(func, *primals):
    """Return (func(*primals), push), where push(*tangents) gives J v at the primals without running func again.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.func.linearize.html

    >>> import minigrad as mg
    >>> output, push = mg.func.linearize(lambda x: x * x, mg.tensor([1.0, 2.0]))
    >>> push(mg.ones(2))
    tensor([2., 4.])
    """
    level = Level()
    push, output, _ = _pushed("linearize", func, primals, False, level)

    def linear(*tangents):
        return level.leave(push(tangents))

    return level.leave(output), linear


def jacrev(func, argnums=0, *, has_aux=False, chunk_size=None):
    """Return a function that computes the Jacobian of func, row by row: one backward pass per output element.

    For each output leaf there is a tree like the arguments chosen by argnums, of tensors (*output, *input).
    Arguments: func, argnums, has_aux (func returns (output, aux), the Jacobian comes as (Jacobian, aux)), chunk_size
    (rows that PyTorch computes at once: checked, the result does not depend on it).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.func.jacrev.html

    >>> import minigrad as mg
    >>> mg.func.jacrev(mg.sin)(mg.zeros(2))
    tensor([[1., 0.],
            [0., 1.]])
    """
    if chunk_size is not None and not chunk_size > 0:
        raise ValueError("jacrev: `chunk_size` should be greater than 0.")

    @functools.wraps(func)
    def jacobian(*args, **kwargs):
        level = Level()
        tree, placed = _chosen(argnums, args)
        fresh, leaves, spec = level.enter(tree)
        with enable_grad():
            output, aux = _without_aux("jacrev", func(*placed(fresh), **kwargs), has_aux)
        outputs, output_spec = _tensors_of("vjp(f, *primals)", output)
        recorded = level.is_seen(outputs)
        blocks = []
        for out in outputs:
            rows = [pulled_back([out], leaves, [unit], recorded) for unit in _units(out)]
            with_rows = [_stacked([row[place] for row in rows], leaf, out.shape) for place, leaf in enumerate(leaves)]
            blocks.append(tree_unflatten(with_rows, spec))
        result, aux = level.leave((tree_unflatten(blocks, output_spec), aux))
        return (result, aux) if has_aux else result

    return jacobian


def jacfwd(func, argnums=0, has_aux=False, *, randomness="error"):
    """Return a function that computes the Jacobian of func column by column: one pass per input element (see jvp).

    Results as for jacrev. Arguments: func, argnums, has_aux, randomness ("error": func may not draw random numbers;
    "same": every column sees the same ones; "different": each its own, which runs func once per column).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.func.jacfwd.html

    >>> import minigrad as mg
    >>> mg.func.jacfwd(mg.sin)(mg.zeros(2))
    tensor([[1., 0.],
            [0., 1.]])
    """
    check_randomness(randomness)

    @functools.wraps(func)
    def jacobian(*args, **kwargs):
        level = Level()
        tree, placed = _chosen(argnums, args)
        values, spec = tree_flatten(tree)
        name = "jacfwd"

        def run(*flat):
            return func(*placed(tree_unflatten(flat, spec)), **kwargs)

        with Draws(randomness):
            push, output, aux = _pushed(name, run, tuple(values), has_aux, level)
        outputs, output_spec = _tensors_of(name, output)
        zeros = [value.detach() * 0 for value in values]
        blocks = [[] for _ in outputs]
        for place, value in enumerate(values):
            columns = []
            for unit in _units(value):
                if columns and randomness == "different":
                    push, _, _ = _pushed(name, run, tuple(values), has_aux, level)
                columns.append(tree_flatten(push(tuple(zeros[:place] + [unit] + zeros[place + 1 :])))[0])
            for index, out in enumerate(outputs):
                block = _stacked([column[index] for column in columns], out, value.shape)
                order = (*range(value.ndim, value.ndim + out.ndim), *range(value.ndim))
                blocks[index].append(block.permute(order))
        trees = [tree_unflatten(block, spec) for block in blocks]
        result, aux = level.leave((tree_unflatten(trees, output_spec), aux))
        return (result, aux) if has_aux else result

    return jacobian


def _units(tensor):
    """Yield the tensors of a tensor's shape that have a one in one place and zeros elsewhere."""
    for place in range(tensor.numel()):
        array = xp(tensor.array).zeros(tensor.array.shape, tensor.array.dtype)
        array.reshape(-1)[place] = 1
        yield wrap(array)


def _stacked(rows, like, shape):
    """Return tensors of like's shape as one. # (*shape, *like.shape)"""
    full = (*shape, *like.shape)
    return stack(rows).reshape(full) if rows else like.new_zeros(full)


def hessian(func, argnums=0):
    """Return a function that computes the Hessian of func: jacfwd of jacrev.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.func.hessian.html

    >>> import minigrad as mg
    >>> mg.func.hessian(lambda x: (x ** 3).sum())(mg.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    return jacfwd(jacrev(func, argnums), argnums)
