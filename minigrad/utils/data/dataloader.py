"""DataLoader: batches of a dataset, in order or shuffled, made here or by worker processes or threads."""

import itertools
import math
import os
import warnings
import weakref

from minigrad.backend import cuda_is_available, device
from minigrad.backend.devices import module_for
from minigrad.utils.data.collate import default_collate, default_convert, pin_memory
from minigrad.utils.data.dataset import IterableDataset
from minigrad.utils.data.fetch import IterableFetcher, MapFetcher
from minigrad.utils.data.pool import TimedOut, make_pool
from minigrad.utils.data.sampler import BatchSampler, RandomSampler, Sampler, SequentialSampler, draw_seed
from minigrad.utils.data.worker import BATCH, END, Job, get_worker_info

__all__ = ["DataLoader", "default_collate", "get_worker_info"]

_FIXED = frozenset(("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers"))


class _Endless(Sampler):
    """The index sampler of iterable datasets: None, for ever."""

    def __iter__(self):
        return itertools.repeat(None)


class DataLoader:
    """Batches of a dataset, one pass per ``iter()``.

    Args:
        dataset: anything with ``__getitem__`` and ``__len__``, or an IterableDataset.
        batch_size: examples per batch; None: examples as they are, not batched.
        shuffle: whether each epoch has an order of its own.
        sampler: the order, an iterable of indices; batch_sampler: of lists of indices.
        num_workers: how many processes make batches; 0: this one does.
        collate_fn: makes a batch of a list of examples (default: default_collate).
        pin_memory: whether batches are copied to page-locked memory (needs a GPU); pin_memory_device: which GPU will
            read it. ``Prefetcher(loader)`` also brings them to the GPU ahead of time.
        drop_last: whether a last batch of fewer examples is left out.
        timeout: seconds to wait for a worker's batch; 0: as long as it takes.
        worker_init_fn: called in each worker with its number when it starts.
        multiprocessing_context: "fork", "spawn", "forkserver", a context of :mod:`multiprocessing`, or "thread" for
            worker threads in this process: no start-up and no copies, worth it where reading and decoding release the
            GIL. Threads leave the process's generators alone: ``get_worker_info().rng`` is a thread's own generator,
            from which minigrad's transforms draw.
        generator: decides the order and the workers' seeds; with the same one, an epoch's order is the same for any
            number of workers, and with the same number of workers so is every random number.
        prefetch_factor: how many batches each worker makes in advance (default 2).
        persistent_workers: whether workers stay for the next epoch; they are seeded anew at its start.
        in_order: whether batches come in the sampler's order; otherwise as they get ready.

    Raises ValueError for options that exclude each other or are out of range, TypeError for a wrong context. An
    exception in a worker is raised here, of the same class, with its traceback in the message; RuntimeError when a
    worker died or timed out.
    Source: https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.DataLoader

    >>> import minigrad as mg
    >>> data = mg.utils.data.TensorDataset(mg.arange(5), mg.arange(5) * 10)
    >>> for x, y in mg.utils.data.DataLoader(data, batch_size=2):
    ...     print(x.tolist(), y.tolist())
    [0, 1] [0, 10]
    [2, 3] [20, 30]
    [4] [40]
    """

    _initialized = False
    _iterator = None

    def __class_getitem__(cls, item):
        return cls  # DataLoader[int] in annotations

    def __init__(
        self,
        dataset,
        batch_size=1,
        shuffle=None,
        sampler=None,
        batch_sampler=None,
        num_workers=0,
        collate_fn=None,
        pin_memory=False,
        drop_last=False,
        timeout=0,
        worker_init_fn=None,
        multiprocessing_context=None,
        generator=None,
        *,
        prefetch_factor=None,
        persistent_workers=False,
        pin_memory_device="",
        in_order=True,
    ):
        _check_workers(num_workers, timeout, prefetch_factor, persistent_workers)
        if pin_memory_device and not str(pin_memory_device).startswith("cuda"):
            raise ValueError(f"pin_memory_device must be a CUDA device such as 'cuda:0', not {pin_memory_device!r}")
        self._iterable = isinstance(dataset, IterableDataset)
        self.dataset = dataset
        self.num_workers = num_workers
        self.prefetch_factor = 2 if num_workers > 0 and prefetch_factor is None else prefetch_factor
        self.pin_memory = pin_memory
        self.pin_memory_device = pin_memory_device
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.generator = generator
        self.persistent_workers = persistent_workers
        self.in_order = in_order
        self.multiprocessing_context = multiprocessing_context
        if self._iterable:
            _check_iterable(shuffle, sampler, batch_sampler)
        if sampler is not None and shuffle:
            raise ValueError("sampler option is mutually exclusive with shuffle")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError(
                    "batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last"
                )
            batch_size = None
        elif batch_size is None and drop_last:
            raise ValueError("batch_size=None option disables auto-batching and is mutually exclusive with drop_last")
        if sampler is None:
            sampler = self._default_sampler(shuffle)
        if batch_size is not None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        if collate_fn is None:
            collate_fn = default_convert if batch_sampler is None else default_collate
        self.collate_fn = collate_fn
        self._announced = None  # the length of an iterable dataset that len(self) has told
        self._initialized = True
        self._warn_of_many_workers()

    def _default_sampler(self, shuffle):
        """Return the sampler that decides the order where the user gave none."""
        if self._iterable:
            return _Endless()
        if shuffle:
            return RandomSampler(self.dataset, generator=self.generator)
        return SequentialSampler(self.dataset)

    def __setattr__(self, name, value):
        if self._initialized and name in _FIXED:
            raise ValueError(f"{name} attribute should not be set after {type(self).__name__} is initialized")
        super().__setattr__(name, value)

    @property
    def multiprocessing_context(self):
        """How workers are started."""
        return self._context

    @multiprocessing_context.setter
    def multiprocessing_context(self, context):
        if context is not None:
            _check_context(context, self.num_workers)
        self._context = context

    @property
    def _index_sampler(self):
        return self.sampler if self.batch_sampler is None else self.batch_sampler

    def _warn_of_many_workers(self):
        """Warn of more worker processes than the machine can run at once."""
        available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        if self.num_workers > available and self._context != "thread":
            warnings.warn(
                f"This DataLoader will create {self.num_workers} worker processes in total. Our suggested max number "
                f"of worker in current system is {available}, which is smaller than what this DataLoader is going to "
                "create. Please be aware that excessive worker creation might get DataLoader running slow.",
                stacklevel=3,
            )

    def __len__(self):
        if not self._iterable:
            return len(self._index_sampler)
        length = self._announced = len(self.dataset)
        if self.batch_size is None:
            return length
        return length // self.batch_size if self.drop_last else math.ceil(length / self.batch_size)

    def __iter__(self):
        if self.num_workers == 0:
            return _Iterator(self)
        if not self.persistent_workers:
            return _WorkerIterator(self)
        if self._iterator is None or self._iterator.closed:
            self._iterator = _WorkerIterator(self)
        else:
            self._iterator.restart(self)
        return self._iterator

    def _job(self):
        """Return what has to be done, here or by the workers."""
        return Job(
            dataset=self.dataset,
            fetcher=IterableFetcher if self._iterable else MapFetcher,
            batched=self.batch_sampler is not None,
            collate_fn=self.collate_fn,
            drop_last=self.drop_last,
            num_workers=self.num_workers,
            init_fn=self.worker_init_fn,
        )

    def check_worker_number_rationality(self):
        """Warn of more worker processes than the machine can run at once."""
        self._warn_of_many_workers()


def _check_workers(num_workers, timeout, prefetch_factor, persistent_workers):
    """ValueError for options on workers that are out of range or need workers where there are none."""
    if num_workers < 0:
        raise ValueError(
            "num_workers option should be non-negative; use num_workers=0 to disable multiprocessing."
        )
    if timeout < 0:
        raise ValueError("timeout option should be non-negative")
    if num_workers == 0 and prefetch_factor is not None:
        raise ValueError(
            "prefetch_factor option could only be specified in multiprocessing: let num_workers > 0 to enable "
            "multiprocessing, otherwise set prefetch_factor to None."
        )
    if prefetch_factor is not None and prefetch_factor < 1:
        raise ValueError(f"prefetch_factor option should be positive, but got {prefetch_factor}")
    if persistent_workers and num_workers == 0:
        raise ValueError("persistent_workers option needs num_workers > 0")


def _check_iterable(shuffle, sampler, batch_sampler):
    """ValueError for options on the order, which an iterable dataset decides itself."""
    for name, value in (("shuffle", shuffle or None), ("sampler", sampler), ("batch_sampler", batch_sampler)):
        if value is not None:
            raise ValueError(
                f"DataLoader with IterableDataset: expected unspecified {name} option, but got {name}={value}"
            )


def _check_context(context, num_workers):
    """ValueError or TypeError unless the context can start workers."""
    from multiprocessing import get_all_start_methods
    from multiprocessing.context import BaseContext

    if num_workers == 0:
        raise ValueError(
            "multiprocessing_context can only be used with multi-process loading (num_workers > 0), but got "
            f"num_workers={num_workers}"
        )
    methods = [*get_all_start_methods(), "thread"]
    if isinstance(context, str) and context not in methods:
        raise ValueError(
            f"multiprocessing_context option should specify a valid start method in {methods!r}, but got {context!r}"
        )
    if not isinstance(context, (str, BaseContext)):
        raise TypeError(
            "multiprocessing_context option should be a valid context object or a string specifying the start method, "
            f"but got multiprocessing_context={context}"
        )


class _Iterator:
    """One pass over a DataLoader, batches made here; also what the pass with workers has in common with it.

    It keeps no reference to the loader: a loader with persistent workers holds its iterator.
    """

    def __init__(self, loader):
        self._pin = _pins(loader)
        if self._pin and loader.pin_memory_device:
            with module_for(device(loader.pin_memory_device))[1]:
                pass  # RuntimeError now where there is no such GPU; all of them reach all page-locked memory
        self._dataset = loader.dataset
        self._num_workers = loader.num_workers
        self._start_pass(loader)
        self._begin(loader)

    def _start_pass(self, loader):
        self._index_sampler = loader._index_sampler
        self._announced = loader._announced
        self._limit = None if loader._announced is None else len(loader)
        self._yielded = 0
        # Drawn without workers too: what the sampler draws must not depend on how many there are.
        self._base_seed = draw_seed(loader.generator)
        self._indices = iter(self._index_sampler)

    def _begin(self, loader):
        self._fetch = loader._job().make_fetcher().fetch

    def _next_batch(self):
        return self._fetch(next(self._indices))

    def __iter__(self):
        return self

    def __next__(self):
        batch = self._next_batch()
        if self._limit is not None:
            self._yielded += 1
            if self._yielded > self._limit:
                self._warn_of_wrong_length()
        return pin_memory(batch) if self._pin else batch

    def _warn_of_wrong_length(self):
        hint = ""
        if self._num_workers:
            hint = (
                " For multiprocessing data-loading, this could be caused by not properly configuring the "
                "IterableDataset replica at each worker: get_worker_info() tells it its share."
            )
        warnings.warn(
            f"Length of IterableDataset {self._dataset} was reported to be {self._announced} (when accessing "
            f"len(dataloader)), but {self._yielded} batches have been fetched.{hint}",
            stacklevel=3,
        )

    def __len__(self):
        return len(self._index_sampler)


def _pins(loader):
    """Return whether the loader's batches go to page-locked memory; warn where they should but there is no GPU."""
    if not loader.pin_memory:
        return False
    if cuda_is_available():
        return True
    warnings.warn(
        "'pin_memory' argument is set as true but no accelerator is found, then device pinned memory won't be used.",
        stacklevel=4,
    )
    return False


class _WorkerIterator(_Iterator):
    """One pass (with persistent workers, one after the other) over a DataLoader whose workers make the batches.

    Tasks are numbered and dealt to the workers in turn; a new one is dealt whenever a number has been dealt with, so
    that which worker makes which batch does not depend on timing.
    """

    def _begin(self, loader):
        self._prefetch = loader.prefetch_factor
        self._timeout = loader.timeout
        self._in_order = loader.in_order
        self._persistent = loader.persistent_workers
        self._pool = make_pool(loader._job(), loader.multiprocessing_context)
        self._finalizer = weakref.finalize(self, self._pool.close)
        self._sent = 0
        self._start_epoch()

    @property
    def closed(self):
        """Whether the workers are gone."""
        return not self._finalizer.alive

    def close(self):
        """Stop the workers."""
        self._finalizer()

    def restart(self, loader):
        """Begin the next pass with the same workers; batches of the last one still to come are thrown away."""
        self._start_pass(loader)
        self._start_epoch()

    def _start_epoch(self):
        self._first = self._sent  # number of this epoch's first task
        self._turn = self._sent  # number of the task whose batch comes next
        self._owner = {}  # task number -> worker, of tasks not yet dealt with
        self._ready = {}  # task number -> (kind, value), in the order they came
        self._active = list(range(self._num_workers))  # workers that may have more
        self._exhausted = False
        self._guard(self._deal_first)

    def _deal_first(self):
        for worker in range(self._num_workers):
            self._pool.send(worker, ("epoch", self._base_seed))
        for _ in range(self._num_workers * self._prefetch):
            self._deal()

    def _guard(self, step, *arguments):
        """Run a step; without workers to go on with, or when interrupted, stop them all."""
        try:
            return step(*arguments)
        except TimedOut:
            self._finalizer.detach()
            self._pool.close(patience=0.0)  # they have had theirs
            raise RuntimeError(f"DataLoader timed out after {self._timeout} seconds") from None
        except BaseException:
            self.close()
            raise

    def _deal(self):
        """Give the next task to the worker whose turn it is, or to the least busy one if order does not matter."""
        if self._exhausted or not self._active:
            return
        try:
            index = next(self._indices)
        except StopIteration:
            self._exhausted = True
            return
        if self._in_order:
            worker = self._active[(self._sent - self._first) % len(self._active)]
        else:
            load = list(self._owner.values())
            worker = min(self._active, key=load.count)
        self._owner[self._sent] = worker
        self._pool.send(worker, ("fetch", self._sent, None, index))
        self._sent += 1

    def _receive(self):
        """Take one answer from the workers."""
        worker, (number, kind, value) = self._pool.receive(self._timeout or None)
        if number >= self._first:
            self._ready[number] = (kind, value)

    def _take(self):
        """Return the number of the next answer to deal with, waiting for it; None when there is none to come."""
        if not self._owner:
            return None
        while True:
            if not self._in_order and self._ready:
                return next(iter(self._ready))
            if self._turn in self._ready:
                self._turn += 1
                return self._turn - 1
            self._guard(self._receive)

    def _next_batch(self):
        if self.closed:
            raise StopIteration
        while True:
            number = self._take()
            if number is None:
                if not self._persistent:
                    self.close()
                raise StopIteration
            kind, value = self._ready.pop(number)
            worker = self._owner.pop(number)
            if kind == END and worker in self._active:
                self._active.remove(worker)
            self._guard(self._deal)
            if kind == BATCH:
                return value
            if kind != END:
                value.reraise()
