"""What runs in a DataLoader's workers: their seeds, their loop, the errors they report."""

import contextlib
import gc
import os
import pickle
import queue
import random
import signal
import threading
import traceback
from dataclasses import dataclass
from typing import Any

from minigrad.backend import Generator, default_generator, manual_seed, np, set_num_threads
from minigrad.utils.data.transfer import pack

# Kinds of messages from a worker: a batch, the end of its iterable dataset, an error.
BATCH, END, ERROR = "batch", "end", "error"
_PARENT_CHECK = 2.0  # seconds between looks whether the main process is still there


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """Who the current worker is: ``id`` of ``num_workers``, its ``seed``, its copy of the ``dataset``.

    ``rng`` is the minigrad Generator of a worker thread, which must not touch the process's own; None in a process.
    Source: https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.get_worker_info

    >>> from minigrad.utils.data import DataLoader, Dataset, get_worker_info
    >>> class Workers(Dataset):
    ...     def __len__(self):
    ...         return 4
    ...     def __getitem__(self, index):
    ...         return get_worker_info().id
    >>> next(iter(DataLoader(Workers(), 4, num_workers=2, multiprocessing_context="thread")))
    tensor([0, 0, 0, 0])
    """

    id: int
    num_workers: int
    seed: int
    dataset: Any
    rng: Any = None
    worker_method: str = "multiprocessing"


class _Current(threading.local):
    info = None


_PROCESS = {"info": None}  # of a worker process: seen by all its threads
_THREAD = _Current()  # of a worker thread


def get_worker_info():
    """Return the WorkerInfo of the DataLoader worker this runs in; None in the main process.

    Source: https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.get_worker_info

    >>> import minigrad as mg
    >>> mg.utils.data.get_worker_info() is None
    True
    """
    return _THREAD.info or _PROCESS["info"]


def current_generator():
    """Return the generator to draw from here: a worker thread's own, otherwise the default generator."""
    info = _THREAD.info
    return default_generator if info is None else info.rng


@dataclass(frozen=True)
class Job:
    """What the workers of one DataLoader do."""

    dataset: Any
    fetcher: type
    batched: bool
    collate_fn: Any
    drop_last: bool
    num_workers: int
    init_fn: Any

    def make_fetcher(self):
        """Return a new fetcher: for an iterable dataset, one at its beginning."""
        return self.fetcher(self.dataset, self.batched, self.collate_fn, self.drop_last)


class Failure:
    """An exception on its way to the main process: its class, and its traceback as text."""

    def __init__(self, error, where):
        self.where = where
        self.name = type(error).__name__
        self.text = "".join(traceback.format_exception(error))
        self.type = type(error)
        try:
            pickle.dumps(self.type)
        except Exception:  # a class made inside a function cannot be named to another process
            self.type = RuntimeError

    def reraise(self):
        """Raise an exception of the same class with the worker's traceback in its message."""
        message = f"Caught {self.name} in {self.where}.\nOriginal {self.text}"
        if issubclass(self.type, KeyError):
            message = _Plain(message)
        try:
            error = self.type(message)
        except Exception:  # its constructor wants other arguments
            error = RuntimeError(message)
        try:
            raise error
        finally:
            del error  # its traceback refers to this frame: a cycle would keep the iterator, so the workers, alive


class _Plain(str):
    """A message that KeyError, which shows its argument's repr, shows as it is."""

    def __repr__(self):
        return str(self)


class Worker:
    """One worker: answers the messages ("epoch", base seed) and ("fetch", task number, segment name, indices)."""

    def __init__(self, job, number, threaded):
        self.job = job
        self.number = number
        self.where = f"DataLoader worker {'thread' if threaded else 'process'} {number}"
        self.threaded = threaded
        # In a process SystemExit ends it, which the main process notices; a thread's end nobody would.
        self.reported = BaseException if threaded else Exception
        self.started = False
        self.failure = None
        self.fetcher = None

    def start_epoch(self, base_seed):
        """Seed this worker; call the user's ``worker_init_fn`` the first time."""
        seed = base_seed + self.number
        rng = Generator().manual_seed(seed) if self.threaded else None
        method = "thread" if self.threaded else "multiprocessing"
        info = WorkerInfo(self.number, self.job.num_workers, seed, self.job.dataset, rng, method)
        if self.threaded:
            _THREAD.info = info
        else:
            _PROCESS["info"] = info
            random.seed(seed)
            manual_seed(seed)
            np.random.seed(np.random.SeedSequence(seed).generate_state(4))
        self.fetcher = None
        self.failure = None
        if not self.started:
            self.started = True
            if self.job.init_fn is not None:
                self.job.init_fn(self.number)

    def answer(self, message):
        """Return (kind, value) for a message, None for one that wants no answer."""
        try:
            if message[0] == "epoch":
                self.start_epoch(message[1])
                return None
            if self.failure is not None:
                return ERROR, self.failure
            if self.fetcher is None:
                self.fetcher = self.job.make_fetcher()
            return BATCH, self.fetcher.fetch(message[3])
        except StopIteration:
            return END, None
        except self.reported as error:
            failure = Failure(error, self.where)
            if message[0] == "epoch":
                self.failure = failure  # the answer to every fetch of this epoch
                return None
            return ERROR, failure


def run_in_thread(job, number, tasks, results, stopped):
    """Run one worker thread: takes messages of the queue ``tasks`` until None, or until ``stopped`` is set."""
    worker = Worker(job, number, threaded=True)
    while not stopped.is_set():
        message = tasks.get()
        if message is None:
            return
        answer = worker.answer(message)
        if answer is not None:
            results.put((number, (message[1], *answer)))


def _read_tasks(connection, tasks, stopped):
    """Move messages from the pipe to a queue; after None, or when the main process is gone, stop the worker.

    Always reading keeps the main process from blocking on a full pipe while this worker does so too.
    """
    parent = os.getppid()
    try:
        while os.getppid() == parent:
            if not connection.poll(_PARENT_CHECK):
                continue
            message = connection.recv()
            if message is None:
                break
            tasks.put(message)
    except (EOFError, OSError):
        pass
    finally:
        stopped.set()
        tasks.put(None)


def _send(connection, number, name, kind, value, where):
    """Send an answer; a value that cannot be pickled becomes an error that says so."""
    try:
        packed = pack(value, name)
    except Exception as error:
        kind, packed = ERROR, pack(Failure(error, where), name)
    connection.send_bytes(pickle.dumps((number, kind, packed), protocol=5))


def run_in_process(job, number, task_pipe, result_pipe, inherited):
    """Run one worker process until the main process closes its end of the pipe of tasks.

    ``inherited``: connections of the main process that fork copied here. They are closed: a pipe's other end learns
    of its end only when the last copy is.
    """
    # What fork copied belongs to the main process: never collected, so never finalized, here.
    gc.freeze()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all processes; the main one stops this one
    for connection in inherited:
        connection.close()
    set_num_threads(1)
    tasks = queue.SimpleQueue()
    stopped = threading.Event()
    threading.Thread(target=_read_tasks, args=(task_pipe, tasks, stopped), daemon=True).start()
    worker = Worker(job, number, threaded=False)
    # A broken pipe: the main process wants no more.
    with contextlib.suppress(BrokenPipeError):
        while not stopped.is_set():
            message = tasks.get()
            if message is None:
                break
            answer = worker.answer(message)
            if answer is not None and not stopped.is_set():
                _send(result_pipe, message[1], message[2], *answer, worker.where)
