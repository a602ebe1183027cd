"""What stands between a call of an op and its run: watchers, other precisions, and other devices.

All of it is behind one look at WATCHED, a list that is empty as long as nobody asks for any of it.
"""

import contextlib
import functools

from minigrad.backend import PRECISION, WATCHED, array_device, np, xp
from minigrad.backend.placement import on_different_devices
from minigrad.backend.switches import GPUS
from minigrad.operands import promoted
from minigrad.precision import in_precision
from minigrad.rules import NO_PARAMS
from minigrad.tensor import Tensor
from minigrad.variable import MODE

_ndarray = np.ndarray


@contextlib.contextmanager
def watch(watcher):
    """Let each call of an op by this thread, while the block runs, go through ``watcher(op, args, params, run)``.

    Arguments: op (has a ``name``), args (Tensors and numbers, promoted), params (dict), run (function of nothing that
    calls the op and returns its result, which the watcher returns in turn, or another). Ops that run inside of a call
    or a watcher are not watched. A watcher with a true ``composites`` gets the functions marked `composite` whole.

    >>> import minigrad as mg
    >>> from minigrad.interception import watch
    >>> names = []
    >>> def note(op, args, params, run):
    ...     names.append(op.name)
    ...     return run()
    >>> with watch(note):
    ...     total = (mg.ones(2) * 3).sum()
    >>> names
    ['mul', 'sum']
    """
    before = MODE.watchers
    MODE.watchers = (*before, watcher)
    WATCHED.append(watcher)
    try:
        yield watcher
    finally:
        # Blocks that were entered later may still be open, as with profiles that are started and stopped by calls.
        MODE.watchers = before if MODE.watchers[:-1] == before else _without(MODE.watchers, watcher)
        WATCHED.remove(watcher)


def _without(watchers, left):
    """Return the watchers but for the last one that is ``left``."""
    place = max((index for index, one in enumerate(watchers) if one is left), default=len(watchers))
    return watchers[:place] + watchers[place + 1 :]


def watched(op, args, params, run):
    """Return what this thread's watchers, the last first, make of run()."""
    watchers = MODE.watchers
    for watcher in watchers:
        run = functools.partial(watcher, op, args, params, run)
    MODE.watchers = ()
    try:
        return run()
    finally:
        MODE.watchers = watchers


def watched_call(op, call, args, params=NO_PARAMS):
    """Return what watchers make of a call of an op, its arguments promoted before."""
    if op.promote is not None:
        args = promoted(op, args)
    return watched(op, tuple(args), params, lambda: call(*args, **params))


def intercepted(op, call, args, params=NO_PARAMS):
    """Return what watchers, or another precision, make of a call of an op; NotImplemented where it is as any other."""
    if GPUS:
        result = _on_one_device(op, call, args, params)
        if result is not NotImplemented:
            return result
    if MODE.watchers:
        return watched_call(op, call, args, params)
    return in_precision(op, args, params) if PRECISION.active else NotImplemented


def _on_one_device(op, call, args, params):
    """Return the result of a call on the GPU of its arguments; NotImplemented where that is the current one, or none.

    RuntimeError for arguments on different devices, but for a CPU tensor without dimensions in an elementwise op.
    """
    first = None
    for arg in args:
        if isinstance(arg, Tensor):
            if first is None:
                first = arg.array
            elif type(arg.array) is not type(first):
                return _on_first_gpu(op, call, args, params)
    if first is None or type(first) is _ndarray or GPUS[0] == 1:
        return NotImplemented
    arrays = [arg.array for arg in args if isinstance(arg, Tensor)]
    chosen = first.device
    if any(array.device.id != chosen.id for array in arrays):
        raise on_different_devices(op.name, arrays)
    if chosen.id == xp(first).cuda.runtime.getDevice():
        return NotImplemented
    with chosen:
        return call(*args, **params)


def _on_first_gpu(op, call, args, params):
    """Return the result of a call with its CPU tensors without dimensions moved to the GPU of the others."""
    arrays = [arg.array for arg in args if isinstance(arg, Tensor)]
    elementwise = op.promote is not None or op.broadcast
    if not elementwise or any(type(array) is _ndarray and array.ndim for array in arrays):
        raise on_different_devices(op.name, arrays)
    target = array_device(next(array for array in arrays if type(array) is not _ndarray))
    return call(*[arg.to(target) if isinstance(arg, Tensor) else arg for arg in args], **params)


def composite(function):
    """Mark a function of several ops, so that watchers with a true ``composites`` see its calls as one op's."""

    @functools.wraps(function)
    def call(*args, **params):
        if WATCHED and any(getattr(watcher, "composites", False) for watcher in MODE.watchers):
            return watched(call, args, params, lambda: function(*args, **params))
        return function(*args, **params)

    call.name = function.__name__
    return call
