"""Op: one forward and one gradient rule per argument; calling it on tensors runs it and records it."""

import contextlib
import functools
import inspect
import sys

from minigrad.backend import (
    FLOAT_CODES,
    PRECISION,
    WATCHED,
    array_device,
    as_array,
    asarray_like,
    default_float,
    memory_root,
    np,
    xp,
)
from minigrad.backend.placement import on_different_devices
from minigrad.backend.switches import GPUS
from minigrad.kernels.elementwise import LARGE, apply
from minigrad.operands import CENTRAL, explained, is_operand, promoted
from minigrad.precision import in_precision, narrowed, widened
from minigrad.rules import NO_PARAMS, Rule, all_outputs, kept, output_of
from minigrad.tensor import Tensor, wrap
from minigrad.variable import (
    MODE,
    Clock,
    Node,
    Variable,
    make_variable,
    next_time,
    overwritten,
    view_on,
    written_since,
)

_new = object.__new__
_ndarray = np.ndarray

OPS = {}  # name -> Op

_NOT_ARRAYS = frozenset((type(None), tuple, float, int, bool, complex))  # what a node may save besides arrays



# ---------------------------------------------------------------------- watching the calls of ops
@contextlib.contextmanager
def watch(watcher):
    """Let each call of an op by this thread, while the block runs, go through ``watcher(op, args, params, run)``.

    Arguments: op (has a ``name``), args (Tensors and numbers, promoted), params (dict), run (function of nothing that
    calls the op and returns its result, which the watcher returns in turn, or another). Ops that run inside of a call
    or a watcher are not watched. A watcher with a true ``composites`` gets the functions marked `composite` whole.

    >>> import minigrad as mg
    >>> from minigrad.op import watch
    >>> names = []
    >>> def note(op, args, params, run):
    ...     names.append(op.name)
    ...     return run()
    >>> with watch(note):
    ...     total = (mg.ones(2) * 3).sum()
    >>> names
    ['mul', 'sum']
    """
    before = MODE.watchers
    MODE.watchers = (*before, watcher)
    WATCHED.append(watcher)
    try:
        yield watcher
    finally:
        # Blocks that were entered later may still be open, as with profiles that are started and stopped by calls.
        MODE.watchers = before if MODE.watchers[:-1] == before else _without(MODE.watchers, watcher)
        WATCHED.remove(watcher)


def _without(watchers, left):
    """Return the watchers but for the last one that is ``left``."""
    place = max((index for index, one in enumerate(watchers) if one is left), default=len(watchers))
    return watchers[:place] + watchers[place + 1 :]


def watched(op, args, params, run):
    """Return what this thread's watchers, the last first, make of run()."""
    watchers = MODE.watchers
    for watcher in watchers:
        run = functools.partial(watcher, op, args, params, run)
    MODE.watchers = ()
    try:
        return run()
    finally:
        MODE.watchers = watchers


def watched_call(op, call, args, params=NO_PARAMS):
    """Return what watchers make of a call of an op, its arguments promoted before."""
    if op.promote is not None:
        args = promoted(op, args)
    return watched(op, tuple(args), params, lambda: call(*args, **params))


def intercepted(op, call, args, params=NO_PARAMS):
    """Return what watchers, or another precision, make of a call of an op; NotImplemented where it is as any other."""
    if GPUS:
        result = _on_one_device(op, call, args, params)
        if result is not NotImplemented:
            return result
    if MODE.watchers:
        return watched_call(op, call, args, params)
    return in_precision(op, args, params) if PRECISION.active else NotImplemented


def _on_one_device(op, call, args, params):
    """Return the result of a call on the GPU of its arguments; NotImplemented where that is the current one, or none.

    RuntimeError for arguments on different devices, but for a CPU tensor without dimensions in an elementwise op.
    """
    first = None
    for arg in args:
        if isinstance(arg, Tensor):
            if first is None:
                first = arg.array
            elif type(arg.array) is not type(first):
                return _on_first_gpu(op, call, args, params)
    if first is None or type(first) is _ndarray or GPUS[0] == 1:
        return NotImplemented
    arrays = [arg.array for arg in args if isinstance(arg, Tensor)]
    chosen = first.device
    if any(array.device.id != chosen.id for array in arrays):
        raise on_different_devices(op.name, arrays)
    if chosen.id == xp(first).cuda.runtime.getDevice():
        return NotImplemented
    with chosen:
        return call(*args, **params)


def _on_first_gpu(op, call, args, params):
    """Return the result of a call with its CPU tensors without dimensions moved to the GPU of the others."""
    arrays = [arg.array for arg in args if isinstance(arg, Tensor)]
    elementwise = op.promote is not None or op.broadcast
    if not elementwise or any(type(array) is _ndarray and array.ndim for array in arrays):
        raise on_different_devices(op.name, arrays)
    target = array_device(next(array for array in arrays if type(array) is not _ndarray))
    return call(*[arg.to(target) if isinstance(arg, Tensor) else arg for arg in args], **params)


def composite(function):
    """Mark a function of several ops, so that watchers with a true ``composites`` see its calls as one op's."""

    @functools.wraps(function)
    def call(*args, **params):
        if WATCHED and any(getattr(watcher, "composites", False) for watcher in MODE.watchers):
            return watched(call, args, params, lambda: function(*args, **params))
        return function(*args, **params)

    call.name = function.__name__
    return call


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
            self.call = _one_with_params(self)
        elif count == 1 and not self.joint and not self.view:
            self.call = _unary(self, self.numpy_forward)
        elif count == 2 and not (self.joint or self.view or self.defaults or "shape" in self.keep):
            self.call = _pair(self) if self.promote is None else _binary(self, self.numpy_forward)
        elif count == 3 and self.promote is None and not (self.joint or self.view or self.defaults):
            self.call = _triple(self)
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
            return tuple([_linked(part, source) for part in parts]) if self.view else parts
        result = wrap(out if type(out) is _ndarray else as_array(out))
        return _linked(result, source) if self.view else result

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
            return tuple([_linked(part, args[0]) for part in parts] if self.view else parts)
        if type(out) is not _ndarray:
            out = as_array(out)
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
            if hasattr(value, "flags") and hasattr(value, "base") and written_since(value, saved_at):
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
    if not isinstance(gradient, Tensor) and gradient.dtype.kind == "V":
        return narrowed(CENTRAL["sum_to"](widened(gradient), shape=tuple(shape)))
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
        return memory_root(out) is memory_root(array)
    return base is array or base is array.base or memory_root(out) is memory_root(array)


# ---------------------------------------------------------------------- the fast path: one or two tensors, no
# parameters
def _smallest_shared(forward):
    """Return the number of elements from which on threads share a forward: ufuncs alone can be cut into blocks."""
    return LARGE if isinstance(forward, np.ufunc) and forward.nout == 1 else sys.maxsize


def _unary(op, numpy_forward):
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


def _one_with_params(op):
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


def _binary(op, numpy_forward, operator=False):
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


def _pair(op):
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


def _triple(op):
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
    return _binary(op, op.numpy_forward, operator=True)
