"""Checkpointing: trade time for memory by computing a block's saved values again in backward."""

import contextlib
import functools
import random as python_random
import threading
import weakref

from minigrad.absent import getter
from minigrad.backend import default_generator
from minigrad.precision import REGIONS
from minigrad.tensor import Tensor, wrap
from minigrad.utils._pytree import tree_leaves, tree_map
from minigrad.variable import MODE, is_tracked, make_variable, next_time, written_since


class _Debug(threading.local):
    enabled = None  # what set_checkpoint_debug_enabled was given


_DEBUG = _Debug()


class CheckpointError(RuntimeError):
    """The second computation of a checkpointed block did not repeat the first."""


def checkpoint(
    function, *args, use_reentrant=None, preserve_rng_state=True, context_fn=None, determinism_check="default",
    debug=False, **kwargs
):  # fmt: skip
    """Return function(*args, **kwargs) without keeping what backward will need: backward runs function again for it.

    The recorded nodes stay; only their saved arrays are dropped, and all of them come back the first time one is
    needed. Parameters used inside get their gradients as usual, and so do higher derivatives; PyTorch's two variants
    (use_reentrant True and False) are therefore the same here.

    Arguments: function, args, kwargs; preserve_rng_state (random numbers repeat); context_fn (returns two context
    managers, for the first and second run); determinism_check ("default": the second run must record the same
    operations with the same shapes; "none": only their number); debug (the error lists both sequences).
    Raises CheckpointError in backward if the second run differs, RuntimeError if an input was changed in place.
    Source: Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016;
    https://docs.pytorch.org/docs/stable/checkpoint.html

    >>> import minigrad as mg
    >>> from minigrad.utils.checkpoint import checkpoint
    >>> x = mg.tensor([1.0, 2.0], requires_grad=True)
    >>> checkpoint(lambda t: (t * t).exp(), x, use_reentrant=False).sum().backward()
    >>> x.grad
    tensor([  5.4366, 218.3926])
    """
    if use_reentrant not in (None, True, False):
        raise ValueError(f"use_reentrant must be True, False or None, but got {use_reentrant!r}")
    if determinism_check not in ("default", "none"):
        raise ValueError(f"determinism_check must be 'default' or 'none', but got {determinism_check!r}")
    block = _Block(function, args, kwargs, preserve_rng_state, context_fn, determinism_check == "default", debug)
    return block.run_first(args, kwargs)


def checkpoint_sequential(functions, segments, input, use_reentrant=None, **kwargs):
    """Run a sequence of functions, checkpointing all but the last of ``segments`` segments.

    Arguments: functions (Sequential or list of modules or functions), segments (int), input (Tensor).
    Source: https://docs.pytorch.org/docs/stable/checkpoint.html#torch.utils.checkpoint.checkpoint_sequential
    """
    functions = list(functions.children()) if hasattr(functions, "children") else list(functions)
    if not 1 <= segments <= len(functions):
        raise ValueError(
            f"segments must be between 1 and the number of functions, {len(functions)}, but got {segments}"
        )
    length = len(functions) // segments
    for start in range(0, length * (segments - 1), length):
        input = checkpoint(_chain(functions[start : start + length]), input, use_reentrant=use_reentrant, **kwargs)
    return _chain(functions[length * (segments - 1) :])(input)


@contextlib.contextmanager
def set_checkpoint_debug_enabled(enabled):
    """Overrule the ``debug`` of checkpoints made in the block (None: leave it to them).

    Source: https://docs.pytorch.org/docs/stable/checkpoint.html#torch.utils.checkpoint.set_checkpoint_debug_enabled
    """
    before, _DEBUG.enabled = _DEBUG.enabled, enabled
    try:
        yield
    finally:
        _DEBUG.enabled = before


def get_device_states(*args):
    """Return the GPUs that nested arguments' tensors are on, and the states of their random numbers.

    Source: https://docs.pytorch.org/docs/stable/checkpoint.html (what preserve_rng_state keeps)

    >>> import minigrad as mg
    >>> mg.utils.checkpoint.get_device_states(mg.ones(2))
    ([], [])
    """
    places = {leaf.device.index or 0 for leaf in tree_leaves(args) if isinstance(leaf, Tensor) and leaf.is_cuda}
    return sorted(places), [default_generator.state_bytes() for _ in places]  # one generator for all


def set_device_states(devices, states, *, device_type=None):
    """Give the GPUs the states of random numbers that get_device_states returned."""
    for state in states[: len(devices)]:
        default_generator.set_state_bytes(state)


def noop_context_fn():
    """Return two context managers that do nothing: what context_fn=None stands for."""
    return contextlib.nullcontext(), contextlib.nullcontext()


def _chain(functions):
    """Return the functions applied one after another."""

    def run(value):
        for function in functions:
            value = function(value)
        return value

    return run


def _snapshot(value):
    """Return an argument as it is now; leaves that require grad stay themselves."""
    if not isinstance(value, Tensor):
        return value
    if not is_tracked(value):
        return wrap(value.array) if type(value) is Tensor else value
    return value if value.node is None else make_variable(value.array, value.node)


def _copy_saved(node, twin):
    """Give a node what its twin of the second run saved; a twin inside a nested block has yet to compute it."""
    node.saved, node.out, node.saved_at = twin.saved, twin.out, twin.number
    node.restore = None if twin.restore is None else functools.partial(_restore_through, twin)


def _restore_through(twin, node):
    if twin.saved is None:
        twin.restore(twin)
    _copy_saved(node, twin)


class _Block:
    """One checkpointed call: the nodes it recorded, and how to compute their saved values again."""

    def __init__(self, function, args, kwargs, preserve_rng_state, context_fn, check, debug):
        self.function = function
        # The tensors as they are now: a tracked one written in place later is given a new array and node.
        self.args, self.kwargs = tree_map(_snapshot, args), tree_map(_snapshot, kwargs)
        leaves = tree_leaves((self.args, self.kwargs))
        self.inputs = [(leaf, leaf.array) for leaf in leaves if isinstance(leaf, Tensor)]
        self.check, self.debug = check, debug if _DEBUG.enabled is None else _DEBUG.enabled
        self.contexts = (noop_context_fn if context_fn is None else context_fn)()
        self.rng = (default_generator.state_bytes(), python_random.getstate()) if preserve_rng_state else None
        # Both runs cast alike: in the regions of the first one, and weights anew, for the cache is the region's.
        self.regions = (*REGIONS.state()[:2], False)
        self.started = next_time()
        self.records = []  # (weak reference to the node, operation name, shape)

    def run_first(self, args, kwargs):
        """Run the function, dropping what its nodes save."""
        with self.contexts[0]:
            return self._run(self._drop, args, kwargs)

    def _run(self, on_record, args, kwargs):
        """Run the function with an observer of the nodes it records."""
        previous, regions = MODE.on_record, REGIONS.state()

        def observe(node, out):
            if previous is not None:
                previous(node, out)
            on_record(node)

        MODE.on_record = observe
        REGIONS.restore(self.regions)
        try:
            return self.function(*args, **kwargs)
        finally:
            MODE.on_record = previous
            REGIONS.restore(regions)

    def _drop(self, node):
        if node.saved is None and node.restore is None:
            return
        self.records.append((weakref.ref(node), node.op.name, node.shape))
        node.saved, node.out = None, None
        node.restore = self.restore

    def restore(self, _):
        """Run the function again and give every node its saved values back."""
        self._expect_unchanged_inputs()
        fresh = []
        state = (default_generator.state_bytes(), python_random.getstate())
        grad = MODE.grad
        MODE.grad = True
        try:
            if self.rng is not None:
                default_generator.set_state_bytes(self.rng[0])
                python_random.setstate(self.rng[1])
            with self.contexts[1]:
                result = self._run(fresh.append, self.args, self.kwargs)
        finally:
            MODE.grad = grad
            if self.rng is not None:
                default_generator.set_state_bytes(state[0])
                python_random.setstate(state[1])
        self._expect_same(fresh)
        for (reference, _, _), again in zip(self.records, fresh, strict=True):
            node = reference()
            if node is not None:
                _copy_saved(node, again)
        del result
        self.records = []

    def _expect_unchanged_inputs(self):
        for value, array in self.inputs:
            if value.array is not array or written_since(array, self.started):
                raise RuntimeError(
                    f"checkpoint: an input of shape {list(value.shape)} was modified by an inplace operation before "
                    "backward, so that the block can't be computed again; clone() it first"
                )

    def _expect_same(self, fresh):
        first = [(name, shape) if self.check else () for _, name, shape in self.records]
        second = [(node.op.name, node.shape) if self.check else () for node in fresh]
        if first == second:
            return
        detail = f"\nfirst:  {first}\nsecond: {second}" if self.debug else " (debug=True lists both)"
        raise CheckpointError(
            f"checkpoint: the recomputed block recorded other operations ({len(second)}) than the forward pass "
            f"({len(first)}){detail}"
        )


__getattr__ = getter(__name__)
