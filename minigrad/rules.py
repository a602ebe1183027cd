"""Gradient rules: what a rule's parameter names ask for, and how a node keeps and gives it.

A rule's parameter names say what it needs, and are read once, when the op is made:

- an argument's name: its array; ``NAME_shape``, ``NAME_dtype``: only that, so that the array can be freed;
- ``out``: the result; a keyword parameter's name: its value; ``needs``: which inputs want a gradient;
- ``inputs``, ``inputs_shape``: all of a variadic op's.

Rules are written in operators and ops only, so that one text serves both speeds: the backward pass feeds it raw
arrays, and Variables when the pass is itself recorded.
"""

from minigrad.backend import FLOAT_CODES
from minigrad.precision import narrowed, takes_bfloat16, widened
from minigrad.tensor import Tensor, wrap
from minigrad.variable import Node, make_variable, next_time

_new = object.__new__
NO_PARAMS = {}


class Rule:
    """A gradient rule with its parameter names resolved, once, to what a node holds."""

    __slots__ = ("casts", "function", "getters", "raw", "wants")

    def __init__(self, function, op):
        self.function = function
        self.getters = []
        code = function.__code__  # inspect.signature takes 30 times as long, for hundreds of rules
        for name in code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]:
            self.getters.append((*_resolve(name, op), name))
        self.wants = {(kind, index) for kind, index, _ in self.getters if kind != "param"}
        self.casts = any(kind == "dtype" for kind, _ in self.wants)  # the rule says itself of which dtype its result is
        self.raw = _raw_rule(function, self.getters)

    def tracked(self, node, gradient, needs):
        """Return the rule's result on Variables, for a backward pass that is itself recorded."""
        values = []
        conjugate = type(gradient) is not tuple and gradient.array.dtype.kind == "c"
        for kind, index, name in self.getters:
            if kind == "array":
                value = unpacked(node.saved[index], node.edges[index])
            elif kind == "out":
                value = unpacked_out(node)
            elif kind == "inputs":
                value = [unpacked(v, e) for v, e in zip(node.saved, node.edges, strict=True)]
            else:
                value = _READERS[kind](index, name)(node, needs)
            values.append(_conjugate(value) if conjugate else value)
        return self.function(gradient, *values)

    def adapted(self, node, gradient, needs):
        """Return the rule's result on raw arrays for an op with a complex result, or one of bfloat16."""
        if type(gradient) is not tuple and gradient.dtype.kind == "V" and takes_bfloat16(node.op, gradient):
            return self.raw(node, gradient, needs)
        if type(gradient) is tuple or gradient.dtype.kind == "V":
            return self._widened(node, gradient, needs)
        return self._conjugated(node, gradient, needs)

    def _widened(self, node, gradient, needs):
        """Return what the rule computes in float32 for bfloat16, rounded; casts say themselves what they return."""
        values = [widened(_READERS[kind](index, name)(node, needs)) for kind, index, name in self.getters]
        result = self.function(widened(gradient), *values)
        return result if self.casts else narrowed(result)

    def _conjugated(self, node, gradient, needs):
        """Return the rule's result on raw arrays for an op with a complex result.

        The gradient of a holomorphic f is g * conj(f'(z)) (PyTorch's convention), and conj(f'(z)) = f'(conj(z)) for
        the formulas of rules: so what they are given is conjugated, and their text is the same as for real numbers.
        """
        values = [_conjugate(_READERS[kind](index, name)(node, needs)) for kind, index, name in self.getters]
        return self.function(gradient, *values)


def _conjugate(value):
    """Return a saved array, Tensor or number conjugated where it is complex; anything else as it is."""
    if type(value) is list:
        return [_conjugate(item) for item in value]
    array = value.array if isinstance(value, Tensor) else value
    kind = getattr(getattr(array, "dtype", None), "kind", "")
    return value.conj() if kind == "c" else value.conjugate() if type(value) is complex else value


# How each kind of rule parameter is read from a node, on raw arrays: (index or default, name) -> (node, needs) ->
# value.
_READERS = {
    "array": lambda index, name: lambda node, needs: node.saved[index],
    "out": lambda index, name: lambda node, needs: node.out,
    "param": lambda default, name: lambda node, needs: node.params.get(name, default),
    "shape": lambda index, name: lambda node, needs: _part_of(node.saved[index], 0),
    "dtype": lambda index, name: lambda node, needs: _part_of(node.saved[index], 1),
    "needs": lambda index, name: lambda node, needs: needs,
    "inputs": lambda index, name: lambda node, needs: list(node.saved),
    "inputs_shape": lambda index, name: lambda node, needs: [_part_of(value, 0) for value in node.saved],
}


def _part_of(value, position):
    """Return the shape (0) or dtype (1) of what a node saved of an input: an array, or just these two."""
    if type(value) is tuple:
        return value[position]
    if value is None:
        return None
    return value.dtype if position else value.shape


def _raw_rule(function, getters):
    """Return rule(node, gradient, needs) on raw arrays; the commonest forms without a loop."""
    kinds = [kind for kind, _, _ in getters]
    readers = [_READERS[kind](index, name) for kind, index, name in getters]
    if not kinds:
        return lambda node, gradient, needs: function(gradient)
    if kinds == ["array"]:
        position = getters[0][1]
        return lambda node, gradient, needs: function(gradient, node.saved[position])
    if kinds == ["out"]:
        return lambda node, gradient, needs: function(gradient, node.out)
    if len(kinds) == 2:
        first, second = readers
        return lambda node, gradient, needs: function(gradient, first(node, needs), second(node, needs))
    return lambda node, gradient, needs: function(gradient, *[read(node, needs) for read in readers])


def _resolve(name, op):
    """Return (kind, index or default) of what a rule's parameter name asks for."""
    if name in op.names:
        return "array", op.names.index(name)
    if name in ("out", "needs", "inputs", "inputs_shape"):
        return name, None
    for suffix in ("shape", "dtype"):
        stem = name.removesuffix("_" + suffix)
        if stem != name and stem in op.names:
            return suffix, op.names.index(stem)
    if name in op.defaults:
        return "param", op.defaults[name]
    raise TypeError(f"op {op.name}: a gradient rule asks for {name!r}, which is neither an argument nor a parameter")


def kept(array, how):
    """Return what a node saves of one input: the array, (shape, dtype), or nothing."""
    if how == "array":
        return array
    if how == "shape" and hasattr(array, "shape"):
        return (array.shape, array.dtype)
    return None


def unpacked(value, edge):
    """Return a saved array as the Tensor it was, attached to the graph: differentiating backward goes through it."""
    if edge is None:
        return wrap(value) if hasattr(value, "flags") else value
    if isinstance(edge, Node):
        return make_variable(value, edge)
    if edge.array is value:
        return edge
    # The leaf's data was rebound since: the old value still belongs to the same leaf.
    return make_variable(value, alias_node(edge, value.shape))


def alias_node(edge, shape):
    """Return a node that hands the gradient on as it is: to a leaf, for another tensor in its place."""
    node = _new(Node)
    node.op, node.number, node.edges, node.params = IDENTITY, next_time(), (edge,), NO_PARAMS
    node.saved, node.out, node.shape = (), None, shape
    return node


def unpacked_out(node):
    """Return a node's saved result as the Variable(s) it made."""
    if type(node.out) is tuple:
        return tuple(output_of(node, index, part) for index, part in enumerate(node.out))
    return make_variable(node.out, node)


def output_of(node, index, array):
    """Return output number ``index`` of an op with several: a Variable whose node picks it out."""
    if array.dtype.char not in FLOAT_CODES:
        return wrap(array)
    pick = _new(Node)
    pick.op, pick.number, pick.edges, pick.params = PICK, next_time(), (node,), {"index": index}
    pick.saved, pick.out, pick.shape = (), None, array.shape
    return make_variable(array, pick)


def all_outputs(node, gradients, graph):
    """Return the gradients of all outputs of an op with several: zeros for those nothing depended on.

    Outputs of a user's Function that are no tensors get None.
    """
    complete = []
    for index, description in enumerate(node.shape):
        gradient = gradients.get(index)
        if gradient is None and description is not None:
            shape, dtype, module = description
            zeros = module.zeros(shape, dtype)
            gradient = wrap(zeros) if graph else zeros
        complete.append(gradient)
    return tuple(complete)


class _Pick:
    """Stands in a node for "output number index of the op below"."""

    name = "pick"

    def pull(self, node, gradient, graph, useful=None):
        return ({node.params["index"]: gradient},)

    def free(self, node):
        """Nothing is saved."""


class _Identity(_Pick):
    name = "alias"

    def pull(self, node, gradient, graph, useful=None):
        return (gradient,)


PICK = _Pick()
IDENTITY = _Identity()
