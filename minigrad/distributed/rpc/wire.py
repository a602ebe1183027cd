"""Messages between workers: what was called with what, its tensors beside it, and what autograd needs to know of them.

A message is one frame of the transport: a head, the pickled value, and the memory of its arrays, aligned. Frames are
unpickled, so they are taken only from channels, whose other ends have proven that they know the secret.
"""

import io
import pickle
import struct
import sys
import types
from dataclasses import dataclass, field

from minigrad.backend import move
from minigrad.distributed import autograd
from minigrad.distributed.rpc.rref import RRef
from minigrad.tensor import Tensor, as_device, in_memory_order, in_order, wrap
from minigrad.variable import Variable, View, is_tracked, new_leaf

_COUNTS = struct.Struct(">II")
_SIZE = struct.Struct(">Q")
_ALIGNMENT = 16
_PLAIN = (Tensor, Variable, View)  # other classes, such as Parameter, are pickled as they are, as leaves


def _lookup(module, name):
    """Return what a module, or Tensor, calls by a name."""
    return getattr(Tensor if module is None else sys.modules[module], name)


def _place_of(function):
    """Return where else than its own module says a function can be found: some are made by tables; None: nowhere."""
    name = function.__name__
    if getattr(Tensor, name, None) is function:
        return None, name
    for module in [name for name in sys.modules if name.partition(".")[0] == "minigrad"]:
        if getattr(sys.modules[module], "__dict__", {}).get(name) is function:
            return module, name
    return None


class _Pickler(pickle.Pickler):
    """Leaves tensors and RRefs out, for the message to carry beside."""

    def __init__(self, file, agent, to, buffers):
        super().__init__(file, 5, buffer_callback=buffers.append)
        self.agent, self.to = agent, to
        self.tensors, self.rrefs, self._numbers = [], [], {}

    def persistent_id(self, obj):
        """Return the number of a tensor or an RRef among those of the message."""
        if type(obj) in _PLAIN:
            return "tensor", self._number(obj, self.tensors)
        if isinstance(obj, RRef):
            return "rref", self._number(obj, self.rrefs)
        return None

    def _number(self, obj, group):
        if id(obj) not in self._numbers:
            self._numbers[id(obj)] = len(group)
            group.append(obj)
        return self._numbers[id(obj)]

    def reducer_override(self, obj):
        """Return how to pickle what pickle alone can't."""
        if hasattr(type(obj), "_reduce_for_rpc"):
            return obj._reduce_for_rpc()
        if isinstance(obj, types.FunctionType) and obj.__module__.partition(".")[0] == "minigrad":
            owner = sys.modules.get(obj.__module__)
            if getattr(owner, obj.__qualname__, None) is not obj:
                place = _place_of(obj)
                return NotImplemented if place is None else (_lookup, place)
        if isinstance(obj, types.ModuleType):
            return _module, (obj.__name__,)
        return NotImplemented


def _module(name):
    __import__(name)
    return sys.modules[name]


class _Unpickler(pickle.Unpickler):
    def __init__(self, data, buffers, message):
        super().__init__(io.BytesIO(data), buffers=buffers)
        self._message = message

    def persistent_load(self, number):
        """Return a tensor or RRef of the message."""
        kind, index = number
        return (self._message.tensors if kind == "tensor" else self._message.rrefs)[index]

    def find_class(self, module, name):
        """Return a class or function; the main module of a spawned process is that of its parent."""
        if module == "__mp_main__" and module not in sys.modules:
            module = "__main__"
        return super().find_class(module, name)


@dataclass
class Message:
    """One frame: its ``kind``, the request's ``number``, what the kind needs in ``extra``, and a value to load()."""

    kind: str
    number: int = 0
    extra: tuple = ()
    context: int | None = None  # of distributed autograd
    tensors: list = field(default_factory=list)
    rrefs: list = field(default_factory=list)
    payload: object = b""
    buffers: list = field(default_factory=list)

    def load(self):
        """Return the value."""
        return _Unpickler(self.payload, self.buffers, self).load()


def _described(tensor, devices):
    """Return (array, order of dimensions, device there, requires_grad) of a tensor to send."""
    device = str(tensor.device)
    if tensor.device.type != "cpu":
        mapped = devices.get(device)
        if mapped is None:
            raise RuntimeError(
                "TensorPipe RPC backend only supports CPU tensors by default, please move your tensors to CPU before "
                "sending them over RPC, or call `set_device_map` on `TensorPipeRpcBackendOptions` to explicitly "
                f"configure device mapping. Tensor is on {device}, which has no entry in the device map."
            )
        device = mapped
    return *in_memory_order(tensor.array), device, is_tracked(tensor)


def encode(agent, to, kind, number=0, extra=(), value=None, context=None):
    """Return the parts of a frame to send to a worker, and what undoes the counting of its RRefs if it never leaves.

    With a context of autograd, the tensors that require gradients are recorded as sent.
    """
    payload_buffers, head_buffers = [], []
    file = io.BytesIO()
    pickler = _Pickler(file, agent, to, payload_buffers)
    pickler.dump(value)
    devices = agent.device_map(to)
    described = [_described(tensor, devices) for tensor in pickler.tensors]
    sent = autograd.record_sent(context, to, pickler.tensors)
    forks = [rref._fork(agent) for rref in pickler.rrefs]
    head = pickle.dumps((kind, number, extra, sent, described, forks), 5, buffer_callback=head_buffers.append)
    views = [memoryview(head), file.getbuffer(), *(buffer.raw() for buffer in head_buffers + payload_buffers)]
    parts = [_COUNTS.pack(len(head_buffers), len(payload_buffers)), *(_SIZE.pack(view.nbytes) for view in views)]
    size = sum(map(len, parts))
    for view in views:
        padding = -size % _ALIGNMENT
        parts += [bytes(padding), view]
        size += padding + view.nbytes

    def undo():
        for rref, fork in zip(pickler.rrefs, forks, strict=True):
            rref._unfork(fork)

    return parts, undo


def decode(agent, sender, frame):
    """Return the Message of a frame that a worker sent; what it recorded as sent is recorded as received."""
    view = memoryview(frame)
    of_head, of_payload = _COUNTS.unpack_from(view)
    count = 2 + of_head + of_payload
    at = _COUNTS.size + count * _SIZE.size
    segments = []
    for index in range(count):
        (size,) = _SIZE.unpack_from(view, _COUNTS.size + index * _SIZE.size)
        at += -at % _ALIGNMENT
        segments.append(view[at : at + size])
        at += size
    buffers = segments[2 : 2 + of_head]
    kind, number, extra, sent, described, forks = pickle.loads(segments[0], buffers=buffers)  # noqa: S301 - proven peer
    tensors = [_tensor(*description) for description in described]
    create = kind not in ("reply", "error")
    context = autograd.record_received(sent, sender, tensors, create)
    rrefs = [RRef._received(agent, *fork) for fork in forks]
    return Message(kind, number, extra, context, tensors, rrefs, segments[1], segments[2 + of_head :])


def _tensor(array, order, device, requires_grad):
    array = move(in_order(array, order), as_device(device))
    return new_leaf(Variable, array, True) if requires_grad else wrap(array)
