"""Where the time goes: every operation of a block, forward and backward, timed as it runs.

Python tells of each call of an operation (``sys.setprofile``), so that nothing is slower while no profile is taken;
in a profiled block every Python call costs about a microsecond more. The operations of the thread that started the
profile are seen, under minigrad's names.
"""

import functools
import gzip
import json
import os
import sys
import threading
import time
import traceback
import tracemalloc
import warnings

from minigrad.absent import getter
from minigrad.autograd.function import _FunctionOp
from minigrad.backend import cuda_is_available, cupy_module
from minigrad.calls import view_result
from minigrad.op import OPS, Op
from minigrad.tensor import Tensor

__all__ = ["EventList", "FunctionEvent", "FunctionEventAvg", "profile", "record_function"]


class _Timed:
    """What a single event and an average over events have in common. Times in microseconds, memory in bytes."""

    flops = 0

    @property
    def cpu_time(self):
        """Time of one call."""
        return self.cpu_time_total / self.count if self.count else 0.0

    @property
    def device_time(self):
        """Time of one call on the GPU."""
        return self.device_time_total / self.count if self.count else 0.0

    cuda_time = device_time
    cuda_time_total = property(lambda self: self.device_time_total, doc="Time of all calls on the GPU.")
    self_cuda_time_total = property(lambda self: self.self_device_time_total, doc="The same without inner operations.")


class FunctionEvent(_Timed):
    """One call of an operation, or one block of record_function."""

    count = 1

    def __init__(self, name, start, parent, user, shapes, stack, memory):
        self.name = self.key = name
        self.start, self.end = start, start  # nanoseconds
        self.cpu_parent, self.cpu_children = parent, []
        self.is_user_annotation = user
        self.input_shapes, self.stack = shapes, stack
        self.thread = threading.get_ident()
        self.cpu_memory_usage = memory
        self.on_device = False

    @property
    def cpu_time_total(self):
        """Time from the call to the return."""
        return (self.end - self.start) / 1000

    @property
    def self_cpu_time_total(self):
        """The same without the operations that ran inside."""
        return self.cpu_time_total - sum(child.cpu_time_total for child in self.cpu_children)

    @property
    def device_time_total(self):
        """Time on the GPU: that of the call, which was waited for; 0 on the CPU."""
        return self.cpu_time_total if self.on_device else 0.0

    @property
    def self_device_time_total(self):
        """The same without the operations that ran inside."""
        return self.self_cpu_time_total if self.on_device else 0.0

    @property
    def self_cpu_memory_usage(self):
        """Memory gained, without that of the operations inside."""
        return self.cpu_memory_usage - sum(child.cpu_memory_usage for child in self.cpu_children)

    def __repr__(self):
        return f"<FunctionEvent name={self.name} cpu_time={_readable(self.cpu_time_total)}>"


_SUMMED = (
    "count", "cpu_time_total", "self_cpu_time_total", "device_time_total", "self_device_time_total",
    "cpu_memory_usage", "self_cpu_memory_usage",
)  # fmt: skip


class FunctionEventAvg(_Timed):
    """The calls of one operation together."""

    def __init__(self, key, first):
        self.key = self.name = key
        self.input_shapes, self.stack = first.input_shapes, first.stack
        self.is_user_annotation, self.cpu_parent = first.is_user_annotation, None
        for name in _SUMMED:
            setattr(self, name, 0)

    def add(self, event):
        """Add an event; returns the average."""
        for name in _SUMMED:
            setattr(self, name, getattr(self, name) + getattr(event, name))
        return self

    def __repr__(self):
        return (
            f"<FunctionEventAvg key={self.key} self_cpu_time={_readable(self.self_cpu_time_total)} "
            f"cpu_time={_readable(self.cpu_time)} count={self.count}>"
        )


class EventList(list):
    """Events, or averages of them, which print as a table."""

    profile_memory = False

    @property
    def self_cpu_time_total(self):
        """The time of all events, each without those inside it, in microseconds."""
        return sum(event.self_cpu_time_total for event in self)

    def _like(self, events):
        result = EventList(events)
        result.profile_memory = self.profile_memory
        return result

    def key_averages(self, group_by_input_shapes=False, group_by_stack_n=0, group_by_overload_name=False):
        """Return one average per operation (per input shapes and the innermost n source lines too, if asked)."""
        if group_by_overload_name:
            raise NotImplementedError("key_averages: group_by_overload_name is not supported; leave it out")
        groups = {}
        for event in self:
            stack = tuple(event.stack[:group_by_stack_n])
            key = (event.key, str(event.input_shapes) if group_by_input_shapes else "", stack)
            if key not in groups:
                groups[key] = average = FunctionEventAvg(event.key, event)
                average.stack = list(stack)
                if not group_by_input_shapes:
                    average.input_shapes = []
            groups[key].add(event)
        return self._like(groups.values())

    def total_average(self):
        """Return the sum of all events as one average."""
        total = FunctionEventAvg("Total", FunctionEvent("Total", 0, None, False, [], [], 0))
        for event in self:
            total.add(event)
        return total

    def table(
        self, sort_by=None, row_limit=100, max_src_column_width=75, max_name_column_width=55,
        max_shapes_column_width=80, header=None, top_level_events_only=False, time_unit=None,
    ):  # fmt: skip
        """Return the events as text.

        Arguments: sort_by (an attribute, largest first, such as "cpu_time_total", "self_cpu_time_total", "count";
        AttributeError for others), row_limit (-1: all), widths of columns (None: as wide as needed), header (title),
        top_level_events_only (without what ran inside others), time_unit ("s", "ms" or "us"; default as fits).
        """
        events = [event for event in self if not (top_level_events_only and event.cpu_parent is not None)]
        if not events:
            return ""
        if sort_by is not None:
            events.sort(key=lambda event: getattr(event, sort_by), reverse=True)
        widths = max_name_column_width, max_shapes_column_width, max_src_column_width
        columns = _columns(self, events, time_unit, *widths)
        rows = [titles := [title for title, _ in columns]]
        rows += [[cell(event) for _, cell in columns] for event in (events if row_limit < 0 else events[:row_limit])]
        widths = [max(len(row[place]) for row in rows) for place in range(len(titles))]
        rule = "  ".join("-" * width for width in widths)
        lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
        title = [] if header is None else ["=" * len(rule), header]
        total = f"Self CPU time total: {_readable(self.self_cpu_time_total, time_unit)}"
        return "\n".join([*title, rule, lines[0], rule, *lines[1:], rule, total, ""])

    def __str__(self):
        return self.table()

    def export_chrome_trace(self, path, metadata=None):
        """Write the events as JSON for chrome://tracing and Perfetto; compressed if the path ends with .gz."""
        process = os.getpid()
        events = [
            {
                "ph": "X", "cat": "user_annotation" if event.is_user_annotation else "cpu_op", "name": event.name,
                "pid": process, "tid": event.thread, "ts": event.start / 1000, "dur": event.cpu_time_total,
                "args": {"Input Dims": event.input_shapes, "Call stack": ";".join(event.stack)},
            }
            for event in self
        ]  # fmt: skip
        trace = {"schemaVersion": 1, "displayTimeUnit": "ms", **(metadata or {}), "traceEvents": events}
        opener = gzip.open if str(path).endswith(".gz") else open
        with opener(path, "wt", encoding="utf-8") as file:
            json.dump(trace, file)

    def export_stacks(self, path, metric="self_cpu_time_total"):
        """Write a line "outer;…;inner time" per source stack (needs with_stack), for flame graphs.

        metric: "self_cpu_time_total" or "self_cuda_time_total"; ValueError for others.
        """
        if metric not in ("self_cpu_time_total", "self_cuda_time_total"):
            raise ValueError(f"metric must be self_cpu_time_total or self_cuda_time_total, but got {metric!r}")
        totals = {}
        for event in self:
            if event.stack:
                place = ";".join(line.replace(" ", "_") for line in reversed(event.stack))
                totals[place] = totals.get(place, 0) + getattr(event, metric)
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(f"{place} {int(value)}\n" for place, value in totals.items() if int(value) > 0)


def _columns(whole, events, unit, name_width, shapes_width, source_width):
    """Return [(title, function from an event to the cell's text)] of a table."""
    cpu = whole.self_cpu_time_total or 1.0
    columns = [
        ("Name", lambda event: _cut(event.key, name_width)),
        ("Self CPU %", lambda event: f"{100 * event.self_cpu_time_total / cpu:.2f}%"),
        ("Self CPU", lambda event: _readable(event.self_cpu_time_total, unit)),
        ("CPU total %", lambda event: f"{100 * event.cpu_time_total / cpu:.2f}%"),
        ("CPU total", lambda event: _readable(event.cpu_time_total, unit)),
        ("CPU time avg", lambda event: _readable(event.cpu_time, unit)),
    ]
    if any(event.device_time_total for event in events):
        columns += [
            ("Self CUDA", lambda event: _readable(event.self_device_time_total, unit)),
            ("CUDA total", lambda event: _readable(event.device_time_total, unit)),
            ("CUDA time avg", lambda event: _readable(event.device_time, unit)),
        ]
    if whole.profile_memory:
        columns += [
            ("CPU Mem", lambda event: _bytes(event.cpu_memory_usage)),
            ("Self CPU Mem", lambda event: _bytes(event.self_cpu_memory_usage)),
        ]
    columns.append(("# of Calls", lambda event: str(event.count)))
    if any(event.input_shapes for event in events):
        columns.append(("Input Shapes", lambda event: _cut(str(event.input_shapes), shapes_width)))
    if any(event.stack for event in events):
        columns.append(("Source Location", lambda event: _cut(event.stack[0] if event.stack else "", source_width)))
    return columns


def _cut(text, width):
    return text if width is None or len(text) <= width else text[: width - 3] + "..."


def _readable(microseconds, unit=None):
    """Return a time as text: 1.500ms."""
    if unit not in (None, "s", "ms", "us"):
        raise ValueError(f"time_unit must be 's', 'ms', 'us' or None, but got {unit!r}")
    unit = unit or ("s" if microseconds >= 1e6 else "ms" if microseconds >= 1e3 else "us")
    return f"{microseconds / {'s': 1e6, 'ms': 1e3, 'us': 1}[unit]:.3f}{unit}"


def _bytes(count):
    """Return a number of bytes as text: 1.50 Kb."""
    for unit, size in (("Gb", 2**30), ("Mb", 2**20), ("Kb", 2**10)):
        if abs(count) >= size:
            return f"{count / size:.2f} {unit}"
    return f"{count} b"


class _Running(threading.local):
    recorder = None  # the one that records in this thread


_RUNNING = _Running()


def _watched():
    """Return {code: function from a frame to (name, what is called, its arguments)} of what runs operations."""
    codes = {}
    for op in OPS.values():
        if not hasattr(op.call, "__self__"):
            codes[op.call.__code__] = _op_of_closure
        if not hasattr(op.pull, "__self__"):
            codes[op.pull.__code__] = _node_pulled
    codes[Op._general.__code__] = _op_of_method
    codes[view_result.__code__] = _op_of_closure
    codes[Op.pull.__code__] = codes[_FunctionOp.pull.__code__] = _node_pulled
    return codes


def _op_of_closure(values):
    op = values["op"]
    return op.name, op, [values[name] for name in ("x", "a", "b", "c") if name in values]


def _op_of_method(values):
    return values["self"].name, values["self"], values["args"]


def _node_pulled(values):
    node = values["node"]
    return node.name(), node, [values["gradient"]]


class Recorder:
    """Collects the events of one thread between start() and stop()."""

    def __init__(self, shapes, memory, stacks, device):
        self.shapes, self.memory, self.stacks, self.device = shapes, memory, stacks, device
        self.events, self.open = [], []
        self.extra = {}  # code -> function from a frame's values to (name, what is called, arguments)

    def start(self):
        """Begin to record; RuntimeError where somebody does already."""
        if _RUNNING.recorder is not None:
            raise RuntimeError("a profile is being taken already: profiles can't be nested")
        self.codes = {**_watched(), **self.extra}
        self.own_tracing = self.memory and not tracemalloc.is_tracing()
        if self.own_tracing:
            tracemalloc.start()
        _RUNNING.recorder = self
        self.outer = sys.getprofile()
        sys.setprofile(self._called)

    def stop(self):
        """End, and return the events in the order of their starts."""
        sys.setprofile(self.outer)
        _RUNNING.recorder = None
        while self.open:
            self.leave()
        if self.own_tracing:
            tracemalloc.stop()
        result = EventList(sorted(self.events, key=lambda event: event.start))
        result.profile_memory = self.memory
        return result

    def _called(self, frame, event, arg):
        if event == "call":
            describe = self.codes.get(frame.f_code)
            if describe is not None:
                name, target, arguments = describe(frame.f_locals)
                if not self.open or self.open[-1][1] is not target:  # an operation's inner function is no second one
                    self.enter(name, target, frame, arguments)
        elif event == "return" and self.open and self.open[-1][2] is frame:
            self.leave()

    def enter(self, name, target=None, frame=None, arguments=(), user=False):
        """Open an event."""
        shapes = [_shape(value) for value in arguments] if self.shapes else []
        stack = _source(frame) if self.stacks and frame is not None else []
        parent = self.open[-1][0] if self.open else None
        event = FunctionEvent(name, 0, parent, user, shapes, stack, self._memory())
        event.on_device = self.device and any(_on_gpu(value) for value in arguments)
        self.open.append((event, target, frame))
        event.start = time.perf_counter_ns()
        return event

    def leave(self):
        """Close the innermost event."""
        if self.device:
            cupy_module().cuda.runtime.deviceSynchronize()
        event = self.open.pop()[0]
        event.end = time.perf_counter_ns()
        event.cpu_memory_usage = self._memory() - event.cpu_memory_usage
        if event.cpu_parent is not None:
            event.cpu_parent.cpu_children.append(event)
        self.events.append(event)

    def _memory(self):
        return tracemalloc.get_traced_memory()[0] if self.memory else 0


def _array_of(value):
    return value.array if isinstance(value, Tensor) else value


def _shape(value):
    return list(getattr(_array_of(value), "shape", ()))


def _on_gpu(value):
    return type(_array_of(value)).__module__.partition(".")[0] == "cupy"


def _source(frame):
    """Return the lines of a call outside minigrad, the innermost first."""
    found = traceback.extract_stack(frame)
    inside = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
    return [f"{f.filename}({f.lineno}): {f.name}" for f in reversed(found) if not f.filename.startswith(inside)]


def refuse(**settings):
    """NotImplementedError for settings of PyTorch's profilers that are set and not supported."""
    for name, value in settings.items():
        if value:
            raise NotImplementedError(f"profile: {name}={value!r} is not supported; leave it out")


class profile:  # noqa: N801 - PyTorch's name
    """Time the operations of a block.

    Arguments: enabled (False: nothing is recorded), use_cuda or use_device="cuda" (wait for the GPU after every
    operation, and count its time), record_shapes, profile_memory (bytes gained, as tracemalloc sees them: slow),
    with_stack (the source lines of each call). NotImplementedError for with_flops, with_modules and other settings.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.autograd.profiler.profile.html

    >>> import minigrad as mg
    >>> with mg.autograd.profiler.profile(record_shapes=True) as prof:
    ...     y = mg.ones(2, 3) @ mg.ones(3, 4)
    >>> [(event.key, event.count) for event in prof.key_averages() if event.key == "matmul"]
    [('matmul', 1)]
    """

    def __init__(
        self, enabled=True, *, use_cuda=False, use_device=None, record_shapes=False, with_flops=False,
        profile_memory=False, with_stack=False, with_modules=False, use_kineto=False, use_cpu=True,
        experimental_config=None, acc_events=False, custom_trace_id_callback=None,
    ):  # fmt: skip
        refuse(
            with_flops=with_flops, with_modules=with_modules, use_kineto=use_kineto, acc_events=acc_events,
            experimental_config=experimental_config, custom_trace_id_callback=custom_trace_id_callback,
        )  # fmt: skip
        if use_device not in (None, "cuda", "cpu"):
            raise NotImplementedError(f"profile: use_device={use_device!r} is not supported; use 'cuda' or None")
        if not use_cpu:
            raise NotImplementedError("profile: use_cpu=False is not supported: operations are timed on the CPU")
        device = use_cuda or use_device == "cuda"
        if device and not cuda_is_available():
            warnings.warn("CUDA is not available, disabling CUDA profiling", stacklevel=2)
            device = False
        self.enabled, self.entered = bool(enabled), False
        self.record_shapes, self.profile_memory, self.with_stack, self.device = (
            record_shapes, profile_memory, with_stack, device
        )  # fmt: skip
        self.function_events = None
        self._recorder = None

    def __enter__(self):
        if not self.enabled:
            return self
        if self.entered:
            raise RuntimeError("Profiler context manager is not reentrant")
        self.entered = True
        self._recorder = Recorder(self.record_shapes, self.profile_memory, self.with_stack, self.device)
        self._recorder.start()
        return self

    def __exit__(self, *exception):
        if self.enabled:
            self.function_events = self._recorder.stop()

    def _events(self):
        if self.function_events is None:
            raise RuntimeError("Profiler didn't finish running")
        return self.function_events

    def __repr__(self):
        return "<unfinished profile>" if self.function_events is None else repr(self.function_events)

    def __str__(self):
        return "<unfinished profile>" if self.function_events is None else str(self.function_events)

    @property
    def self_cpu_time_total(self):
        """The time of all operations in microseconds."""
        return self._events().self_cpu_time_total

    def table(self, *args, **kwargs):
        """Return the events as text: see EventList.table."""
        return self._events().table(*args, **kwargs)

    def key_averages(self, group_by_input_shape=False, group_by_stack_n=0, group_by_overload_name=False):
        """Return one average per operation: see EventList.key_averages."""
        return self._events().key_averages(group_by_input_shape, group_by_stack_n, group_by_overload_name)

    def total_average(self):
        """Return the sum of all events."""
        return self._events().total_average()

    def export_chrome_trace(self, path):
        """Write the events as JSON for chrome://tracing."""
        self._events().export_chrome_trace(path)

    def export_stacks(self, path, metric="self_cpu_time_total"):
        """Write the source stacks with their times, for flame graphs."""
        self._events().export_stacks(path, metric)


class record_function:  # noqa: N801 - PyTorch's name
    """Give a block, or every call of a decorated function, a name in the profile being taken (if any).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.autograd.profiler.record_function.html

    >>> import minigrad as mg
    >>> with mg.autograd.profiler.profile() as prof, mg.autograd.profiler.record_function("twice"):
    ...     y = mg.ones(2) * 2
    >>> [event.name for event in prof.function_events][0]
    'twice'
    """

    def __init__(self, name, args=None):
        if not isinstance(name, str):
            raise TypeError(f"record_function: the name must be a string, but got {type(name).__name__}")
        self.name = name if args is None else f"{name} {args}"
        self._entered = []

    def __enter__(self):
        recorder = _RUNNING.recorder
        if recorder is not None:
            recorder.enter(self.name, user=True)
        self._entered.append(recorder)
        return self

    def __exit__(self, *exception):
        recorder = self._entered.pop()
        if recorder is not None and recorder is _RUNNING.recorder and recorder.open:
            recorder.leave()

    def __call__(self, function):
        @functools.wraps(function)
        def recorded(*args, **kwargs):
            with record_function(self.name):
                return function(*args, **kwargs)

        return recorded


__getattr__ = getter(__name__)
