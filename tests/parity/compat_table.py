"""docs/compat.md: every public name of PyTorch and torchvision, and what minigrad makes of it.

``python -m tests.parity.compat_table`` writes it, by looking at the PyTorch that is installed and at minigrad.
"""

import importlib
import inspect
import textwrap
import types
import warnings
from pathlib import Path

from minigrad.absent import reason_of
from minigrad.compat.different import DIFFERENT
from minigrad.compat.importer import target_of
from tests.parity.torchvision_names import NAMES

PATH = Path(__file__).resolve().parents[2] / "docs" / "compat.md"
MODULES = (
    "torch torch.Tensor torch.nn torch.nn.functional torch.nn.init torch.nn.utils torch.nn.utils.rnn "
    "torch.nn.utils.parametrizations torch.nn.utils.parametrize torch.nn.utils.prune torch.nn.attention "
    "torch.nn.parallel torch.optim torch.optim.lr_scheduler torch.optim.swa_utils torch.autograd "
    "torch.autograd.functional torch.utils.data torch.utils.checkpoint torch.linalg torch.fft torch.special torch.func "
    "torch.distributions torch.amp torch.cuda torch.jit torch.compiler torch.hub torch.multiprocessing "
    "torch.distributed torch.fx torch.profiler torch.onnx torch.random torch.testing torch.ao.nn.quantized "
    "torch.ao.nn.intrinsic torch.ao.nn.intrinsic.quantized torch.ao.quantization"
).split()
# What modules without __all__ show by accident: helpers of their own files.
NOISE = set(
    "BroadcastingList1 BroadcastingList2 BroadcastingList3 assert_int_or_pair boolean_dispatch handle_torch_function "
    "has_torch_function has_torch_function_unary has_torch_function_variadic factory_kwargs deprecated contextmanager "
    "Iterator Callable Optional TYPE_CHECKING Any lru_cache annotations typing_extensions set_module "
    "DType ScalingType SwizzleType Tensor Mapping MappingProxyType Union cast".split()
)


def find(path):
    """Return what a dotted path names, or None; modules on the way are imported."""
    parts = path.split(".")
    found = importlib.import_module(parts[0])
    for index, part in enumerate(parts[1:], 2):
        inner = ".".join(parts[:index])
        try:
            found = getattr(found, part)
        except AttributeError:
            try:
                found = importlib.import_module(inner)
            except ImportError:
                return None
    return found


def public_names(path):
    """Return the sorted public names of a module or class of PyTorch."""
    owner = find(path)
    names = getattr(owner, "__all__", None)
    if names is None or path == "torch.distributed":
        names = [name for name in dir(owner) if not name.startswith("_") and name not in NOISE]
        if not inspect.isclass(owner):
            names = [name for name in names if _belongs(getattr(owner, name))]
    return sorted(
        {name for name in names if not name.startswith("_") and not isinstance(_get(owner, name), types.ModuleType)}
    )


def _get(owner, name):
    try:
        return getattr(owner, name, None)
    except Exception:  # a property that wants an instance
        return None


def _belongs(value):
    module = getattr(value, "__module__", None)
    return callable(value) and (module is None or module.partition(".")[0] in ("torch", "multiprocessing", "builtins"))


def sections():
    """Return (module, names, [names that are the same], {how: names that differ}, {why: names that are absent})."""
    rows = [(path, public_names(path)) for path in MODULES]
    rows += [(path, sorted(names.split())) for path, names in NAMES.items()]
    for path, names in rows:
        owner = find(target_of(path).replace("minigrad.compat.", "minigrad.") if path != "torch" else "minigrad")
        owner = find("minigrad.Tensor") if path == "torch.Tensor" else owner
        same, different, absent = [], {}, {}
        for name in names:
            if _there(owner, name):
                how = DIFFERENT.get(f"{path}.{name}")
                (same if how is None else different.setdefault(how, [])).append(name)
            else:
                inner = f"{path}.{name}".partition(".")[2]
                absent.setdefault(reason_of(inner) or "not made yet", []).append(name)
        yield path, names, same, different, absent


def _there(owner, name):
    if owner is None:
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return hasattr(owner, name)


def _lines(text, names):
    body = ", ".join(f"`{name}`" for name in names)
    return textwrap.wrap(
        f"- {text}: {body}", 118, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )


def text():
    """Return docs/compat.md."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch warns of some names when they are looked at
        found = list(sections())
    version = ".".join(torch.__version__.split("+")[0].split(".")[:2])
    lines = [
        "# PyTorch's names in minigrad",
        "",
        f"Every public name of PyTorch {version} and torchvision 0.28, and what minigrad makes of it. Written by",
        "`python -m tests.parity.compat_table`, never by hand. `python -m minigrad.compat script.py` runs a program",
        "that says `import torch`; [differences.md](differences.md) tells more of what differs on purpose.",
        "",
        "| Module | names | the same | different | absent |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for path, names, same, different, absent in found:
        counts = (len(names), len(same), sum(map(len, different.values())), sum(map(len, absent.values())))
        lines.append(f"| `{path}` | " + " | ".join(map(str, counts)) + " |")
    for path, _names, same, different, absent in found:
        lines += ["", f"## {path}", ""]
        if same:
            lines += _lines("**The same**", same)
        for how, names in sorted(different.items()):
            lines += _lines(f"**Different** ({how})", names)
        for why, names in sorted(absent.items()):
            lines += _lines(f"**Absent** ({why})", names)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
    print(PATH)
