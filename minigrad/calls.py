"""How ops of one, two and three tensors are called: the general way of `Op`, without its loops.

Most of the time of an op on few numbers goes into calling it, so each kind of op gets a function of its own, which
knows how many arguments there are and what the gradient rules want saved.
"""

import functools
import sys

from minigrad.backend import FLOAT_CODES, WATCHED, as_array, asarray_like, default_float, memory_root, np
from minigrad.interception import intercepted, watched
from minigrad.kernels.elementwise import LARGE, apply
from minigrad.operands import CENTRAL, explained, is_operand, promoted
from minigrad.rules import NO_PARAMS, kept
from minigrad.tensor import Tensor, wrap
from minigrad.variable import MODE, Node, Variable, make_variable, next_time, view_on

_new = object.__new__
_ndarray = np.ndarray


def linked(result, source):
    """Record the view relation when the result lies in its source's memory."""
    if not _lies_on(result.array, source.array):
        return result
    return view_on(result.array, source, None if type(result) is Tensor else result.node)


def _lies_on(out, array):
    """Return whether the result of a view operation looks at its argument's memory."""
    base = out.base
    if base is None:
        return memory_root(out) is memory_root(array)
    return base is array or base is array.base or memory_root(out) is memory_root(array)


def _smallest_shared(forward):
    """Return the number of elements from which on threads share a forward: ufuncs alone can be cut into blocks."""
    return LARGE if isinstance(forward, np.ufunc) and forward.nout == 1 else sys.maxsize


def unary_call(op, numpy_forward):
    """Return the call of an op of one tensor and no parameters."""
    forward, keep_x, keep_out, differentiable = op.forward, op.keep[0] == "array", op.keep_out, op.differentiable
    to_float = op.promote == "float"
    large = _smallest_shared(numpy_forward)

    def call(x):
        if not isinstance(x, Tensor):
            return forward(x)
        if WATCHED:
            result = intercepted(op, call, (x,))
            if result is not NotImplemented:
                return result
        array = x.array
        if to_float and array.dtype.char not in FLOAT_CODES:
            x = CENTRAL["cast"](x, dtype=default_float())
            array = x.array
        try:
            if type(array) is not _ndarray:
                out = forward(array)
            else:
                out = numpy_forward(array) if array.size < large else apply(numpy_forward, array)
        except Exception as error:
            raise explained(op, [array], error) from error.__cause__
        if type(out) is not _ndarray:
            out = as_array(out)
        if type(x) is not Tensor and x._requires_grad and differentiable and MODE.grad:
            node = _new(Node)
            node.op = op
            node.number = next_time()
            node.edges = (x.node or x,)
            node.saved = (array if keep_x else None,)
            node.out = out if keep_out else None
            node.shape = out.shape
            node.params = NO_PARAMS
            if MODE.on_record is not None:
                MODE.on_record(node, out)
            result = _new(Variable)
            result.array = out
            result.node = node
            result._requires_grad = True
            result._grad = None
            return result
        result = _new(Tensor)
        result.array = out
        return result

    call.__name__ = op.name
    return call


def call_with_params(op):
    """Return the call of an op of one tensor and parameters, whose result may be a view."""
    forward, keep_array, keep_shape, keep_out = op.forward, op.keep[0] == "array", op.keep[0] == "shape", op.keep_out
    differentiable, view, promote = op.differentiable, op.view, op.promote

    def call(x, **params):
        if not isinstance(x, Tensor):
            return forward(x, **params)
        if WATCHED:
            result = intercepted(op, call, (x,), params)
            if result is not NotImplemented:
                return result
        array = x.array
        if promote is not None and array.dtype.char not in FLOAT_CODES:
            (x,) = promoted(op, (x,))
            array = x.array
        try:
            out = forward(array, **params)
        except Exception as error:
            raise explained(op, [array], error) from error.__cause__
        if type(out) is not _ndarray:
            if type(out) is tuple:
                return op.record((x,), (array,), params, out) if is_recorded(op, x) else op._wrapped(out, x)
            out = as_array(out)
        if view:
            return view_result(op, x, array, out, params)
        if (
            type(x) is not Tensor
            and x._requires_grad
            and differentiable
            and MODE.grad
            and out.dtype.char in FLOAT_CODES  # a cast to integers has no gradient
        ):
            node = _new(Node)
            node.op = op
            node.number = next_time()
            node.edges = (x.node or x,)
            node.saved = (array if keep_array else (array.shape, array.dtype) if keep_shape else None,)
            node.out = out if keep_out else None
            node.shape = out.shape
            node.params = params
            if MODE.on_record is not None:
                MODE.on_record(node, out)
            result = _new(Variable)
            result.node = node
            result._requires_grad = True
            result._grad = None
        else:
            result = _new(Tensor)
        result.array = out
        return result

    call.__name__ = op.name
    return call


def view_result(op, x, array, out, params):
    """Return out, made of x's array by a view op with params, as a tensor that knows whose memory it lies on.

    The hottest view functions run the op's forward themselves and call this.
    """
    if WATCHED and MODE.watchers:
        return watched(op, (x,), params, functools.partial(view_result, op, x, array, out, params))
    node = None
    if type(x) is not Tensor and x._requires_grad and MODE.grad and op.differentiable:
        keep = op.keep[0]
        node = _new(Node)
        node.op = op
        node.number = next_time()
        node.edges = (x.node or x,)
        node.saved = (array if keep == "array" else (array.shape, array.dtype) if keep == "shape" else None,)
        node.out = out if op.keep_out else None
        node.shape = out.shape
        node.params = params
        if MODE.on_record is not None:
            MODE.on_record(node, out)
    base = out.base
    if base is not None and (base is array or base is array.base) or _lies_on(out, array):
        return view_on(out, x, node)
    return wrap(out) if node is None else make_variable(out, node)


def elementwise_call(op, numpy_forward, operator=False):
    """Return the call of an elementwise op of two tensors (or a tensor and a number) and no parameters.

    ``operator``: the call serves as a method such as ``__add__``, which returns NotImplemented for unknown operands.
    """
    forward = op.forward
    # What each of the two rules asks for, so that what only an unused rule needs is not saved.
    wants = [rule.wants if rule is not None else () for rule in op.rules]
    x_for_a, x_for_b = (("array", 0) in wanted for wanted in wants)
    y_for_a, y_for_b = (("array", 1) in wanted for wanted in wants)
    out_for_a, out_for_b = (("out", None) in wanted for wanted in wants)
    diff_a, diff_b = (rule is not None for rule in op.rules)
    to_float = op.promote == "float"
    large = _smallest_shared(numpy_forward)

    def call(a, b):
        if WATCHED and (isinstance(a, Tensor) or isinstance(b, Tensor)):
            if operator and not is_operand(b):
                return NotImplemented
            result = intercepted(op, call, (a, b))
            if result is not NotImplemented:
                return result
        edge_a = edge_b = None
        if isinstance(a, Tensor):
            x = a.array
            dtype = x.dtype
            if isinstance(b, Tensor):
                y = b.array
                if dtype is not y.dtype or (to_float and dtype.char not in FLOAT_CODES):
                    a, b = promoted(op, (a, b))
                    x, y = a.array, b.array
                if type(b) is not Tensor and diff_b and b._requires_grad:
                    edge_b = b.node or b
            else:
                if dtype.char not in FLOAT_CODES or (type(b) is not float and type(b) is not int):
                    if operator and not is_operand(b):
                        return NotImplemented
                    a, b = promoted(op, (a, b))
                    return call(a, b) if isinstance(b, Tensor) else _number(op, a, b, a)
                y = b
            if type(a) is not Tensor and diff_a and a._requires_grad:
                edge_a = a.node or a
        elif isinstance(b, Tensor):
            x, y = a, b.array
            if y.dtype.char not in FLOAT_CODES or (type(a) is not float and type(a) is not int):
                a, b = promoted(op, (a, b))
                return call(a, b) if isinstance(a, Tensor) else _number(op, a, b, b)
            if type(b) is not Tensor and diff_b and b._requires_grad:
                edge_b = b.node or b
        else:
            return forward(a, b)
        try:
            if type(x) is _ndarray:
                out = numpy_forward(x, y) if x.size < large else apply(numpy_forward, x, y)
            else:
                out = numpy_forward(x, y) if type(y) is _ndarray else forward(x, y)
        except Exception as error:
            raise explained(op, [x, y], error) from error.__cause__
        if type(out) is not _ndarray:
            out = as_array(out)
        if (edge_a is not None or edge_b is not None) and MODE.grad:
            node = _new(Node)
            node.op = op
            node.number = next_time()
            node.edges = (edge_a, edge_b)
            if edge_b is None:
                node.saved = (x if x_for_a else None, y if y_for_a else None)
                node.out = out if out_for_a else None
            elif edge_a is None:
                node.saved = (x if x_for_b else None, y if y_for_b else None)
                node.out = out if out_for_b else None
            else:
                node.saved = (x if x_for_a or x_for_b else None, y if y_for_a or y_for_b else None)
                node.out = out if out_for_a or out_for_b else None
            node.shape = out.shape
            node.params = NO_PARAMS
            if MODE.on_record is not None:
                MODE.on_record(node, out)
            result = _new(Variable)
            result.array = out
            result.node = node
            result._requires_grad = True
            result._grad = None
            return result
        result = _new(Tensor)
        result.array = out
        return result

    call.__name__ = op.name
    return call


def pair_call(op):
    """Return the call of an op of two tensors without promotion or parameters."""
    forward, keep_out = op.forward, op.keep_out
    keep_a, keep_b = (how == "array" for how in op.keep)
    diff_a, diff_b = (rule is not None for rule in op.rules)

    def call(a, b):
        if not isinstance(a, Tensor) or not isinstance(b, Tensor):
            return op._general(a, b) if isinstance(a, Tensor) or isinstance(b, Tensor) else forward(a, b)
        if WATCHED:
            result = intercepted(op, call, (a, b))
            if result is not NotImplemented:
                return result
        x, y = a.array, b.array
        try:
            out = forward(x, y)
        except Exception as error:
            raise explained(op, [x, y], error) from error.__cause__
        edge_a = (a.node or a) if diff_a and type(a) is not Tensor and a._requires_grad else None
        edge_b = (b.node or b) if diff_b and type(b) is not Tensor and b._requires_grad else None
        if type(out) is not _ndarray:
            if type(out) is tuple:
                return op.record((a, b), (x, y), NO_PARAMS, out) if is_recorded(op, a, b) else op._wrapped(out, a)
            out = as_array(out)
        if (edge_a is None and edge_b is None) or not MODE.grad:
            result = _new(Tensor)
            result.array = out
            return result
        node = _new(Node)
        node.op = op
        node.number = next_time()
        node.edges = (edge_a, edge_b)
        node.saved = (x if keep_a else None, y if keep_b else None)
        node.out = out if keep_out else None
        node.shape = out.shape
        node.params = NO_PARAMS
        if MODE.on_record is not None:
            MODE.on_record(node, out)
        return make_variable(out, node)

    call.__name__ = op.name
    return call


def triple_call(op):
    """Return the call of an op of three tensors, the last perhaps None, without promotion or parameters."""
    forward, keep_out = op.forward, op.keep_out
    keep_a, keep_b, keep_c = op.keep
    diff_a, diff_b, diff_c = (rule is not None for rule in op.rules)

    def call(a, b, c):
        if not isinstance(a, Tensor) or not isinstance(b, Tensor) or not (c is None or isinstance(c, Tensor)):
            return op._general(a, b, c)
        if WATCHED:
            result = intercepted(op, call, (a, b, c))
            if result is not NotImplemented:
                return result
        x, y, z = a.array, b.array, None if c is None else c.array
        try:
            out = forward(x, y, z)
        except Exception as error:
            raise explained(op, [x, y, z], error) from error.__cause__
        edge_a = (a.node or a) if diff_a and type(a) is not Tensor and a._requires_grad else None
        edge_b = (b.node or b) if diff_b and type(b) is not Tensor and b._requires_grad else None
        edge_c = (c.node or c) if diff_c and c is not None and type(c) is not Tensor and c._requires_grad else None
        if (edge_a is None and edge_b is None and edge_c is None) or not MODE.grad:
            return op._wrapped(out, a)
        if type(out) is not _ndarray or out.dtype.char not in FLOAT_CODES:
            return op.record((a, b, c), (x, y, z), NO_PARAMS, out)
        node = _new(Node)
        node.op = op
        node.number = next_time()
        node.edges = (edge_a, edge_b, edge_c)
        node.saved = (
            x if keep_a == "array" else kept(x, keep_a),
            y if keep_b == "array" else kept(y, keep_b),
            z if keep_c == "array" else kept(z, keep_c),
        )
        node.out = out if keep_out else None
        node.shape = out.shape
        node.params = NO_PARAMS
        if MODE.on_record is not None:
            MODE.on_record(node, out)
        return make_variable(out, node)

    call.__name__ = op.name
    return call


def _number(op, a, b, tensor):
    """Run a binary op of an integer or bool tensor and a number (or of a promoted tensor and a number)."""
    arrays = [value.array if isinstance(value, Tensor) else asarray_like(value, tensor.array) for value in (a, b)]
    try:
        out = op.forward(*arrays)
    except Exception as error:
        raise explained(op, arrays, error) from error.__cause__
    return op.record((a, b), arrays, {}, out) if is_recorded(op, a, b) else wrap(as_array(out))


def is_recorded(op, *args):
    """Return whether an op on these arguments has to be recorded."""
    tracked = any(isinstance(arg, Tensor) and type(arg) is not Tensor and arg._requires_grad for arg in args)
    return tracked and MODE.grad and op.differentiable


def operator_call(op):
    """Return a binary op's call for use as an operator method: NotImplemented for operands it does not know."""
    return elementwise_call(op, op.numpy_forward, operator=True)
