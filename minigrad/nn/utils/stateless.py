"""Calling a module with other parameters and buffers than its own, which stay as they are."""

import contextlib

from minigrad.absent import getter
from minigrad.tensor import Tensor

__all__ = ["functional_call"]


def functional_call(module, parameters_and_buffers, args=None, kwargs=None, *, tie_weights=True, strict=False):
    """Return module(*args, **kwargs) with tensors, named as in state_dict, in the places of its own.

    Arguments: module, parameters_and_buffers ({name: Tensor}; what is left out is the module's), args (tuple, or a
    single argument), kwargs, tie_weights (tensors that are one in the module are replaced together), strict
    (RuntimeError for missing names and for unknown ones).
    TypeError for values that are no tensors, ValueError for two different values of tied tensors.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.func.functional_call.html

    >>> import minigrad as mg
    >>> linear = mg.nn.Linear(2, 1)
    >>> mg.nn.utils.stateless.functional_call(linear, {"weight": mg.ones(1, 2), "bias": mg.zeros(1)}, mg.ones(2))
    tensor([2.])
    """
    args = () if args is None else args if isinstance(args, tuple) else (args,)
    with _replaced(module, parameters_and_buffers, tie_weights, strict):
        return module(*args, **({} if kwargs is None else kwargs))


@contextlib.contextmanager
def _replaced(module, values, tie_weights, strict):
    """Put tensors in the places of a module's own for a block; what the block writes to buffers goes to them."""
    for value in values.values():
        if not isinstance(value, Tensor):
            raise TypeError(f"{value} is not an instance of minigrad.Tensor")
    places = _places(module)
    if tie_weights:
        values = _with_tied(places, values)
    unknown = [name for name in values if name not in places]
    missing = [name for name in places if name not in values]
    if strict and (unknown or missing):
        parts = [("Unexpected", unknown), ("Missing", missing)]
        lines = [f"\n\t{what} key(s): {', '.join(map(repr, names))}." for what, names in parts if names]
        raise RuntimeError(f"Error(s) in reparametrizing for {type(module).__name__}:{''.join(lines)}")
    before = [(*places[name][:2], places[name][2]) for name in values if name in places]
    try:
        for name, value in values.items():
            if name in places:
                group, key, _ = places[name]
                group[key] = value
        yield
    finally:
        for group, key, own in before:
            group[key] = own


def _places(module):
    """Return {name: (dict that holds it, key in there, tensor)} of a module's parameters and buffers."""
    found = {}
    for prefix, owner in module.named_modules(remove_duplicate=False):
        for group in (owner._parameters, owner._buffers):
            for key, tensor in group.items():
                if tensor is not None:
                    found[f"{prefix}.{key}" if prefix else key] = (group, key, tensor)
    return found


def _with_tied(places, values):
    """Return the values also under the other names of tensors that a module has under several."""
    names = {}
    for name, (_, _, tensor) in places.items():
        names.setdefault(id(tensor), []).append(name)
    result = dict(values)
    for group in names.values():
        given = [name for name in group if name in values]
        if len({id(values[name]) for name in given}) > 1:
            raise ValueError(
                f"functional_call got multiple values for keys {sorted(given)}, which are tied. Consider using "
                "tie_weights=False"
            )
        for name in group if given else ():
            result[name] = values[given[0]]
    return result


__getattr__ = getter(__name__)
