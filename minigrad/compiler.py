"""torch.compile and torch.compiler where nothing is compiled: everything runs eagerly, as PyTorch's "eager" backend.

Source: https://docs.pytorch.org/docs/stable/torch.compiler_api.html
"""

import functools

from minigrad.absent import getter
from minigrad.nn.module import Module

_MODES = ("default", "lite", "reduce-overhead", "max-autotune-no-cudagraphs", "max-autotune")
_BACKENDS = ("eager", "aot_eager", "inductor", "cudagraphs", "openxla", "tvm")
_STANCES = (
    "default",
    "force_eager",
    "eager_on_recompile",
    "fail_on_recompile",
    "eager_then_compile",
    "aot_eager_then_compile",
)


class OptimizedModule(Module):
    """What compile(module) returns: the module as ``_orig_mod``, with its attributes, and called as it is."""

    def __init__(self, module):
        super().__init__()
        self._modules["_orig_mod"] = module
        self.__dict__["training"] = module.training

    def forward(self, *args, **kwargs):
        """Return the module's result."""
        return self._orig_mod(*args, **kwargs)

    def __getattr__(self, name):
        if name == "_orig_mod":
            return self.__dict__["_modules"]["_orig_mod"]
        return getattr(self._orig_mod, name)

    def __setattr__(self, name, value):
        if "_modules" not in self.__dict__ or name == "training" or name in self.__dict__:
            super().__setattr__(name, value)
        else:
            setattr(self._orig_mod, name, value)

    def __delattr__(self, name):
        delattr(self._orig_mod, name)

    def __len__(self):
        return len(self._orig_mod)


def compile(  # noqa: A001 - PyTorch's name
    model=None, *, fullgraph=False, dynamic=None, backend="inductor", mode=None, options=None, disable=False
):
    """Return a function as it is, or a module in an OptimizedModule: both run eagerly, so nothing else changes.

    The options are checked as PyTorch does and choose nothing; a backend of one's own, which is a function of a traced
    graph, raises NotImplementedError. Without ``model`` the decorator with these options is returned.
    Errors: RuntimeError for an unknown mode or backend, or mode and options together.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.compile.html

    >>> import minigrad as mg
    >>> model = mg.nn.Linear(2, 3)
    >>> compiled = mg.compile(model)
    >>> bool((compiled(mg.ones(1, 2)) == model(mg.ones(1, 2))).all()), list(compiled.state_dict())
    (True, ['_orig_mod.weight', '_orig_mod.bias'])
    """
    if mode is not None and options is not None:
        raise RuntimeError("Either mode or options can be specified, but both can't be specified at the same time.")
    if mode is not None and mode not in _MODES:
        raise RuntimeError(f"Unrecognized mode={mode}, should be one of: {', '.join(_MODES)}")
    if not isinstance(backend, str):
        raise NotImplementedError("compile: a backend needs a traced graph; leave backend= out to run eagerly")
    if backend not in _BACKENDS:
        raise RuntimeError(f"Invalid backend: {backend!r}, should be one of: {', '.join(_BACKENDS)}")
    if model is None:
        return functools.partial(
            compile, fullgraph=fullgraph, dynamic=dynamic, backend=backend, mode=mode, options=options, disable=disable
        )
    if not callable(model):
        raise AssertionError(f"A callable function is expected, but {type(model)} is provided.")
    return OptimizedModule(model) if isinstance(model, Module) and not disable else model


def is_compiling():
    """Return False: nothing is ever compiled."""
    return False


is_dynamo_compiling = is_exporting = is_compiling


def disable(fn=None, recursive=True, *, reason=None):
    """Return the function, or the decorator that does: it runs eagerly anyway."""
    return (lambda inner: inner) if fn is None else fn


def allow_in_graph(fn):
    """Return the function or the list of functions: there is no graph to be allowed in."""
    if not callable(fn) and not isinstance(fn, (list, tuple)):
        raise AssertionError("allow_in_graph expects a callable")
    return fn


assume_constant_result = nested_compile_region = allow_in_graph


def cudagraph_mark_step_begin():
    """Return None: CUDA graphs are not recorded, so no step of one begins."""


def reset():
    """Return None: no compiled code is kept that could be thrown away."""


def list_backends(exclude_tags=("debug", "experimental")):
    """Return the names of the backends: everything runs eagerly."""
    return ["eager"] if "debug" not in exclude_tags else []


class set_stance:  # noqa: N801 - PyTorch's name
    """Choose how compiled functions run; usable as a function, in a ``with`` block and as a decorator.

    All stances run eagerly here, so that "fail_on_recompile" never fails; RuntimeError for an unknown one.
    """

    def __init__(self, stance="default", *, skip_guard_eval_unsafe=False, force_backend=None):
        if stance not in _STANCES:
            raise RuntimeError(f"invalid torch.compile stance '{stance}'")
        self.stance = stance

    def __call__(self, fn):
        return fn

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        return False


__getattr__ = getter(__name__)
