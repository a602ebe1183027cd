"""Python's multiprocessing under PyTorch's name, with spawn(): tensors are pickled, that is copied, on their way.

What PyTorch does beyond: tensors in queues share memory there. Here ``tensor.share_memory_()`` and
``module.share_memory()`` share memory with processes forked afterwards (the start method "fork").
Source: https://docs.pytorch.org/docs/stable/multiprocessing.html
"""

import multiprocessing as _python
from multiprocessing import connection
from multiprocessing.connection import wait as _wait

from minigrad.absent import getter

globals().update({name: getattr(_python, name) for name in _python.__all__})  # Process, Queue, Pool, …
_STRATEGIES = {"file_descriptor", "file_system"}
_strategy = ["file_descriptor"]
_LONGEST = 15_000  # characters of a traceback: what a pipe holds (64 KiB), as nobody reads it until the process ended


class ProcessException(Exception):
    """A process of spawn() failed: ``error_index`` is its number, ``pid`` its id."""

    def __init__(self, msg, error_index, pid):
        super().__init__(msg)
        self.msg, self.error_index, self.pid = msg, error_index, pid

    def __reduce__(self):
        return type(self), (self.msg, self.error_index, self.pid)


class ProcessRaisedException(ProcessException):
    """A process of spawn() raised an exception, whose traceback is the message."""


class ProcessExitedException(ProcessException):
    """A process of spawn() ended with another status than 0, or by a signal (``signal_name``)."""

    def __init__(self, msg, error_index, error_pid, exit_code, signal_name=None):
        super().__init__(msg, error_index, error_pid)
        self.exit_code, self.signal_name = exit_code, signal_name

    def __reduce__(self):
        return type(self), (self.msg, self.error_index, self.pid, self.exit_code, self.signal_name)


def _run(fn, index, args, errors):
    """Call fn(index, *args) in a new process; what it raises is sent back as text."""
    import sys
    import traceback

    try:
        fn(index, *args)
    except KeyboardInterrupt:
        pass
    except Exception:
        errors.put(traceback.format_exc()[-_LONGEST:])
        sys.exit(1)


class ProcessContext:
    """The processes of start_processes(join=False): wait for them with join()."""

    def __init__(self, processes, error_queues):
        self.processes, self.error_queues = processes, error_queues
        self.sentinels = {process.sentinel: index for index, process in enumerate(processes)}

    def pids(self):
        """Return the ids of the processes."""
        return [process.pid for process in self.processes]

    def join(self, timeout=None, grace_period=None):
        """Wait for a process to end (all: True; some still run: False); raise where one failed, and end the others."""
        for sentinel in _wait(list(self.sentinels), timeout):
            index = self.sentinels.pop(sentinel)
            self.processes[index].join()
            if self.processes[index].exitcode != 0:
                self._fail(index, grace_period)
        return not self.sentinels

    def _fail(self, index, grace_period):
        """End the other processes and raise what happened to this one."""
        import signal

        for process in self.processes:
            if process.is_alive():
                process.terminate()
        for process in self.processes:
            process.join(grace_period)
            if process.is_alive():
                process.kill()
                process.join()
        failed, queue = self.processes[index], self.error_queues[index]
        if not queue.empty():
            raise ProcessRaisedException(
                f"\n\n-- Process {index} terminated with the following error:\n{queue.get()}", index, failed.pid
            )
        if failed.exitcode < 0:
            name = signal.Signals(-failed.exitcode).name
            raise ProcessExitedException(
                f"process {index} terminated with signal {name}", index, failed.pid, failed.exitcode, name
            )
        raise ProcessExitedException(
            f"process {index} terminated with exit code {failed.exitcode}", index, failed.pid, failed.exitcode
        )


SpawnContext = ProcessContext


def start_processes(fn, args=(), nprocs=1, join=True, daemon=False, start_method="spawn"):
    """Call fn(i, *args) in ``nprocs`` processes, i = 0 …, and wait for them, or return their ProcessContext.

    Raises ProcessRaisedException with the traceback of the first process that failed, ProcessExitedException for one
    that ended otherwise; the others are ended.
    """
    context = _python.get_context(start_method)
    queues = [context.SimpleQueue() for _ in range(nprocs)]
    processes = [
        context.Process(target=_run, args=(fn, index, args, queue), daemon=daemon) for index, queue in enumerate(queues)
    ]
    for process in processes:
        process.start()
    started = ProcessContext(processes, queues)
    if not join:
        return started
    while not started.join():
        pass
    return None


def spawn(fn, args=(), nprocs=1, join=True, daemon=False, start_method="spawn"):
    """Call fn(i, *args) in ``nprocs`` new processes; see start_processes.

    The program must guard what it runs by ``if __name__ == "__main__":``, as the processes import it.
    Source: https://docs.pytorch.org/docs/stable/multiprocessing.html#torch.multiprocessing.spawn.spawn
    """
    return start_processes(fn, args, nprocs, join, daemon, start_method)


def get_all_sharing_strategies():
    """Return the names of the ways in which PyTorch shares memory."""
    return set(_STRATEGIES)


def get_sharing_strategy():
    """Return the name of the way chosen; tensors are copied here by either."""
    return _strategy[0]


def set_sharing_strategy(new_strategy):
    """Choose how tensors would be shared; AssertionError for a way that PyTorch doesn't know."""
    if new_strategy not in _STRATEGIES:
        raise AssertionError(f"invalid sharing strategy {new_strategy!r}")
    _strategy[0] = new_strategy


def get_context(method=None):
    """Return Python's multiprocessing context of a start method."""
    return _python.get_context(method)


__all__ = [
    *_python.__all__, "ProcessContext", "ProcessException", "ProcessExitedException", "ProcessRaisedException",
    "SpawnContext", "connection", "get_all_sharing_strategies", "get_sharing_strategy", "set_sharing_strategy", "spawn",
    "start_processes",
]  # fmt: skip


__getattr__ = getter(__name__)
