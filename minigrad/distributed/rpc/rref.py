"""RRef: a reference to an object of one worker, its owner, which others hold and pass on.

The owner counts by weights: each reference it hands out weighs 1, whoever passes a reference on gives half of its
weight away, and what is dropped returns its weight. The object is dropped when all that was handed out is back; so no
message is needed to pass a reference on, and none can come too late.
"""

import functools
import threading
import types
from fractions import Fraction

from minigrad.futures import Future
from minigrad.tensor import Tensor
from minigrad.variable import is_tracked


class Entry:
    """An object at its owner: its value comes as a ``future``; ``out`` is the weight that others hold."""

    def __init__(self, number):
        self.number = number
        self.future = Future()
        self.out = Fraction(0)
        self.issued = False  # whether the request to make it has come: a reference may be here before that


class Entries:
    """The objects of this worker that others refer to."""

    def __init__(self):
        self._entries, self._lock = {}, threading.Lock()

    def __len__(self):
        return len(self._entries)

    def of(self, number):
        """Return the entry of an object, a new one where its making is still on the way."""
        with self._lock:
            return self._entries.setdefault(number, Entry(number))

    def issue(self, number, weight):
        """Return the entry of an object that is to be made here, for a worker that holds a weight."""
        with self._lock:
            entry = self._entries.setdefault(number, Entry(number))
            entry.issued = True
            entry.out += weight
            self._drop(entry)
            return entry

    def hand_out(self, entry):
        """Give a reference of weight 1 away."""
        with self._lock:
            entry.issued = True
            entry.out += 1
            self._entries[entry.number] = entry

    def take_back(self, number, weight):
        """Count a reference that is gone; after the last, the object is dropped."""
        with self._lock:
            entry = self._entries.setdefault(number, Entry(number))
            entry.out -= weight
            self._drop(entry)

    def _drop(self, entry):
        if entry.issued and not entry.out:
            self._entries.pop(entry.number, None)

    def clear(self):
        """Forget all: the workers part."""
        with self._lock:
            self._entries.clear()


class RRef:
    """A reference to an object of another worker, made by rpc.remote, or of this one: ``RRef(value)``.

    Source: https://docs.pytorch.org/docs/stable/rpc.html#torch.distributed.rpc.PyRRef
    """

    __class_getitem__ = classmethod(types.GenericAlias)
    _agent = None

    def __init__(self, value, type_hint=None):
        from minigrad.distributed.rpc.api import current_agent

        if type_hint is not None:
            raise RuntimeError(
                "type_hint should only be specified when the RRef being created contains a ScriptModule."
            )
        agent = current_agent()
        entry = Entry(agent.new_number())
        entry.future.set_result(value)
        self._set(agent, entry.number, agent.me, entry=entry)

    def _set(self, agent, number, owner, entry=None, weight=Fraction(0), fork=None, creation=None):
        self._agent, self._number, self._owner = agent, number, owner
        self._entry = entry  # at the owner
        self._weight, self._fork_number = weight, fork
        self._creation = creation  # a Future of its making by this worker
        self._lock = threading.Lock()

    @classmethod
    def _made(cls, agent, number, owner, **state):
        rref = cls.__new__(cls)
        rref._set(agent, number, owner, **state)
        return rref

    @classmethod
    def _received(cls, agent, number, owner, weight, fork):
        """Return the reference that a message brought."""
        if owner != agent.me.id:
            return cls._made(agent, number, agent.worker(owner), weight=weight, fork=fork)
        entry = agent.entries.of(number)
        agent.entries.take_back(number, weight)
        return cls._made(agent, number, agent.me, entry=entry)

    def _fork(self, agent):
        """Return (number, owner, weight, fork's number) to send."""
        self._check("pass it on to")
        if self._entry is not None:
            agent.entries.hand_out(self._entry)
            weight = Fraction(1)
        else:
            with self._lock:
                self._weight = weight = self._weight / 2
        return self._number, self._owner.id, weight, agent.new_number()

    def _unfork(self, fork):
        """Take back what _fork gave away, as it was not sent."""
        if self._entry is not None:
            self._agent.entries.take_back(self._number, fork[2])
        else:
            with self._lock:
                self._weight += fork[2]

    def __del__(self):
        if self._agent is not None and self._weight:
            self._agent.release(self._owner, self._number, self._weight)

    def _check(self, what):
        if self._agent.closed:
            name = self._name() if self._entry is None else str(self)
            raise RuntimeError(f"{name} has been deleted. Cannot call {what} on it after deletion.")

    def is_owner(self):
        """Return whether the object is this worker's."""
        return self._entry is not None

    def owner(self):
        """Return the WorkerInfo of the owner."""
        return self._owner

    def owner_name(self):
        """Return the name of the owner."""
        return self._owner.name

    def confirmed_by_owner(self):
        """Return whether the owner is known to have the object."""
        return self._creation is None or (self._creation.done() and self._creation._error is None)

    def _get_future(self):
        """Return the Future, without a value, of the object's being there."""
        if self._creation is not None:
            return self._creation
        future = Future()
        future.set_result(None)
        return future

    def to_here(self, timeout=-1.0):
        """Return the object, or a copy of another worker's, once it is there; raise what its making raised.

        Raises RuntimeError after ``timeout`` seconds (by default that of init_rpc; 0: none).
        """
        self._check("to_here()")
        if self._entry is not None:
            return self._agent.wait(self._entry.future, timeout)
        creation = self._creation
        if creation is not None and creation.done() and getattr(creation._error, "timed_out", False):
            raise RuntimeError(
                "RRef creation via rpc.remote() timed out, and it is possible that the RRef on the owner node does "
                "not exist."
            )
        return self._agent.request(self._owner, "system", (fetch, (self._number,)), timeout).wait()

    def local_value(self):
        """Return the object at its owner; RuntimeError on other workers."""
        if self._entry is None:
            raise RuntimeError(
                f"For {self._name()}, can't call localValue() on user {self._agent.me}. Call it on owner {self._owner}"
            )
        self._check("local_value()")
        return self._entry.future.wait()

    def rpc_sync(self, timeout=-1.0):
        """Return what calls the object's methods at its owner, by rpc.rpc_sync: ``rref.rpc_sync().size()``."""
        return Proxy(self, "rpc_sync", timeout)

    def rpc_async(self, timeout=-1.0):
        """Return what calls the object's methods at its owner, by rpc.rpc_async."""
        return Proxy(self, "rpc_async", timeout)

    def remote(self, timeout=-1.0):
        """Return what calls the object's methods at its owner, by rpc.remote."""
        return Proxy(self, "remote", timeout)

    def backward(self, dist_autograd_ctx_id=-1, retain_graph=False):
        """Run the backward pass from the tensor this refers to, at its owner: in a context of distributed autograd,
        or, at the owner itself, without one, into ``.grad``."""
        if self._entry is not None:
            _backward(self, dist_autograd_ctx_id, retain_graph)
            return
        if dist_autograd_ctx_id == -1:
            raise RuntimeError("User RRefs require 'dist_autograd_ctx_id' to be specified")
        self._check("backward()")
        call = (_backward, (self, dist_autograd_ctx_id, retain_graph), {})
        self._agent.request(self._owner, "call", call, record=False).wait()

    def _name(self):
        here, fork = _identity(self._number), _identity(self._fork_number)
        return f"UserRRef(rref_id={here}, fork_id={fork})"

    def __repr__(self):
        if self._entry is not None:
            return f"OwnerRRef({_identity(self._number)})"
        return f"UserRRef(RRefId = {_identity(self._number)}, ForkId = {_identity(self._fork_number)})"

    def __reduce_ex__(self, protocol):
        raise RuntimeError("Can not pickle rref in python pickler, rref can only be pickled when using RPC")

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self


def _identity(number):
    return f"GloballyUniqueId(created_on={number[0]}, local_id={number[1]})"


class Proxy:
    """Calls methods of the object an RRef refers to, at its owner."""

    def __init__(self, rref, caller, timeout):
        self._rref, self._caller, self._timeout = rref, caller, timeout

    def __getattr__(self, name):
        from minigrad.distributed.rpc import api

        self._rref._check(f"{self._caller}()")
        caller = getattr(api, self._caller)

        @functools.wraps(caller, assigned=())
        def call(*args, **kwargs):
            arguments = (self._rref, name, args, kwargs)
            return caller(self._rref.owner(), call_method, args=arguments, timeout=self._timeout)

        return call


class Later:
    """What a call returned that is not there yet: the value of a Future."""

    def __init__(self, future):
        self.future = future


def call_method(rref, name, args, kwargs):
    """Call a method of an object at its owner."""
    method = getattr(rref.local_value(), name)
    result = method(*args, **kwargs)
    return Later(checked_future(result)) if hasattr(method, "_wrapped_async_rpc_function") else result


def checked_future(result):
    """Return what an async_execution function returned; RuntimeError for anything but a Future."""
    if not isinstance(result, Future):
        raise RuntimeError(
            "Functions decorated with @rpc.async_function must return a torch.futures.Future object, but got "
            f"{type(result).__module__}.{type(result).__qualname__}"
        )
    return result


def fetch(agent, number):
    """Return the value of an object of this worker, once it is there."""
    return Later(agent.entries.of(number).future)


def _backward(rref, context_id, retain_graph):
    value = rref.local_value()
    if not isinstance(value, Tensor):
        raise RuntimeError(f"RRef should contain a tensor for .backward(), but it holds {type(value).__name__}")
    if context_id != -1:
        from minigrad.distributed import autograd

        autograd.backward(context_id, [value], retain_graph)
        return
    if not is_tracked(value):
        raise RuntimeError("element 0 of tensors does not require grad and does not have a grad_fn")
    value.backward(retain_graph=retain_graph)
