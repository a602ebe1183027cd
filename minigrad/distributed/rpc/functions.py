"""async_execution: functions of another worker that answer later."""

import functools


def async_execution(fn):
    """Say that a function returns a Future, whose value, once it is there, is what the caller gets.

    The thread that ran the function is free in the meantime. ``fn`` may be a function or method, under
    ``@staticmethod`` or ``@classmethod``. Source: https://docs.pytorch.org/docs/stable/rpc.html#rpc-async-execution

    >>> import minigrad as mg
    >>> from minigrad.distributed import rpc
    >>> @rpc.functions.async_execution
    ... def later():
    ...     return mg.futures.Future()
    >>> later().done()
    False
    """

    @functools.wraps(fn)
    def wrapper(*args, **kwargs):
        return fn(*args, **kwargs)

    wrapper._wrapped_async_rpc_function = fn
    return wrapper
