"""Streams and events: torch.cuda's, over CuPy's."""

import contextlib
import warnings

from minigrad.backend import device as _device
from minigrad.cuda.devices import index_of, is_available, the_cupy


class Event:
    """A mark in a GPU's work, for timing and waiting; RuntimeError without a GPU.

    Arguments: enable_timing (for elapsed_time), blocking (waiting sleeps), interprocess.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.cuda.Event.html
    """

    def __init__(self, enable_timing=False, blocking=False, interprocess=False):
        self._event = the_cupy().cuda.Event(blocking, not enable_timing, interprocess)
        self._timed = bool(enable_timing)
        self._recorded = False

    @property
    def cuda_event(self):
        """The address of the event."""
        return self._event.ptr

    def record(self, stream=None):
        """Set the mark in a stream, the current one by default."""
        self._event.record(None if stream is None else stream._stream)
        self._recorded = True

    def wait(self, stream=None):
        """Make a stream, the current one by default, wait for the mark."""
        (current_stream() if stream is None else stream)._stream.wait_event(self._event)

    def query(self):
        """Return whether all work before the mark is done."""
        return self._event.done

    def synchronize(self):
        """Wait until all work before the mark is done."""
        self._event.synchronize()

    def elapsed_time(self, end_event):
        """Return the milliseconds from this mark to another; ValueError unless both time and were set."""
        if not (self._timed and end_event._timed):
            raise ValueError("Both events must be created with argument 'enable_timing=True'.")
        if not (self._recorded and end_event._recorded):
            raise ValueError("Both events must be recorded before calculating elapsed time.")
        return the_cupy().cuda.get_elapsed_time(self._event, end_event._event)

    def __repr__(self):
        return f"<torch.cuda.Event {self.cuda_event:#x}>" if self._recorded else "<torch.cuda.Event uninitialized>"


class Stream:
    """A queue of a GPU's work, used by ``with stream:`` or ``with cuda.stream(s):``; RuntimeError without a GPU.

    Arguments: device (the current GPU by default), priority (lower numbers go first; 0 or -1).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.cuda.Stream.html
    """

    def __init__(self, device=None, priority=0, *, _stream=None):
        cupy = the_cupy()
        self.device_index = index_of(device)
        with cupy.cuda.Device(self.device_index):
            self._stream = cupy.cuda.Stream(non_blocking=True, priority=priority) if _stream is None else _stream
        self._entered = []

    @property
    def device(self):
        """The GPU of the stream."""
        return _device("cuda", self.device_index)

    @property
    def cuda_stream(self):
        """The address of the stream."""
        return self._stream.ptr

    stream_id = cuda_stream

    @property
    def priority(self):
        """The priority: lower numbers go first."""
        return self._stream.priority if self._stream.ptr else 0

    @staticmethod
    def priority_range():
        """Return the lowest and the highest priority, (0, -5) on all GPUs of today."""
        return 0, -5

    def synchronize(self):
        """Wait until the stream's work is done."""
        self._stream.synchronize()

    def query(self):
        """Return whether the stream's work is done."""
        return self._stream.done

    def record_event(self, event=None):
        """Set a mark, a new one by default, and return it."""
        event = Event() if event is None else event
        event.record(self)
        return event

    def wait_event(self, event):
        """Make the stream wait for a mark."""
        event.wait(self)

    def wait_stream(self, stream):
        """Make the stream wait for what another one has been given so far."""
        self.wait_event(stream.record_event())

    def is_capturing(self):
        """Return whether the stream's work is being recorded in a graph."""
        return bool(self._stream.ptr) and self._stream.is_capturing()

    def __enter__(self):
        block = contextlib.ExitStack()
        with block as undone:
            block.enter_context(the_cupy().cuda.Device(self.device_index))
            block.enter_context(self._stream)
            self._entered.append(undone.pop_all())
        return self

    def __exit__(self, *exception):
        self._entered.pop().close()

    def __cuda_stream__(self):
        """CUDA's protocol of streams: its version and the address."""
        return 0, self.cuda_stream

    def __eq__(self, other):
        same = isinstance(other, Stream) and self.cuda_stream == other.cuda_stream
        return same and self.device_index == other.device_index

    def __hash__(self):
        return hash((self.cuda_stream, self.device_index))

    def __repr__(self):
        return f"<torch.cuda.Stream device={self.device} cuda_stream={self.cuda_stream:#x}>"


class ExternalStream(Stream):
    """A stream that another library made, which goes on to own it.

    Arguments: stream_ptr (its address), device.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.cuda.ExternalStream.html
    """

    def __init__(self, stream_ptr, device=None):
        cupy = the_cupy()
        index = index_of(device)
        with warnings.catch_warnings():
            # CuPy recommends Stream.from_external, whose streams destroy what they did not make.
            warnings.simplefilter("ignore", DeprecationWarning)
            stream = cupy.cuda.ExternalStream(int(stream_ptr), index)
        super().__init__(index, _stream=stream)


def get_stream_from_external(data_ptr, device=None):
    """Return the stream at an address that another library made."""
    return ExternalStream(data_ptr, device)


def current_stream(device=None):
    """Return the stream that work goes to; RuntimeError without a GPU."""
    cupy = the_cupy()
    index = index_of(device)
    return Stream(index, _stream=cupy.cuda.get_current_stream(index))


def default_stream(device=None):
    """Return the stream that work goes to at first; RuntimeError without a GPU."""
    return Stream(device, _stream=the_cupy().cuda.Stream.null)


def set_stream(stream):
    """Make work go to a stream; None changes nothing."""
    if stream is not None:
        the_cupy().cuda.Device(stream.device_index).use()
        stream._stream.use()


@contextlib.contextmanager
def stream(stream):
    """Make work go to a stream within a ``with`` block; None changes nothing, as without a GPU."""
    if stream is None:
        yield
        return
    with stream:
        yield


StreamContext = stream


def is_current_stream_capturing():
    """Return whether the current stream's work is being recorded in a graph; False without a GPU."""
    return is_available() and current_stream().is_capturing()
