"""Function: operations with a gradient written by the user."""

import functools
import inspect
import weakref

from minigrad.absent import getter
from minigrad.backend import FLOAT_CODES, xp
from minigrad.inplace import check_writable, rewrite_base
from minigrad.ops.core import sum_to
from minigrad.rules import alias_node, all_outputs, output_of
from minigrad.tensor import Tensor, wrap
from minigrad.variable import (
    MODE,
    Node,
    changed_since,
    is_tracked,
    make_variable,
    next_time,
    overwritten,
    promote,
    rebind,
    touch,
)

_new = object.__new__


class PackedArray:
    """A saved array that a hook has packed: see graph.saved_tensors_hooks."""

    def unpack(self):
        """Return the array."""
        raise NotImplementedError


class FunctionCtx:
    """What forward leaves for backward: saved tensors, flags, and any attribute the user sets."""

    def __init__(self, needs_input_grad):
        self.needs_input_grad = needs_input_grad
        self.materialize_grads = True
        self._to_save = ()
        self._saved = []
        self._dirty = ()
        self._non_differentiable = ()
        self._node = None

    def save_for_backward(self, *tensors):
        """Keep tensors (or None) for backward; a change in place before that is noticed."""
        for tensor in tensors:
            if tensor is not None and not isinstance(tensor, Tensor):
                raise TypeError(
                    f"save_for_backward can only save variables, but argument is of type {type(tensor).__name__}"
                )
        self._to_save = tensors

    def save_for_forward(self, *tensors):
        """Forward-mode differentiation is not supported."""
        raise NotImplementedError("save_for_forward is for forward-mode differentiation, which minigrad does not have")

    def mark_dirty(self, *tensors):
        """Say that forward changed these inputs in place and returns them."""
        self._dirty = tensors

    def mark_non_differentiable(self, *tensors):
        """Say that these outputs have no gradient."""
        self._non_differentiable = tensors

    def set_materialize_grads(self, value):
        """Choose whether missing gradients of outputs reach backward as zeros (default) or as None."""
        self.materialize_grads = bool(value)

    @property
    def saved_tensors(self):
        """The tensors given to save_for_backward."""
        node = None if self._node is None else self._node()
        if self._saved is None:
            raise RuntimeError(
                "Trying to backward through the graph a second time: the saved tensors of a Function have been freed. "
                "Specify retain_graph=True if you need to backward through the graph a second time."
            )
        if node is None:
            return tuple(self._to_save)
        return tuple(self._restored(entry, node) for entry in self._saved)

    saved_variables = saved_tensors

    def _restored(self, entry, node):
        """Return one saved tensor, attached to the graph as it was."""
        if entry is None:
            return None
        array, source = entry
        if isinstance(array, PackedArray):
            array = array.unpack()
        if changed_since(array, node.number):
            raise overwritten(node, array)
        if isinstance(source, Tensor) and source.is_sparse:
            return source
        if isinstance(source, int):  # one of the outputs
            return make_variable(array, node) if source < 0 else output_of(node, source, array)
        if source is None:
            return wrap(array)
        if isinstance(source, Tensor):
            return source if source.array is array else make_variable(array, alias_node(source, array.shape))
        return make_variable(array, source)

    def _keep(self, node, outputs):
        """Turn the tensors to save into (array, where it belongs in the graph), free of reference cycles."""
        self._node = weakref.ref(node)
        for tensor in self._to_save:
            if tensor is None:
                self._saved.append(None)
                continue
            if tensor.is_sparse:
                self._saved.append((tensor._v.array, tensor))
                continue
            position = next((i for i, out in enumerate(outputs) if out is tensor), None)
            if position is not None and not any(tensor is other for other in self._non_differentiable):
                self._saved.append((tensor.array, -1 if len(outputs) == 1 else position))
            elif is_tracked(tensor):
                self._saved.append((tensor.array, tensor.node or tensor))
            else:
                self._saved.append((tensor.array, None))
        self._to_save = ()


class Function:
    """An operation with its own forward and backward, used by ``apply``.

    Subclasses define ``forward(ctx, *args)`` (or ``forward(*args)`` and ``setup_context(ctx, inputs, output)``) and
    ``backward(ctx, *grad_outputs)``, which returns one gradient, or None, for each argument of forward. Written with
    tensor operations, backward is differentiable itself.
    Source: https://docs.pytorch.org/docs/stable/autograd.html#torch.autograd.Function

    >>> import minigrad as mg
    >>> class Cube(mg.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x ** 3
    ...     @staticmethod
    ...     def backward(ctx, grad):
    ...         x, = ctx.saved_tensors
    ...         return grad * 3 * x ** 2
    >>> x = mg.tensor(2.0, requires_grad=True)
    >>> Cube.apply(x).backward()
    >>> x.grad
    tensor(12.)
    """

    def __call__(self, *args, **kwargs):
        raise RuntimeError(
            "Legacy autograd function with non-static forward method is deprecated. Please use new-style autograd "
            f"function with static forward method and call {type(self).__name__}.apply(...)."
        )

    @staticmethod
    def forward(*args, **kwargs):
        """Compute the result; overridden by subclasses."""
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def setup_context(ctx, inputs, output):
        """Store on ctx what backward needs, when forward takes no ctx; overridden by subclasses."""
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx, *grad_outputs):
        """Return the gradient of each argument of forward; overridden by subclasses."""
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom autograd.Function to use it with "
            "backward mode AD."
        )

    vjp = backward

    @classmethod
    def apply(cls, *args, **kwargs):
        """Run forward on the arguments and record the operation; keywords and defaults count as inputs too."""
        uses_setup = cls.setup_context is not Function.setup_context
        if uses_setup or kwargs:
            args = _bound(cls.forward, args if uses_setup else (None, *args), kwargs)[0 if uses_setup else 1 :]
        tracked = MODE.grad and any(isinstance(arg, Tensor) and is_tracked(arg) for arg in args)
        ctx = FunctionCtx(tuple(isinstance(arg, Tensor) and is_tracked(arg) for arg in args))
        before = MODE.grad
        MODE.grad = False
        try:
            if uses_setup:
                result = cls.forward(*args)
                cls.setup_context(ctx, args, result)
            else:
                result = cls.forward(ctx, *args)
        finally:
            MODE.grad = before
        for tensor in ctx._dirty:
            touch(tensor.array)
        return _record(cls, ctx, args, result) if tracked else result


def _bound(forward, args, kwargs):
    """Return all arguments of a call of forward by position, with its defaults."""
    bound = inspect.signature(forward).bind(*args, **kwargs)
    bound.apply_defaults()
    if bound.kwargs:
        raise TypeError(f"Function.apply() can't pass the keyword-only arguments {list(bound.kwargs)} of forward")
    return bound.args


def _record(cls, ctx, args, result):
    """Return forward's result as Variables made by a new node."""
    single = not isinstance(result, (tuple, list))
    outputs = (result,) if single else tuple(result)
    tensors = [out for out in outputs if isinstance(out, Tensor)]
    if not tensors:
        return result
    node = _new(Node)
    node.op = _FunctionOp(cls, ctx)
    node.number = next_time()
    node.params = {}
    node.edges = tuple(
        (arg.node or arg) if needed else None for arg, needed in zip(args, ctx.needs_input_grad, strict=True)
    )
    node.saved, node.out = (), None
    only = len(outputs) == 1
    first = tensors[0].array
    node.shape = first.shape if only else tuple(_description(out) for out in outputs)
    ctx._keep(node, outputs)
    if MODE.on_record is not None:
        MODE.on_record(node, tuple(tensor.array for tensor in tensors))
    recorded = tuple(_tracked_output(node, ctx, args, index, out, only) for index, out in enumerate(outputs))
    ctx._dirty = ctx._non_differentiable = ()  # the outputs lead to the node, the node to ctx: no cycle
    return recorded[0] if single else recorded


def _description(out):
    """Return (shape, dtype, array module) of an output; None for what is no tensor."""
    return (out.array.shape, out.array.dtype, xp(out.array)) if isinstance(out, Tensor) else None


def _tracked_output(node, ctx, args, index, out, only):
    """Return one output as a Variable of the node; what has no gradient is returned as it is."""
    if not isinstance(out, Tensor) or any(out is other for other in ctx._non_differentiable):
        return out
    if out.array.dtype.char not in FLOAT_CODES:
        return out
    variable = make_variable(out.array, node) if only else output_of(node, index, out.array)
    if any(out is other for other in ctx._dirty):
        check_writable(out, node.op.name)
        if out._base is not None:
            rewrite_base(out, out._base, variable)
            return out
        promote(out)
        rebind(out, variable.node)
        out._generation += 1
        return out
    if any(out is arg for arg in args):
        out._mark_aliased()
        variable._aliased = True
    return variable


class _FunctionOp:
    """Stands in a node for the user's Function."""

    broadcast = False

    def __init__(self, cls, ctx):
        self.cls, self.ctx = cls, ctx
        self.name = cls.__name__
        self.node_name = cls.__name__ + "Backward"

    def pull(self, node, gradient, graph, useful=None):
        """Return the gradients of the inputs from the user's backward."""
        from minigrad.engine import _as_tensor

        if type(gradient) is dict:
            if self.ctx.materialize_grads:
                gradients = all_outputs(node, gradient, graph)
            else:
                gradients = [gradient.get(index) for index in range(len(node.shape))]
        else:
            gradients = (gradient,)
        backward = self.cls.backward if self.cls.backward is not Function.backward else self.cls.vjp
        results = backward(self.ctx, *[None if g is None else _as_tensor(g) for g in gradients])
        results = results if isinstance(results, (tuple, list)) else (results,)
        if len(results) > len(node.edges) and all(extra is None for extra in results[len(node.edges) :]):
            results = results[: len(node.edges)]
        if len(results) != len(node.edges):
            raise RuntimeError(
                f"function {self.node_name} returned an incorrect number of gradients (expected {len(node.edges)}, "
                f"got {len(results)})"
            )
        return tuple(
            self._checked(result, edge, index, graph)
            for index, (result, edge) in enumerate(zip(results, node.edges, strict=True))
        )

    def _checked(self, result, edge, index, graph):
        """Return one gradient as the engine wants it, of its input's shape."""
        if edge is None or result is None:
            return None
        if not isinstance(result, Tensor):
            raise RuntimeError(
                f"function {self.node_name}: expected a Tensor or None as gradient {index}, got {type(result).__name__}"
            )
        shape = tuple(edge.shape) if isinstance(edge, Node) else edge.array.shape
        value = result if graph else result.array
        if result.array.shape == shape:
            return value
        lead = result.array.ndim - len(shape)
        fits = lead >= 0 and all(
            length in (1, given) for length, given in zip(shape, result.array.shape[lead:], strict=True)
        )
        if not fits:
            raise RuntimeError(
                f"Function {self.node_name} returned an invalid gradient at index {index} - got "
                f"{list(result.shape)} but "
                f"expected shape compatible with {list(shape)}"
            )
        return sum_to(value, shape=shape)

    def free(self, node):
        """Drop the saved tensors."""
        if self.ctx._saved:
            self.ctx._saved = None


def once_differentiable(backward):
    """Decorator of a backward that can't itself be differentiated: a second derivative raises RuntimeError.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.autograd.function.once_differentiable.html
    """

    @functools.wraps(backward)
    def wrapped(ctx, *grads):
        graph = MODE.grad
        MODE.grad = False
        try:
            results = backward(ctx, *grads)
        finally:
            MODE.grad = graph
        if not graph:
            return results
        single = not isinstance(results, (tuple, list))
        edges = [(g.node or g) for g in grads if isinstance(g, Tensor) and is_tracked(g)] + list(ctx._node().edges)
        marked = tuple(_forbid(result, edges) for result in ((results,) if single else results))
        return marked[0] if single else marked

    return wrapped


class _Forbidden:
    """Stands in a node whose gradient must not be asked for."""

    name = "error"

    def pull(self, node, gradient, graph, useful=None):
        raise RuntimeError("trying to differentiate twice a function that was marked with @once_differentiable")

    def free(self, node):
        """Nothing is saved."""


def _forbid(result, edges):
    """Return a gradient that raises when it is differentiated."""
    if not isinstance(result, Tensor):
        return result
    node = _new(Node)
    node.op, node.number, node.params = _Forbidden(), next_time(), {}
    node.edges = tuple(edges)
    node.saved, node.out, node.shape = (), None, result.array.shape
    return make_variable(result.array, node)


class InplaceFunction(Function):
    """A Function with an ``inplace`` flag, kept for old programs."""

    def __init__(self, inplace=False):
        self.inplace = inplace


class NestedIOFunction(Function):
    """Functions of nested containers are not supported."""

    def __init_subclass__(cls, **kwargs):
        raise NotImplementedError("NestedIOFunction is not supported: pass the tensors one by one to a Function")


__getattr__ = getter(__name__)
