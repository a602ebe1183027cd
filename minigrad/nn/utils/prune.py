"""Pruning: a parameter times a mask of zeros and ones, computed before every forward.

``NAME`` becomes the parameter ``NAME_orig`` and the buffer ``NAME_mask``; ``remove`` makes the zeros permanent.
Source: https://docs.pytorch.org/docs/stable/nn.html#utilities
"""

import numbers
from abc import ABC, abstractmethod
from collections.abc import Iterable

from minigrad.nn.utils.convert_parameters import parameters_to_vector
from minigrad.registry import FUNCTIONS

__all__ = [
    "BasePruningMethod",
    "CustomFromMask",
    "Identity",
    "L1Unstructured",
    "LnStructured",
    "PruningContainer",
    "RandomStructured",
    "RandomUnstructured",
    "custom_from_mask",
    "global_unstructured",
    "identity",
    "is_pruned",
    "l1_unstructured",
    "ln_structured",
    "random_structured",
    "random_unstructured",
    "remove",
]


def _check_amount(amount):
    """TypeError or ValueError unless amount is a count or a share of elements."""
    if not isinstance(amount, numbers.Real):
        raise TypeError(f"Invalid type for amount: {amount}. Must be int or float.")
    whole = isinstance(amount, numbers.Integral)
    if amount < 0 or (not whole and amount > 1.0):
        raise ValueError(f"amount={amount} should either be a float in the range [0, 1] or a non-negative integer")


def _count(amount, total):
    """Return how many of total are pruned; ValueError for more than there are."""
    if not isinstance(amount, numbers.Integral):
        return round(amount * total)
    if amount > total:
        raise ValueError(f"amount={amount} should be smaller than the number of parameters to prune={total}")
    return int(amount)


def _check_structure(t, dim):
    """ValueError for fewer than two dimensions, IndexError for a dimension that is not there."""
    if t.dim() <= 1:
        raise ValueError(
            "Structured pruning can only be applied to multidimensional tensors. Found tensor of shape "
            f"{t.shape} with {t.dim()} dims"
        )
    if dim >= t.dim():
        raise IndexError(f"Invalid index {dim} for tensor of size {t.shape}")


def _keep_channels(t, dim, channels, default_mask):
    """Return the mask in which only the given channels of one dimension are left of another."""
    mask = FUNCTIONS["zeros_like"](t)
    return mask.index_fill(dim, channels, 1) * default_mask.to(dtype=mask.dtype)


class BasePruningMethod(ABC):
    """What all methods share: ``compute_mask(t, default_mask)`` is theirs, and PRUNING_TYPE says what they look at.

    "unstructured" methods see the elements that are left, "structured" ones the channels that are, "global" ones all.
    """

    def __call__(self, module, inputs):
        """Compute the pruned parameter before a forward of the module."""
        setattr(module, self._tensor_name, self.apply_mask(module))

    @abstractmethod
    def compute_mask(self, t, default_mask):
        """Return the mask for a tensor (or importance scores) on top of a mask there is already."""

    def apply_mask(self, module):
        """Return the original parameter times the mask."""
        original = getattr(module, self._tensor_name + "_orig")
        return getattr(module, self._tensor_name + "_mask").to(dtype=original.dtype) * original

    @classmethod
    def apply(cls, module, name, *args, importance_scores=None, **kwargs):
        """Prune a parameter of a module, on top of earlier prunings, and return the method that is hooked in."""
        method = cls(*args, **kwargs)
        method._tensor_name = name
        earlier = [(key, hook) for key, hook in module._forward_pre_hooks.items() if _is_pruning(hook, name)]
        if len(earlier) > 1:
            raise AssertionError(f"Avoid adding multiple pruning hooks to the same tensor {name} of module {module}.")
        original = getattr(module, name)
        if importance_scores is None:
            importance_scores = original
        elif importance_scores.shape != original.shape:
            raise AssertionError(
                f"importance_scores should have the same shape as parameter {name} of {module}: "
                f"{importance_scores.shape} and {original.shape}"
            )
        for _, hook in earlier:
            chain = hook if isinstance(hook, PruningContainer) else PruningContainer(hook)
            method = PruningContainer(*chain, method)
        mask = getattr(module, name + "_mask").clone() if earlier else FUNCTIONS["ones_like"](original.detach())
        mask = method.compute_mask(importance_scores.detach(), mask)
        for key, _ in earlier:
            del module._forward_pre_hooks[key]
        if not earlier:
            del module._parameters[name]
            module.register_parameter(name + "_orig", original)
        module.register_buffer(name + "_mask", mask)
        setattr(module, name, method.apply_mask(module))
        module.register_forward_pre_hook(method)
        return method

    def prune(self, t, default_mask=None, importance_scores=None):
        """Return a pruned copy of a tensor, without a module; AssertionError for scores of another shape."""
        if importance_scores is None:
            importance_scores = t
        elif importance_scores.shape != t.shape:
            raise AssertionError("importance_scores should have the same shape as tensor t")
        mask = FUNCTIONS["ones_like"](t) if default_mask is None else default_mask
        return t * self.compute_mask(importance_scores, mask)

    def remove(self, module):
        """Make the parameter an ordinary one again, with the zeros in it."""
        name = self._tensor_name
        value = self.apply_mask(module)
        if hasattr(module, name):
            delattr(module, name)
        original = module._parameters.pop(name + "_orig")
        original.data = value.detach()
        del module._buffers[name + "_mask"]
        setattr(module, name, original)


def _is_pruning(hook, name=None):
    return isinstance(hook, BasePruningMethod) and name in (None, hook._tensor_name)


class PruningContainer(BasePruningMethod):
    """Several prunings of one parameter, one on top of the other. TypeError or ValueError for what is none of it."""

    _tensor_name = None

    def __init__(self, *args):
        self._pruning_methods = ()
        methods = args[0] if len(args) == 1 and isinstance(args[0], Iterable) else args
        for method in methods:
            if not self._pruning_methods and isinstance(method, BasePruningMethod):
                self._tensor_name = method._tensor_name
            self.add_pruning_method(method)

    def add_pruning_method(self, method):
        """Append a method for the same parameter."""
        if not isinstance(method, BasePruningMethod) and method is not None:
            raise TypeError(f"{type(method)} is not a BasePruningMethod subclass")
        if method is not None and self._tensor_name != method._tensor_name:
            raise ValueError(
                "Can only add pruning methods acting on the parameter named "
                f"'{self._tensor_name}' to PruningContainer {self}. Found '{method._tensor_name}'"
            )
        self._pruning_methods += (method,)

    def __len__(self):
        return len(self._pruning_methods)

    def __iter__(self):
        return iter(self._pruning_methods)

    def __getitem__(self, idx):
        return self._pruning_methods[idx]

    def compute_mask(self, t, default_mask):
        """Return the mask of the newest method on what the earlier ones have left."""
        method, mask = self._pruning_methods[-1], default_mask.to(dtype=t.dtype).clone()
        if method.PRUNING_TYPE == "unstructured":
            kept = mask == 1
        elif method.PRUNING_TYPE == "structured":
            dim = method.dim % t.dim()
            channels = (mask.movedim(dim, 0).flatten(1).sum(1) != 0).nonzero().squeeze(1)
            kept = (slice(None),) * dim + (channels,)
        elif method.PRUNING_TYPE == "global":
            kept = (slice(None),) * t.dim()
        else:
            raise ValueError(f"Unrecognized PRUNING_TYPE {method.PRUNING_TYPE}")
        mask[kept] = method.compute_mask(t[kept], default_mask=mask[kept]).to(dtype=mask.dtype)
        return mask


class Identity(BasePruningMethod):
    """Prunes nothing, but stores original and mask."""

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t, default_mask):
        """Return the mask there was."""
        return default_mask


class _Amount(BasePruningMethod):
    """A method that prunes an amount: a count (int) or a share (float in [0, 1])."""

    PRUNING_TYPE = "unstructured"

    def __init__(self, amount):
        _check_amount(amount)
        self.amount = amount

    def compute_mask(self, t, default_mask):
        """Return the mask without the elements of the lowest scores."""
        count, mask = _count(self.amount, t.numel()), default_mask.clone()
        if count:
            mask.view(-1)[self._scores(t).flatten().topk(count, largest=False).indices] = 0
        return mask


class RandomUnstructured(_Amount):
    """Prunes elements chosen at random. Argument: amount (int: how many; float: which share)."""

    def _scores(self, t):
        return FUNCTIONS["rand"](t.numel(), device=t.device)


class L1Unstructured(_Amount):
    """Prunes the elements of the smallest magnitudes. Argument: amount."""

    def _scores(self, t):
        return t.abs()


class _Channels(BasePruningMethod):
    """A method that prunes an amount of the channels of one dimension."""

    PRUNING_TYPE = "structured"

    def compute_mask(self, t, default_mask):
        """Return the mask with the channels of the highest scores."""
        _check_structure(t, self.dim)
        total = t.shape[self.dim]
        count = _count(self.amount, total)
        if not count:
            return default_mask
        return _keep_channels(t, self.dim, self._scores(t).topk(total - count).indices, default_mask)


class RandomStructured(_Channels):
    """Prunes channels chosen at random. Arguments: amount, dim."""

    def __init__(self, amount, dim=-1):
        _check_amount(amount)
        self.amount, self.dim = amount, dim

    def _scores(self, t):
        return FUNCTIONS["rand"](t.shape[self.dim], device=t.device)


class LnStructured(_Channels):
    """Prunes the channels of the smallest norms. Arguments: amount, n (order of the norm), dim."""

    def __init__(self, amount, n, dim=-1):
        _check_amount(amount)
        self.amount, self.n, self.dim = amount, n, dim

    def _scores(self, t):
        dims = [dim for dim in range(t.dim()) if dim != self.dim % t.dim()]
        return FUNCTIONS["norm"](t, p=self.n, dim=dims)


class CustomFromMask(BasePruningMethod):
    """Prunes by a given mask."""

    PRUNING_TYPE = "global"

    def __init__(self, mask):
        self.mask = mask

    def compute_mask(self, t, default_mask):
        """Return the product of the masks; AssertionError for another shape."""
        if default_mask.shape != self.mask.shape:
            raise AssertionError(f"mask of shape {self.mask.shape} for a parameter of {default_mask.shape}")
        return default_mask * self.mask.to(dtype=default_mask.dtype)


# ---------------------------------------------------------------------- functions
def identity(module, name):
    """Give a parameter a mask of ones; returns the module.

    >>> import minigrad as mg
    >>> from minigrad.nn.utils import prune
    >>> sorted(prune.identity(mg.nn.Linear(2, 1, bias=False), "weight").state_dict())
    ['weight_mask', 'weight_orig']
    """
    Identity.apply(module, name)
    return module


def random_unstructured(module, name, amount):
    """Prune elements of a parameter at random; returns the module.

    Arguments: amount (int: how many; float: which share). TypeError or ValueError for another amount.

    >>> import minigrad as mg
    >>> layer = mg.nn.utils.prune.random_unstructured(mg.nn.Linear(4, 2), "weight", 3)
    >>> int((layer.weight == 0).sum())
    3
    """
    RandomUnstructured.apply(module, name, amount)
    return module


def l1_unstructured(module, name, amount, importance_scores=None):
    """Prune the elements of the smallest magnitudes, or importance scores; returns the module.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.prune.l1_unstructured.html

    >>> import minigrad as mg
    >>> layer = mg.nn.utils.prune.l1_unstructured(mg.nn.Linear(4, 2), "weight", 0.25)
    >>> int(layer.weight_mask.sum())
    6
    """
    L1Unstructured.apply(module, name, amount=amount, importance_scores=importance_scores)
    return module


def random_structured(module, name, amount, dim):
    """Prune channels of a dimension at random; returns the module.

    >>> import minigrad as mg
    >>> layer = mg.nn.utils.prune.random_structured(mg.nn.Linear(4, 2), "weight", 1, dim=0)
    >>> int(layer.weight_mask.sum())
    4
    """
    RandomStructured.apply(module, name, amount, dim)
    return module


def ln_structured(module, name, amount, n, dim, importance_scores=None):
    """Prune the channels of a dimension with the smallest n-norms; returns the module.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.prune.ln_structured.html

    >>> import minigrad as mg
    >>> layer = mg.nn.utils.prune.ln_structured(mg.nn.Conv2d(3, 4, 3), "weight", 0.5, n=2, dim=0)
    >>> int(layer.weight_mask.sum())
    54
    """
    LnStructured.apply(module, name, amount, n, dim, importance_scores=importance_scores)
    return module


def custom_from_mask(module, name, mask):
    """Prune by a mask of the parameter's shape; returns the module.

    >>> import minigrad as mg
    >>> layer = mg.nn.utils.prune.custom_from_mask(mg.nn.Linear(2, 1), "bias", mg.tensor([0]))
    >>> layer.bias == 0
    tensor([True])
    """
    CustomFromMask.apply(module, name, mask)
    return module


def global_unstructured(parameters, pruning_method, importance_scores=None, **kwargs):
    """Prune several parameters as if they were one vector.

    Arguments: parameters (of (module, name)), pruning_method (an unstructured class), importance_scores (dict of the
    same pairs), and the method's own, such as amount. TypeError for anything else.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.prune.global_unstructured.html

    >>> import minigrad as mg
    >>> from minigrad.nn.utils import prune
    >>> net = mg.nn.Sequential(mg.nn.Linear(4, 4), mg.nn.Linear(4, 1))
    >>> prune.global_unstructured([(net[0], "weight"), (net[1], "weight")], prune.L1Unstructured, amount=5)
    >>> int(net[0].weight_mask.sum() + net[1].weight_mask.sum())
    15
    """
    if not isinstance(parameters, Iterable):
        raise TypeError("global_unstructured(): parameters is not an Iterable")
    parameters = list(parameters)
    scores = {} if importance_scores is None else importance_scores
    if not isinstance(scores, dict):
        raise TypeError("global_unstructured(): importance_scores is not of type dict")
    tensors = [getattr(module, name) for module, name in parameters]
    masks = [
        getattr(module, name + "_mask", FUNCTIONS["ones_like"](tensor))
        for (module, name), tensor in zip(parameters, tensors, strict=True)
    ]
    relevant = [scores.get(pair, tensor).detach() for pair, tensor in zip(parameters, tensors, strict=True)]
    method = pruning_method(**kwargs)
    method._tensor_name = "temp"
    if method.PRUNING_TYPE != "unstructured":
        raise TypeError(
            'Only "unstructured" PRUNING_TYPE supported for the `pruning_method`. '
            f"Found method {pruning_method} of type {method.PRUNING_TYPE}"
        )
    chain = PruningContainer(method)
    mask = chain.compute_mask(parameters_to_vector(relevant), parameters_to_vector(masks).detach())
    start = 0
    for (module, name), tensor in zip(parameters, tensors, strict=True):
        custom_from_mask(module, name, mask[start : start + tensor.numel()].view_as(tensor))
        start += tensor.numel()


def remove(module, name):
    """Make a pruned parameter an ordinary one again, with its zeros; returns the module.

    ValueError where it is not pruned.

    >>> import minigrad as mg
    >>> layer = mg.nn.utils.prune.l1_unstructured(mg.nn.Linear(2, 1), "weight", 1)
    >>> sorted(mg.nn.utils.prune.remove(layer, "weight").state_dict())
    ['bias', 'weight']
    """
    for key, hook in module._forward_pre_hooks.items():
        if _is_pruning(hook, name):
            hook.remove(module)
            del module._forward_pre_hooks[key]
            return module
    raise ValueError(f"Parameter '{name}' of module {module} has to be pruned before pruning can be removed")


def is_pruned(module):
    """Return whether a module, or one in it, has a pruned parameter.

    >>> import minigrad as mg
    >>> mg.nn.utils.prune.is_pruned(mg.nn.Linear(2, 1))
    False
    """
    return any(_is_pruning(hook) for part in module.modules() for hook in part._forward_pre_hooks.values())
