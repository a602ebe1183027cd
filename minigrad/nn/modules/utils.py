"""Helpers that layers outside of minigrad import by PyTorch's names."""

import collections
from itertools import repeat

__all__ = [
    "_list_with_default",
    "_ntuple",
    "_pair",
    "_quadruple",
    "_reverse_repeat_tuple",
    "_single",
    "_triple",
    "consume_prefix_in_state_dict_if_present",
]


def _ntuple(n, name="parse"):
    """Return the function that turns a number into n of it, and an iterable into a tuple."""

    def parse(x):
        return tuple(x) if isinstance(x, collections.abc.Iterable) else tuple(repeat(x, n))

    parse.__name__ = name
    return parse


_single = _ntuple(1, "_single")
_pair = _ntuple(2, "_pair")
_triple = _ntuple(3, "_triple")
_quadruple = _ntuple(4, "_quadruple")


def _reverse_repeat_tuple(t, n):
    """Return the tuple reversed, every element n times: from padding per dimension to padding per side."""
    return tuple(x for x in reversed(t) for _ in range(n))


def _list_with_default(out_size, defaults):
    """Return sizes with each None replaced by the default, which has at least as many entries."""
    if isinstance(out_size, (int, float)):
        return out_size
    if len(defaults) <= len(out_size):
        raise ValueError(f"Input dimension should be at least {len(out_size) + 1}")
    defaults = defaults[-len(out_size) :]
    return [default if size is None else size for size, default in zip(out_size, defaults, strict=True)]


def consume_prefix_in_state_dict_if_present(state_dict, prefix):
    """Take a prefix, such as "module.", off the keys of a state_dict that have it, in place.

    >>> state = {"module.weight": 1, "step": 2}
    >>> consume_prefix_in_state_dict_if_present(state, "module.")
    >>> state
    {'step': 2, 'weight': 1}
    """
    for key in [key for key in state_dict if key.startswith(prefix)]:
        state_dict[key[len(prefix) :]] = state_dict.pop(key)
    metadata = getattr(state_dict, "_metadata", None)
    for key in [key for key in metadata or () if key and (key + ".").startswith(prefix)]:
        metadata[key[len(prefix) :]] = metadata.pop(key)
