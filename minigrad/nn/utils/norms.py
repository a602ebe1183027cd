"""Weights split into length and direction, or divided by their largest singular value."""

import warnings

from minigrad.autograd.grad_mode import no_grad
from minigrad.nn import init
from minigrad.nn.factory import empty_tensor
from minigrad.nn.module import Module
from minigrad.nn.parameter import Parameter
from minigrad.nn.utils import parametrize

__all__ = ["remove_spectral_norm", "remove_weight_norm", "spectral_norm", "weight_norm"]


def norm_except_dim(v, dim=0):
    """Return the 2-norm of v over all dimensions but dim (-1: over all), kept with length 1 for broadcasting."""
    if dim == -1 or dim is None:
        return v.norm()
    dims = tuple(axis for axis in range(v.dim()) if axis != dim % v.dim())
    return (v * v).sum(dims, keepdim=True).sqrt() if dims else v.abs()


class WeightNorm:
    """Pre-hook that sets ``name`` to g v / ‖v‖ before every forward."""

    def __init__(self, name, dim):
        self.name = name
        self.dim = -1 if dim is None else dim

    def compute_weight(self, module):
        """Return g v / ‖v‖."""
        g, v = getattr(module, self.name + "_g"), getattr(module, self.name + "_v")
        return v * (g / norm_except_dim(v, self.dim))

    def __call__(self, module, inputs):
        setattr(module, self.name, self.compute_weight(module))


def weight_norm(module, name="weight", dim=0):
    """Replace a parameter by its length ``name_g`` and direction ``name_v``: w = g v / ‖v‖; returns module.

    Argument: dim (the dimension along which lengths are kept apart; None: one length). RuntimeError if done twice.
    Deprecated by parametrizations.weight_norm.
    Source: Salimans & Kingma 2016; https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.weight_norm.html

    >>> import warnings
    >>> import minigrad as mg
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     layer = mg.nn.utils.weight_norm(mg.nn.Linear(3, 2))
    >>> sorted(name for name, _ in layer.named_parameters())
    ['bias', 'weight_g', 'weight_v']
    """
    warnings.warn(
        "`minigrad.nn.utils.weight_norm` is deprecated in favor of `minigrad.nn.utils.parametrizations.weight_norm`.",
        FutureWarning,
        stacklevel=2,
    )
    for hook in module._forward_pre_hooks.values():
        if isinstance(hook, WeightNorm) and hook.name == name:
            raise RuntimeError(f"Cannot register two weight_norm hooks on the same parameter {name}")
    hook = WeightNorm(name, dim)
    weight = getattr(module, name)
    del module._parameters[name]
    with no_grad():
        length = norm_except_dim(weight, hook.dim)
    module.register_parameter(name + "_g", Parameter(length.detach()))
    module.register_parameter(name + "_v", Parameter(weight.detach()))
    setattr(module, name, hook.compute_weight(module))
    module.register_forward_pre_hook(hook)
    return module


def remove_weight_norm(module, name="weight"):
    """Make a weight-normalised parameter an ordinary one again; returns module. ValueError if it is not normalised."""
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook, WeightNorm) and hook.name == name:
            weight = hook.compute_weight(module).detach()
            delattr(module, name)
            del module._parameters[name + "_g"], module._parameters[name + "_v"]
            setattr(module, name, Parameter(weight))
            del module._forward_pre_hooks[key]
            return module
    raise ValueError(f"weight_norm of '{name}' not found in {module}")


def _normalised(v, eps):
    return v / v.norm().clamp(min=eps)


def _matrix(weight, dim):
    """Return the weight as a matrix whose rows run along dim."""
    return (weight.movedim(dim, 0) if dim else weight).flatten(1) if weight.dim() > 1 else weight


def _power_iteration(matrix, u, v, steps, eps):
    """Move u and v, in place, towards the singular vectors of the largest singular value."""
    with no_grad():
        for _ in range(steps):
            u.copy_(_normalised(matrix @ v, eps))
            v.copy_(_normalised(matrix.t() @ u, eps))


def _default_dim(module, dim):
    """Return dim, by default the dimension of a layer's outputs: 1 for transposed convolutions, else 0."""
    if dim is not None:
        return dim
    return 1 if type(module).__name__.startswith("ConvTranspose") else 0


class SpectralNorm:
    """Pre-hook that sets ``name`` to w / σ(w) before every forward."""

    def __init__(self, name, n_power_iterations, dim, eps):
        self.name, self.n_power_iterations, self.dim, self.eps = name, n_power_iterations, dim, eps

    def compute_weight(self, module, training):
        """Return w / σ(w), σ estimated by power iteration."""
        weight = getattr(module, self.name + "_orig")
        u, v = getattr(module, self.name + "_u"), getattr(module, self.name + "_v")
        matrix = _matrix(weight, self.dim)
        if training:
            _power_iteration(matrix.detach().t(), v, u, self.n_power_iterations, self.eps)  # PyTorch begins with v here
            u, v = u.clone(), v.clone()  # a second forward before backward moves the buffers again
        return weight / (u * (matrix @ v)).sum()

    def __call__(self, module, inputs):
        setattr(module, self.name, self.compute_weight(module, module.training))


def spectral_norm(module, name="weight", n_power_iterations=1, eps=1e-12, dim=None):
    """Divide a parameter by its largest singular value, estimated by power iteration; returns module.

    Arguments: name, n_power_iterations (> 0, per forward while training), eps, dim (of the outputs; default 0, or 1 for
    transposed convolutions). RuntimeError if done twice. Newer: parametrizations.spectral_norm.
    Source: Miyato et al. 2018; https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.spectral_norm.html

    >>> import minigrad as mg
    >>> layer = mg.nn.utils.spectral_norm(mg.nn.Linear(4, 3))
    >>> sorted(layer.state_dict())
    ['bias', 'weight_orig', 'weight_u', 'weight_v']
    """
    if n_power_iterations <= 0:
        raise ValueError(f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}")
    for hook in module._forward_pre_hooks.values():
        if isinstance(hook, SpectralNorm) and hook.name == name:
            raise RuntimeError(f"Cannot register two spectral_norm hooks on the same parameter {name}")
    hook = SpectralNorm(name, n_power_iterations, _default_dim(module, dim), eps)
    weight = module._parameters.get(name)
    if weight is None:
        raise ValueError(f"`SpectralNorm` cannot be applied as parameter `{name}` is None")
    u, v = _singular_vectors(_matrix(weight.detach(), hook.dim), eps)
    delattr(module, name)
    module.register_parameter(name + "_orig", weight)
    setattr(module, name, weight.detach())
    module.register_buffer(name + "_u", u)
    module.register_buffer(name + "_v", v)
    module.register_forward_pre_hook(hook)
    return module


def _singular_vectors(matrix, eps):
    """Return random unit vectors to start the power iteration from."""
    rows, columns = matrix.shape
    return tuple(
        _normalised(init.normal_(empty_tensor(length, matrix.device, matrix.dtype)), eps) for length in (rows, columns)
    )


def remove_spectral_norm(module, name="weight"):
    """Make a spectrally normalised parameter an ordinary one again; returns module."""
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook, SpectralNorm) and hook.name == name:
            with no_grad():
                weight = hook.compute_weight(module, training=False)
            delattr(module, name)
            for suffix in ("_u", "_v"):
                delattr(module, name + suffix)
            delattr(module, name + "_orig")
            module.register_parameter(name, Parameter(weight.detach()))
            del module._forward_pre_hooks[key]
            return module
    raise ValueError(f"spectral_norm of '{name}' not found in {module}")


# ---------------------------------------------------------------------- the same as parametrisations
class _WeightNorm(Module):
    """w = g v / ‖v‖ from (g, v)."""

    def __init__(self, dim=0):
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g, weight_v):
        """Return g v / ‖v‖."""
        return weight_v * (weight_g / norm_except_dim(weight_v, self.dim))

    def right_inverse(self, weight):
        """Return (‖w‖, w)."""
        return norm_except_dim(weight, self.dim), weight


class _SpectralNorm(Module):
    """w / σ(w), σ estimated by power iteration."""

    def __init__(self, weight, n_power_iterations=1, dim=0, eps=1e-12):
        super().__init__()
        self.dim = dim
        self.eps = eps
        if weight.dim() > 1:
            self.n_power_iterations = n_power_iterations
            matrix = _matrix(weight.detach(), dim)
            u, v = _singular_vectors(matrix, eps)
            self.register_buffer("_u", u)
            self.register_buffer("_v", v)
            _power_iteration(matrix, self._u, self._v, 15, eps)

    def forward(self, weight):
        """Return w / σ(w); a vector is divided by its norm."""
        if weight.dim() == 1:
            return _normalised(weight, self.eps)
        matrix = _matrix(weight, self.dim)
        if self.training:
            _power_iteration(matrix.detach(), self._u, self._v, self.n_power_iterations, self.eps)
        u, v = self._u.clone(), self._v.clone()
        return weight / (u * (matrix @ v)).sum()

    def right_inverse(self, value):
        """Return the value itself: any matrix is a scaled one of norm 1."""
        return value


def parametrized_weight_norm(module, name="weight", dim=0):
    """Parametrise a parameter as g v / ‖v‖; returns module.

    Source: Salimans & Kingma 2016;
    https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.parametrizations.weight_norm.html

    >>> import minigrad as mg
    >>> layer = mg.nn.utils.parametrizations.weight_norm(mg.nn.Linear(3, 2))
    >>> tuple(layer.parametrizations.weight.original0.shape)
    (2, 1)
    """
    parametrize.register_parametrization(module, name, _WeightNorm(dim), unsafe=True)

    def rename(state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs):
        # Files of the hook form call them NAME_g and NAME_v.
        old = [f"{prefix}{name}_{part}" for part in "gv"]
        if all(key in state_dict for key in old):
            for position, key in enumerate(old):
                state_dict[f"{prefix}parametrizations.{name}.original{position}"] = state_dict.pop(key)

    module._register_load_state_dict_pre_hook(rename)
    return module


def parametrized_spectral_norm(module, name="weight", n_power_iterations=1, eps=1e-12, dim=None):
    """Parametrise a parameter as w / σ(w), σ its largest singular value; returns module.

    Source: Miyato et al. 2018;
    https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.parametrizations.spectral_norm.html
    """
    weight = getattr(module, name, None)
    if weight is None:
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    if n_power_iterations <= 0:
        raise ValueError(f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}")
    norm = _SpectralNorm(weight, n_power_iterations, _default_dim(module, dim), eps)
    return parametrize.register_parametrization(module, name, norm)
