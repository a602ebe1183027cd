"""The importer that answers `import torch…` and `import torchvision…` with minigrad's modules."""

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys

from minigrad.absent import getter, reason_of
from minigrad.backend import dtype

PACKAGES = ("torch", "torchvision")

# PyTorch's module -> the one here, where the path is another. Any other torch.X is minigrad.X, torchvision.X is
# minigrad.vision.X; the longest entry that begins a path counts.
ALIASES = {
    "safetensors.torch": "minigrad.serialization.safetensors",
    "torch": "minigrad.compat.torch",
    "torch._tensor": "minigrad.tensor",
    "torch._utils": "minigrad.serialization.rebuild",
    "torch.ao.nn": "minigrad.nn",
    "torch.ao.nn.intrinsic.quantized.modules": "minigrad.nn.intrinsic.quantized",
    "torch.ao.nn.quantized.modules": "minigrad.nn.quantized",
    **dict.fromkeys(
        [
            f"torch.ao.quantization.{name}"
            for name in "fuse_modules observer qconfig quantization_mappings quantize stubs".split()
        ],
        "minigrad.ao.quantization",
    ),
    "torch.autograd.variable": "minigrad.variable",
    "torch.cuda.amp.autocast_mode": "minigrad.cuda.amp",
    "torch.cuda.amp.common": "minigrad.cuda.amp",
    "torch.cuda.amp.grad_scaler": "minigrad.cuda.amp",
    "torch.cpu.amp.autocast_mode": "minigrad.cpu.amp",
    "torch.cpu.amp.grad_scaler": "minigrad.cpu.amp",
    "torch.cuda.random": "minigrad.cuda",
    "torch.cuda.memory": "minigrad.cuda",
    "torch.cuda.streams": "minigrad.cuda",
    "torch.functional": "minigrad",
    **dict.fromkeys(
        [f"torch.fx.{name}" for name in "graph graph_module interpreter node proxy".split()], "minigrad.fx"
    ),
    "torch.fx.passes": "minigrad.fx",
    "torch.fx.passes.shape_prop": "minigrad.fx",
    "torch.ops.aten": "minigrad.aten",
    "torch.jit.annotations": "minigrad.jit",
    "torch.nn.backends": None,
    "torch.nn.intrinsic.modules": "minigrad.nn.intrinsic",
    **dict.fromkeys(
        [f"torch.nn.parallel.{name}" for name in "data_parallel parallel_apply replicate scatter_gather".split()],
        "minigrad.nn.parallel",
    ),
    "torch.nn.parallel.distributed": "minigrad.nn.ddp",
    "torch.nn.utils.weight_norm": "minigrad.nn.utils.norms",
    "torch.nn.utils.spectral_norm": "minigrad.nn.utils.norms",
    "torch.nn.quantized.modules": "minigrad.nn.quantized",
    "torch.quantization": "minigrad.ao.quantization",
    "torch.storage": "minigrad.ops.memory",
    "torch.tensor": None,
    "torch.torch_version": "minigrad.compat.versions",
    "torch.utils.data._utils": "minigrad.utils.data",
    "torch.utils.hooks": "minigrad.nn.hooks",
    "torch.utils.model_zoo": "minigrad.hub",
    "torch.utils.tensorboard.writer": "minigrad.utils.tensorboard",
    "torchvision": "minigrad.compat.torchvision",
    "torchvision.models": "models",
    "torchvision.models.mobilenet": "models",
    **dict.fromkeys(
        [
            f"torchvision.models.quantization.{name}"
            for name in "googlenet inception mobilenet mobilenetv2 mobilenetv3 resnet shufflenetv2 utils".split()
        ],
        "models.quantization.networks",
    ),
    "torchvision.transforms._presets": "models.published.presets",
    "torchvision.ops.feature_pyramid_network": "minigrad.vision.ops.pyramid",
    "torchvision.ops.focal_loss": "minigrad.vision.ops",
    "torchvision.ops.misc": "minigrad.vision.ops",
    "torchvision.ops.poolers": "minigrad.vision.ops.pyramid",
    "torchvision.version": "minigrad.compat.versions",
}

# PyTorch's modules of one or two classes each: where there is no such module here, the package has the classes.
_SPREAD = {
    "torch.distributions": "bernoulli beta binomial categorical cauchy chi2 constraints continuous_bernoulli dirichlet "
    "distribution exp_family exponential fishersnedecor gamma generalized_pareto geometric gumbel half_cauchy "
    "half_normal independent inverse_gamma kl kumaraswamy laplace lkj_cholesky log_normal logistic_normal "
    "lowrank_multivariate_normal mixture_same_family multinomial multivariate_normal negative_binomial normal "
    "one_hot_categorical pareto poisson relaxed_bernoulli relaxed_categorical studentT transformed_distribution "
    "transforms uniform utils von_mises weibull wishart",
    "torchvision.datasets": "caltech flowers102 imagenet omniglot stl10 svhn voc",
    "torchvision.io": "image",
}


def target_of(name):
    """Return the module here that stands for a module of PyTorch, or None where there is none by design.

    >>> target_of("torch.nn.modules.conv"), target_of("torchvision.transforms.v2")
    ('minigrad.nn.modules.conv', 'minigrad.vision.transforms.v2')
    """
    head, rest = name, []
    while head not in ALIASES:
        head, _, last = head.rpartition(".")
        rest.insert(0, last)
    base = ALIASES[head]
    if base is not None and rest:
        base = {"torch": "minigrad", "torchvision": "minigrad.vision"}.get(head, base)
    return base and ".".join([base, *rest])


def _find_models():
    """Make `models` the checkout's networks, on which torchvision.models stands; ModuleNotFoundError without them."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    ours = os.path.join(root, "models", "__init__.py")
    if not os.path.exists(ours):
        raise ModuleNotFoundError(
            "torchvision.models: the networks are in the folder `models` of minigrad's checkout, which is not installed"
            f" with the package ({ours} is not there): install the checkout itself, pip install -e CHECKOUT",
            name="torchvision.models",
        )
    known = sys.modules.get("models")
    found = known.__file__ if known else getattr(importlib.util.find_spec("models"), "origin", "")
    if found == "":
        sys.path.append(root)
    elif found is None or not os.path.exists(found) or not os.path.samefile(found, ours):
        _import_beside(root)


def networks():
    """Return the checkout's package `models`; ModuleNotFoundError without it."""
    _find_models()
    return sys.modules.get("torchvision.models") or importlib.import_module("models")


def _import_beside(root):
    """Import minigrad's networks although the program has a module `models` of its own, and hide them from it."""
    own = {name: sys.modules.pop(name) for name in [*sys.modules] if name.partition(".")[0] == "models"}
    sys.path.insert(0, root)
    try:
        importlib.import_module("models")
    finally:
        sys.path.remove(root)
        for name in [name for name in sys.modules if name.partition(".")[0] == "models"]:
            sys.modules["torchvision." + name] = sys.modules.pop(name)
        sys.modules.update(own)


class _Loader(importlib.abc.Loader):
    """Puts a module of minigrad into sys.modules under PyTorch's name."""

    def __init__(self, target):
        self.target = target

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        name = module.__spec__.name
        if self.target.partition(".")[0] == "models":
            _find_models()
            if name in sys.modules and sys.modules[name] is not module:
                return
        found = importlib.import_module(self.target)
        if not hasattr(found, "__path__"):
            found.__path__ = []  # PyTorch may have a package where a module is enough here
        sys.modules[name] = found

    def get_code(self, name):
        """Return the module's code, to run it as a program: -m torch.distributed.run."""
        return importlib.util.find_spec(self.target).loader.get_code(self.target)


class Finder(importlib.abc.MetaPathFinder):
    """Finds torch, torchvision and safetensors.torch here; everything else is left to the finders after it."""

    def find_spec(self, name, path=None, target=None):
        """Return the spec of a module of PyTorch; ModuleNotFoundError with the reason where it is absent."""
        if name.partition(".")[0] not in PACKAGES and name not in ALIASES:
            return None
        here = target_of(name)
        if here is None or not _exists(here):
            why = reason_of(name.partition(".")[2])
            raise ModuleNotFoundError(
                f"No module named '{name}' (minigrad stands for PyTorch here)" + (f": {why}" if why else ""), name=name
            )
        return importlib.machinery.ModuleSpec(name, _Loader(here), origin=here)


class AliasFinder(importlib.abc.MetaPathFinder):
    """Finds what PyTorch has below a module that is here, and minigrad elsewhere; minigrad/__init__.py asks it.

    `from torch.utils.data import _utils` looks for minigrad.utils.data._utils, as that is the module's own name.
    """

    def find_spec(self, name, path=None, target=None):
        """Return the spec of a module in ALIASES, or of one whose classes are in the package above; else None."""
        if not name.startswith("minigrad."):
            return None
        theirs = name.replace("minigrad.vision", "torchvision", 1).replace("minigrad", "torch", 1)
        package, _, last = theirs.rpartition(".")
        here = ALIASES.get(theirs)
        if last in _SPREAD.get(package, "").split():
            here = target_of(package)
        return importlib.machinery.ModuleSpec(name, _Loader(here), origin=here) if here else None


def _exists(target):
    """Return whether a module of minigrad can be imported; importing its parents is all it costs."""
    if target in sys.modules or target.partition(".")[0] == "models":
        return True
    try:
        return importlib.util.find_spec(target) is not None
    except ModuleNotFoundError:
        return False


def install():
    """Answer imports of torch and torchvision with minigrad from now on; doing it twice is doing it once.

    What is printed of shapes, dtypes and the like bears the name torch then. Raises ImportError where PyTorch or
    torchvision itself has been imported already: two libraries can't share the name.
    """
    if any(isinstance(finder, Finder) for finder in sys.meta_path):
        return
    for name in PACKAGES:
        if name in sys.modules:
            raise ImportError(
                f"minigrad.compat: {name} itself is imported already ({getattr(sys.modules[name], '__file__', None)}); "
                "import minigrad.compat.torch first, or run the program by python -m minigrad.compat",
                name=name,
            )
    sys.meta_path.insert(0, Finder())
    dtype.package = "torch"
    for theirs, here in ALIASES.items():
        package, _, last = theirs.rpartition(".")
        if here and package.startswith("torch."):
            _offer(sys.modules.get(target_of(package)), last, theirs)
    for name in ("data_parallel", "parallel_apply", "replicate"):  # functions too, which a late import would hide
        sys.modules[f"torch.nn.parallel.{name}"] = sys.modules["minigrad.nn.parallel"]
    _prepare_spawned_processes()


def _offer(module, last, theirs):
    """Make a module of PyTorch that is elsewhere here an attribute of the one above it, if that is imported."""
    if module is None or last in vars(module):
        return
    before = vars(module).get("__getattr__") or getter(module.__name__)

    def __getattr__(name):
        return importlib.import_module(theirs) if name == last else before(name)

    module.__getattr__ = __getattr__


class _Install:
    """Its pickle installs the importer where it is read."""

    def __reduce__(self):
        return exec, (f"import sys\nsys.path[:] = {sys.path!r}\nimport minigrad.compat.torch",)


def _prepare_spawned_processes():
    """Make processes started by `spawn`, which read the program's file again, import torch from here as well."""
    from multiprocessing import spawn

    original = spawn.get_preparation_data

    def get_preparation_data(name):
        return {"minigrad.compat": _Install(), **original(name)}

    spawn.get_preparation_data = get_preparation_data
