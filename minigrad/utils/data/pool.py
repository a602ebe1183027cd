"""The workers of a DataLoader as the main process sees them: processes or threads behind one interface.

``send(worker, message)``, ``receive(timeout)`` -> (worker, (task number, kind, value)) and ``close()``; a message is
what worker.Worker.answer takes.
"""

import collections
import contextlib
import os
import pickle
import queue
import secrets
import signal
import threading
import time
import warnings
import weakref

from minigrad.backend.threads import blas_controller
from minigrad.utils.data.transfer import remove_segment, unpack
from minigrad.utils.data.worker import Job, run_in_process, run_in_thread

_PATIENCE = 5.0  # seconds workers have to finish the batch they are at before they are left alone or terminated
_CONNECTIONS = weakref.WeakSet()  # this process's ends of the pipes of all its pools


class TimedOut(Exception):
    """No worker answered in time."""


class ThreadPool:
    """Worker threads: no copies and no start-up, but Python code runs in one thread at a time."""

    def __init__(self, job: Job):
        self._stopped = threading.Event()
        self._tasks = [queue.SimpleQueue() for _ in range(job.num_workers)]
        self._results = queue.SimpleQueue()
        self._threads = [
            threading.Thread(
                target=run_in_thread, args=(job, number, tasks, self._results, self._stopped), daemon=True
            )
            for number, tasks in enumerate(self._tasks)
        ]
        for thread in self._threads:
            thread.start()

    def send(self, worker, message):
        """Give a worker a message."""
        self._tasks[worker].put(message)

    def receive(self, timeout):
        """Return the next answer of any worker; TimedOut after ``timeout`` seconds (None: wait for ever)."""
        try:
            return self._results.get(timeout=timeout)
        except queue.Empty:
            raise TimedOut from None

    def close(self, patience=_PATIENCE):
        """Stop the workers, after the batches they are at."""
        self._stopped.set()
        for tasks in self._tasks:
            tasks.put(None)
        deadline = time.monotonic() + patience
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))


class ProcessPool:
    """Worker processes, each with a pipe for its tasks and one for its answers; batches come in shared memory.

    A pipe ends when its worker does, however that came about, so waiting for an answer never hangs on a dead worker.
    """

    def __init__(self, job: Job, context):
        from multiprocessing import resource_tracker

        self._owner = os.getpid()
        self._names = f"mg{self._owner}-{secrets.token_hex(3)}-"  # 31 characters are what macOS allows
        self._unanswered = set()  # numbers of tasks whose segment may exist
        self._answers = collections.deque()
        self._processes = []
        self._tasks = []
        self._results = []
        # One tracker for all: what a worker registers there, this process takes out, and nothing is left.
        resource_tracker.ensure_running()
        blas_controller()  # looks for the BLAS libraries, so that not every worker has to
        try:
            for number in range(job.num_workers):
                self._start(job, number, context)
        except BaseException:
            self.close()
            raise

    def _start(self, job, number, context):
        task_reader, task_writer = context.Pipe(duplex=False)
        result_reader, result_writer = context.Pipe(duplex=False)
        self._tasks.append(task_writer)
        self._results.append(result_reader)
        _CONNECTIONS.update((task_writer, result_reader))
        inherited = list(_CONNECTIONS) if context.get_start_method() == "fork" else []
        process = context.Process(
            target=run_in_process, args=(job, number, task_reader, result_writer, inherited), daemon=True
        )
        try:
            with warnings.catch_warnings():
                # Python 3.12 warns of fork where threads run (BLAS has some): workers take no lock of theirs.
                warnings.simplefilter("ignore", DeprecationWarning)
                process.start()
        finally:
            task_reader.close()
            result_writer.close()
        self._processes.append(process)

    def send(self, worker, message):
        """Give a worker a message, with the name of the segment for its answer in the place for it."""
        if message[0] == "fetch":
            self._unanswered.add(message[1])
            message = (*message[:2], self._names + str(message[1]), *message[3:])
        try:
            self._tasks[worker].send(message)
        except (BrokenPipeError, ConnectionResetError):
            raise RuntimeError(self._obituary(worker)) from None

    def receive(self, timeout):
        """Return the next answer of any worker; TimedOut after ``timeout`` seconds (None: wait for ever).

        Raises RuntimeError when a worker has died.
        """
        if not self._answers:
            self._wait(timeout)
        worker, (number, kind, packed) = self._answers.popleft()
        value = unpack(packed)
        self._unanswered.discard(number)
        return worker, (number, kind, value)

    def _wait(self, timeout):
        """Read at least one answer."""
        from multiprocessing.connection import wait

        workers = {reader: worker for worker, reader in enumerate(self._results)}
        sentinels = {process.sentinel: worker for worker, process in enumerate(self._processes)}
        ready = wait([*workers, *sentinels], timeout)
        if not ready:
            raise TimedOut
        dead = [sentinels[item] for item in ready if item in sentinels]
        for reader in [item for item in ready if item in workers]:
            try:
                message = reader.recv_bytes()
            except (EOFError, OSError):
                dead.append(workers[reader])
                continue
            self._answers.append((workers[reader], pickle.loads(message)))
        if not self._answers:
            raise RuntimeError(self._obituary(*dead))

    def _obituary(self, *workers):
        """Return the sentence on workers that are dead."""
        causes = []
        for worker in sorted(set(workers)):
            process = self._processes[worker]
            process.join(1.0)
            code = process.exitcode
            cause = f"exit code {code}"
            if code is not None and code < 0:
                cause = f"killed by {signal.Signals(-code).name}"
                if -code == signal.SIGKILL:
                    cause += ", perhaps because memory ran out"
                elif -code == signal.SIGBUS:
                    cause += ", perhaps because shared memory (/dev/shm) ran out"
            causes.append(f"worker {worker} (pid {process.pid}): {cause}")
        return f"DataLoader worker exited unexpectedly: {'; '.join(causes)}. Use num_workers=0 to see the error itself."

    def close(self, patience=_PATIENCE):
        """Stop the workers, by force if they do not stop by themselves, and remove what they left."""
        if os.getpid() != self._owner:
            return  # a copy that fork made
        for connection in self._tasks:
            with contextlib.suppress(OSError):
                connection.send(None)  # closing is not enough where the user's own forked processes hold copies
        for connection in self._tasks + self._results:
            _CONNECTIONS.discard(connection)
            connection.close()
        deadline = time.monotonic() + patience
        for process in self._processes:
            process.join(max(0.0, deadline - time.monotonic()))
        for stop in ("terminate", "kill"):
            alive = [process for process in self._processes if process.is_alive()]
            for process in alive:
                getattr(process, stop)()
            for process in alive:
                process.join(1.0)
        for number in self._unanswered:
            remove_segment(self._names + str(number))
        self._unanswered.clear()
        self._answers.clear()


def make_pool(job, context):
    """Return the pool for a job: threads for the context "thread", otherwise processes of that context."""
    if context == "thread":
        return ThreadPool(job)
    import multiprocessing

    return ProcessPool(job, multiprocessing.get_context(context) if isinstance(context, str | None) else context)
