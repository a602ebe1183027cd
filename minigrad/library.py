"""Operators of a program's own: kernels by device, gradients and fakes, reached as functions and as torch.ops.NAME.OP.

Source: https://docs.pytorch.org/docs/stable/library.html

>>> import minigrad as mg
>>> @mg.library.custom_op("shown::cube", mutates_args=())
... def cube(x: mg.Tensor) -> mg.Tensor:
...     return mg.from_numpy(x.numpy() ** 3)
>>> def set_up(ctx, inputs, output):
...     ctx.save_for_backward(inputs[0])
>>> cube.register_autograd(lambda ctx, grad: 3 * ctx.saved_tensors[0] ** 2 * grad, setup_context=set_up)
>>> x = mg.tensor([2.0], requires_grad=True)
>>> mg.ops.shown.cube(x).backward()
>>> x.grad
tensor([12.])
"""

import inspect
import re
import types
import typing
from collections import abc

from minigrad import ops
from minigrad.absent import getter
from minigrad.autograd import Function, no_grad
from minigrad.backend import device, dtype, memory_root
from minigrad.tensor import Tensor
from minigrad.variable import MODE, is_tracked, touch

__all__ = [
    "CustomOpDef", "Library", "custom_op", "define", "impl", "infer_schema", "opcheck", "register_autograd",
    "register_fake", "register_kernel",
]  # fmt: skip

_OPERATORS = {}  # "namespace::name" -> CustomOpDef
_DEVICES = {"CPU": "cpu", "CUDA": "cuda"}
_ANY = ("CompositeExplicitAutograd", "default", "")
_NUMBERS = {int: "SymInt", float: "float", bool: "bool", str: "str", device: "Device", dtype: "ScalarType"}
_ARGUMENT = re.compile(r"([\w?\[\]()!]+(?: -> [^ ]+)?)\s+(\w+)(?:\s*=\s*(.+))?$")
_VALUES = {"None": None, "True": True, "False": False}


class _Argument(typing.NamedTuple):
    name: str
    is_written: bool
    only_by_name: bool
    default: object


def _type_name(kind, where):
    """Return the name in schemas of an annotation; ValueError for one that they do not have."""
    if isinstance(kind, type) and issubclass(kind, Tensor):
        return "Tensor"
    if kind in _NUMBERS:
        return _NUMBERS[kind]
    if kind == int | float | bool:
        return "Scalar"
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType) and type(None) in inner and len(inner) == 2:
        return _type_name(next(one for one in inner if one is not type(None)), where) + "?"
    if origin in (list, abc.Sequence):
        return _type_name(inner[0], where) + "[]"
    raise ValueError(f"infer_schema(func): {where} has unsupported type {kind}")


def infer_schema(prototype_function, /, *, mutates_args, op_name=None):
    """Return the schema of a function from its annotations, such as "(Tensor x, float y=1.0) -> Tensor".

    ValueError for a parameter without an annotation, or with one that schemas do not have.
    Source: https://docs.pytorch.org/docs/stable/library.html#torch.library.infer_schema

    >>> import minigrad as mg
    >>> def scaled(x: mg.Tensor, by: float = 2.0) -> mg.Tensor: ...
    >>> mg.library.infer_schema(scaled, mutates_args=())
    '(Tensor x, float by=2.0) -> Tensor'
    """
    hints, parts, seen_star = typing.get_type_hints(prototype_function), [], False
    parameters = inspect.signature(prototype_function).parameters
    if mutates_args != "unknown" and not set(mutates_args) <= set(parameters):
        raise ValueError(f"infer_schema(func): mutates_args={mutates_args} names what is no parameter")
    for index, (name, parameter) in enumerate(parameters.items()):
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise ValueError("infer_schema(func): We do not support positional-only args, varargs, or varkwargs")
        if name not in hints:
            raise ValueError(f"infer_schema(func): Parameter {name} must have a type annotation.")
        if parameter.kind == parameter.KEYWORD_ONLY and not seen_star:
            parts.append("*")
            seen_star = True
        kind = _type_name(hints[name], f"Parameter {name}")
        if kind.startswith("Tensor") and (mutates_args == "unknown" or name in mutates_args):
            kind = f"Tensor(a{index}!){kind[6:]}"
        default = parameter.default
        shown = default.name if isinstance(default, dtype) else f'"{default}"' if isinstance(default, str) else default
        parts.append(f"{kind} {name}" if default is parameter.empty else f"{kind} {name}={shown}")
    result = hints.get("return", inspect.Parameter.empty)
    if result is inspect.Parameter.empty:
        raise ValueError("infer_schema(func): No return type annotation was provided. Please add one.")
    if result is type(None):
        returned = "()"
    elif typing.get_origin(result) is tuple:
        returned = "(" + ", ".join(_type_name(one, "Return") for one in typing.get_args(result)) + ")"
    else:
        returned = _type_name(result, "Return")
    return f"{op_name or ''}({', '.join(parts)}) -> {returned}"


def _parsed(schema):
    """Return the arguments of a schema; ValueError for a text that is none."""
    match = re.fullmatch(r"\s*[\w.:]*\s*\((.*)\)\s*->\s*(.+?)\s*", schema, re.DOTALL)
    if match is None:
        raise ValueError(f"define: {schema!r} is no schema such as 'add(Tensor x, float alpha=1.0) -> Tensor'")
    arguments, by_name = [], False
    for part in re.split(r",\s*(?![^\[(]*[\])])", match[1]) if match[1].strip() else []:
        if part.strip() == "*":
            by_name = True
            continue
        found = _ARGUMENT.match(part.strip())
        if found is None:
            raise ValueError(f"define: {part.strip()!r} in {schema!r} is no argument: a type and a name")
        kind, name, text = found.groups()
        default = inspect.Parameter.empty if text is None else _value(text.strip())
        arguments.append(_Argument(name, "!" in kind, by_name, default))
    return arguments


def _value(text):
    if text in _VALUES:
        return _VALUES[text]
    if text[0] in "\"'":
        return text[1:-1]
    if text[0] == "[":
        return [_value(part.strip()) for part in text[1:-1].split(",") if part.strip()]
    return float(text) if re.search("[.einf]", text) else int(text)


def _tensors(values):
    """Return the tensors among values and in lists of them."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _tensors(value)


class CustomOpDef:
    """An operator: called like its function, with what was registered for devices and gradients.

    Source: https://docs.pytorch.org/docs/stable/library.html#torch.library.CustomOpDef
    """

    def __init__(self, namespace, name, schema):
        self._namespace, self.__name__ = namespace, name
        self._qualname, self._schema = f"{namespace}::{name}", schema
        self._arguments = _parsed(schema)
        self._kernels = {}  # type of device, or None for any -> function
        self._composite = self._autograd = self._fake = self._backward = self._setup_context = None
        self._function = _function_of(self)
        if self._qualname in _OPERATORS and namespace in vars(ops):
            raise RuntimeError(f"the operator {self._qualname} is defined already")
        here = vars(ops).get(namespace)
        if here is None:
            here = types.SimpleNamespace()
            setattr(ops, namespace, here)
        if not isinstance(here, types.SimpleNamespace):
            raise RuntimeError(f"minigrad.ops.{namespace} is a part of minigrad: choose another namespace")
        setattr(here, name, self)
        _OPERATORS[self._qualname] = self

    @property
    def default(self):
        """The operator itself: it has one overload."""
        return self

    def __repr__(self):
        return f"<CustomOpDef({self._qualname})>"

    def name(self):
        """Return NAMESPACE::NAME."""
        return self._qualname

    def _bound(self, args, kwargs):
        """Return a value for every argument of the schema."""
        ordered, kwargs = [], dict(kwargs)
        by_place = [argument for argument in self._arguments if not argument.only_by_name]
        if len(args) > len(by_place):
            raise RuntimeError(f"{self._qualname}() takes {len(by_place)} arguments by position, but got {len(args)}")
        for index, argument in enumerate(self._arguments):
            if index < len(args):
                if argument.name in kwargs:
                    raise RuntimeError(f"{self._qualname}() got several values for argument '{argument.name}'")
                ordered.append(args[index])
            elif argument.name in kwargs or argument.default is not inspect.Parameter.empty:
                ordered.append(kwargs.pop(argument.name, argument.default))
            else:
                raise RuntimeError(f"{self._qualname}() is missing value for argument '{argument.name}'")
        if unknown := [name for name in kwargs if name not in [one.name for one in self._arguments]]:
            raise RuntimeError(f"{self._qualname}() got an unexpected keyword argument '{unknown[0]}'")
        return ordered

    def _split(self, values):
        """Return values as (positional, keyword) arguments of the registered functions."""
        pairs = list(zip(self._arguments, values, strict=True))
        by_name = {argument.name: value for argument, value in pairs if argument.only_by_name}
        return [value for argument, value in pairs if not argument.only_by_name], by_name

    def __call__(self, *args, **kwargs):
        values = self._bound(args, kwargs)
        if self._composite is not None or self._autograd is not None:
            function = self._autograd or self._composite
            args, kwargs = self._split(values)
            return function(*args, **kwargs)
        if MODE.grad and any(is_tracked(tensor) for tensor in values if isinstance(tensor, Tensor)):
            return self._function.apply(*values)
        return self._run(values)

    def _run(self, values):
        """Return what the kernel of the tensors' device makes of all arguments."""
        kind = next((tensor.device.type for tensor in _tensors(values)), "cpu")
        kernel = self._kernels.get(kind) or self._kernels.get(None)
        if kernel is None:
            raise NotImplementedError(
                f"Could not run '{self._qualname}' on the device '{kind}': there are kernels for "
                f"{', '.join(map(str, self._kernels)) or 'none'}; register_kernel({kind!r}) adds one"
            )
        args, kwargs = self._split(values)
        with no_grad():
            result = kernel(*args, **kwargs)
        for argument, value in zip(self._arguments, values, strict=True):
            for tensor in _tensors([value]) if argument.is_written else ():
                touch(tensor.array)
        given = {id(memory_root(tensor.array)) for tensor in _tensors(values)}
        if any(id(memory_root(tensor.array)) in given for tensor in _tensors([result])):
            raise RuntimeError(
                f"{self._qualname}: The output of this custom operator (1) must not also be an input to this custom "
                "operator and (2) may not alias any inputs to this custom operator or other returns. "
                "The most common way to trigger this error is if we have y = custom_op(x) and y and x are the same "
                "Tensor. Please instead return a clone of the offending output tensor(s) (e.g. return x.clone())."
            )
        return result

    def _registers(self, slot, func):
        if func is None:
            return lambda func: self._registers(slot, func)
        setattr(self, slot, func)
        return func

    def register_fake(self, fn=None, /):
        """Set the function that says shapes and dtypes without computing, for opcheck; usable above a def."""
        return self._registers("_fake", fn)

    def register_kernel(self, device_types, fn=None, /):
        """Set the implementation for "cpu", "cuda", several of these or all (None); usable above a def."""
        if fn is None:
            return lambda fn: self.register_kernel(device_types, fn)
        for kind in (device_types,) if device_types is None or isinstance(device_types, str) else device_types:
            if kind not in ("cpu", "cuda", None):
                raise ValueError(f"register_kernel: there are the devices cpu and cuda, but got {kind!r}")
            self._kernels[kind] = fn
        return fn

    def register_autograd(self, backward, /, *, setup_context=None):
        """Set the gradient: backward(ctx, *grads) gives one per argument; setup_context(ctx, inputs, output) saves.

        RuntimeError for an operator that writes its arguments.
        """
        if any(argument.is_written for argument in self._arguments):
            raise RuntimeError(
                f"Cannot register autograd formula for non-functional operator {self} with schema {self._schema}. "
                "Please create a functional operator and register one for that."
            )
        self._backward, self._setup_context = backward, setup_context


def _function_of(operator):
    """Return the Function that records an operator."""

    def forward(ctx, *values):
        ctx.values = None
        result = operator._run(values)
        if operator._setup_context is not None:
            args, kwargs = operator._split(values)
            given = {"keyword_only_inputs": kwargs} if kwargs else {}
            operator._setup_context(ctx=ctx, inputs=tuple(args), output=result, **given)
        return result

    def backward(ctx, *grads):
        if operator._backward is None:
            raise RuntimeError(
                f"Trying to backward through {operator._qualname}.default but no autograd formula was registered. "
                "Please use register_autograd to add one."
            )
        found = operator._backward(ctx, *grads)
        found = list(found) if isinstance(found, (tuple, list)) else [found]
        return tuple(found + [None] * (len(operator._arguments) - len(found)))

    body = {"forward": staticmethod(forward), "backward": staticmethod(backward)}
    return type(f"{operator._namespace}_{operator.__name__}", (Function,), body)


def _names(qualname):
    namespace, _, name = qualname.partition("::")
    if not namespace.isidentifier() or not name.isidentifier():
        raise ValueError(f"expected a name such as 'mylib::add', but got {qualname!r}")
    return namespace, name


def custom_op(name, fn=None, /, *, mutates_args, device_types=None, schema=None, tags=None):
    """Make an operator of a function of tensors, which may call NumPy or anything else; usable above a def.

    Arguments: name ("namespace::name"), fn (annotated, unless there is a schema), mutates_args (names of the tensors it
    writes), device_types (of its kernel: None, "cpu", "cuda"), schema (text). Tags are for compilers: ValueError.
    Source: https://docs.pytorch.org/docs/stable/library.html#torch.library.custom_op
    """
    if fn is None:
        return lambda fn: custom_op(
            name, fn, mutates_args=mutates_args, device_types=device_types, schema=schema, tags=tags
        )
    if tags:
        raise ValueError("custom_op: tags tell a compiler about an operator, and there is none; leave them out")
    namespace, short = _names(name)
    _OPERATORS.pop(name, None)  # a program may define it anew, as a notebook's cell does
    operator = CustomOpDef(namespace, short, schema or infer_schema(fn, mutates_args=mutates_args))
    operator.register_kernel(device_types, fn)
    operator.__doc__ = fn.__doc__
    return operator


def _operator(op):
    if isinstance(op, CustomOpDef):
        return op
    if op not in _OPERATORS:
        raise RuntimeError(f"operator {op} does not exist: define it first")
    return _OPERATORS[op]


def define(qualname, schema, *, lib=None, tags=()):
    """Define an operator by its schema, without its name; its implementations are registered afterwards.

    Source: https://docs.pytorch.org/docs/stable/library.html#torch.library.define

    >>> import minigrad as mg
    >>> mg.library.define("shown::double", "(Tensor x) -> Tensor")
    >>> mg.library.impl("shown::double", "default", lambda x: x * 2)
    >>> mg.ops.shown.double(mg.ones(2))
    tensor([2., 2.])
    """
    if tags:
        raise ValueError("define: tags tell a compiler about an operator, and there is none; leave them out")
    if not isinstance(qualname, str):
        raise ValueError(f"define(qualname, schema): expected qualname to be instance of str, got {type(qualname)}")
    CustomOpDef(*_names(qualname), schema)


def impl(qualname, types, func=None, *, lib=None):
    """Register an implementation for "cpu", "cuda", "default" (any) or one of PyTorch's dispatch keys.

    Keys: CPU, CUDA, CompositeExplicitAutograd (any device), CompositeImplicitAutograd (differentiated through),
    Autograd (called instead of all), Meta (shapes). Source: https://docs.pytorch.org/docs/stable/library.html#torch.library.impl
    """
    if func is None:
        return lambda func: impl(qualname, types, func, lib=lib)
    operator = _operator(qualname)
    for key in (types,) if isinstance(types, str) else types:
        if key == "CompositeImplicitAutograd":
            operator._composite = func
        elif key in ("Autograd", "AutogradCPU", "AutogradCUDA"):
            operator._autograd = func
        elif key == "Meta":
            operator._fake = func
        else:
            operator.register_kernel(None if key in _ANY else _DEVICES.get(key, key), func)
    return None


def register_kernel(op, device_types, func=None, /, *, lib=None):
    """Register an operator's implementation for devices; see CustomOpDef.register_kernel."""
    return _operator(op).register_kernel(device_types, func)


def register_fake(op, func=None, /, *, lib=None, _stacklevel=1, allow_override=False):
    """Register what says an operator's shapes and dtypes; see CustomOpDef.register_fake."""
    return _operator(op).register_fake(func)


def register_autograd(op, backward, /, *, setup_context=None, lib=None):
    """Register an operator's gradient; see CustomOpDef.register_autograd."""
    _operator(op).register_autograd(backward, setup_context=setup_context)


class Library:
    """A namespace that operators are defined or implemented in.

    Arguments: ns, kind ("DEF", "IMPL" or "FRAGMENT"), dispatch_key (of impl where it names none).
    Source: https://docs.pytorch.org/docs/stable/library.html#torch.library.Library

    >>> import minigrad as mg
    >>> lib = mg.library.Library("drawn", "DEF")
    >>> lib.define("shift(Tensor x, float by=1.0) -> Tensor")
    'shift'
    >>> lib.impl("shift", lambda x, by=1.0: x + by, "CompositeImplicitAutograd")
    >>> mg.ops.drawn.shift(mg.ones(2), by=2.0)
    tensor([3., 3.])
    """

    def __init__(self, ns, kind, dispatch_key=""):
        if kind not in ("IMPL", "DEF", "FRAGMENT"):
            raise ValueError("Unsupported kind: ", kind)
        self.ns, self.kind, self.dispatch_key = ns, kind, dispatch_key

    def define(self, schema, alias_analysis="", *, tags=()):
        """Define an operator by its schema, which begins with its name; return that name."""
        if alias_analysis not in ("", "FROM_SCHEMA"):
            raise RuntimeError(f"Invalid alias_analysis type {alias_analysis}")
        name = schema.partition("(")[0].strip()
        define(f"{self.ns}::{name}", schema[len(schema.partition("(")[0]) :], tags=tags)
        return name

    def impl(self, op_name, fn, dispatch_key="", *, with_keyset=False, allow_override=False):
        """Register an implementation of an operator of the namespace."""
        if not callable(fn):
            raise TypeError(f"Input function is required to be a callable but found type {type(fn)}")
        if with_keyset:
            raise RuntimeError("Library.impl: there are no sets of dispatch keys; leave out with_keyset")
        name = getattr(op_name, "__name__", op_name)
        impl(name if "::" in name else f"{self.ns}::{name}", dispatch_key or self.dispatch_key, fn)


def _run_twice(operator, args, kwargs):
    """Return the result of an operator on copies of arguments, and those copies."""
    values = operator._bound(args, kwargs)
    copies = [
        value.detach().clone().requires_grad_(value.requires_grad) if isinstance(value, Tensor) else value
        for value in values
    ]
    by_place, by_name = operator._split(copies)
    return operator(*by_place, **by_name), values, copies


def _check_schema(operator, args, kwargs):
    with no_grad():
        _, values, copies = _run_twice(operator, args, kwargs)
    for argument, before, after in zip(operator._arguments, values, copies, strict=True):
        if isinstance(before, Tensor) and not argument.is_written and not bool((before == after).all()):
            raise RuntimeError(f"Argument {argument.name} is not defined as mutable but was mutated")


def _check_autograd(operator, args, kwargs):
    result, _, copies = _run_twice(operator, args, kwargs)
    if any(is_tracked(tensor) for tensor in _tensors(copies)):
        outputs = [tensor for tensor in _tensors([result]) if tensor.is_floating_point()]
        if outputs and not any(is_tracked(tensor) for tensor in outputs):
            raise AssertionError(f"{operator._qualname} has inputs that require grad, but its outputs do not")


def _check_fake(operator, args, kwargs):
    if operator._fake is None:
        if operator._composite is not None:
            return
        raise RuntimeError(f"There was no fake impl registered for {operator}: use register_fake")
    with no_grad():
        result, _, copies = _run_twice(operator, args, kwargs)
        by_place, by_name = operator._split(copies)
        fake = operator._fake(*by_place, **by_name)
    for real, said in zip(_tensors([result]), _tensors([fake]), strict=True):
        if (real.shape, real.dtype, real.stride()) != (said.shape, said.dtype, said.stride()):
            raise RuntimeError(
                f"{operator._qualname}: the fake impl says {tuple(said.shape)}, {said.dtype}, strides {said.stride()}, "
                f"the operator returns {tuple(real.shape)}, {real.dtype}, strides {real.stride()}"
            )


def _check_gradients(operator, args, kwargs):
    result, _, copies = _run_twice(operator, args, kwargs)
    outputs = [tensor.sum() for tensor in _tensors([result]) if is_tracked(tensor)]
    if outputs:
        sum(outputs).backward()
        for tensor in _tensors(copies):
            if tensor.grad is not None and tensor.grad.shape != tensor.shape:
                raise RuntimeError(f"{operator._qualname}: a gradient of shape {tuple(tensor.grad.shape)}")


_CHECKS = {
    "test_schema": _check_schema,
    "test_autograd_registration": _check_autograd,
    "test_faketensor": _check_fake,
    "test_aot_dispatch_dynamic": _check_gradients,
}


class OpCheckError(Exception):
    """An operator is not registered as it behaves."""


def opcheck(op, args, kwargs=None, *, test_utils=tuple(_CHECKS), raise_exception=True, atol=None, rtol=None):
    """Check that an operator writes only what it says, is differentiable, agrees with its fake and has gradients.

    Returns {check: "SUCCESS" or the error}; raises OpCheckError for the first that fails, with raise_exception.
    Source: https://docs.pytorch.org/docs/stable/library.html#torch.library.opcheck
    """
    if atol is not None or rtol is not None:
        raise ValueError("opcheck: nothing is compiled, so that no values are compared; leave out atol and rtol")
    operator, outcomes = _operator(op), {}
    for name in (test_utils,) if isinstance(test_utils, str) else test_utils:
        if name not in _CHECKS:
            raise ValueError(f"opcheck: test_utils are {', '.join(_CHECKS)}, but got {name!r}")
        try:
            _CHECKS[name](operator, args, kwargs or {})
            outcomes[name] = "SUCCESS"
        except Exception as error:
            if raise_exception:
                raise OpCheckError(f"opcheck(op, ...): {name} failed with {error}") from error
            outcomes[name] = error
    return outcomes


__getattr__ = getter(__name__)
