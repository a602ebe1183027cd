"""Functions and Tensor methods take PyTorch's parameter names, order and defaults (read from its type stubs)."""

import ast
import functools
import inspect
import pathlib
import re
import warnings

import pytest

torch = pytest.importorskip("torch")

pytest.importorskip("expecttest")  # torch.testing._internal needs it

import minigrad  # noqa: E402
from minigrad.registry import FUNCTIONS, METHODS  # noqa: E402
from tests.parity.compat_table import find  # noqa: E402
from tests.parity.test_claimed import shared_names  # noqa: E402

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


# ---------------------------------------------------------------------- every shared name, not only those in stubs
# Python functions and classes of PyTorch whose parameters differ on purpose: name -> why.
PYTHON_DIFFERENCES = {
    "SymInt": "the length of a nested tensor's ragged dimension, made with that",
    "compile": "nothing is compiled: options for how are not taken",
    **dict.fromkeys(("enable_grad", "autograd.enable_grad"), "the function to wrap is given by calling it"),
    "Tensor.split": "one function for sizes by both of their names",
    "Tensor.norm": "the function's out= is there too",
    "Tensor.dim_order": "there is no check of ambiguous orders",
    "autograd.backward": "grad_variables is deprecated",
    "autograd.profiler.FunctionEvent": "made by the profiler only",
    "autograd.profiler.profile": "options of PyTorch's tracer are not taken",
    "cuda.Event": "events of other libraries are not taken",
}
# Built-in functions whose first parameters have other names: name -> why. In-place ones are methods first: self.
BUILTIN_DIFFERENCES = {
    **{
        f"special.{name}": "input like every other function"
        for name in "airy_ai scaled_modified_bessel_k0 scaled_modified_bessel_k1 spherical_bessel_j0".split()
    },
}


def shared_callables():
    for inner, name in shared_names():
        theirs = getattr(find(f"torch.{inner}" if inner else "torch"), name, None)
        ours = getattr(find(f"minigrad.{inner}" if inner else "minigrad"), name)
        if callable(theirs) and callable(ours):
            yield f"{inner}.{name}" if inner else name, theirs, ours


def listed(function):
    """[(name, default), …] without private ones; None where there is no signature or it takes anything."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD) for one in parameters):
        return None
    return [(one.name, one.default) for one in parameters if not one.name.startswith("_")]


def python_difference(theirs, ours):
    wanted, given = listed(theirs), listed(ours)
    if wanted is None or given is None:
        return None
    if wanted and given and wanted[0][0] == "self" and given[0][0] != "self":
        wanted = [(given[0][0], wanted[0][1]), *wanted[1:]]
    names = [name for name, _ in given]
    if [name for name, _ in wanted] != names[: len(wanted)]:
        return f"got {names}, want {[name for name, _ in wanted]}"
    for (name, default), (_, own) in zip(wanted, given):
        if isinstance(default, (bool, int, float, str, tuple, type(None))) and own != default:
            return f"default of {name}: got {own!r}, want {default!r}"
    return None


def missing_names(function):
    """The required parameters of a built-in function, as its complaint about missing ones names them."""
    try:
        function()
    except TypeError as error:
        found = re.search(r"missing \d+ required positional arguments?: (.*)$", str(error))
        return re.findall(r'"(\w+)"', found[1]) if found else []
    except Exception:
        return []
    return []


def builtin_difference(theirs, ours):
    names = missing_names(theirs)
    try:
        ours(**dict.fromkeys(names))
    except TypeError as error:
        if re.search("unexpected keyword|required positional|required keyword", str(error)):
            return f"called with keywords {names}: {error}"
    except Exception:
        return None  # about the values, which are None
    return None


def check_all(difference_of, belongs, known, at_least):
    counted, problems = 0, {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, theirs, ours in shared_callables():
            if belongs(theirs) and not name.endswith("_"):
                counted += 1
                problem = difference_of(theirs, ours)
                if problem:
                    problems[name] = problem
    assert counted > at_least
    assert not {name: text for name, text in problems.items() if name not in known}
    assert set(known) <= set(problems), f"agree now: {set(known) - set(problems)}"


def test_python_signatures():
    check_all(python_difference, lambda function: not inspect.isbuiltin(function), PYTHON_DIFFERENCES, 800)


def test_builtin_keywords():
    def belongs(function):
        return inspect.isbuiltin(function) and bool(missing_names(function))

    check_all(builtin_difference, belongs, BUILTIN_DIFFERENCES, 350)


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
