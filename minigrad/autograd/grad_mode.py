"""Switches of what is recorded: context managers that are also decorators."""

import functools
import inspect

from minigrad.absent import getter
from minigrad.variable import MODE


class _Switch:
    """A context manager and decorator that changes MODE for a block or for every call of a function."""

    def _new_mode(self):
        """Return (grad, inference) inside the block."""
        raise NotImplementedError

    def __enter__(self):
        self._stack().append((MODE.grad, MODE.inference))
        MODE.grad, MODE.inference = self._new_mode()
        return self

    def __exit__(self, *exception):
        MODE.grad, MODE.inference = self._stack().pop()

    def _stack(self):
        return self.__dict__.setdefault("_previous", [])

    def _clone(self):
        return type(self)()

    def __call__(self, function):
        if inspect.isclass(function):
            raise TypeError(f"{type(self).__name__} decorates functions, not the class {function.__name__}")
        if inspect.isgeneratorfunction(function):
            return self._wrap_generator(function)

        @functools.wraps(function)
        def wrapped(*args, **kwargs):
            with self._clone():
                return function(*args, **kwargs)

        return wrapped

    def _wrap_generator(self, function):
        """Return a generator function whose body, and only that, runs inside the block."""

        @functools.wraps(function)
        def wrapped(*args, **kwargs):
            generator = function(*args, **kwargs)
            resume, value = generator.send, None
            while True:
                try:
                    with self._clone():
                        item = resume(value)
                except StopIteration as stop:
                    return stop.value
                try:
                    value = yield item
                    resume = generator.send
                except GeneratorExit:
                    with self._clone():
                        generator.close()
                    raise
                except BaseException as error:
                    value, resume = error, generator.throw

        return wrapped


class no_grad(_Switch):  # noqa: N801 - PyTorch's name
    """Record nothing inside the block or the decorated function.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.no_grad.html

    >>> import minigrad as mg
    >>> x = mg.ones(2, requires_grad=True)
    >>> with mg.no_grad():
    ...     y = x * 2
    >>> y.requires_grad
    False
    """

    def __new__(cls, function=None):
        instance = super().__new__(cls)
        return instance if function is None else instance(function)

    def _new_mode(self):
        return False, MODE.inference


class enable_grad(_Switch):  # noqa: N801
    """Record inside the block or the decorated function, also within no_grad.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.enable_grad.html

    >>> import minigrad as mg
    >>> x = mg.ones(2, requires_grad=True)
    >>> with mg.no_grad(), mg.enable_grad():
    ...     y = x * 2
    >>> y.requires_grad
    True
    """

    def __new__(cls, function=None):
        instance = super().__new__(cls)
        return instance if function is None else instance(function)

    def _new_mode(self):
        return True, MODE.inference


class set_grad_enabled(_Switch):  # noqa: N801
    """Switch recording on or off, at once as a function or for a block.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.autograd.grad_mode.set_grad_enabled.html

    >>> import minigrad as mg
    >>> with mg.set_grad_enabled(False):
    ...     mg.is_grad_enabled()
    False
    """

    def __init__(self, mode):
        if isinstance(mode, str):
            raise TypeError("set_grad_enabled(): argument 'enabled' (position 1) must be bool, not str")
        self.mode = bool(mode)
        self._before = MODE.grad
        MODE.grad = self.mode

    def __enter__(self):
        self._stack().append((self._before, MODE.inference))
        MODE.grad = self.mode
        return self

    def _clone(self):
        return type(self)(self.mode)

    def __call__(self, function):
        MODE.grad = self._before
        return super().__call__(function)


class inference_mode(_Switch):  # noqa: N801
    """Record nothing inside the block, like no_grad.

    PyTorch also forbids using what was made inside in a recorded computation later; minigrad allows it, since its
    plain tensors carry nothing that could go wrong.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.autograd.grad_mode.inference_mode.html

    >>> import minigrad as mg
    >>> with mg.inference_mode():
    ...     mg.is_inference_mode_enabled(), mg.is_grad_enabled()
    (True, False)
    """

    def __new__(cls, mode=True):
        instance = super().__new__(cls)
        instance.mode = True if callable(mode) else bool(mode)
        return instance(mode) if callable(mode) else instance

    def __init__(self, mode=True):
        self.mode = bool(mode)

    def _new_mode(self):
        return (False, True) if self.mode else (True, False)

    def _clone(self):
        return type(self)(self.mode)


def is_grad_enabled():
    """Return whether operations on tracked tensors are recorded."""
    return MODE.grad


def is_inference_mode_enabled():
    """Return whether inference mode is on."""
    return MODE.inference


__getattr__ = getter(__name__)
