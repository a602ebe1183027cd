"""Penalties on weights, to be added to a loss: the sum of absolute values (L1) or of squares (L2)."""

from fnmatch import fnmatchcase

from minigrad.nn.module import Module
from minigrad.nn.normalization import GroupNorm, LayerNorm, RMSNorm, _NormBase
from minigrad.ops.creation import zeros
from minigrad.tensor import Tensor

__all__ = ["l1_penalty", "l2_penalty", "select_parameters"]

_NORMS = (_NormBase, GroupNorm, LayerNorm, RMSNorm)


def select_parameters(module, names="*", *, weights_only=False):
    """Return the list of a module's parameters whose dotted names match, each parameter once.

    Args:
        module (Module): searched with everything in it.
        names (str or iterable of str): patterns of the shell (``*``, ``?``, ``[abc]``; ``*`` spans dots) for names
            such as "layer1.0.conv1.weight"; one that matches is enough.
        weights_only (bool): leave out biases and normalisation: only parameters of at least two dimensions that do
            not belong to a norm layer.

    Raises ValueError for a pattern that matches no parameter, TypeError for a module that is none.

    >>> import minigrad as mg
    >>> model = mg.nn.Sequential(mg.nn.Linear(2, 3), mg.nn.BatchNorm1d(3), mg.nn.Linear(3, 1))
    >>> select = mg.nn.utils.select_parameters
    >>> len(select(model)), len(select(model, "2.*")), len(select(model, weights_only=True))
    (6, 2, 2)
    """
    if not isinstance(module, Module):
        raise TypeError(f"select_parameters takes a Module, not {type(module).__name__}")
    patterns = [names] if isinstance(names, str) else list(names)
    named = list(module.named_parameters())
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name, _ in named):
            raise ValueError(f"no parameter's name matches '{pattern}'; there are: {_some(name for name, _ in named)}")
    normalizing = set()
    for part in module.modules():
        if weights_only and isinstance(part, _NORMS):
            normalizing.update(part.parameters())
    return [
        parameter
        for name, parameter in named
        if any(fnmatchcase(name, pattern) for pattern in patterns)
        and not (weights_only and (parameter.ndim < 2 or parameter in normalizing))
    ]


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
