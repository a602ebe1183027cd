"""The order of the layers: imports point one way, only the backend knows NumPy and CuPy, `import minigrad` is light."""
import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# From the bottom up. A module may import from its own layer and from those above it in this list, never from those
# below; the modules of one line may not know each other.
LAYERS = (
    ("version", "absent"),
    ("xpu",),
    ("backend",),
    ("kernels",),
    ("printing", "html", "typeinfo"),
    ("tensor",),
    ("variable",),
    ("engine",),
    ("operands",),
    ("precision",),
    ("rules",),
    ("registry",),
    ("interception",),
    ("calls",),
    ("op",),
    ("inplace",),
    ("ops",),
    ("amp",),
    ("autograd",),
    ("futures",),
    ("quantized",),
    ("distributed",),
    ("nn",),
    ("optim",),
    ("distributed.nn",),
    ("utils",),
    ("vision",),
    ("recipes",),
    ("serialization",),
    ("onnx",),
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
# What is not listed (cuda, hub, …) stands above the layers; it may import any of them and none imports it.
TOP = len(LAYERS)
# Made of what stands at the top; compat gives other names to the whole package.
ABOVE_ALL = {"compat", "fx", "hub", "nested"}

ARRAY_LIBRARIES = {"numpy", "cupy", "cupyx"}
HEAVY = {"cupy", "matplotlib", "PIL", "torch", "sklearn", "scipy", "tqdm", "pandas", "multiprocessing.pool"}


def python_files(folder):
    return sorted((ROOT / folder).rglob("*.py"))


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_module(name):
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


class Imports(ast.NodeVisitor):
    """The modules that a file imports, each as (line, absolute name), those under `if TYPE_CHECKING:` left out."""

    def __init__(self, package):
        self.package = package
        self.found = []

    def visit_If(self, node):
        if ast.unparse(node.test).endswith("TYPE_CHECKING"):
            for statement in node.orelse:
                self.visit(statement)
        else:
            self.generic_visit(node)

    def visit_Import(self, node):
        self.found += [(node.lineno, alias.name) for alias in node.names]

    def visit_ImportFrom(self, node):
        base = node.module or ""
        if node.level:
            parents = self.package.split(".")[: len(self.package.split(".")) - node.level + 1]
            base = ".".join(parents + ([node.module] if node.module else []))
        for alias in node.names:
            inner = f"{base}.{alias.name}"
            self.found.append((node.lineno, inner if is_module(inner) else base))


def imports(path):
    name = module_name(path)
    visitor = Imports(name if path.name == "__init__.py" else name.rpartition(".")[0])
    visitor.visit(ast.parse(path.read_text(encoding="utf-8")))
    return visitor.found


def layer(module):
    """The layer that minigrad.x.y belongs to, as (name, rank)."""
    name = ".".join(module.split(".")[1:3])
    if name not in RANK:
        name = module.split(".")[1]
    return name, RANK.get(name, TOP + (name in ABOVE_ALL))


def upward(path):
    """The imports of one file of the framework that point up, as readable lines."""
    wrong = []
    here, rank = layer(module_name(path))
    for line, target in imports(path):
        if target.split(".")[0] != "minigrad":
            continue
        if target == "minigrad":
            if here not in ABOVE_ALL:
                wrong.append(f"{path.relative_to(ROOT)}:{line}: {here} imports the whole package")
            continue
        there, above = layer(target)
        if there != here and above >= rank:
            wrong.append(f"{path.relative_to(ROOT)}:{line}: {here} imports {target}, which stands above it")
    return wrong


FRAMEWORK = [path for path in python_files("minigrad") if module_name(path) != "minigrad"]


@pytest.mark.parametrize("path", FRAMEWORK, ids=module_name)
def test_imports_point_down(path):
    assert upward(path) == []


def test_the_checker_sees_a_wrong_import(tmp_path, monkeypatch):
    """The check above is not vacuous: deferred, relative and package-wide imports are all seen."""
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    folder = tmp_path / "minigrad" / "kernels"
    folder.mkdir(parents=True)
    (tmp_path / "minigrad" / "nn.py").touch()
    (tmp_path / "minigrad" / "backend.py").touch()
    file = folder / "conv.py"
    file.write_text(
        "from ..backend import xp\n"
        "from .im2col import columns\n"
        "def f():\n"
        "    from .. import nn\n"
        "import minigrad\n"
        "from minigrad.nn import Module\n"
    )
    assert [line.split(":")[1] for line in upward(file)] == ["4", "5", "6"]


@pytest.mark.parametrize("path", FRAMEWORK, ids=module_name)
def test_only_the_backend_imports_the_array_libraries(path):
    if module_name(path).startswith("minigrad.backend"):
        return
    found = [f"line {line}: {name}" for line, name in imports(path) if name.split(".")[0] in ARRAY_LIBRARIES]
    assert found == []


@pytest.mark.parametrize("path", python_files("models"), ids=module_name)
def test_models_use_the_public_interface(path):
    """models/ may import minigrad's public modules; the engine and the layers below it are not for users."""
    private = {"backend", "kernels", "tensor", "variable", "engine", "op", "inplace", "ops", "printing"}
    found = [
        f"line {line}: {name}"
        for line, name in imports(path)
        if name.startswith("minigrad.") and name.split(".")[1] in private or name.split(".")[0] in ARRAY_LIBRARIES
    ]
    assert found == []


def in_a_fresh_interpreter(code):
    result = subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


def test_importing_minigrad_is_light():
    loaded = set(in_a_fresh_interpreter("import sys, minigrad; print(*sys.modules)"))
    assert "minigrad" in loaded
    assert loaded & HEAVY == set()


# What only some programs need and takes long to import: loaded when first used.
LATE = {
    "minigrad.autograd.graph", "minigrad.autograd.profiler", "minigrad.distributions", "minigrad.func",
    "minigrad.kernels.cuda.source", "minigrad.onnx", "minigrad.overrides", "minigrad.profiler", "minigrad.recipes",
    "minigrad.serialization", "minigrad.vision", "minigrad.utils.checkpoint", "minigrad.utils.data",
    "concurrent.futures", "fractions", "hashlib", "json", "logging", "numpy.random", "pathlib", "pickletools",
    "secrets", "tempfile", "zipfile",
}  # fmt: skip


def test_importing_minigrad_leaves_the_rest_for_later():
    code = "import sys, numpy; before = set(sys.modules); import minigrad; print(*(set(sys.modules) - before))"
    loaded = set(in_a_fresh_interpreter(code))
    assert "minigrad.nn.conv" in loaded
    assert loaded & LATE == set()


def test_importing_minigrad_reads_few_signatures():
    """inspect.signature is slow: ops and rules, hundreds of them, are read from their code."""
    code = """
import inspect, numpy
count, signature = 0, inspect.signature
def counted(*args, **kwargs):
    global count
    count += 1
    return signature(*args, **kwargs)
inspect.signature = counted
import minigrad
print(count)
"""
    assert int(in_a_fresh_interpreter(code)[0]) < 40


@pytest.mark.parametrize(
    "name",
    [
        "distributions.Normal",
        "func.grad",
        "overrides.is_tensor_like",
        "profiler.profile",
        "load",
        "onnx.export",
        "save",
        "serialization.load",
        "utils.checkpoint.checkpoint",
        "utils.data.DataLoader",
        "vision.transforms.Compose",
    ],
)
def test_names_imported_on_demand_are_found(name):
    """As attributes after a plain import, by from-imports, in dir() and by a star import."""
    first = name.partition(".")[0]
    package, _, last = f"minigrad.{name}".rpartition(".")
    checks = f"""
import minigrad
assert {first!r} in dir(minigrad) and {first!r} in minigrad.__all__
found = minigrad.{name}
from {package} import {last}
assert {last} is found and minigrad.{name} is found
{last} = None
from minigrad import *
assert {name} is found
print(found.__name__)
"""
    assert in_a_fresh_interpreter(checks) == [last]


@pytest.mark.parametrize("module", ["minigrad", "minigrad.utils"])
def test_a_name_that_does_not_exist_is_an_attribute_error(module):
    code = f"import {module}\ntry:\n    {module}.nothing\nexcept AttributeError as error:\n    print(error)"
    assert " ".join(in_a_fresh_interpreter(code)) == f"module '{module}' has no attribute 'nothing'"


def test_recipes_are_imported_on_demand():
    code = "import sys, minigrad; print('minigrad.recipes' in sys.modules, minigrad.recipes.mean_interval([1.0, 1.0]))"
    assert in_a_fresh_interpreter(code) == ["False", "1.00", "±", "0.00"]
    assert in_a_fresh_interpreter("from minigrad import recipes; print(recipes.__name__)") == ["minigrad.recipes"]


def test_importing_minigrad_loads_only_its_two_dependencies():
    code = """
import sys
before = set(sys.modules)
import minigrad
new = {name.partition(".")[0] for name in set(sys.modules) - before}
# Cython's runtime registers itself under this name when NumPy's random module is loaded
new = {name for name in new if not name.startswith(("_cython", "cython_runtime"))}
print(*sorted(new - set(sys.stdlib_module_names)))
"""
    assert set(in_a_fresh_interpreter(code)) <= {"minigrad", "numpy", "threadpoolctl"}


def test_models_are_light_until_they_run():
    loaded = set(in_a_fresh_interpreter("import sys, models, models.__main__; print(*sys.modules)"))
    assert loaded & HEAVY == set()
