"""Functions and Tensor methods take PyTorch's parameter names, order and defaults (read from its type stubs)."""

import ast
import functools
import inspect
import pathlib

import pytest

torch = pytest.importorskip("torch")

import minigrad  # noqa: E402
from minigrad.registry import FUNCTIONS, METHODS  # noqa: E402

# Not checked: what out= wrappers add, and what a strided, dense CPU/GPU framework has no use for.
IGNORED = {"out", "layout", "pin_memory", "names", "sparse_grad", "is_coalesced", "memory_format", "out_dtype"}
# Old overloads that PyTorch warns of (a scale before the tensor it scales), and names no manual mentions.
DEPRECATED = {"alpha", "beta", "value"}
UNDOCUMENTED = {"tensor_indices_or_sections"}
# The stubs list keyword arguments of these as positional.
MISTAKEN = {"tensor", "Tensor.new_tensor", "frombuffer", "result_type"}
MISSING = object()

# Intended differences: function -> why. An entry that differs no longer fails.
KNOWN_DIFFERENCES = {
    "isin-1": "one signature for three overloads that name a number differently",
    "isin-2": "one signature for three overloads that name a number differently",
    "rrelu-0": "the signature is that of nn.functional.rrelu",
    "Tensor.is_pinned-0": "the device argument is deprecated in PyTorch",
    "Tensor.pin_memory-0": "the device argument is deprecated in PyTorch",
}


@functools.cache
def stubs(filename, owner=None):
    """{name: [ast.arguments of each overload]} of a stub file's functions, or of a class in it."""
    path = pathlib.Path(torch.__file__).parent / "_C" / filename
    body = ast.parse(path.read_text()).body
    if owner:
        body = next(node for node in body if isinstance(node, ast.ClassDef) and node.name == owner).body
    found = {}
    for node in body:
        if isinstance(node, ast.FunctionDef):
            found.setdefault(node.name, []).append(node.args)
    return found


def overloads():
    functions, methods = stubs("_VariableFunctions.pyi"), stubs("__init__.pyi", "TensorBase")
    for name, function in sorted(FUNCTIONS.items()):
        for index, arguments in enumerate(functions.get(name, [])):
            if not name.endswith("_") and name not in MISTAKEN and not deprecated(arguments):
                yield pytest.param(function, arguments, id=f"{name}-{index}")
    for name, method in sorted(METHODS.items()):
        for index, arguments in enumerate(methods.get(name, [])):
            if not name.endswith("_") and f"Tensor.{name}" not in MISTAKEN and not deprecated(arguments):
                yield pytest.param(method, arguments, id=f"Tensor.{name}-{index}")


def deprecated(arguments):
    names = [argument.arg for argument in arguments.args]
    required = names[: len(names) - len(arguments.defaults)]
    scale_first = any(name in DEPRECATED for name in required[1:-1])
    scale_last = len(required) > 2 and required[-1] in {"alpha", "beta"}
    return scale_first or scale_last or "self" in names[1:] or bool(UNDOCUMENTED.intersection(names))


def described(arguments):
    """[(name, default, keyword only), …] of a stub; None for a signature with *size or named dimensions."""
    text = ast.unparse(arguments)
    if arguments.vararg or "Dimname" in text or "ellipsis" in text or "EllipsisType" in text:
        return None
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults = [MISSING] * (len(positional) - len(arguments.defaults)) + [literal(node) for node in arguments.defaults]
    listed = [(argument.arg, default, False) for argument, default in zip(positional, defaults)]
    for argument, node in zip(arguments.kwonlyargs, arguments.kw_defaults):
        listed.append((argument.arg, MISSING if node is None else literal(node), True))
    return [entry for entry in listed if entry[0] not in IGNORED]


def literal(node):
    try:
        return ast.literal_eval(node)
    except ValueError:
        return Ellipsis  # an expression: its value is not compared


@pytest.mark.parametrize("function, arguments", list(overloads()))
def test_overload_is_accepted(function, arguments, request):
    parameters = described(arguments)
    if parameters is None:
        return
    name = request.node.callspec.id
    problem = difference(function, parameters)
    if name in KNOWN_DIFFERENCES:
        assert problem, f"{name} agrees now; it was said: {KNOWN_DIFFERENCES[name]}"
    else:
        assert not problem, f"{inspect.signature(function)}: {problem}"


def difference(function, parameters):
    """Return why the overload cannot be called as PyTorch's, or None."""
    signature = inspect.signature(function)
    kinds = {one.kind for one in signature.parameters.values()}
    if inspect.Parameter.VAR_POSITIONAL in kinds and inspect.Parameter.VAR_KEYWORD in kinds:
        return None  # dispatches by itself; the operator database calls it
    self_name = next(iter(signature.parameters), None)
    by_name, in_order = {}, []
    for index, (name, default, keyword_only) in enumerate(parameters):
        if index == 0 and name == "self":
            name = self_name
        by_name[name] = default
        if not keyword_only and name not in {"alpha", "beta"}:
            in_order.append(name)
    for names in (by_name, [name for name, default in by_name.items() if default is MISSING]):
        try:
            signature.bind(**dict.fromkeys(names))
        except TypeError as error:
            if inspect.Parameter.VAR_POSITIONAL not in kinds:
                return f"called with keywords {list(names)}: {error}"
    if inspect.Parameter.VAR_POSITIONAL not in kinds:
        try:
            required = (name for name, default in by_name.items() if default is MISSING)
            by_keyword = dict.fromkeys(name for name in required if name not in in_order)
            bound = list(signature.bind(*in_order, **by_keyword).arguments.items())[: len(in_order)]
        except TypeError as error:
            return f"called with {len(in_order)} positional arguments {in_order}: {error}"
        wrong = [(ours, theirs) for ours, theirs in bound if theirs not in (ours, *signature.parameters)]
        if wrong:
            return f"positional order: {wrong}"
    for name, default in by_name.items():
        ours = signature.parameters.get(name)
        if ours is None or default in (MISSING, Ellipsis, None) or ours.default in (inspect.Parameter.empty, None):
            continue
        if type(ours.default) is type(default) and ours.default != default:
            return f"default of {name}: got {ours.default!r}, want {default!r}"
    return None


def test_stubs_are_found():
    assert len(stubs("_VariableFunctions.pyi")) > 500
    assert len(stubs("__init__.pyi", "TensorBase")) > 400
    assert minigrad.Tensor.__name__ == "Tensor"


def test_differences_are_found():
    parameters = [("input", MISSING, False), ("dim", 1, False)]
    assert difference(lambda input, dim=1: 0, parameters) is None
    assert "default" in difference(lambda input, dim=2: 0, parameters)
    assert "keywords" in difference(lambda x, dim=1: 0, parameters)
    assert "positional" in difference(lambda input, *, dim=1: 0, parameters)
