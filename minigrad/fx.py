"""torch.fx: a module's forward recorded as a graph of nodes, which can be looked at, changed and run again.

Tracing calls forward() with proxies. Layers of minigrad.nn become one node each; branches on values raise TraceError.
Graphs run by interpretation; ``graph_module.code`` is the same as Python, to be read.
Source: https://docs.pytorch.org/docs/stable/fx.html

>>> import minigrad as mg
>>> traced = mg.fx.symbolic_trace(mg.nn.Sequential(mg.nn.Linear(2, 3), mg.nn.ReLU()))
>>> [(node.op, node.target) for node in traced.graph.nodes]
[('placeholder', 'input'), ('call_module', '0'), ('call_module', '1'), ('output', 'output')]
"""

import builtins
import contextlib
import functools
import inspect
import operator
import sys
import typing

from minigrad.absent import getter
from minigrad.backend import dtype
from minigrad.nn.container import ModuleDict, ModuleList, Sequential
from minigrad.nn.module import Module
from minigrad.ops.layout import contiguous_format
from minigrad.overrides import TorchFunctionMode, install
from minigrad.tensor import Tensor
from minigrad.utils._pytree import tree_leaves
from minigrad.variable import Parameter

__all__ = [
    "Graph", "GraphModule", "Interpreter", "Node", "Proxy", "TraceError", "Tracer", "map_arg", "symbolic_trace", "wrap",
]  # fmt: skip


class TraceError(ValueError):
    """A proxy was used where a value is needed, as in ``if x.sum() > 0``."""


def map_arg(value, fn):
    """Return nested tuples, lists, dicts and slices with ``fn(node)`` for every Node in them."""
    return map_aggregate(value, lambda leaf: fn(leaf) if isinstance(leaf, Node) else leaf)


def map_aggregate(value, fn):
    """Return nested tuples, lists, dicts and slices with ``fn(leaf)`` for everything else in them."""
    if isinstance(value, tuple):
        parts = [map_aggregate(part, fn) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    if isinstance(value, list):
        return [map_aggregate(part, fn) for part in value]
    if isinstance(value, dict):
        return {key: map_aggregate(part, fn) for key, part in value.items()}
    if isinstance(value, slice):
        return slice(*(map_aggregate(part, fn) for part in (value.start, value.stop, value.step)))
    return fn(value)


class Node:
    """One step of a Graph: op is "placeholder", "get_attr", "call_function", "call_method", "call_module" or "output".

    target: the argument's name, the attribute's or module's path, the function, or the method's name; args, kwargs:
    values with Nodes in them; users: the Nodes that use this one; meta: a dict for whoever works with the graph.
    """

    def __init__(self, graph, name, op, target, args, kwargs):
        self.graph, self.name, self.op, self.target = graph, name, op, target
        self.users, self.meta, self.type = {}, {}, None
        self._args, self._kwargs = (), {}
        self._set(args, kwargs)

    def _set(self, args, kwargs):
        for node in self.all_input_nodes:
            node.users.pop(self, None)
        self._args, self._kwargs = tuple(args), dict(kwargs)
        for node in self.all_input_nodes:
            node.users[self] = None

    @property
    def args(self):
        """The positional arguments."""
        return self._args

    @args.setter
    def args(self, value):
        self._set(value, self._kwargs)

    @property
    def kwargs(self):
        """The keyword arguments."""
        return self._kwargs

    @kwargs.setter
    def kwargs(self, value):
        self._set(self._args, value)

    @property
    def all_input_nodes(self):
        """The Nodes in the arguments, each once."""
        found = {}
        map_arg((self._args, self._kwargs), lambda node: found.setdefault(node))
        return list(found)

    @property
    def next(self):
        """The Node after this one."""
        return self.graph._nodes[self.graph._nodes.index(self) + 1]

    @property
    def prev(self):
        """The Node before this one."""
        return self.graph._nodes[self.graph._nodes.index(self) - 1]

    def replace_input_with(self, old_input, new_input):
        """Use another Node in place of one in the arguments."""
        self._set(*map_arg((self._args, self._kwargs), lambda node: new_input if node is old_input else node))

    def replace_all_uses_with(self, replace_with, delete_user_cb=lambda user: True):
        """Make the users of this Node use another one; returns those that do."""
        changed = [user for user in self.users if user is not replace_with and delete_user_cb(user)]
        for user in changed:
            user.replace_input_with(self, replace_with)
        return changed

    def format_node(self):
        """Return the Node as a line of text."""
        shown = map_arg((self._args, self._kwargs), lambda node: _Shown(f"%{node.name}"))
        if self.op == "output":
            return f"return {self._args[0]!r}"
        where = _name_of(self.target)
        if self.op == "placeholder":
            default = f"(default={shown[0][0]})" if shown[0] else ""
            return f"%{self.name} : [num_users={len(self.users)}] = placeholder[target={where}]{default}"
        head = f"%{self.name} : [num_users={len(self.users)}] = {self.op}[target={where}]"
        named = ", ".join(f"{key}: {value!r}" for key, value in shown[1].items())
        return head if self.op == "get_attr" else f"{head}(args = {shown[0]}, kwargs = {{{named}}})"

    def __repr__(self):
        return self.name


class _Shown(str):
    __repr__ = str.__str__


def _name_of(target):
    """Return a target as text: a function's name where programs find it, such as torch.nn.functional.relu."""
    if not callable(target):
        return str(target)
    module, name = getattr(target, "__module__", None) or "minigrad", getattr(target, "__name__", str(target))
    if module.partition(".")[0] == "minigrad":
        name = name.removeprefix("_torch_")
        for path in ("minigrad", "minigrad.nn.functional"):
            found = getattr(sys.modules.get(path), name, None)
            if target in (found, getattr(found, "__wrapped__", None)):
                return f"{dtype.package}{path[8:]}.{name}"
    return name if module == "builtins" else f"{module}.{name}"


_SIGNS = {
    "add": "+", "sub": "-", "mul": "*", "truediv": "/", "floordiv": "//", "mod": "%", "pow": "**", "matmul": "@",
    "and_": "&", "or_": "|", "xor": "^", "lshift": "<<", "rshift": ">>", "eq": "==", "ne": "!=", "lt": "<", "le": "<=",
    "gt": ">", "ge": ">=",
}  # fmt: skip


def _attribute(path):
    """Return the Python of a submodule or parameter by its path."""
    code = "self"
    for part in path.split("."):
        code = f"{code}.{part}" if part.isidentifier() else f'getattr({code}, "{part}")'
    return code


def _expression(node):
    """Return the Python of what a Node computes."""
    args, name = [repr(part) for part in node.args], getattr(node.target, "__name__", "")
    if node.op == "get_attr":
        return _attribute(node.target)
    if node.op == "call_function" and not node.kwargs:
        if node.target is operator.getitem:
            return f"{args[0]}[{args[1]}]"
        if node.target is getattr and len(args) == 2:
            return f"{args[0]}.{node.args[1]}"
        if getattr(operator, name, None) is node.target and name in _SIGNS:
            return f"{args[0]} {_SIGNS[name]} {args[1]}"
        if node.target is operator.neg or node.target is operator.invert:
            return f"{'-' if name == 'neg' else '~'}{args[0]}"
    named = [f"{key} = {value!r}" for key, value in node.kwargs.items()]
    shown = ", ".join([*args[node.op == "call_method" :], *named])
    if node.op == "call_method":
        return f"{args[0]}.{node.target}({shown})"
    if node.op == "call_module":
        return f"{_attribute(node.target)}({shown})"
    called = _name_of(node.target)
    return f"{called if called.startswith(dtype.package + '.') else called.replace('.', '_')}({shown})"


def _code(graph):
    """Return a graph as the Python of a method forward(); names are set to None after their last use, as in PyTorch."""
    arguments, lines, wrapped, last = ["self"], [], {}, {}
    for node in reversed(graph.nodes):
        for used in node.all_input_nodes:
            last.setdefault(used, node)
    for node in graph.nodes:
        if node.op == "placeholder":
            arguments.append(node.target + (f" = {node.args[0]!r}" if node.args else ""))
            if node.name != node.target:
                lines.append(f"{node.name} = {node.target};  {node.target} = None")
            continue
        if node.op == "output":
            lines.append(f"return {node.args[0]!r}")
            continue
        if node.op == "call_function" and any(names.get(name) is node.target for (_, name), names in _WRAPPED.items()):
            wrapped[_name_of(node.target).replace(".", "_")] = None
        gone = [used.name for used in node.all_input_nodes if last[used] is node]
        gone += [] if node.users else [node.name]
        lines.append(f"{node.name} = {_expression(node)}" + (f";  {' = '.join([*gone, 'None'])}" if gone else ""))
    top = "\n".join(f'{dtype.package}.fx._symbolic_trace.wrap("{name}")' for name in wrapped)
    return f"\n{top}\n\ndef forward({', '.join(arguments)}):\n" + "".join(f"    {line}\n" for line in lines) + "    "


class Graph:
    """A list of Nodes, each after those it uses; new ones go to the end, or where inserting_before/after says."""

    def __init__(self, owning_module=None, tracer_cls=None, tracer_extras=None):
        self._nodes, self._names, self._place = [], set(), None
        self.owning_module = owning_module

    @property
    def nodes(self):
        """The Nodes in order, as a tuple."""
        return tuple(self._nodes)

    def _name(self, wanted):
        wanted = "".join(char if char.isalnum() else "_" for char in wanted).strip("_").lower() or "node"
        wanted = f"_{wanted}" if wanted[0].isdigit() else wanted
        name, number = wanted, 0
        while name in self._names or (name != "input" and hasattr(builtins, name)):
            number += 1
            name = f"{wanted}_{number}"
        self._names.add(name)
        return name

    def create_node(self, op, target, args=None, kwargs=None, name=None, type_expr=None):
        """Return a new Node; its name is that of the target unless given."""
        if op not in ("placeholder", "get_attr", "call_function", "call_method", "call_module", "output"):
            raise AssertionError(f"fx: unknown op {op!r}")
        wanted = name or (getattr(target, "__name__", "node") if callable(target) else str(target))
        wanted = wanted.removeprefix("_torch_")  # what registers as relu, say
        node = Node(self, self._name(wanted), op, target, args or (), kwargs or {})
        node.type = type_expr
        place = len(self._nodes) if self._place is None else self._place()
        self._nodes.insert(place, node)
        return node

    def placeholder(self, name, type_expr=None, default_value=inspect.Parameter.empty):
        """Return a Node for an argument of the graph."""
        args = () if default_value is inspect.Parameter.empty else (default_value,)
        return self.create_node("placeholder", name, args, type_expr=type_expr)

    def get_attr(self, qualified_name, type_expr=None):
        """Return a Node for a parameter or buffer."""
        return self.create_node("get_attr", qualified_name, type_expr=type_expr)

    def call_function(self, the_function, args=None, kwargs=None, type_expr=None, name=None):
        """Return a Node that calls a function."""
        return self.create_node("call_function", the_function, args, kwargs, name, type_expr)

    def call_method(self, method_name, args=None, kwargs=None, type_expr=None):
        """Return a Node that calls a method of its first argument."""
        return self.create_node("call_method", method_name, args, kwargs, type_expr=type_expr)

    def call_module(self, module_name, args=None, kwargs=None, type_expr=None):
        """Return a Node that calls a submodule."""
        return self.create_node("call_module", module_name, args, kwargs, type_expr=type_expr)

    def output(self, result, type_expr=None):
        """Return the Node of the graph's result."""
        return self.create_node("output", "output", (result,), type_expr=type_expr)

    @contextlib.contextmanager
    def _inserting(self, node, offset):
        before, count = self._place, [0]

        def place():
            count[0] += offset
            return self._nodes.index(node) + count[0]

        self._place = place
        try:
            yield
        finally:
            self._place = before

    def inserting_before(self, n):
        """Put new Nodes before one, within a ``with`` block."""
        return self._inserting(n, 0)

    def inserting_after(self, n):
        """Put new Nodes after one, within a ``with`` block."""
        return self._inserting(n, 1)

    def erase_node(self, to_erase):
        """Remove a Node; RuntimeError if another one uses it."""
        if to_erase.users:
            raise RuntimeError(
                f"Tried to erase Node {to_erase} but it still had {len(to_erase.users)} users in the graph: "
                f"{to_erase.users}!"
            )
        to_erase._set((), {})
        self._nodes.remove(to_erase)

    def eliminate_dead_code(self):
        """Remove Nodes that nothing uses; returns whether there were any."""
        dead = [node for node in reversed(self._nodes) if node.op not in ("placeholder", "output")]
        count = len(self._nodes)
        for node in dead:
            if not node.users:
                self.erase_node(node)
        return len(self._nodes) < count

    def find_nodes(self, *, op, target=None, sort=True):
        """Return the Nodes of an op, and of a target."""
        return [node for node in self._nodes if node.op == op and target in (None, node.target)]

    def lint(self):
        """Raise RuntimeError where a Node comes before one that it uses, or names are the same."""
        seen = set()
        for node in self._nodes:
            if any(other not in seen for other in node.all_input_nodes) or node.name in {one.name for one in seen}:
                raise RuntimeError(f"fx: node {node} is used before it is defined, or defined twice")
            seen.add(node)

    def print_tabular(self):
        """Print a row per Node: op, name, target, args, kwargs."""
        rows = [("opcode", "name", "target", "args", "kwargs")]
        rows += [(n.op, n.name, _name_of(n.target), str(n.args), str(n.kwargs)) for n in self._nodes]
        widths = [max(len(row[column]) for row in rows) for column in range(5)]
        for row in rows:
            print("  ".join(part.ljust(width) for part, width in zip(row, widths, strict=True)).rstrip())

    def __str__(self):
        return "graph():\n" + "\n".join(f"    {node.format_node()}" for node in self._nodes)


class Proxy:
    """Stands for a Node's value while forward() is traced: what is done with it becomes a Node."""

    def __init__(self, node, tracer=None):
        self.node, self.tracer = node, tracer if tracer is not None else _appending(node.graph)

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        tracer = _tracer_of((args, kwargs))
        name = getattr(function, "__name__", "")
        if name in METHOD_OPERATORS and len(args) == 2:  # a parameter stands on the left of an operator
            function = METHOD_OPERATORS[name]
        return tracer.create_proxy("call_function", function, args, kwargs or {})

    def __getattr__(self, name):
        return _Attribute(self, name)

    def __call__(self, *args, **kwargs):
        return self.tracer.create_proxy("call_method", "__call__", (self, *args), kwargs)

    def __bool__(self):
        raise TraceError("symbolically traced variables cannot be used as inputs to control flow")

    def __iter__(self):
        raise TraceError("Proxy object cannot be iterated: index it, or split it into a known number of parts by [i]")

    def __len__(self):
        raise RuntimeError("'len' is not supported in symbolic tracing: use x.size() or x.shape, or wrap('len')")

    def __repr__(self):
        return f"Proxy({self.node.name})"

    __hash__ = object.__hash__


def _appending(graph):
    """Return a tracer for Proxies outside tracing: what is done with them becomes Nodes of their graph."""
    install()  # functions ask a Proxy from here on
    tracer = Tracer()
    tracer.graph, tracer.root, tracer._held = graph, Module(), {}
    return tracer


class _Attribute(Proxy):
    """An attribute of a Proxy: a method if it is called, else a Node of its own."""

    def __init__(self, root, name):
        self.root, self.attribute, self.tracer = root, name, root.tracer

    def __getattr__(self, name):
        if name == "node":
            self.node = self.tracer.create_proxy("call_function", getattr, (self.root, self.attribute), {}).node
            return self.node
        return _Attribute(self, name)

    def __call__(self, *args, **kwargs):
        return self.tracer.create_proxy("call_method", self.attribute, (self.root, *args), kwargs)


def _tracer_of(value):
    """Return the tracer of the first Proxy in nested arguments."""
    if isinstance(value, Proxy):
        return value.tracer
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, (tuple, list)) else ()
    return next((found for found in map(_tracer_of, parts) if found is not None), None)


_OPERATORS = "add sub mul truediv floordiv mod pow matmul and_ or_ xor lshift rshift".split()
METHOD_OPERATORS = {f"__{name.strip('_')}__": getattr(operator, name) for name in _OPERATORS}


def _operator(function, reverse=False):
    def method(self, *others):
        args = (*others, self) if reverse else (self, *others)
        return self.tracer.create_proxy("call_function", function, args, {})

    return method


for _dunder, _function in METHOD_OPERATORS.items():
    setattr(Proxy, _dunder, _operator(_function))
    setattr(Proxy, f"__r{_dunder[2:]}", _operator(_function, reverse=True))
for _name in "getitem neg pos invert abs eq ne lt le gt ge".split():
    setattr(Proxy, f"__{_name}__", _operator(getattr(operator, _name)))


_WRAPPED = {}  # (id of a module's names, name) -> these names, in which calls of the function are recorded


def wrap(fn_or_name):
    """Let calls of a function be one Node, whatever it does; returns what it was given.

    Used at the top of a module: as a decorator, or with the name of a function that the module calls, such as "len".
    NotImplementedError inside a function.
    Source: https://docs.pytorch.org/docs/stable/fx.html#torch.fx.wrap

    >>> import minigrad as mg
    >>> @mg.fx.wrap
    ... def clipped(x):
    ...     return x if x.sum() > 0 else -x
    >>> [node.name for node in mg.fx.symbolic_trace(lambda x: clipped(x)).graph.nodes]
    ['x', 'clipped', 'output']
    """
    name = fn_or_name if isinstance(fn_or_name, str) else getattr(fn_or_name, "__name__", None)
    if not callable(fn_or_name) and not isinstance(fn_or_name, str):
        raise RuntimeError("Unsupported type for global function! Must be either a callable or string name")
    caller = sys._getframe(1)
    if caller.f_code.co_name != "<module>":
        raise NotImplementedError("wrap must be called at the top level of a module")
    _WRAPPED[id(caller.f_globals), name] = caller.f_globals
    return fn_or_name


def _recorded(function):
    """Return a function whose calls with Proxies become Nodes."""

    @functools.wraps(function)
    def call(*args, **kwargs):
        tracer = _tracer_of((args, kwargs))
        if tracer is None:
            return function(*args, **kwargs)
        return tracer.create_proxy("call_function", function, args, kwargs)

    return call


@contextlib.contextmanager
def _recording_wrapped():
    """Within the block the functions that were given to wrap() are recorded."""
    before = []
    try:
        for (_, name), names in _WRAPPED.items():
            function = names.get(name, getattr(builtins, name, None))
            if callable(function):
                before.append((names, name, name in names, function))
                names[name] = _recorded(function)
        yield
    finally:
        for names, name, own, function in reversed(before):
            if own:
                names[name] = function
            else:
                del names[name]


class _Dispatching(TorchFunctionMode):
    """Makes minigrad's functions ask their arguments' classes, Proxy among them."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if _tracer_of((args, kwargs)) is not None:
            return Proxy.__torch_function__(function, types, args, kwargs)
        return function(*args, **(kwargs or {}))


class Tracer:
    """Records forward(); a subclass may say in is_leaf_module which modules become one Node."""

    def is_leaf_module(self, m, module_qualified_name):
        """Return whether a module is one Node: those of minigrad.nn are, but for the containers."""
        return type(m).__module__.startswith("minigrad.nn") and not isinstance(m, (Sequential, ModuleList, ModuleDict))

    def create_arg(self, a):
        """Return a value with Nodes in place of Proxies, parameters and buffers."""
        if isinstance(a, Proxy):
            return a.node
        if isinstance(a, Tensor):
            for name, held in self._held.items():
                if held is a:
                    made = self.graph.find_nodes(op="get_attr", target=name)
                    return made[0] if made else self.create_node("get_attr", name, (), {})
        if isinstance(a, (tuple, list)):
            parts = [self.create_arg(part) for part in a]
            return parts if isinstance(a, list) else tuple(parts)
        if isinstance(a, dict):
            return {key: self.create_arg(part) for key, part in a.items()}
        if isinstance(a, slice):
            return slice(*(self.create_arg(part) for part in (a.start, a.stop, a.step)))
        return a

    def create_node(self, kind, target, args, kwargs, name=None, type_expr=None):
        """Return a new Node of the graph: every Node is made here, so that a subclass may change or mark it."""
        return self.graph.create_node(kind, target, args, kwargs, name, type_expr)

    def create_proxy(self, kind, target, args, kwargs, name=None, type_expr=None):
        """Return the Proxy of a new Node."""
        args, kwargs = self.create_arg(tuple(args)), self.create_arg(kwargs)
        return Proxy(self.create_node(kind, target, args, kwargs, name, type_expr), self)

    def path_of_module(self, mod):
        """Return the path of a submodule of what is traced; NameError for another module."""
        for name, module in self.root.named_modules():
            if module is mod:
                return name
        raise NameError("module is not installed as a submodule")

    def call_module(self, m, forward, args, kwargs):
        """Return what calling a module gives: a Node for a leaf, else what its forward does."""
        path = next((name for name, module in self.root.named_modules() if module is m), None)
        if path is not None and self.is_leaf_module(m, path):
            return self.create_proxy("call_module", path, args, kwargs)
        return forward(*args, **kwargs)

    def trace(self, root, concrete_args=None):
        """Return the Graph of a module's forward or of a function; ``concrete_args`` are values for some arguments.

        ``*args`` and ``**kwargs`` of the function are empty.
        """
        self.root = root if isinstance(root, Module) else Module()
        self.graph = Graph()
        self._held = dict([*self.root.named_parameters(), *self.root.named_buffers()])
        function, concrete = root.forward if isinstance(root, Module) else root, concrete_args or {}
        args, kwargs = [], {}
        for name, parameter in inspect.signature(function).parameters.items():
            if name in concrete:
                kwargs[name] = concrete[name]
            elif parameter.kind is parameter.VAR_POSITIONAL or parameter.kind is parameter.VAR_KEYWORD:
                continue
            else:
                default = () if parameter.default is parameter.empty else (parameter.default,)
                proxy = self.create_proxy("placeholder", name, default, {})
                if parameter.kind is parameter.POSITIONAL_ONLY:
                    args.append(proxy)
                else:
                    kwargs[name] = proxy
        before = Module.__call__
        tracer = self

        def call(module, *args, **kwargs):
            if _tracer_of((args, kwargs)) is not tracer:
                return before(module, *args, **kwargs)
            return tracer.call_module(module, module.forward, args, kwargs)

        attribute, proxies = Module.__getattr__, {}

        def parameter_or_attribute(module, name):
            value = attribute(module, name)
            if not isinstance(value, Parameter):
                return value
            if id(value) not in proxies and any(held is value for held in tracer._held.values()):
                proxies[id(value)] = Proxy(tracer.create_arg(value), tracer)
            return proxies.get(id(value), value)

        Module.__call__, Module.__getattr__ = call, parameter_or_attribute
        try:
            with _Dispatching(), _recording_wrapped():
                result = function(*args, **kwargs)
        finally:
            Module.__call__, Module.__getattr__ = before, attribute
        self.create_node("output", "output", (self.create_arg(result),), {})
        return self.graph


class Interpreter:
    """Runs a GraphModule Node by Node; a subclass may change what Nodes do, or look at values in run_node."""

    def __init__(self, module, garbage_collect_values=True, graph=None):
        self.module, self.graph = module, graph if graph is not None else module.graph
        self.garbage_collect_values, self.env = garbage_collect_values, {}

    def run(self, *args, initial_env=None):
        """Return the graph's result for its arguments."""
        self.env, self._arguments = dict(initial_env or {}), iter(args)
        last = {used: node for node in self.graph.nodes for used in node.all_input_nodes}
        for node in self.graph.nodes:
            self.env[node] = self.run_node(node)
            if node.op == "output":
                return self.env[node]
            for used in node.all_input_nodes if self.garbage_collect_values else ():
                if last[used] is node:
                    del self.env[used]
        return None

    def run_node(self, n):
        """Return the value of a Node."""
        args, kwargs = map_arg((n.args, n.kwargs), self.env.__getitem__)
        return getattr(self, n.op)(n.target, args, kwargs)

    def placeholder(self, target, args, kwargs):
        """Return the next argument, or its default; RuntimeError where neither is there."""
        try:
            return next(self._arguments)
        except StopIteration:
            if args:
                return args[0]
            text = f"Expected positional argument for parameter {target}, but one was not passed in!"
            raise RuntimeError(text) from None

    def fetch_attr(self, target):
        """Return a parameter, buffer or module by its path."""
        return operator.attrgetter(target)(self.module) if not target[:1].isdigit() else _by_path(self.module, target)

    def get_attr(self, target, args, kwargs):
        """Return a parameter or buffer."""
        return _by_path(self.module, target)

    def call_function(self, target, args, kwargs):
        """Return what a function gives."""
        return target(*args, **kwargs)

    def call_method(self, target, args, kwargs):
        """Return what a method of the first argument gives."""
        return getattr(args[0], target)(*args[1:], **kwargs)

    def call_module(self, target, args, kwargs):
        """Return what a submodule gives."""
        return _by_path(self.module, target)(*args, **kwargs)

    def output(self, target, args, kwargs):
        """Return the result."""
        return args[0]


class TensorMetadata(typing.NamedTuple):
    """What ShapeProp notes of a tensor."""

    shape: tuple
    dtype: typing.Any
    requires_grad: bool
    stride: tuple
    memory_format: typing.Any
    is_quantized: bool
    qparams: dict


def _metadata(tensor):
    layout = contiguous_format if tensor.is_contiguous() else None
    return TensorMetadata(
        tensor.shape, tensor.dtype, tensor.requires_grad, tensor.stride(), layout, tensor.is_quantized, {}
    )


class ShapeProp(Interpreter):
    """Runs a GraphModule and notes each Node's value as node.meta["tensor_meta"] and node.meta["type"].

    Source: https://docs.pytorch.org/docs/stable/fx.html#the-interpreter-pattern

    >>> import minigrad as mg
    >>> traced = mg.fx.symbolic_trace(mg.nn.Linear(2, 3))
    >>> _ = mg.fx.passes.shape_prop.ShapeProp(traced).propagate(mg.ones(5, 2))
    >>> [(node.op, tuple(node.meta["tensor_meta"].shape)) for node in traced.graph.nodes][-1]
    ('output', (5, 3))
    """

    def run_node(self, n):
        """Return the value of a Node, noting its shape; RuntimeError, which names the Node, where it fails."""
        try:
            result = super().run_node(n)
        except Exception as error:
            raise RuntimeError(f"ShapeProp error for: node={n.format_node()} with meta={n.meta}") from error
        found = map_aggregate(result, lambda value: _metadata(value) if isinstance(value, Tensor) else value)
        if any(isinstance(leaf, Tensor) for leaf in tree_leaves(result)):
            n.meta["tensor_meta"] = found
        n.meta["type"] = type(result)
        return result

    def propagate(self, *args):
        """Return the graph's result for its arguments."""
        return self.run(*args)


def _by_path(module, path):
    for part in path.split("."):
        module = getattr(module, part)
    return module


class GraphModule(Module):
    """A module whose forward is a Graph; root is the module, or a dict by path, that it takes parameters from."""

    def __init__(self, root, graph, class_name="GraphModule"):
        super().__init__()
        self.training = getattr(root, "training", True)
        for node in graph.nodes:
            if node.op in ("get_attr", "call_module"):
                self._hold(node.target, root[node.target] if isinstance(root, dict) else _by_path(root, node.target))
        self.__dict__["_class_name"] = class_name
        self.__dict__["graph"] = graph
        graph.owning_module = self

    def _hold(self, path, value):
        *parents, last = path.split(".")
        home = self
        for part in parents:
            if part not in home._modules:
                home.add_module(part, Module())
            home = home._modules[part]
        if isinstance(value, Tensor) and last not in home._parameters and not hasattr(value, "_is_buffer"):
            (home.register_parameter if isinstance(value, Parameter) else home.register_buffer)(last, value)
        else:
            setattr(home, last, value)

    def _get_name(self):
        return self._class_name

    def forward(self, *args, **kwargs):
        """Run the graph."""
        names = [node.target for node in self.graph.nodes if node.op == "placeholder"]
        defaults = {node.target: node.args for node in self.graph.nodes if node.op == "placeholder"}
        if len(args) > len(names):
            raise TypeError(f"forward() takes {len(names)} positional arguments but {len(args)} were given")
        if unknown := set(kwargs) - set(names[len(args) :]):
            raise TypeError(f"forward() got an unexpected keyword argument '{min(unknown)}'")
        given = list(args)
        for name in names[len(args) :]:
            if name in kwargs or defaults[name]:
                given.append(kwargs[name] if name in kwargs else defaults[name][0])
        return Interpreter(self).run(*given)

    def add_submodule(self, target, m):
        """Add a module at a path; returns True."""
        self._hold(target, m)
        return True

    def recompile(self):
        """Check the graph after a change: nothing is made, as it is interpreted. RuntimeError as by lint()."""
        self.graph.lint()

    @property
    def code(self):
        """The graph as Python."""
        return _code(self.graph)

    def print_readable(self, print_output=True):
        """Print and return the graph as Python."""
        if print_output:
            print(self.code)
        return self.code


def symbolic_trace(root, concrete_args=None):
    """Return a GraphModule of what a module's forward, or a function, does with its arguments.

    Errors: TraceError where a branch or a loop depends on a value. ``concrete_args``: {argument: fixed value}.
    Source: https://docs.pytorch.org/docs/stable/fx.html#torch.fx.symbolic_trace

    >>> import minigrad as mg
    >>> traced = mg.fx.symbolic_trace(lambda x: mg.relu(x) + 1)
    >>> traced(mg.tensor([-1.0, 2.0]))
    tensor([1., 3.])
    """
    tracer = Tracer()
    graph = tracer.trace(root, concrete_args)
    name = type(root).__name__ if isinstance(root, Module) else root.__name__
    return GraphModule(tracer.root, graph, name)


_getter = getter(__name__)
Target = typing.Callable | str
Argument = typing.Any


def __getattr__(name):
    """PyTorch's modules below torch.fx: their classes and functions are all here."""
    if name in ("node", "proxy", "graph", "graph_module", "interpreter", "_symbolic_trace", "passes", "shape_prop"):
        return sys.modules[__name__]
    return _getter(name)
