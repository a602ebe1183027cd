"""Penalties on weights, to be added to a loss: the sum of absolute values (L1) or of squares (L2)."""

from fnmatch import fnmatchcase

from minigrad.nn.module import Module
from minigrad.nn.normalization import GroupNorm, LayerNorm, RMSNorm, _NormBase
from minigrad.ops.creation import zeros
from minigrad.tensor import Tensor

__all__ = ["l1_penalty", "l2_penalty", "select_parameters"]

_NORMS = (_NormBase, GroupNorm, LayerNorm, RMSNorm)


def matching(names, pattern):
    """The names that match a pattern, and those of all that is within."""
    if not any(character in pattern for character in "*?["):
        return {name for name in names if name == pattern or name.startswith(pattern + ".") or pattern == ""}
    direct = {name for name in names if fnmatchcase(name, pattern)}
    return {name for name in names if name in direct or any(outer in direct for outer in _ancestors(name))}


def _ancestors(name):
    """Yield "a" and "a.b" of "a.b.c"."""
    position = name.find(".")
    while position >= 0:
        yield name[:position]
        position = name.find(".", position + 1)


def select_parameters(module, names="*", *, weights_only=False):
    """Return the list of a module's parameters that names or patterns choose, each parameter once.

    Args:
        module (Module): searched with everything in it.
        names (str or iterable of str): names of modules or parameters, or patterns of the shell for them ("layer1",
            "layer1.*.weight", "*.bias"; ``*`` spans dots). A module stands for all within; one that fits is enough.
        weights_only (bool): leave out biases and normalisation: only parameters of at least two dimensions that do
            not belong to a norm layer.

    Raises ValueError for a name that chooses no parameter, TypeError for a module that is none.

    >>> import minigrad as mg
    >>> model = mg.nn.Sequential(mg.nn.Linear(2, 3), mg.nn.BatchNorm1d(3), mg.nn.Linear(3, 1))
    >>> select = mg.nn.utils.select_parameters
    >>> len(select(model)), len(select(model, "2")), len(select(model, weights_only=True))
    (6, 2, 2)
    """
    if not isinstance(module, Module):
        raise TypeError(f"select_parameters takes a Module, not {type(module).__name__}")
    named = dict(module.named_parameters(remove_duplicate=False))
    known = {*named, *(name for name, _ in module.named_modules(remove_duplicate=False))}
    chosen = set()
    for pattern in [names] if isinstance(names, str) else names:
        found = matching(known, pattern) & named.keys()
        if not found:
            raise ValueError(f"no parameter is called '{pattern}', or is in what is; there are: {_some(named)}")
        chosen |= found
    normalizing = set()
    for part in module.modules():
        if weights_only and isinstance(part, _NORMS):
            normalizing.update(part.parameters())
    parameters = dict.fromkeys(parameter for name, parameter in named.items() if name in chosen)  # each once, in order
    if weights_only:
        return [parameter for parameter in parameters if parameter.ndim >= 2 and parameter not in normalizing]
    return list(parameters)


def _some(names, most=12):
    """Return the first names for a message."""
    names = list(names)
    return ", ".join(names[:most]) + (", …" if len(names) > most else "") or "none"


def _listed(function, parameters):
    """Return the parameters as a list of tensors."""
    if isinstance(parameters, Tensor):
        return [parameters]
    tensors = list(parameters.parameters() if isinstance(parameters, Module) else parameters)
    for tensor in tensors:
        if not isinstance(tensor, Tensor):
            raise TypeError(
                f"{function} takes a tensor, an iterable of tensors or a Module, but one item is a "
                f"{type(tensor).__name__}; choose parameters by name with nn.utils.select_parameters"
            )
    return tensors


def _total(terms):
    """Return the sum of 0-d tensors; 0 for none."""
    total = None
    for term in terms:
        total = term if total is None else total + term
    return zeros(()) if total is None else total


def l1_penalty(parameters):
    """Return Σ |w| over all elements of all parameters, which draws small weights to exactly zero.

    Differentiable; the slope at w = 0 is 0. No parameters give 0.

    Args:
        parameters: a tensor, an iterable of tensors, or a Module (all its parameters); see select_parameters for
            choosing some, such as the weights without biases.

    Raises TypeError for anything else. Source: Tibshirani 1996, Regression shrinkage and selection via the lasso.

    >>> import minigrad as mg
    >>> w = mg.tensor([[1.0, -2.0]], requires_grad=True)
    >>> penalty = mg.nn.utils.l1_penalty([w])
    >>> penalty.backward()
    >>> penalty.item(), w.grad
    (3.0, tensor([[ 1., -1.]]))
    """
    return _total(tensor.abs().sum() for tensor in _listed("l1_penalty", parameters))


def l2_penalty(parameters):
    """Return Σ |w|² over all elements of all parameters; its gradient, 2w, pulls in proportion to the weight.

    Half of it times λ added to the loss equals ``weight_decay=λ`` of SGD on the same parameters. No parameters give 0.

    Args:
        parameters: a tensor, an iterable of tensors, or a Module (all its parameters); see select_parameters for
            choosing some, such as the weights without biases.

    Raises TypeError for anything else. Source: Krogh and Hertz 1991, A simple weight decay can improve generalization.

    >>> import minigrad as mg
    >>> model = mg.nn.Linear(2, 1)
    >>> _ = mg.nn.init.constant_(model.weight, 3.0)
    >>> weights = mg.nn.utils.select_parameters(model, weights_only=True)
    >>> mg.nn.utils.l2_penalty(weights).item()
    18.0
    """
    squares = (t.abs().square() if t.is_complex() else t.square() for t in _listed("l2_penalty", parameters))
    return _total(square.sum() for square in squares)
