"""Op: one forward and one gradient rule per argument; calling it on tensors runs it and records it."""

import functools
import inspect

from minigrad.backend import FLOAT_CODES, WATCHED, as_array, np, xp
from minigrad.calls import call_with_params, elementwise_call, linked, pair_call, triple_call, unary_call
from minigrad.interception import intercepted, watched
from minigrad.operands import CENTRAL, explained, promoted
from minigrad.rules import Rule, all_outputs, kept, output_of
from minigrad.tensor import Tensor, wrap
from minigrad.variable import MODE, Clock, Node, changed_since, make_variable, next_time, overwritten

_new = object.__new__
_ndarray = np.ndarray

OPS = {}  # name -> Op

_NOT_ARRAYS = frozenset((type(None), tuple, float, int, bool, complex))  # what a node may save besides arrays


class Op:
    """An operation on raw arrays together with its gradient rules; called on Tensors it records itself.

    Arguments: forward (function of raw arrays, then keyword parameters; or the name of a NumPy ufunc), gradients (one
    rule or None per tensor argument), joint (instead: one rule that returns all gradients), promote (None, "same":
    inputs are brought to their result type; "float": and integers to the default float), view (the result may share
    the first argument's memory), broadcast (gradients are summed back to the inputs' shapes; default: ufuncs of two).
    """

    __slots__ = (
        "__dict__", "broadcast", "call", "defaults", "differentiable", "forward", "joint", "keep", "keep_out",
        "name", "names", "promote", "rules", "users", "variadic", "view",
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
        self.rules = [None if rule is None else Rule(rule, self) for rule in rules]
        self.differentiable = any(rule is not None for rule in self.rules)
        wanted = self._wanted()
        self.keep_out = ("out", None) in wanted
        # Which rules ask for which input's array: an array is saved only if one of them will be used.
        self.users = [
            [position for position, rule in enumerate(self.rules) if rule is not None and ("array", i) in rule.wants]
            for i in range(len(self.names))
        ]
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
            self.call = call_with_params(self)
        elif count == 1 and not self.joint and not self.view:
            self.call = unary_call(self, self.numpy_forward)
        elif count == 2 and not (self.joint or self.view or self.defaults or "shape" in self.keep):
            self.call = pair_call(self) if self.promote is None else elementwise_call(self, self.numpy_forward)
        elif count == 3 and self.promote is None and not (self.joint or self.view or self.defaults):
            self.call = triple_call(self)
        if self.joint or self.broadcast and count != 2 or any("needs" == kind for kind, _ in self._wanted()):
            return
        if count == 1 and self.rules[0] is not None:
            self.pull = _pull_of_one(self)
        elif count == 2 and None not in self.rules:
            self.pull = _pull_of_two(self)
        elif count == 3 and None not in self.rules:
            self.pull = _pull_of_three(self)

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
            return self.forward(*args, **params)
        if WATCHED:
            result = intercepted(self, self._general, args, params)
            if result is not NotImplemented:
                return result
        if self.promote is not None:
            args = promoted(self, args)
            arrays = [arg.array if isinstance(arg, Tensor) else arg for arg in args]
        try:
            out = self.forward(*arrays, **params)
        except Exception as error:
            raise explained(self, arrays, error) from error.__cause__
        if tracked and MODE.grad and self.differentiable:
            return self.record(args, arrays, params, out)
        return self._wrapped(out, args[0])

    def _wrapped(self, out, source):
        """Return the result(s) of the forward as plain Tensors."""
        if type(out) is tuple:
            parts = tuple([wrap(part if type(part) is _ndarray else as_array(part)) for part in out])
            return tuple([linked(part, source) for part in parts]) if self.view else parts
        result = wrap(out if type(out) is _ndarray else as_array(out))
        return linked(result, source) if self.view else result

    def record(self, args, arrays, params, out):
        """Return the result(s) as Variables made by a new node."""
        if WATCHED and MODE.watchers:
            # What was written by index comes as None, its positions only as an array.
            seen = [wrap(y) if x is None and y is not None else x for x, y in zip(args, arrays, strict=True)]
            return watched(self, tuple(seen), params, functools.partial(self.record, args, arrays, params, out))
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
        if not recorded or (hasattr(out, "dtype") and out.dtype.char not in FLOAT_CODES):
            return self._wrapped(out, args[0])  # integers, made by a cast or a copy, have no gradient
        node = _new(Node)
        node.op = self
        node.number = next_time()
        node.edges = tuple(edges)
        node.params = params
        keep = (self.keep,) * len(arrays) if self.variadic else self.keep
        pairs = zip(arrays, keep, strict=False)
        node.saved = tuple([array if how == "array" else kept(array, how) for array, how in pairs])
        if type(out) is tuple:
            out = tuple(as_array(part) for part in out)
            node.out = out if self.keep_out else None
            node.shape = tuple((part.shape, part.dtype, xp(part)) for part in out)
            if MODE.on_record is not None:
                MODE.on_record(node, out)
            parts = [output_of(node, index, part) for index, part in enumerate(out)]
            return tuple([linked(part, args[0]) for part in parts] if self.view else parts)
        if type(out) is not _ndarray:
            out = as_array(out)
        node.out = out if self.keep_out else None
        node.shape = out.shape
        if MODE.on_record is not None:
            MODE.on_record(node, out)
        result = make_variable(out, node)
        return linked(result, args[0]) if self.view else result

    def pull(self, node, gradient, graph, useful=None):
        """Return the gradients of a node's inputs, given its output's; None where there is none."""
        if node.saved is None:
            _restore(node)
        if Clock.last_write > node.number:
            self._check_unchanged(node)
        if type(gradient) is dict:
            gradient = all_outputs(node, gradient, graph)
        edges = node.edges
        needs = tuple([edge is not None and (useful is None or edge in useful) for edge in edges])
        form = "tracked" if graph else "raw"
        if not graph and any(part.dtype.kind in "cV" for part in _parts(gradient)):
            form = "adapted"
        if self.joint:
            gradients = getattr(self.rules[0], form)(node, gradient, needs)
        else:
            gradients = [
                getattr(rule, form)(node, gradient, needs) if needed else None
                for rule, needed in zip(self.rules, needs, strict=False)
            ]
        if not self.broadcast:
            return gradients
        pairs = zip(gradients, edges, strict=True)
        return [None if g is None or edge is None else _unbroadcast(g, edge) for g, edge in pairs]

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
        out = node.out if type(node.out) is tuple else (node.out,)
        values = (*node.saved, *out)
        saved_at = node.saved_at or node.number
        for position, value in enumerate(values):
            if hasattr(value, "flags") and hasattr(value, "base") and changed_since(value, saved_at):
                raise overwritten(node, value, is_result=position >= len(node.saved))


def _parts(gradient):
    """Return the gradients of an op's outputs: one, or several of which some may be None."""
    return [part for part in gradient if part is not None] if type(gradient) is tuple else (gradient,)


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
        if graph:
            return (rule.tracked(node, gradient, None),)
        if gradient.dtype.kind in "cV":
            return (rule.adapted(node, gradient, None),)
        return (rule.raw(node, gradient, None),)

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
        first_rule, second_rule = first.raw, second.raw
        if graph:
            first_rule, second_rule = first.tracked, second.tracked
        elif gradient.dtype.kind in "cV":
            first_rule, second_rule = first.adapted, second.adapted
        if edge_a is not None and (useful is None or edge_a in useful):
            a = first_rule(node, gradient, None)
            if broadcast:
                a = _unbroadcast(a, edge_a)
        if edge_b is not None and (useful is None or edge_b in useful):
            b = second_rule(node, gradient, None)
            if broadcast:
                b = _unbroadcast(b, edge_b)
        return a, b

    return pull


def _pull_of_three(op):
    """Return the pull of an op with three rules, such as a linear layer's."""
    first, second, third = op.rules
    general = Op.pull

    def pull(node, gradient, graph, useful=None):
        if graph or useful is not None or type(gradient) is not _ndarray or gradient.dtype.kind in "cV":
            return general(op, node, gradient, graph, useful)
        if node.saved is None:
            _restore(node)
        if Clock.last_write > node.number:
            op._check_unchanged(node)
        a, b, c = node.edges
        return (
            None if a is None else first.raw(node, gradient, None),
            None if b is None else second.raw(node, gradient, None),
            None if c is None else third.raw(node, gradient, None),
        )

    return pull


def _signature(forward, count):
    """Return (tensor argument names, {parameter: default}, variadic) of a forward function or ufunc name."""
    if isinstance(forward, str):
        return (("x",) if getattr(np, forward).nin == 1 else ("a", "b")), {}, False
    function = inspect.unwrap(forward)
    code = function.__code__  # inspect.signature takes five times as long, for hundreds of ops
    positional = code.co_varnames[: code.co_argcount]
    rest = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    variadic = bool(code.co_flags & inspect.CO_VARARGS)
    values = function.__defaults__ or ()
    defaults = dict(zip(positional[len(positional) - len(values) :], values, strict=True))
    defaults.update(function.__kwdefaults__ or {})
    if count is not None and not variadic:
        positional, rest = positional[:count], positional[count:] + rest
    return positional, {name: defaults.get(name, inspect.Parameter.empty) for name in rest}, variadic


def _ufunc(name):
    """Return a forward that runs the named ufunc of its first array's module."""

    def forward(a, *rest):
        module = xp(a if not rest or hasattr(a, "dtype") else rest[0])
        return getattr(module, name)(a, *rest)

    return forward


def _unbroadcast(gradient, edge):
    """Return a gradient summed over the dimensions along which its input was broadcast."""
    shape = edge.shape if isinstance(edge, Node) else edge.array.shape
    if gradient.shape == shape:
        return gradient
    return CENTRAL["sum_to"](gradient, shape=tuple(shape))
