"""torch.backends.mha: a flag of PyTorch's faster path through transformer layers; here they have one path."""

_ENABLED = [True]


def get_fastpath_enabled():
    """Return what set_fastpath_enabled() set; True at first.

    >>> import minigrad as mg
    >>> mg.backends.mha.get_fastpath_enabled()
    True
    """
    return _ENABLED[0]


def set_fastpath_enabled(value):
    """Keep the flag, for programs that ask: results are the same either way."""
    _ENABLED[0] = bool(value)
