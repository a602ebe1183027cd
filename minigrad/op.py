"""Op: one forward and one gradient rule per argument; the registry of ops and of public functions.

A rule's parameter names say what it needs, and are read once, when the op is made:

- an argument's name: its array; ``NAME_shape``, ``NAME_dtype``: only that, so that the array can be freed;
- ``out``: the result; a keyword parameter's name: its value; ``needs``: which inputs want a gradient;
- ``inputs``, ``inputs_shape``: all of a variadic op's.

Rules are written in operators and ops only, so that one text serves both speeds: the backward pass feeds it raw
arrays, and Variables when the pass is itself recorded.
"""

import functools
import inspect

from minigrad.backend import FLOAT_CODES, array_device, asarray_like, default_float, memory_root, np, result_dtype, xp
from minigrad.tensor import Tensor, data_array, wrap
from minigrad.variable import MODE, Clock, Node, Variable, make_variable, next_time, view_on, written_since

_new = object.__new__
_ndarray = np.ndarray

OPS = {}  # name -> Op
FUNCTIONS = {}  # public name -> function, exported as minigrad.NAME
METHODS = {}  # public name -> function, set as Tensor.NAME

_NO_PARAMS = {}
_NOT_ARRAYS = frozenset((type(None), tuple, float, int, bool, complex))  # what a node may save besides arrays

# What this module needs from above to treat every op alike; ops/core.py sets them.
CENTRAL = {"sum_to": None, "cast": None, "assign": None, "write_out": None}


class Op:
    """An operation on raw arrays together with its gradient rules; called on Tensors it records itself.

    Arguments: forward (function of raw arrays, then keyword parameters; or the name of a NumPy ufunc), gradients (one
    rule or None per tensor argument), joint (instead: one rule that returns all gradients), promote (None, "same":
    inputs are brought to their result type; "float": and integers to the default float), view (the result may share
    the first argument's memory), broadcast (gradients are summed back to the inputs' shapes; default: ufuncs of two).
    """

    __slots__ = (
        "__dict__", "broadcast", "call", "defaults", "differentiable", "forward", "joint", "keep", "keep_out",
        "name", "names", "promote", "rules", "variadic", "view",
    )  # fmt: skip
    check = None  # function of the arguments that raises for dtypes the op refuses, before they are promoted

    def __init__(self, forward, gradients=None, *, joint=None, name=None, promote=None, view=False, broadcast=None):
        ufunc = isinstance(forward, str)
        self.name = name or (forward if ufunc else forward.__name__.strip("_"))
        self.forward = _ufunc(forward) if ufunc else forward
        self.joint = joint is not None
        self.promote, self.view = promote, view
        count = None if gradients is None else len(gradients)
        self.names, self.defaults, self.variadic = _signature(forward, count)
        self.broadcast = len(self.names) > 1 and ufunc if broadcast is None else broadcast
        rules = [joint] if self.joint else gradients
        self.rules = [None if rule is None else _Rule(rule, self) for rule in rules]
        self.differentiable = any(rule is not None for rule in self.rules)
        wanted = self._wanted()
        self.keep_out = ("out", None) in wanted
        self.keep = tuple(
            "array" if ("array", i) in wanted else "shape" if {("shape", i), ("dtype", i)} & wanted else ""
            for i in range(len(self.names))
        )
        if self.variadic:
            self.keep = "array" if ("inputs", None) in wanted else "shape"
        self.numpy_forward = getattr(np, forward) if ufunc else self.forward
        self._specialise()
        if self.name in OPS:
            raise ValueError(f"an op named {self.name} exists already")
        OPS[self.name] = self

    def _specialise(self):
        """Choose the call and the pull for the op's number of arguments: no loops for one or two."""
        count = None if self.variadic else len(self.names)
        self.call = self._general
        if count == 1 and (self.view or self.defaults or self.keep[0] == "shape") and not self.joint:
            self.call = _one_with_params(self)
        elif count == 1 and not self.joint and not self.view:
            self.call = _unary(self, self.numpy_forward)
        elif count == 2 and self.promote is not None and not (self.joint or self.view or self.defaults or "shape" in self.keep):
            self.call = _binary(self, self.numpy_forward)
        if self.joint or self.broadcast and count != 2 or any("needs" == kind for kind, _ in self._wanted()):
            return
        if count == 1 and self.rules[0] is not None:
            self.pull = _pull_of_one(self)
        elif count == 2 and None not in self.rules:
            self.pull = _pull_of_two(self)

    def _wanted(self):
        """Return the (kind, index) of everything that the rules ask a node for."""
        return {item for rule in self.rules if rule is not None for item in rule.wants}

    def __call__(self, *args, **params):
        return self.call(*args, **params)

    def __repr__(self):
        return f"<Op {self.name}>"

    def _general(self, *args, **params):
        """Run the op on any number of tensors, arrays, numbers or Nones."""
        arrays, tracked, raw = [], False, True
        for arg in args:
            if isinstance(arg, Tensor):
                raw = False
                arrays.append(arg.array)
                if type(arg) is not Tensor and arg._requires_grad:
                    tracked = True
            else:
                arrays.append(arg)
        if raw:
            return self.forward(*arrays, **params)
        if self.promote is not None:
            args = _promoted(self, args)
            arrays = [arg.array if isinstance(arg, Tensor) else arg for arg in args]
        try:
            out = self.forward(*arrays, **params)
        except Exception as error:
            raise _explained(self, arrays, error) from error.__cause__
        if tracked and MODE.grad and self.differentiable:
            return self.record(args, arrays, params, out)
        return self._wrapped(out, args[0])

    def _wrapped(self, out, source):
        """Return the result(s) of the forward as plain Tensors."""
        if type(out) is tuple:
            parts = tuple([wrap(part if type(part) is _ndarray else xp(part).asarray(part)) for part in out])
            return tuple([_linked(part, source) for part in parts]) if self.view else parts
        result = wrap(out if type(out) is _ndarray else xp(out).asarray(out))
        return _linked(result, source) if self.view else result

    def record(self, args, arrays, params, out):
        """Return the result(s) as Variables made by a new node."""
        edges = []
        recorded = False
        for position, arg in enumerate(args):
            if isinstance(arg, Tensor) and type(arg) is not Tensor and arg._requires_grad and (
                self.joint or self.rules[position] is not None
            ):
                recorded = True
                edges.append(arg.node or arg)
            else:
                edges.append(None)
        if not recorded:
            return self._wrapped(out, args[0])
        node = _new(Node)
        node.op = self
        node.number = next_time()
        node.edges = tuple(edges)
        node.params = params
        keep = (self.keep,) * len(arrays) if self.variadic else self.keep
        node.saved = tuple([array if how == "array" else _kept(array, how) for array, how in zip(arrays, keep, strict=False)])
        if type(out) is tuple:
            out = tuple(xp(part).asarray(part) for part in out)
            node.out = out if self.keep_out else None
            node.shape = tuple((part.shape, part.dtype, xp(part)) for part in out)
            if MODE.on_record is not None:
                MODE.on_record(node, out)
            parts = [_output(node, index, part) for index, part in enumerate(out)]
            return tuple([_linked(part, args[0]) for part in parts] if self.view else parts)
        if type(out) is not _ndarray:
            out = xp(out).asarray(out)
        node.out = out if self.keep_out else None
        node.shape = out.shape
        if MODE.on_record is not None:
            MODE.on_record(node, out)
        result = make_variable(out, node)
        return _linked(result, args[0]) if self.view else result

    def pull(self, node, gradient, graph, useful=None):
        """Return the gradients of a node's inputs, given its output's; None where there is none."""
        if node.saved is None:
            _restore(node)
        if Clock.last_write > node.number:
            self._check_unchanged(node)
        if type(gradient) is dict:
            gradient = _all_outputs(node, gradient, graph)
        edges = node.edges
        needs = tuple([edge is not None and (useful is None or edge in useful) for edge in edges])
        if self.joint:
            rule = self.rules[0]
            gradients = rule.tracked(node, gradient, needs) if graph else rule.raw(node, gradient, needs)
        else:
            gradients = []
            for rule, needed in zip(self.rules, needs, strict=False):
                if not needed:
                    gradients.append(None)
                else:
                    gradients.append(rule.tracked(node, gradient, needs) if graph else rule.raw(node, gradient, needs))
        if not self.broadcast:
            return gradients
        return [
            None if g is None or edge is None else _unbroadcast(g, edge) for g, edge in zip(gradients, edges, strict=True)
        ]

    def free(self, node):
        """Drop the values a node saved; the graph above them stays, and says so when it is walked again."""
        if node.out is None:
            for value in node.saved:
                if type(value) not in _NOT_ARRAYS:
                    break
            else:
                return
        node.saved = None
        node.out = None

    def _check_unchanged(self, node):
        """RuntimeError if an array this node saved was written in place since."""
        values = node.saved if node.out is None else (*node.saved, *(node.out if type(node.out) is tuple else (node.out,)))
        saved_at = node.saved_at or node.number
        for value in values:
            if hasattr(value, "flags") and hasattr(value, "base") and written_since(value, saved_at):
                raise RuntimeError(
                    "one of the variables needed for gradient computation has been modified by an inplace operation: "
                    f"{node.name()} saved a tensor of shape {list(value.shape)} that was written afterwards. "
                    "Write out of place, or clone() the tensor before writing."
                )


class _Rule:
    """A gradient rule with its parameter names resolved, once, to what a node holds."""

    __slots__ = ("function", "getters", "raw", "wants")

    def __init__(self, function, op):
        self.function = function
        self.getters = []
        for name in list(inspect.signature(function).parameters)[1:]:
            self.getters.append((*_resolve(name, op), name))
        self.wants = {(kind, index) for kind, index, _ in self.getters if kind != "param"}
        self.raw = _raw_rule(function, self.getters)

    def tracked(self, node, gradient, needs):
        """Return the rule's result on Variables, for a backward pass that is itself recorded."""
        values = []
        for kind, index, name in self.getters:
            if kind == "array":
                value = _unpacked(node.saved[index], node.edges[index])
            elif kind == "out":
                value = _unpacked_out(node)
            elif kind == "inputs":
                value = [_unpacked(v, e) for v, e in zip(node.saved, node.edges, strict=True)]
            else:
                value = _READERS[kind](index, name)(node, needs)
            values.append(value)
        return self.function(gradient, *values)


# How each kind of rule parameter is read from a node, on raw arrays: (index or default, name) -> (node, needs) -> value.
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


def _restore(node):
    """Compute the saved values of a checkpointed node again; RuntimeError for a node that was freed."""
    if node.restore is not None:
        node.restore(node)
    if node.saved is None:
        raise RuntimeError(
            f"Trying to backward through the graph a second time ({node.name()}): its saved values have been freed. "
            "Specify retain_graph=True if you need to backward through the graph a second time."
        )


def _pull_of_one(op):
    """Return the pull of an op with one rule."""
    (rule,) = op.rules

    def pull(node, gradient, graph, useful=None):
        if node.saved is None:
            _restore(node)
        if Clock.last_write > node.number:
            op._check_unchanged(node)
        return (rule.tracked(node, gradient, None) if graph else rule.raw(node, gradient, None),)

    return pull


def _pull_of_two(op):
    """Return the pull of an op with two rules."""
    first, second = op.rules
    broadcast = op.broadcast

    def pull(node, gradient, graph, useful=None):
        if node.saved is None:
            _restore(node)
        if Clock.last_write > node.number:
            op._check_unchanged(node)
        edge_a, edge_b = node.edges
        a = b = None
        if edge_a is not None and (useful is None or edge_a in useful):
            a = first.tracked(node, gradient, None) if graph else first.raw(node, gradient, None)
            if broadcast:
                a = _unbroadcast(a, edge_a)
        if edge_b is not None and (useful is None or edge_b in useful):
            b = second.tracked(node, gradient, None) if graph else second.raw(node, gradient, None)
            if broadcast:
                b = _unbroadcast(b, edge_b)
        return a, b

    return pull


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


def _signature(forward, count):
    """Return (tensor argument names, {parameter: default}, variadic) of a forward function or ufunc name."""
    if isinstance(forward, str):
        return (("x",) if getattr(np, forward).nin == 1 else ("a", "b")), {}, False
    parameters = inspect.signature(forward).parameters.values()
    variadic = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    positional = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    rest = [p for p in parameters if p.kind is p.KEYWORD_ONLY]
    if count is not None and not variadic:
        positional, rest = positional[:count], positional[count:] + rest
    return tuple(p.name for p in positional), {p.name: p.default for p in rest}, variadic


def _ufunc(name):
    """Return a forward that runs the named ufunc of its first array's module."""

    def forward(a, *rest):
        module = xp(a if not rest or hasattr(a, "dtype") else rest[0])
        return getattr(module, name)(a, *rest)

    return forward


def _kept(array, how):
    """Return what a node saves of one input: the array, (shape, dtype), or nothing."""
    if how == "array":
        return array
    if how == "shape" and hasattr(array, "shape"):
        return (array.shape, array.dtype)
    return None


def _unpacked(value, edge):
    """Return a saved array as the Tensor it was, attached to the graph: differentiating backward goes through it."""
    if edge is None:
        return wrap(value) if hasattr(value, "flags") else value
    if type(edge) is Node:
        return make_variable(value, edge)
    if edge.array is value:
        return edge
    # The leaf's data was rebound since: the old value still belongs to the same leaf.
    return make_variable(value, alias_node(edge, value.shape))


def alias_node(edge, shape):
    """Return a node that hands the gradient on as it is: to a leaf, for another tensor in its place."""
    node = _new(Node)
    node.op, node.number, node.edges, node.params = IDENTITY, next_time(), (edge,), _NO_PARAMS
    node.saved, node.out, node.shape = (), None, shape
    return node


def _unpacked_out(node):
    """Return a node's saved result as the Variable(s) it made."""
    if type(node.out) is tuple:
        return tuple(_output(node, index, part) for index, part in enumerate(node.out))
    return make_variable(node.out, node)


def _output(node, index, array):
    """Return output number ``index`` of an op with several: a Variable whose node picks it out."""
    if array.dtype.char not in FLOAT_CODES:
        return wrap(array)
    pick = _new(Node)
    pick.op, pick.number, pick.edges, pick.params = PICK, next_time(), (node,), {"index": index}
    pick.saved, pick.out, pick.shape = (), None, array.shape
    return make_variable(array, pick)


def _all_outputs(node, gradients, graph):
    """Return the gradients of all outputs of an op with several: zeros for those nothing depended on."""
    complete = []
    for index, (shape, dtype, module) in enumerate(node.shape):
        gradient = gradients.get(index)
        if gradient is None:
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


def _unbroadcast(gradient, edge):
    """Return a gradient summed over the dimensions along which its input was broadcast."""
    shape = edge.shape if type(edge) is Node else edge.array.shape
    if gradient.shape == shape:
        return gradient
    return CENTRAL["sum_to"](gradient, shape=tuple(shape))


def _linked(result, source):
    """Record the view relation when the result lies in its source's memory."""
    if not _lies_on(result.array, source.array):
        return result
    return view_on(result.array, source, None if type(result) is Tensor else result.node)


def _lies_on(out, array):
    """Return whether the result of a view operation looks at its argument's memory."""
    base = out.base
    if base is None:
        return out is array
    return base is array or base is array.base or memory_root(out) is memory_root(array)


# ---------------------------------------------------------------------- the fast path: one or two tensors, no parameters
def _unary(op, numpy_forward):
    """Return the call of an op of one tensor and no parameters."""
    forward, keep_x, keep_out, differentiable = op.forward, op.keep[0] == "array", op.keep_out, op.differentiable
    to_float = op.promote == "float"

    def call(x):
        if not isinstance(x, Tensor):
            return forward(x)
        array = x.array
        if to_float and array.dtype.char not in FLOAT_CODES:
            x = CENTRAL["cast"](x, dtype=default_float())
            array = x.array
        try:
            out = numpy_forward(array) if type(array) is _ndarray else forward(array)
        except Exception as error:
            raise _explained(op, [array], error) from error.__cause__
        if type(out) is not _ndarray:
            out = xp(out).asarray(out)
        if type(x) is not Tensor and x._requires_grad and differentiable and MODE.grad:
            node = _new(Node)
            node.op = op
            node.number = next_time()
            node.edges = (x.node or x,)
            node.saved = (array if keep_x else None,)
            node.out = out if keep_out else None
            node.shape = out.shape
            node.params = _NO_PARAMS
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


def _one_with_params(op):
    """Return the call of an op of one tensor and parameters, whose result may be a view."""
    forward, keep_array, keep_shape, keep_out = op.forward, op.keep[0] == "array", op.keep[0] == "shape", op.keep_out
    differentiable, view, promote = op.differentiable, op.view, op.promote

    def call(x, **params):
        if not isinstance(x, Tensor):
            return forward(x, **params)
        array = x.array
        if promote is not None and array.dtype.char not in FLOAT_CODES:
            (x,) = _promoted(op, (x,))
            array = x.array
        try:
            out = forward(array, **params)
        except Exception as error:
            raise _explained(op, [array], error) from error.__cause__
        if type(out) is not _ndarray:
            if type(out) is tuple:
                return op.record((x,), (array,), params, out) if is_recorded(op, x) else op._wrapped(out, x)
            out = xp(out).asarray(out)
        if view:
            return view_result(op, x, array, out, params)
        if type(x) is not Tensor and x._requires_grad and differentiable and MODE.grad:
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


def _binary(op, numpy_forward, operator=False):
    """Return the call of an elementwise op of two tensors (or a tensor and a number) and no parameters.

    ``operator``: the call serves as a method such as ``__add__``, which returns NotImplemented for unknown operands.
    """
    forward, keep_out, differentiable = op.forward, op.keep_out, op.differentiable
    keep_a, keep_b = (how == "array" for how in op.keep)
    diff_a, diff_b = (rule is not None for rule in op.rules)
    to_float = op.promote == "float"

    def call(a, b):
        edge_a = edge_b = None
        if isinstance(a, Tensor):
            x = a.array
            dtype = x.dtype
            if isinstance(b, Tensor):
                y = b.array
                if dtype is not y.dtype or (to_float and dtype.char not in FLOAT_CODES):
                    a, b = _promoted(op, (a, b))
                    x, y = a.array, b.array
                if type(b) is not Tensor and diff_b and b._requires_grad:
                    edge_b = b.node or b
            else:
                if dtype.char not in FLOAT_CODES or (type(b) is not float and type(b) is not int):
                    if operator and not is_operand(b):
                        return NotImplemented
                    a, b = _promoted(op, (a, b))
                    return call(a, b) if isinstance(b, Tensor) else _number(op, a, b, a)
                y = b
            if type(a) is not Tensor and diff_a and a._requires_grad:
                edge_a = a.node or a
        elif isinstance(b, Tensor):
            x, y = a, b.array
            if y.dtype.char not in FLOAT_CODES or (type(a) is not float and type(a) is not int):
                a, b = _promoted(op, (a, b))
                return call(a, b) if isinstance(a, Tensor) else _number(op, a, b, b)
            if type(b) is not Tensor and diff_b and b._requires_grad:
                edge_b = b.node or b
        else:
            return forward(a, b)
        try:
            out = numpy_forward(x, y) if type(x) is _ndarray or type(y) is _ndarray else forward(x, y)
        except Exception as error:
            raise _explained(op, [x, y], error) from error.__cause__
        if type(out) is not _ndarray:
            out = xp(out).asarray(out)
        if (edge_a is not None or edge_b is not None) and MODE.grad:
            node = _new(Node)
            node.op = op
            node.number = next_time()
            node.edges = (edge_a, edge_b)
            node.saved = (x if keep_a else None, y if keep_b else None)
            node.out = out if keep_out else None
            node.shape = out.shape
            node.params = _NO_PARAMS
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


def _number(op, a, b, tensor):
    """Run a binary op of an integer or bool tensor and a number (or of a promoted tensor and a number)."""
    arrays = [value.array if isinstance(value, Tensor) else asarray_like(value, tensor.array) for value in (a, b)]
    try:
        out = op.forward(*arrays)
    except Exception as error:
        raise _explained(op, arrays, error) from error.__cause__
    return op.record((a, b), arrays, {}, out) if is_recorded(op, a, b) else wrap(xp(out).asarray(out))


def is_recorded(op, *args):
    """Return whether an op on these arguments has to be recorded."""
    tracked = any(isinstance(arg, Tensor) and type(arg) is not Tensor and arg._requires_grad for arg in args)
    return tracked and MODE.grad and op.differentiable


# ---------------------------------------------------------------------- promotion and errors
def _promoted(op, args):
    """Return the arguments brought to one dtype by PyTorch's rules; numbers stay numbers."""
    args = [_operand(op, arg) for arg in args]
    if op.check is not None:
        op.check(*args)
    values = [arg.array if isinstance(arg, Tensor) else arg for arg in args if arg is not None]
    dtype = result_dtype(values)
    if op.promote == "float" and dtype.char not in FLOAT_CODES:
        dtype = default_float()
    cast = CENTRAL["cast"]
    return [cast(arg, dtype=dtype) if isinstance(arg, Tensor) and arg.array.dtype != dtype else arg for arg in args]


def operator_call(op):
    """Return a binary op's call for use as an operator method: NotImplemented for operands it does not know."""
    return _binary(op, op.numpy_forward, operator=True)


def is_operand(value):
    """Return whether an elementwise op takes this value: a Tensor, number or raw array."""
    return isinstance(value, (Tensor, bool, int, float, complex, np.generic, _ndarray)) or hasattr(
        value, "__cuda_array_interface__"
    )


def _operand(op, value):
    """Return an argument as a Tensor, Python number or None; TypeError for what can't be one."""
    if value is None or isinstance(value, Tensor):
        return value
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, (bool, int, float, complex)):
        return value if type(value) in (bool, int, float, complex) else float(value)
    if isinstance(value, (_ndarray, np.generic)) or hasattr(value, "__cuda_array_interface__"):
        return wrap(value) if not isinstance(value, np.generic) else wrap(data_array(value))
    raise TypeError(f"{op.name}(): expected a Tensor or a number, but got {type(value).__name__}")


def _explained(op, arrays, error):
    """Return the error to raise for a failed forward: PyTorch's class, and the op, shapes, dtypes and devices."""
    tensors = [array for array in arrays if hasattr(array, "shape") and hasattr(array, "dtype")]
    devices = {str(array_device(array)) for array in tensors}
    facts = ", ".join(f"{list(array.shape)} {array.dtype} on {array_device(array)}" for array in tensors)
    if len(devices) > 1:
        return RuntimeError(
            f"{op.name}: Expected all tensors to be on the same device, but found at least two devices, "
            f"{' and '.join(sorted(devices))}! Move them with .to(). Got {facts}."
        )
    if op.broadcast and isinstance(error, ValueError) and "broadcast" in str(error):
        return RuntimeError(f"{op.name}: {_mismatch([array.shape for array in tensors])} Got {facts}.")
    if op.promote is not None and isinstance(error, TypeError):  # a ufunc without a loop for these dtypes
        return NotImplementedError(f"\"{op.name}\" not implemented for {tensors[0].dtype}. Got {facts}.")
    error.add_note(f"in minigrad.{op.name}({facts})")
    return error


def _mismatch(shapes):
    """Return PyTorch's sentence on the first dimension from the right in which shapes can't be broadcast."""
    ndim = max(len(shape) for shape in shapes)
    padded = [(1,) * (ndim - len(shape)) + tuple(shape) for shape in shapes]
    for dim in reversed(range(ndim)):
        lengths = [shape[dim] for shape in padded if shape[dim] != 1]
        if len(set(lengths)) > 1:
            return (
                f"The size of tensor a ({lengths[0]}) must match the size of tensor b ({lengths[1]}) "
                f"at non-singleton dimension {dim}."
            )
    return "The shapes can't be broadcast together."


# ---------------------------------------------------------------------- public functions
def function(method=False, inplace=False, out=False, aliases=False, name=None, public=True):
    """Register a public function under its name, as minigrad.NAME and, if asked, as a Tensor method.

    Arguments: method (also Tensor.NAME), inplace (also Tensor.NAME_ and minigrad.NAME_: the result is written into the
    first argument), out (accept out=: the result is written there), aliases (accept NumPy's axis, keepdims, x, x1, x2
    for dim, keepdim, input, other), name (instead of the function's), public (False: only the method).
    """

    def register(implementation):
        public_name = name or implementation.__name__
        wrapped = implementation
        if out or aliases:
            wrapped = _with_keywords(wrapped, public_name, out, aliases)
        if public:
            FUNCTIONS[public_name] = wrapped
        if method:
            METHODS[public_name] = wrapped
            setattr(Tensor, public_name, wrapped)
        if inplace:
            written = _in_place(wrapped, public_name + "_")
            METHODS[public_name + "_"] = written
            setattr(Tensor, public_name + "_", written)
            FUNCTIONS[public_name + "_"] = written
        return wrapped

    return register


def _in_place(implementation, public_name):
    """Return the variant of a function that writes its result into its first argument."""

    def written(self, *args, **kwargs):
        return CENTRAL["assign"](self, implementation(self, *args, **kwargs), public_name)

    written.__name__ = written.__qualname__ = public_name
    written.__doc__ = f"In-place variant of {implementation.__name__}: writes the result into this tensor and returns it."
    return written


_ALIASES = {"axis": "dim", "keepdims": "keepdim", "x": "input", "x1": "input", "x2": "other"}


def _with_keywords(implementation, public_name, takes_out, aliases):
    """Return the function with an out= keyword and, with ``aliases``, NumPy's names of keywords."""

    @functools.wraps(implementation)
    def with_keywords(*args, **kwargs):
        if not kwargs:
            return implementation(*args)
        if aliases:
            kwargs = {_ALIASES.get(key, key): value for key, value in kwargs.items()}
        out = kwargs.pop("out", None) if takes_out else None
        result = implementation(*args, **kwargs)
        return result if out is None else CENTRAL["write_out"](out, result, public_name)

    return with_keywords
