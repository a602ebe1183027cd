"""The reference pages: every public name of every public module, written as reStructuredText when the site is built."""

import importlib
import inspect
import pkgutil
import re
import shutil
import types

import minigrad

# These come first, in this order; all other modules follow by name. A name that several modules offer is described in
# the first of them, and the others say where.
FIRST = [
    "minigrad",
    "minigrad.Tensor",
    "minigrad.nn",
    "minigrad.nn.functional",
    "minigrad.nn.init",
    "minigrad.nn.utils",
    "minigrad.optim",
    "minigrad.optim.lr_scheduler",
    "minigrad.autograd",
    "minigrad.utils.data",
    "minigrad.linalg",
    "minigrad.special",
    "minigrad.vision.transforms",
    "minigrad.vision.datasets",
    "models",
]
# The engine: described in its own source, not called by users.
INTERNAL = {
    f"minigrad.{name}"
    for name in (
        "absent backend calls compat engine inplace interception kernels op operands ops precision printing registry "
        "rules summary tensor typeinfo variable version"
    ).split()
}


def is_internal(name):
    return any(name == part or name.startswith(part + ".") for part in INTERNAL) or "._" in name or "__main__" in name


def is_public(name):
    """Whether users import from a module: it says what it offers, or lies at the top, or is a backend's switches."""
    package = name.rpartition(".")[0]
    return hasattr(importlib.import_module(name), "__all__") or package in ("minigrad", "minigrad.backends")


def modules():
    """Return the names of the public modules in the order of their pages."""
    found = {item.name for item in pkgutil.walk_packages(minigrad.__path__, "minigrad.") if not is_internal(item.name)}
    return FIRST + sorted(name for name in found - set(FIRST) if is_public(name))


def load(name):
    """Return the module, or the class minigrad.Tensor."""
    return minigrad.Tensor if name == "minigrad.Tensor" else importlib.import_module(name)


def public_names(module):
    """Return what a module offers: its __all__, or all that is not another module's and has no underscore."""
    if hasattr(module, "__all__"):
        names = module.__all__
    else:
        names = [name for name in dir(module) if is_own(module, name) and hasattr(module, name)]  # absent ones raise
    return sorted(set(names), key=lambda name: (name.lower(), name))


def is_own(module, name):
    if name.startswith("_"):
        return False
    value = inspect.getattr_static(module, name, None)
    if isinstance(value, types.ModuleType):
        return False
    home = getattr(value, "__module__", None)
    front = inspect.isclass(module) or module.__name__ in FIRST  # these gather what other modules of minigrad define
    return home is None or home == getattr(module, "__name__", "") or (front and home.split(".")[0] in ROOTS)


ROOTS = ("minigrad", "models")


# ------------------------------------------------------------------------------------------------ pages
def write(folder):
    """Write a page for each public module that has names of its own, and their index, to folder/reference/."""
    target = folder / "reference"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    described = {}
    pages = []
    for name in modules():
        text = page(name, described)
        if text:
            (target / f"{name}.rst").write_text(text, encoding="utf-8")
            pages.append(name)
    index = ["Reference", "=========", "", "Every public name, by module.", "", ".. toctree::", "   :maxdepth: 1", ""]
    (target / "index.rst").write_text("\n".join([*index, *(f"   {name}" for name in pages), ""]), encoding="utf-8")


def page(name, described):
    """Return the text of a module's page, or None if all of its names are described already; fills `described`."""
    module = load(name)
    entries, elsewhere, constants = [], [], []
    for attribute in public_names(module):
        value = getattr(module, attribute)
        full = f"{name}.{attribute}"
        if not callable(value) and not isinstance(inspect.getattr_static(module, attribute), property):
            constants.append((attribute, value))
            continue
        key = id(inspect.unwrap(value)) if callable(value) else full
        if key in described and callable(value):
            elsewhere.append((attribute, described[key]))
            continue
        described[key] = full
        described.setdefault("keep", []).append(value)  # so that no other object gets its id
        entries.append(directive(name, attribute, value))
    if not entries:
        return None
    title = name + "\n" + "=" * len(name)
    summary = plain_lines((inspect.getdoc(module) or "").split("\n\n")[0].splitlines())
    parts = [title, "\n".join(summary), *entries]
    if elsewhere:
        parts += ["Described elsewhere\n-------------------", "\n".join(reference(*item) for item in elsewhere)]
    if constants:
        parts += ["Constants\n---------", "\n".join(f"* ``{key}`` = ``{short(value)}``" for key, value in constants)]
    return "\n\n".join(parts) + "\n"


def directive(name, attribute, value):
    if inspect.isclass(value):
        options = ["   :members:"] if name != "minigrad" else []
        return "\n".join([f".. autoclass:: {name}.{attribute}", *options])
    if name == "minigrad.Tensor":
        kind = "automethod" if callable(value) else "autoattribute"
        return f".. {kind}:: {name}.{attribute}"
    return f".. autofunction:: {name}.{attribute}"


def reference(attribute, full):
    return f"* ``{attribute}``: :py:obj:`{full}`"


def short(value):
    """Return a constant as its page shows it."""
    if isinstance(value, types.ModuleType):
        return f"module {value.__name__}"  # its repr has the path of the file on this machine
    text = " ".join(repr(value).split()).replace("`", "'")
    return text if len(text) <= 60 else text[:57] + "..."


# ------------------------------------------------------------------------------------------------ docstrings
LITERAL = re.compile(r"(``[^`]+``)")
ADDRESS = re.compile(r"https?://[^\s)>,;]*[^\s)>,;.:]")


def plain(app, what, name, obj, options, lines):
    """Docstrings are plain text with ``code`` and addresses: what reStructuredText would read into them is escaped."""
    lines[:] = plain_lines(lines)


def plain_lines(lines):
    result = []
    literal = None  # the indentation of what follows a line that ends in "::"
    for line in lines:
        indentation = len(line) - len(line.lstrip())
        if literal is not None and line.strip() and indentation <= literal:
            literal = None
        if literal is None and not line.lstrip().startswith((">>>", "...")):
            line = escape(line)
        if literal is None and line.rstrip().endswith("::"):
            literal = indentation
        result.append(line)
    return result


def escape(line):
    """Escape |, *, ` and trailing underscores outside of ``code``, and make addresses links."""
    parts = LITERAL.split(line)
    parts[::2] = [escape_text(part) for part in parts[::2]]
    return "".join(parts)


def escape_text(text):
    addresses = ADDRESS.findall(text)
    pieces = [re.sub(r"([\\|*`]|_(?!\w))", r"\\\1", piece) for piece in ADDRESS.split(text)]
    links = [f"`{address} <{address}>`__" for address in addresses]
    return "".join(piece + link for piece, link in zip(pieces, [*links, ""]))
