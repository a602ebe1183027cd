"""torch.profiler: profiles of some steps of a training loop, written to files if wanted.

Source: https://docs.pytorch.org/docs/stable/profiler.html
"""

import enum
import os
import socket
import time
import warnings

from minigrad.absent import getter
from minigrad.autograd.profiler import Recorder, record_function, refuse
from minigrad.backend import cuda_is_available
from minigrad.optim.optimizer import Optimizer

__all__ = [
    "ProfilerAction", "ProfilerActivity", "kineto_available", "profile", "record_function", "schedule",
    "supported_activities", "tensorboard_trace_handler",
]  # fmt: skip


class ProfilerActivity(enum.Enum):
    """What is timed."""

    CPU = 0
    CUDA = 2


class ProfilerAction(enum.Enum):
    """What a profile does in a step."""

    NONE = 0
    WARMUP = 1
    RECORD = 2
    RECORD_AND_SAVE = 3


_RECORDING = (ProfilerAction.RECORD, ProfilerAction.RECORD_AND_SAVE)


def supported_activities():
    """Return the set of activities that can be timed here."""
    return {ProfilerActivity.CPU, ProfilerActivity.CUDA} if cuda_is_available() else {ProfilerActivity.CPU}


def kineto_available():
    """Return False: Kineto is PyTorch's own library."""
    return False


def schedule(*, wait, warmup, active, repeat=0, skip_first=0, skip_first_wait=0):
    """Return a function from a step's number to a ProfilerAction.

    After ``skip_first`` steps come cycles of ``wait`` steps without, ``warmup`` (nothing is recorded either: there is
    nothing to warm up) and ``active`` steps with a profile, ``repeat`` times (0: for ever); a true ``skip_first_wait``
    leaves the first wait out. AssertionError for negative numbers, and for no active step.
    Source: https://docs.pytorch.org/docs/stable/profiler.html#torch.profiler.schedule

    >>> import minigrad as mg
    >>> plan = mg.profiler.schedule(wait=1, warmup=1, active=2, repeat=1)
    >>> [plan(step).name for step in range(5)]
    ['NONE', 'WARMUP', 'RECORD', 'RECORD_AND_SAVE', 'NONE']
    """
    if min(wait, warmup, repeat, skip_first) < 0 or active <= 0:
        raise AssertionError(
            f"Invalid profiler schedule arguments: wait={wait}, warmup={warmup}, repeat={repeat} and "
            f"skip_first={skip_first} must not be negative, active={active} must be positive"
        )
    cycle = wait + warmup + active

    def action(step):
        if step < 0:
            raise AssertionError(f"Step must be non-negative. Got {step}.")
        step -= skip_first
        if step < 0:
            return ProfilerAction.NONE
        if skip_first_wait:
            step += wait
        place = step % cycle
        if place < wait or repeat and step >= repeat * cycle:
            return ProfilerAction.NONE
        if place < wait + warmup:
            return ProfilerAction.WARMUP
        return ProfilerAction.RECORD_AND_SAVE if place == cycle - 1 else ProfilerAction.RECORD

    return action


def tensorboard_trace_handler(dir_name, worker_name=None, use_gzip=False):
    """Return an on_trace_ready that writes each profile to dir_name/WORKER.TIME.pt.trace.json (.gz with use_gzip).

    RuntimeError where the folder can't be made.
    Source: https://docs.pytorch.org/docs/stable/profiler.html#torch.profiler.tensorboard_trace_handler
    """

    def handler(prof):
        try:
            os.makedirs(dir_name, exist_ok=True)
        except OSError as error:
            raise RuntimeError(f"Can't create directory: {dir_name}") from error
        worker = worker_name or f"{socket.gethostname()}_{os.getpid()}"
        ending = ".gz" if use_gzip else ""
        prof.export_chrome_trace(os.path.join(dir_name, f"{worker}.{time.time_ns()}.pt.trace.json{ending}"))

    return handler


class profile:  # noqa: N801 - PyTorch's name
    """Time the operations of a block, or with a schedule of some of its steps.

    Arguments: activities (ProfilerActivity: with CUDA every operation is waited for), schedule (function from a
    step's number to a ProfilerAction; ``step()`` ends a step), on_trace_ready (called with the profile whenever one is
    complete), record_shapes, profile_memory, with_stack, acc_events (keep the events of former cycles).
    NotImplementedError for with_flops, with_modules, experimental_config and execution_trace_observer.
    Source: https://docs.pytorch.org/docs/stable/profiler.html#torch.profiler.profile

    >>> import minigrad as mg
    >>> with mg.profiler.profile(activities=[mg.profiler.ProfilerActivity.CPU]) as prof:
    ...     with mg.profiler.record_function("product"):
    ...         y = mg.ones(2, 3) @ mg.ones(3, 4)
    >>> "product" in prof.key_averages().table(sort_by="cpu_time_total", row_limit=10)
    True
    """

    def __init__(
        self, *, activities=None, schedule=None, on_trace_ready=None, record_shapes=False, profile_memory=False,
        with_stack=False, with_flops=False, with_modules=False, experimental_config=None,
        execution_trace_observer=None, acc_events=False, use_cuda=None, custom_trace_id_callback=None,
    ):  # fmt: skip
        refuse(
            with_flops=with_flops, with_modules=with_modules, experimental_config=experimental_config,
            execution_trace_observer=execution_trace_observer, custom_trace_id_callback=custom_trace_id_callback,
        )  # fmt: skip
        wanted = supported_activities() if activities is None else set(activities)
        if use_cuda:
            wanted.add(ProfilerActivity.CUDA)
        if not wanted:
            raise AssertionError("No valid profiler activities found")
        if ProfilerActivity.CUDA in wanted and not cuda_is_available():
            warnings.warn("CUDA is not available, disabling CUDA profiling", stacklevel=2)
            wanted.discard(ProfilerActivity.CUDA)
        self.activities, self.schedule, self.on_trace_ready = wanted, schedule, on_trace_ready
        self.acc_events = acc_events
        self._settings = (record_shapes, profile_memory, with_stack, ProfilerActivity.CUDA in wanted)
        self.step_num = 0
        self.current_action = self._planned()
        self._recorder = self._mark = self._events = None
        self._metadata = {}

    def _planned(self):
        return ProfilerAction.RECORD if self.schedule is None else self.schedule(self.step_num)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exception):
        self.stop()

    def start(self):
        """Begin with the first step."""
        self.current_action = self._planned()
        if self.current_action in _RECORDING:
            self._start_recording()
        self._start_step()

    def stop(self):
        """End; a profile being taken is complete."""
        self._end_step()
        if self._recorder is not None:
            self._stop_recording()
            self._tell()

    def step(self):
        """End a step of the loop, and begin the next."""
        self._end_step()
        before = self.current_action
        self.step_num += 1
        self.current_action = self._planned()
        if self._recorder is not None and (
            before is ProfilerAction.RECORD_AND_SAVE or self.current_action not in _RECORDING
        ):
            self._stop_recording()
            if before is ProfilerAction.RECORD_AND_SAVE:
                self._tell()
        if self._recorder is None and self.current_action in _RECORDING:
            self._start_recording()
        self._start_step()

    def _start_step(self):
        if self.schedule is not None and self._recorder is not None:
            self._mark = record_function(f"ProfilerStep#{self.step_num}")
            self._mark.__enter__()

    def _end_step(self):
        if self._mark is not None:
            self._mark.__exit__()
            self._mark = None

    def _start_recording(self):
        self._recorder = Recorder(*self._settings)
        self._recorder.extra = _steps_of_optimizers()
        self._recorder.start()

    def _stop_recording(self):
        events = self._recorder.stop()
        if self.acc_events and self._events is not None:
            events[:0] = self._events
        self._recorder, self._events = None, events

    def _tell(self):
        if self.on_trace_ready is not None:
            self.on_trace_ready(self)

    def events(self):
        """Return the events of the last profile; AssertionError before there is one."""
        if self._events is None:
            raise AssertionError("the profile has no events yet: leave its block, or let its schedule record a step")
        return self._events

    def key_averages(self, group_by_input_shape=False, group_by_stack_n=0, group_by_overload_name=False):
        """Return one average per operation: see EventList.key_averages."""
        return self.events().key_averages(group_by_input_shape, group_by_stack_n, group_by_overload_name)

    def export_chrome_trace(self, path):
        """Write the events as JSON for chrome://tracing; compressed if the path ends with .gz."""
        self.events().export_chrome_trace(path, self._metadata)

    def export_stacks(self, path, metric="self_cpu_time_total"):
        """Write the source stacks with their times, for flame graphs."""
        self.events().export_stacks(path, metric)

    def add_metadata(self, key, value):
        """Add a text to the traces written."""
        self._metadata[key] = str(value)

    def add_metadata_json(self, key, value):
        """Add a value, given as JSON text, to the traces written."""
        import json

        self._metadata[key] = json.loads(value)


def _steps_of_optimizers():
    """Return how the steps of optimizers are named: Optimizer.step#SGD.step."""
    found, kinds = {}, [Optimizer]
    while kinds:
        kind = kinds.pop()
        kinds += kind.__subclasses__()
        step = kind.__dict__.get("step")
        code = getattr(getattr(step, "__wrapped__", step), "__code__", None)
        if code is not None:
            found[code] = _step_called
    return found


def _step_called(values):
    return f"Optimizer.step#{type(values['self']).__name__}.step", values["self"], ()


__getattr__ = getter(__name__)
