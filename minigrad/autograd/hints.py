"""Permissions that PyTorch's engine makes use of and this one has no use for: they are kept, and change no result."""

import threading


class _Hints(threading.local):
    multithreading = True
    layout = True


_HINTS = _Hints()


class _Hint:
    """Sets a hint at once, and resets it at the end of a ``with`` block."""

    name: str

    def __init__(self, value):
        self._before = getattr(_HINTS, self.name)
        setattr(_HINTS, self.name, bool(value))

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        setattr(_HINTS, self.name, self._before)


class set_multithreading_enabled(_Hint):  # noqa: N801 - PyTorch's name
    """Allow backward to use a thread per device; minigrad walks the graph in the calling thread in either case.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.autograd.grad_mode.set_multithreading_enabled.html

    >>> import minigrad as mg
    >>> with mg.autograd.set_multithreading_enabled(False):
    ...     mg.autograd.is_multithreading_enabled()
    False
    """

    name = "multithreading"

    def __init__(self, mode):
        super().__init__(mode)


class enforce_grad_layout_policy(_Hint):  # noqa: N801
    """Allow (False) gradients laid out otherwise than their tensors; minigrad's are row-major in either case.

    Source: https://docs.pytorch.org/docs/stable/autograd.html
    """

    name = "layout"

    def __init__(self, enable=True):
        super().__init__(enable)


def is_multithreading_enabled():
    """Return what set_multithreading_enabled was given last; True at the start."""
    return _HINTS.multithreading


def is_view_replay_enabled():
    """Return False: views are not recorded as a chain to be replayed."""
    return False
