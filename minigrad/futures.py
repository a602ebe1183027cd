"""Futures: values that come later, from another thread or, by distributed.rpc, another process.

Source: https://docs.pytorch.org/docs/stable/futures.html
"""

import contextvars
import sys
import threading
import traceback
import types

__all__ = ["Future", "collect_all", "wait_all"]


class Future:
    """A value that is set later, once, by ``set_result`` or ``set_exception``.

    ``devices`` (of the tensors in the value) must be CPUs or GPUs that are there; RuntimeError otherwise.
    Source: https://docs.pytorch.org/docs/stable/futures.html#torch.futures.Future

    >>> from minigrad.futures import Future
    >>> future = Future()
    >>> later = future.then(lambda done: done.value() + 1)
    >>> future.set_result(1)
    >>> later.wait()
    2
    """

    __class_getitem__ = classmethod(types.GenericAlias)

    def __init__(self, *, devices=None):
        if devices:
            from minigrad.tensor import as_device

            devices = [as_device(device) for device in devices]
        self._done = threading.Event()
        self._lock = threading.Lock()
        self._callbacks = []
        self._value = self._error = self._trace = None

    def done(self):
        """Return whether the value, or the exception, is there."""
        return self._done.is_set()

    def wait(self):
        """Wait for the value and return it; raise the exception where there is one."""
        self._done.wait()
        return self.value()

    def value(self):
        """Return the value that is there, or raise the exception; RuntimeError before."""
        if not self.done():
            raise RuntimeError("Future.value(): the future is not completed yet; use wait()")
        if self._error is not None:
            raise self._error.with_traceback(self._trace)
        return self._value

    def then(self, callback):
        """Return a Future of callback(self), which is called when this one is done.

        It fails with RuntimeError where the callback raises anything.
        """
        _check_callable("then", callback)
        child = type(self)()

        def call(future):
            try:
                result = callback(future)
            except Exception as error:  # noqa: BLE001 - whatever a program's callback raises
                child.set_exception(_of_callback(error))
            else:
                child.set_result(result)

        self._add(call)
        return child

    def add_done_callback(self, callback):
        """Call callback(self) when this is done, at once where it is; what it raises is printed and lost."""
        _check_callable("add_done_callback", callback)

        def call(future):
            try:
                callback(future)
            except Exception as error:  # noqa: BLE001 - whatever a program's callback raises
                print(_of_callback(error), file=sys.stderr)

        self._add(call)

    def set_result(self, result):
        """Give the value; RuntimeError where one was given."""
        self._complete(result, None)

    def set_exception(self, result):
        """Give an exception instead of a value; AssertionError for what is none."""
        if not isinstance(result, Exception):
            raise AssertionError(f"{result} is of type {type(result)}, not an Exception.")
        self._complete(None, result)

    def _add(self, callback):
        """Have callback(self) called when this is done, in the context (contextvars) of now."""
        context = contextvars.copy_context()
        with self._lock:
            if not self.done():
                self._callbacks.append((context, callback))
                return
        context.run(callback, self)

    def _complete(self, value, error):
        with self._lock:
            if self.done():
                raise RuntimeError(
                    "Attempting to mark a completed Future as complete again. Note that a Future can only be marked "
                    "completed once."
                )
            self._value, self._error = value, error
            self._trace = None if error is None else error.__traceback__
            self._done.set()
            callbacks, self._callbacks = self._callbacks, []
        if callbacks:
            self._run_all(callbacks)

    def _run_all(self, callbacks):
        for context, callback in callbacks:
            context.run(callback, self)

    def __reduce_ex__(self, protocol):
        raise RuntimeError("Can not pickle torch.futures.Future")


def _check_callable(name, callback):
    if not callable(callback):
        raise TypeError(f"{name}(): expected a callable, but got {type(callback).__name__}")


def _of_callback(error):
    where = "".join(traceback.format_tb(error.__traceback__))
    failure = RuntimeError(
        f"Got the following error when running the callback: {type(error).__name__}: {error}\n\nAt:\n{where}"
    )
    failure.__cause__ = error
    return failure


def collect_all(futures):
    """Return a Future of the list of these futures, done when all are; it fails where one failed.

    Source: https://docs.pytorch.org/docs/stable/futures.html#torch.futures.collect_all

    >>> import minigrad as mg
    >>> mg.futures.collect_all([]).wait()
    []
    """
    if not isinstance(futures, (list, tuple)) or not all(isinstance(future, Future) for future in futures):
        raise TypeError("collect_all(): expected a list of Futures")
    futures = list(futures)
    together = type(futures[0])() if futures else Future()
    lock = threading.Lock()
    left = [len(futures) + 1]

    def count(_):
        with lock:
            left[0] -= 1
            if left[0]:
                return
        error = next((future._error for future in futures if future._error is not None), None)
        together._complete(None if error else futures, error)

    for future in futures:
        future._add(count)
    count(None)
    return together


def wait_all(futures):
    """Wait for all futures and return the list of their values; raise the first exception.

    Source: https://docs.pytorch.org/docs/stable/futures.html#torch.futures.wait_all

    >>> import minigrad as mg
    >>> future = mg.futures.Future()
    >>> future.set_result(3)
    >>> mg.futures.wait_all([future])
    [3]
    """
    return [future.wait() for future in collect_all(futures).wait()]
